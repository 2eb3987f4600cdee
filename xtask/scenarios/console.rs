//! The system as somebody at the serial console sees it: everything here needs neither a network nor agentd.

use crate::Scenario;
use crate::support::{Guest, expect_contains, expect_equal, step};
use anyhow::{Result, bail};
use xtask::deadline::Deadline;
use xtask::machine::{Nic, Options};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "console: one processor reaches the prompt",
        run: || reaches_prompt(1),
    },
    Scenario {
        name: "console: two processors reach the prompt",
        run: || reaches_prompt(2),
    },
    Scenario {
        name: "console: four processors reach the prompt",
        run: || reaches_prompt(4),
    },
    Scenario {
        name: "console: echo, ls, cat, help, service and log answer",
        run: commands,
    },
    Scenario {
        name: "console: pipes and redirections carry bytes",
        run: pipes,
    },
    Scenario {
        name: "console: a run-time error shows its file and line",
        run: run_time_error,
    },
    Scenario {
        name: "console: an unknown command is said and the shell goes on",
        run: unknown_command,
    },
    Scenario {
        name: "console: Ctrl-C ends a program that loops",
        run: interrupt,
    },
    Scenario {
        name: "console: two loops in the background leave the prompt responsive and can be killed",
        run: background_loops,
    },
    Scenario {
        name: "console: a typed line can be corrected",
        run: line_editing,
    },
    Scenario {
        name: "console: files outlive a restart of the filesystem",
        run: || survives("ramfs"),
    },
    Scenario {
        name: "console: the session outlives a restart of the name server",
        run: || survives("vfs"),
    },
    Scenario {
        name: "console: the session outlives a restart of the process manager",
        run: || survives("procd"),
    },
    Scenario {
        name: "console: the log goes on after a restart of its server",
        run: || survives("logd"),
    },
];

/// A machine without a network card.
fn guest(name: &str, cpus: u32) -> Result<Guest> {
    let options = Options {
        cpus,
        nic: Nic::None,
        ..Options::default()
    };
    Guest::boot_with(name, options)
}

/// A guest with a program of these lines at the root.
fn guest_with(name: &str, path: &str, lines: &[&str]) -> Result<Guest> {
    let mut guest = guest(name, 2)?;
    for (index, line) in lines.iter().enumerate() {
        let arrow = if index == 0 { ">" } else { ">>" };
        guest.shell(&format!("echo '{line}' {arrow} {path}"))?;
    }
    Ok(guest)
}

fn reaches_prompt(cpus: u32) -> Result<()> {
    guest(&format!("prompt-{cpus}"), cpus)?.expect_alive()
}

fn commands() -> Result<()> {
    let mut guest = guest_with("console-commands", "/note.txt", &["one", "two"])?;
    let echoed = guest.shell("echo Hello from PebbleOS")?;
    expect_equal("echo", echoed.as_str(), "Hello from PebbleOS\n")?;
    expect_contains("ls", &guest.shell("ls")?, "note.txt")?;
    expect_contains("a folder", &guest.shell("tree /system/bin")?, "echo.peb")?;
    expect_equal("cat", guest.shell("cat /note.txt")?.as_str(), "one\ntwo\n")?;
    expect_contains("help", &guest.shell("help")?, "/system/bin")?;
    expect_contains("help about a program", &guest.shell("help echo")?, "echo")?;
    let services = guest.shell("service")?;
    for service in ["vfs", "ramfs", "uart", "ttyd", "procd", "logd"] {
        expect_contains("service", &services, service)?;
    }
    expect_contains("log", &guest.shell("log")?, "init")
}

fn pipes() -> Result<()> {
    let mut guest = guest_with("console-pipes", "/lines.txt", &["b", "a"])?;
    let piped = guest.shell("cat /lines.txt | sort | cat")?;
    expect_equal("a pipe", piped.as_str(), "a\nb\n")?;
    guest.shell("sort /lines.txt > /out.txt")?;
    guest.shell("echo more >> /out.txt")?;
    let written = guest.shell("cat /out.txt")?;
    expect_equal("redirections", written.as_str(), "a\nb\nmore\n")?;
    let counted = guest.shell("wc < /lines.txt")?;
    expect_contains("input from a file", &counted, "2 2")
}

fn run_time_error() -> Result<()> {
    let lines = ["values = [1, 2]", "print(\"before\")", "print(values[5])"];
    let mut guest = guest_with("console-error", "/broken.peb", &lines)?;
    let printed = guest.shell("run /broken.peb")?;
    expect_contains("output before the error", &printed, "before\n")?;
    expect_contains("the error", &printed, "broken.peb:3: ")?;
    guest.expect_alive()
}

fn unknown_command() -> Result<()> {
    let mut guest = guest("console-unknown", 2)?;
    let said = guest.shell("nosuchcommand")?;
    expect_contains("the shell", &said, "*** unknown command: nosuchcommand")?;
    guest.expect_alive()
}

fn interrupt() -> Result<()> {
    let lines = ["print(\"looping\")", "while True:", "    pass"];
    let mut guest = guest_with("console-interrupt", "/loop.peb", &lines)?;
    guest.serial.send_line("run /loop.peb")?;
    guest.serial.expect("\nlooping", step())?;
    guest.serial.send(b"\x03")?;
    guest.serial.expect_prompt(Deadline::after_seconds(10))?;
    guest.expect_alive()
}

fn background_loops() -> Result<()> {
    let mut guest = guest_with("console-loops", "/loop.peb", &["while True:", "    pass"])?;
    guest.shell("/loop.peb &")?;
    guest.shell("/loop.peb &")?;
    for round in 0..3 {
        let echoed = guest.shell(&format!("echo round {round}"))?;
        expect_equal("echo", echoed, format!("round {round}\n"))?;
    }
    let listing = guest.shell("ps")?;
    let pids: Vec<&str> = listing
        .lines()
        .filter(|line| line.contains("loop.peb"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    expect_equal("loops that run", pids.len(), 2)?;
    for pid in pids {
        guest.shell(&format!("kill {pid}"))?;
    }
    let left = step().poll(|| match guest.shell("ps") {
        Ok(listing) if !listing.contains("loop.peb") => Some(Ok(())),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    left.unwrap_or_else(|| bail!("a killed loop lives on"))
}

fn line_editing() -> Result<()> {
    let mut guest = guest("console-editing", 2)?;
    guest.serial.send(b"echo wrosh\x7f\x7f\x7fong\r")?;
    guest.serial.expect("\nwrong\n", step())?;
    guest.serial.expect_prompt(step())?;
    guest.serial.send(b"nonsense\x15echo clean\r")?;
    guest.serial.expect("\nclean\n", step())?;
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
}

fn survives(service: &str) -> Result<()> {
    let mut guest = guest_with(&format!("console-{service}"), "/kept.txt", &["kept"])?;
    guest.shell(&format!("service restart {service}"))?;
    let kept = guest.shell("cat /kept.txt")?;
    expect_equal("a file", kept.as_str(), "kept\n")?;
    let status = guest.shell(&format!("service status {service}"))?;
    expect_contains("its state", &status, "running")?;
    expect_contains("its restarts", &status, "restarts=1")?;
    guest.expect_alive()
}
