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
        name: "kills: ttyd dies during output, and every line appears once",
        run: ttyd_during_output,
    },
    Scenario {
        name: "kills: ttyd dies, and the shell session is still there",
        run: ttyd,
    },
    Scenario {
        name: "kills: procd dies while a child ends, and its status still arrives",
        run: procd,
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
    kill_when(agent, service, None)
}

/// The same, at a point in its code or a method if `when` says so.
fn kill_when(agent: &mut Agent, service: &str, when: Option<Value>) -> Result<Value> {
    let before = number(
        &agent.ask("service.status", json!({ "name": service }))?,
        "/generation",
    )?;
    let mut params = json!({ "service": service });
    if let Some(when) = when {
        params["when"] = when;
    }
    agent.ask("fault.kill", params)?;
    let status = wait_for_restart(agent, service, before)?;
    expect_told(agent, service, &status)?;
    Ok(status)
}

/// The time of a restart is in the status and in the log.
fn expect_told(agent: &mut Agent, service: &str, status: &Value) -> Result<()> {
    let took_us = number(status, "/took_ns")? / 1000;
    println!("{service} was back after {took_us} µs");
    let said = format!(
        "{service} is back after {}.{:03} ms",
        took_us / 1000,
        took_us % 1000
    );
    let is_said = || {
        let params = json!({ "service": "init", "grep": said });
        let log = agent.ask("log.read", params).ok()?;
        (!log["records"].as_array()?.is_empty()).then_some(())
    };
    Deadline::after_seconds(5)
        .poll(is_said)
        .with_context(|| format!("the log does not say {said:?}"))
}

/// Prints numbered lines of [`WIDTH`] characters and a newline.
fn print_lines(guest: &mut Guest, agent: &mut Agent, lines: usize) -> Result<()> {
    let source = format!(
        "i = 0\nwhile i < {lines}:\n    text = str(i)\n    print(text + \".\" * ({WIDTH} - len(text)))\n    i = i + 1\nprint(\"END\")\n",
    );
    agent.write_file("/lines.peb", &source)?;
    guest.serial.send_line("run lines.peb")
}

/// Characters of a line.
const WIDTH: usize = 63;

/// Waits for the last line and returns everything that was printed.
fn printed_lines(guest: &mut Guest) -> Result<String> {
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
    Ok(printed.to_string())
}

fn uart() -> Result<()> {
    // 1 MiB.
    const LINES: usize = 16 << 10;
    const KILLS: usize = 5;
    let mut guest = Guest::boot("kill-uart")?;
    let mut agent = guest.agent()?;
    print_lines(&mut guest, &mut agent, LINES)?;
    for kill in 0..KILLS {
        guest.serial.expect(
            &format!("\n{}.", (kill + 1) * LINES / 8),
            Deadline::after_seconds(120),
        )?;
        kill_and_wait(&mut agent, "uart")?;
    }
    let doubled = compare_lines(&printed_lines(&mut guest)?, LINES)?;
    println!("{doubled} bytes were doubled by {KILLS} kills");
    if doubled > KILLS {
        bail!("more than one for each kill")
    } else {
        Ok(())
    }
}

/// Checks numbered lines for lost bytes; says how many bytes are there twice.
fn compare_lines(printed: &str, lines: usize) -> Result<usize> {
    let wanted: Vec<String> = (0..lines)
        .map(|number| format!("{number}{}", ".".repeat(WIDTH - number.to_string().len())))
        .collect();
    let (printed, wanted) = (printed.as_bytes(), wanted.join("\n").into_bytes());
    let (mut at, mut doubled) = (0, 0);
    for (place, byte) in printed.iter().enumerate() {
        if wanted.get(at) == Some(byte) {
            at += 1;
        } else if place > 0 && printed[place - 1] == *byte {
            doubled += 1;
        } else {
            let here = String::from_utf8_lossy(&printed[place.saturating_sub(80)..place]);
            bail!("byte {at} is not the one that was printed, after {here:?}");
        }
    }
    expect_equal("bytes", at, wanted.len())?;
    Ok(doubled)
}

fn ramfs() -> Result<()> {
    const WRITES: usize = 1000;
    let guest = Guest::boot("kill-ramfs")?;
    let mut agent = guest.agent()?;
    let mut killer = guest.agent()?;
    for write in 0..WRITES {
        if write % 200 == 100 {
            let when = json!({ "method": "write", "n": 1 + write / 200, "point": if write % 400 == 100 { "before" } else { "after" } });
            killer.ask("fault.kill", json!({ "service": "ramfs", "when": when }))?;
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
    expect_equal("restarts", restarts, (WRITES / 200) as u64)
}

fn procd() -> Result<()> {
    let mut guest = Guest::boot("kill-procd")?;
    let mut agent = guest.agent()?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    agent.write_file("/seven.peb", "import time\ntime.sleep(1)\nexit(7)\n")?;
    agent.write_file(
        "/parent.peb",
        "import proc\nprint(\"LIVES ON: \" + str(proc.spawn(\"/loop.peb\", [])))\npid = proc.spawn(\"/seven.peb\", [])\nprint(\"WAITS\")\nprint(\"STATUS \" + str(proc.wait(pid)[\"exit_status\"]))\n",
    )?;
    // Before the child ends, and after its end was noted but nobody was told.
    for when in [None, Some(json!({ "point": "procd.child_ended" }))] {
        guest.serial.send_line("run parent.peb")?;
        let started = guest.serial.expect("\nWAITS\n", step())?;
        kill_when(&mut agent, "procd", when)?;
        guest.serial.expect("STATUS 7\n", step())?;
        guest.serial.expect_prompt(step())?;
        let lives_on = started
            .split("LIVES ON: ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .context("no number of a process")?;
        let pid: u64 = lives_on.parse()?;
        let info = agent.ask("process.info", json!({ "pid": pid }))?;
        expect_equal("the running program", &info["state"], "running")?;
        guest.expect_alive()?;
    }
    Ok(())
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

fn ttyd_during_output() -> Result<()> {
    const LINES: usize = 2000;
    let mut guest = Guest::boot("kill-ttyd-output")?;
    let mut agent = guest.agent()?;
    print_lines(&mut guest, &mut agent, LINES)?;
    // Before the bytes of a write are on their way, after that, and wherever it is.
    let moments = [Some("ttyd.begun"), Some("ttyd.written"), None];
    for (kill, point) in moments.into_iter().enumerate() {
        guest.serial.expect(
            &format!("\n{}.", (kill + 1) * LINES / 8),
            Deadline::after_seconds(120),
        )?;
        let when = point.map(|point| json!({ "point": point, "n": 1 }));
        kill_when(&mut agent, "ttyd", when)?;
    }
    let doubled = compare_lines(&printed_lines(&mut guest)?, LINES)?;
    expect_equal("bytes doubled", doubled, 0)?;
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
}

fn logd() -> Result<()> {
    const RECORDS: usize = 60;
    let guest = Guest::boot("kill-logd")?;
    let mut agent = guest.agent()?;
    let start = number(&agent.ask("log.read", json!({ "tail": 1 }))?, "/next_seq")?;
    // When a record is kept but its ring does not know, when all are kept, and wherever it is.
    let mut moments = [Some("logd.kept"), Some("logd.drained"), None]
        .into_iter()
        .cycle();
    for record in 0..RECORDS {
        let order = (record % 10 == 5).then(|| moments.next().flatten());
        let before = generation(&mut agent, "logd")?;
        if let Some(point) = order {
            let mut params = json!({ "service": "logd" });
            if let Some(point) = point {
                params["when"] = json!({ "point": point });
            }
            agent.ask("fault.kill", params)?;
        }
        // init says that it is back.
        let platform = generation(&mut agent, "platform")?;
        agent.ask("fault.kill", json!({ "service": "platform" }))?;
        wait_for_restart(&mut agent, "platform", platform)?;
        if order.is_some() {
            // Whoever reads has the log look at the rings.
            agent.ask("log.read", json!({ "tail": 1 }))?;
            wait_for_restart(&mut agent, "logd", before)?;
        }
    }
    let (mut next, mut said) = (start, 0);
    loop {
        let page = agent.ask("log.read", json!({ "since_seq": next, "level": "trace" }))?;
        expect_equal("lost", number(&page, "/lost")?, 0)?;
        let records = array(&page, "/records")?;
        if records.is_empty() {
            break;
        }
        for record in records {
            expect_equal("seq", number(record, "/seq")?, next)?;
            let message = record["message"].as_str().unwrap_or_default();
            said += usize::from(message.starts_with("platform is back"));
            next += 1;
        }
    }
    expect_equal("records of restarts", said, RECORDS)?;
    let status = agent.ask("service.status", json!({ "name": "logd" }))?;
    expect_equal(
        "restarts of logd",
        number(&status, "/restarts")?,
        RECORDS as u64 / 10,
    )
}

/// Which incarnation of a service runs.
fn generation(agent: &mut Agent, service: &str) -> Result<u64> {
    number(
        &agent.ask("service.status", json!({ "name": service }))?,
        "/generation",
    )
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
    kill_and_log_in_again(&guest, "agentd")?;
    guest.expect_alive()
}

fn netd() -> Result<()> {
    let mut guest = Guest::boot("kill-netd")?;
    kill_and_log_in_again(&guest, "netd")?;
    guest.expect_alive()
}

/// Kills a service without which no connection lives, and asks over new ones until it is back.
fn kill_and_log_in_again(guest: &Guest, service: &str) -> Result<Value> {
    let mut agent = guest.agent()?;
    let before = number(
        &agent.ask("service.status", json!({ "name": service }))?,
        "/generation",
    )?;
    // The reply may or may not make it out before the connection ends.
    let _ = agent.start("fault.kill", json!({ "service": service }))?;
    let is_back = || {
        let mut agent = guest.machine.agent(Deadline::after_seconds(3)).ok()?;
        let status = agent
            .call("service.status", json!({ "name": service }), step())
            .ok()?;
        let is_later = number(&status, "/generation").ok()? > before;
        (is_later && status["state"] == "running").then_some(status)
    };
    let status = step()
        .poll(is_back)
        .with_context(|| format!("{service} is not back, or nobody can log in again"))?;
    expect_told(&mut guest.agent()?, service, &status)?;
    Ok(status)
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
        // init is the one who does it.
        if service["state"] != "running" || name == "init" {
            continue;
        }
        kill_and_log_in_again(&guest, name)?;
    }
    guest.serial.send_line("")?;
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> String {
        let line = |number: usize| format!("{number}{}", ".".repeat(WIDTH - 1));
        (0..10).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn lost_and_doubled_bytes_are_told_apart() {
        let whole = lines();
        assert_eq!(compare_lines(&whole, 10).ok(), Some(0));
        for place in [0, 1, 63, 64, 200, whole.len() - 1] {
            let (before, after) = whole.split_at(place);
            let doubled = format!("{before}{}{after}", &after[..1]);
            assert_eq!(compare_lines(&doubled, 10).ok(), Some(1), "doubled {place}");
            let lost = format!("{before}{}", &after[1..]);
            assert!(compare_lines(&lost, 10).is_err(), "lost {place}");
        }
    }
}
