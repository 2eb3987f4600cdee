//! Every server and driver, killed under work. The clients see a delay, not an error.

use crate::Scenario;
use crate::faults::wait_for_restart;
use crate::support::{Call, Guest, array, expect_equal, number, step};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::deadline::Deadline;
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kills: uart dies during output, and at most one byte is doubled, none lost",
        run: uart,
    },
    Scenario {
        name: "kills: ramfs dies during 1,000 writes, and every acknowledged one is there",
        run: ramfs,
    },
    Scenario {
        name: "kills: procd dies while a child ends, and its status still arrives",
        run: procd,
    },
    Scenario {
        name: "kills: ttyd dies, and the shell session is still there",
        run: ttyd,
    },
    Scenario {
        name: "kills: logd dies under load, and the numbers have no gap",
        run: logd,
    },
    Scenario {
        name: "kills: vfs dies, and files are found as before",
        run: vfs,
    },
    Scenario {
        name: "kills: pci dies, and the network goes on",
        run: pci,
    },
    Scenario {
        name: "kills: platform dies, and the clock goes on",
        run: platform,
    },
    Scenario {
        name: "kills: agentd dies, and clients log in again",
        run: agentd,
    },
    Scenario {
        name: "kills: netd dies, and new connections work at once",
        run: netd,
    },
    Scenario {
        name: "kills: virtio-net dies, and an open connection lives on",
        run: virtio_net,
    },
    Scenario {
        name: "kills: every service dies once, and all are back",
        run: everyone,
    },
];

/// Kills a service, waits until it is back and prints how long that took.
fn kill_and_wait(agent: &mut Agent, service: &str) -> Result<Value> {
    let before = number(
        &agent.ask("service.status", json!({ "name": service }))?,
        "/generation",
    )?;
    agent.ask("fault.kill", json!({ "service": service }))?;
    let status = wait_for_restart(agent, service, before)?;
    println!(
        "{service} was back after {} µs",
        number(&status, "/took_ns")? / 1000
    );
    Ok(status)
}

fn uart() -> Result<()> {
    const LINES: usize = 16 << 10;
    const WIDTH: usize = 64;
    let mut guest = Guest::boot("kill-uart")?;
    let mut agent = guest.agent()?;
    // 1 MiB: lines of 63 characters and a newline, each with its number.
    let source = format!(
        "i = 0\nwhile i < {LINES}:\n    text = str(i)\n    print(text + \".\" * ({} - len(text)))\n    i = i + 1\nprint(\"END\")\n",
        WIDTH - 1
    );
    agent.write_file("/lines.peb", &source)?;
    guest.serial.send_line("run lines.peb")?;
    for kill in 0..5 {
        guest.serial.expect(
            &format!("\n{}.", (kill + 1) * LINES / 8),
            Deadline::after_seconds(120),
        )?;
        kill_and_wait(&mut agent, "uart")?;
    }
    guest
        .serial
        .expect("\nEND\n", Deadline::after_seconds(240))?;
    let transcript = guest.serial.transcript();
    let printed = transcript
        .split_once("run lines.peb\n")
        .context("no echo")?
        .1
        .split_once("\nEND")
        .context("no end")?
        .0;
    compare_lines(printed, LINES, WIDTH - 1)
}

/// Checks numbered lines for lost bytes; one doubled byte for each kill is allowed.
fn compare_lines(printed: &str, lines: usize, width: usize) -> Result<()> {
    let mut doubled = 0;
    let mut count = 0;
    for (number, line) in printed.lines().enumerate() {
        let wanted = format!("{number}{}", ".".repeat(width - number.to_string().len()));
        if line != wanted {
            let is_doubled = line.len() == wanted.len() + 1
                && (0..line.len())
                    .any(|at| format!("{}{}", &line[..at], &line[at + 1..]) == wanted);
            if !is_doubled {
                bail!("line {number} is {line:?}");
            }
            doubled += 1;
        }
        count += 1;
    }
    println!("{count} lines, {doubled} bytes doubled");
    expect_equal("lines", count, lines)?;
    if doubled > 5 {
        bail!("{doubled} bytes are doubled by 5 kills")
    } else {
        Ok(())
    }
}

fn ramfs() -> Result<()> {
    const WRITES: usize = 1000;
    let guest = Guest::boot("kill-ramfs")?;
    let mut agent = guest.agent()?;
    let mut killer = guest.agent()?;
    for write in 0..WRITES {
        if write % 200 == 100 {
            let when = json!({ "method": "write", "n": 1 + write / 200, "point": if write % 400 == 100 { "before" } else { "after" } });
            killer
                .ask("fault.kill", json!({ "service": "ramfs", "when": when }))
                .or_else(|_| killer.ask("fault.kill", json!({ "service": "ramfs" })))?;
        }
        agent.ask(
            "fs.write",
            json!({ "path": format!("/w{write}"), "data": format!("contents {write}") }),
        )?;
    }
    for write in 0..WRITES {
        let read = agent.ask(
            "fs.read",
            json!({ "path": format!("/w{write}"), "encoding": "utf8" }),
        )?;
        expect_equal(
            &format!("file {write}"),
            read["data"].as_str(),
            Some(format!("contents {write}").as_str()),
        )?;
    }
    let restarts = number(
        &agent.ask("service.status", json!({ "name": "ramfs" }))?,
        "/restarts",
    )?;
    if restarts == 0 {
        bail!("ramfs was never killed")
    } else {
        Ok(())
    }
}

fn procd() -> Result<()> {
    let mut guest = Guest::boot("kill-procd")?;
    let mut agent = guest.agent()?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    agent.write_file("/seven.peb", "import time\ntime.sleep(1)\nexit(7)\n")?;
    let lives_on = number(
        &agent.ask("process.spawn", json!({ "argv": ["/loop.peb"] }))?,
        "/pid",
    )?;
    let ends = number(
        &agent.ask("process.spawn", json!({ "argv": ["/seven.peb"] }))?,
        "/pid",
    )?;
    let wait = agent.start("process.wait", json!({ "pid": ends }))?;
    kill_and_wait(&mut guest.agent()?, "procd")?;
    let reply = agent.read(Deadline::after_seconds(30))?;
    expect_equal("the reply's id", number(&reply, "/id")?, wait)?;
    expect_equal("the status", number(&reply, "/result/exit/code")?, 7)?;
    let info = agent.ask("process.info", json!({ "pid": lives_on }))?;
    expect_equal(
        "the running program",
        info["state"].as_str().map(str::to_lowercase),
        Some("running".to_string()),
    )?;
    guest.expect_alive()
}

fn ttyd() -> Result<()> {
    let mut guest = Guest::boot("kill-ttyd")?;
    guest.shell("export KEPT=yes")?;
    guest.serial.send(b"echo half a li")?;
    guest.serial.expect("half a li", step())?;
    kill_and_wait(&mut guest.agent()?, "ttyd")?;
    guest.serial.send(b"ne\r")?;
    guest.serial.expect("\nhalf a line\n", step())?;
    guest.serial.expect_prompt(step())?;
    crate::support::expect_contains("the environment", &guest.shell("set")?, "KEPT=yes")
}

fn logd() -> Result<()> {
    const RECORDS: usize = 500;
    let guest = Guest::boot("kill-logd")?;
    let mut agent = guest.agent()?;
    let start = number(&agent.ask("log.read", json!({ "tail": 1 }))?, "/next_seq")?;
    for record in 0..RECORDS {
        if record % 100 == 50 {
            agent.ask("fault.kill", json!({ "service": "logd" }))?;
        }
        // A process that starts and ends is logged by others than logd.
        let pid = number(
            &agent.ask("process.spawn", json!({ "argv": ["/system/bin/true.peb"] }))?,
            "/pid",
        )?;
        agent.ask("process.wait", json!({ "pid": pid }))?;
    }
    let mut next = start;
    loop {
        let page = agent.ask("log.read", json!({ "since_seq": next, "level": "trace" }))?;
        expect_equal("lost", number(&page, "/lost")?, 0)?;
        let records = array(&page, "/records")?;
        if records.is_empty() {
            return Ok(());
        }
        for record in records {
            expect_equal("seq", number(record, "/seq")?, next)?;
            next += 1;
        }
    }
}

fn vfs() -> Result<()> {
    let mut guest = Guest::boot("kill-vfs")?;
    let mut agent = guest.agent()?;
    agent.write_file("/before.txt", "kept")?;
    for _ in 0..5 {
        let reading = agent.start(
            "fs.read",
            json!({ "path": "/before.txt", "encoding": "utf8" }),
        )?;
        guest
            .agent()?
            .ask("fault.kill", json!({ "service": "vfs" }))?;
        let reply = agent.read(step())?;
        expect_equal("the reply's id", number(&reply, "/id")?, reading)?;
        expect_equal("the file", &reply["result"]["data"], "kept")?;
    }
    guest.expect_alive()
}

fn pci() -> Result<()> {
    let guest = Guest::boot("kill-pci")?;
    let mut agent = guest.agent()?;
    kill_and_wait(&mut agent, "pci")?;
    // A driver's restart needs pci: the two together are the test.
    kill_and_wait(&mut agent, "virtio-net")?;
    agent.ask("system.time", json!({})).map(drop)
}

fn platform() -> Result<()> {
    let guest = Guest::boot("kill-platform")?;
    let mut agent = guest.agent()?;
    let before = number(&agent.ask("system.time", json!({}))?, "/epoch_ns")?;
    kill_and_wait(&mut agent, "platform")?;
    let after = number(&agent.ask("system.time", json!({}))?, "/epoch_ns")?;
    if after < before || after - before > 60_000_000_000 {
        bail!("the clock goes from {before} to {after}")
    } else {
        Ok(())
    }
}

fn agentd() -> Result<()> {
    let mut guest = Guest::boot("kill-agentd")?;
    let mut agent = guest.agent()?;
    let before = number(
        &agent.ask("service.status", json!({ "name": "agentd" }))?,
        "/generation",
    )?;
    // The reply may or may not make it out before the process ends.
    let _ = agent.start("fault.kill", json!({ "service": "agentd" }))?;
    let again = step()
        .poll(|| guest.agent().ok())
        .context("nobody can log in again")?;
    let status = wait_for_restart(&mut { again }, "agentd", before)?;
    println!(
        "agentd was back after {} µs",
        number(&status, "/took_ns")? / 1000
    );
    guest.expect_alive()
}

fn netd() -> Result<()> {
    let mut guest = Guest::boot("kill-netd")?;
    let mut agent = guest.agent()?;
    let before = number(
        &agent.ask("service.status", json!({ "name": "netd" }))?,
        "/generation",
    )?;
    let _ = agent.start("fault.kill", json!({ "service": "netd" }))?;
    let mut again = step()
        .poll(|| guest.agent().ok())
        .context("no new connection works")?;
    wait_for_restart(&mut again, "netd", before)?;
    guest.expect_alive()
}

fn virtio_net() -> Result<()> {
    let guest = Guest::boot("kill-virtio-net")?;
    let mut agent = guest.agent()?;
    for _ in 0..5 {
        // This very connection goes through the driver.
        kill_and_wait(&mut agent, "virtio-net")?;
    }
    Ok(())
}

fn everyone() -> Result<()> {
    let mut guest = Guest::boot("kill-everyone")?;
    let list = guest.agent()?.ask("service.list", json!({}))?;
    for service in array(&list, "/services")? {
        let name = service["name"]
            .as_str()
            .context("a service without a name")?;
        if !service["state"]
            .as_str()
            .is_some_and(|state| state.eq_ignore_ascii_case("running"))
        {
            continue;
        }
        let mut agent = guest.agent()?;
        let before = number(
            &agent.ask("service.status", json!({ "name": name }))?,
            "/generation",
        )?;
        let _ = agent.start("fault.kill", json!({ "service": name }))?;
        drop(agent);
        let mut again = step()
            .poll(|| guest.agent().ok())
            .with_context(|| format!("{name}: nobody can log in again"))?;
        wait_for_restart(&mut again, name, before)?;
    }
    guest.serial.send_line("")?;
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
}
