//! The shell on the serial console.

use crate::Scenario;
use crate::support::{Call, Guest, expect_contains, expect_equal, number, step, text};
use anyhow::{Result, bail};
use serde_json::json;
use std::collections::BTreeSet;
use xtask::deadline::Deadline;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "shell: echo, ls, cat, help, ps, service and log answer",
        run: commands,
    },
    Scenario {
        name: "shell: kill ends a program",
        run: kill,
    },
    Scenario {
        name: "shell: an unknown command is said and the shell goes on",
        run: unknown_command,
    },
    Scenario {
        name: "shell: a run-time error shows its file and line",
        run: run_time_error,
    },
    Scenario {
        name: "shell: Ctrl-C ends a program that loops",
        run: interrupt,
    },
    Scenario {
        name: "shell: two loops in the background leave the prompt responsive",
        run: background_loops,
    },
    Scenario {
        name: "shell: each program is a process of its own, on either processor",
        run: processes,
    },
    Scenario {
        name: "shell: a typed line can be corrected",
        run: line_editing,
    },
    Scenario {
        name: "shell: pipes and redirections carry bytes",
        run: pipes,
    },
    Scenario {
        name: "shell: echo takes at most 300 KiB of private memory",
        run: echo_memory,
    },
];

const LOOP: &str = "while True:\n    pass\n";

/// A guest in which programs of the scenario's own lie at the root.
fn guest_with(name: &str, programs: &[(&str, &str)]) -> Result<Guest> {
    let guest = Guest::boot(name)?;
    let mut agent = guest.agent()?;
    for (path, source) in programs {
        agent.write_file(path, source)?;
    }
    Ok(guest)
}

fn commands() -> Result<()> {
    let mut guest = guest_with("commands", &[("/note.txt", "one\ntwo\n")])?;
    expect_equal(
        "echo",
        guest.shell("echo Hello from PebbleOS")?.as_str(),
        "Hello from PebbleOS\n",
    )?;
    expect_contains("ls", &guest.shell("ls")?, "note.txt")?;
    expect_contains(
        "ls of a folder",
        &guest.shell("ls /system/bin")?,
        "echo.peb",
    )?;
    expect_equal("cat", guest.shell("cat /note.txt")?.as_str(), "one\ntwo\n")?;
    expect_contains("help", &guest.shell("help")?, "/system/bin")?;
    expect_contains("help about a program", &guest.shell("help echo")?, "echo")?;
    expect_contains("ps", &guest.shell("ps")?, "PID")?;
    for service in ["vfs", "netd", "agentd", "virtio-net", "uart"] {
        expect_contains("service", &guest.shell("service")?, service)?;
    }
    expect_contains("log", &guest.shell("log")?, "init")?;
    Ok(())
}

fn kill() -> Result<()> {
    let mut guest = guest_with("shell-kill", &[("/loop.peb", LOOP)])?;
    guest.shell("/loop.peb &")?;
    let pid = loop_pids(&mut guest)?.into_iter().next();
    let Some(pid) = pid else {
        bail!("the loop does not run")
    };
    guest.shell(&format!("kill {pid}"))?;
    let gone = step().poll(|| match loop_pids(&mut guest) {
        Ok(pids) if pids.is_empty() => Some(Ok(())),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    gone.unwrap_or_else(|| bail!("process {pid} lives on"))
}

/// The processes that run `/loop.peb`.
fn loop_pids(guest: &mut Guest) -> Result<BTreeSet<u64>> {
    let list = guest
        .agent()?
        .ask("process.list", json!({ "limit": 1000 }))?;
    let mut pids = BTreeSet::new();
    for process in crate::support::array(&list, "/processes")? {
        let is_loop = process["argv"].as_array().is_some_and(|argv| {
            argv.iter()
                .any(|word| word.as_str().is_some_and(|word| word.contains("loop.peb")))
        });
        if is_loop && process["state"] != "ended" {
            pids.insert(number(process, "/pid")?);
        }
    }
    Ok(pids)
}

fn unknown_command() -> Result<()> {
    let mut guest = Guest::boot("unknown")?;
    expect_contains(
        "the shell",
        &guest.shell("nosuchcommand")?,
        "*** unknown command: nosuchcommand",
    )?;
    guest.expect_alive()
}

fn run_time_error() -> Result<()> {
    let mut guest = guest_with(
        "error",
        &[(
            "/broken.peb",
            "values = [1, 2]\nprint(\"before\")\nprint(values[5])\n",
        )],
    )?;
    let printed = guest.shell("run broken.peb")?;
    expect_contains("output before the error", &printed, "before\n")?;
    expect_contains("the error", &printed, "broken.peb:3: ")?;
    guest.expect_alive()
}

fn interrupt() -> Result<()> {
    let mut guest = guest_with(
        "interrupt",
        &[("/loop.peb", "print(\"looping\")\nwhile True:\n    pass\n")],
    )?;
    guest.serial.send_line("run loop.peb")?;
    guest.serial.expect("looping", step())?;
    guest.serial.send(b"\x03")?;
    guest.serial.expect_prompt(Deadline::after_seconds(10))?;
    expect_equal("loops left", loop_pids(&mut guest)?.len(), 0)?;
    guest.expect_alive()
}

fn background_loops() -> Result<()> {
    let mut guest = guest_with("loops", &[("/loop.peb", LOOP)])?;
    guest.shell("/loop.peb &")?;
    guest.shell("/loop.peb &")?;
    expect_equal("loops that run", loop_pids(&mut guest)?.len(), 2)?;
    for round in 0..5 {
        expect_equal(
            "echo",
            guest.shell(&format!("echo round {round}"))?.as_str(),
            format!("round {round}\n"),
        )?;
    }
    Ok(())
}

fn processes() -> Result<()> {
    let mut guest = guest_with("processes", &[("/loop.peb", LOOP)])?;
    for _ in 0..4 {
        guest.shell("/loop.peb &")?;
    }
    let pids = loop_pids(&mut guest)?;
    expect_equal("processes", pids.len(), 4)?;
    let listing = guest.shell("ps")?;
    let mut cpus = BTreeSet::new();
    let mut agent = guest.agent()?;
    for pid in &pids {
        expect_contains("ps", &listing, &pid.to_string())?;
        cpus.insert(number(
            &agent.ask("process.info", json!({ "pid": pid }))?,
            "/cpu",
        )?);
    }
    expect_equal(
        "processors in use",
        cpus.into_iter().collect::<Vec<_>>(),
        vec![0, 1],
    )
}

fn line_editing() -> Result<()> {
    let mut guest = Guest::boot("editing")?;
    guest.serial.send(b"echo wrosh\x7f\x7f\x7fng\r")?;
    guest.serial.expect("\nwrong\n", step())?;
    guest.serial.expect_prompt(step())?;
    guest.serial.send(b"nonsense\x15echo clean\r")?;
    guest.serial.expect("\nclean\n", step())?;
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
}

fn pipes() -> Result<()> {
    let mut guest = guest_with("pipes", &[("/lines.txt", "b\na\n")])?;
    expect_equal(
        "a pipe",
        guest.shell("cat /lines.txt | cat")?.as_str(),
        "b\na\n",
    )?;
    guest.shell("echo written > /out.txt")?;
    guest.shell("echo more >> /out.txt")?;
    expect_equal(
        "redirections",
        guest.shell("cat /out.txt")?.as_str(),
        "written\nmore\n",
    )
}

fn echo_memory() -> Result<()> {
    const LIMIT: u64 = 300 << 10;
    // It reads a line that never comes, so there is a moment to look at it; the engine and the prelude are those of echo.
    let guest = guest_with(
        "echo-memory",
        &[("/wait.peb", "line = input(\"\")\nprint(line)\n")],
    )?;
    let mut agent = guest.agent()?;
    let started = agent.ask("process.spawn", json!({ "argv": ["/wait.peb"] }))?;
    let pid = number(&started, "/pid")?;
    let info = agent.ask("process.info", json!({ "pid": pid }))?;
    let private = number(&info, "/mem_bytes")?;
    println!("a program that only reads and prints: {private} bytes of private memory");
    agent.ask("process.kill", json!({ "pid": pid }))?;
    expect_equal("its state", text(&info, "/state").is_ok(), true)?;
    if private > LIMIT {
        bail!("{private} bytes")
    } else {
        Ok(())
    }
}
