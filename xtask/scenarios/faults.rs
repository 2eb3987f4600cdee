//! Programs that go wrong: each ends alone, and the log says who, what and where.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_contains, expect_equal, number, step};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::deadline::Deadline;
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "faults: endless allocation ends its program only, at its limit",
        run: endless_allocation,
    },
    Scenario {
        name: "faults: a program over its processor time is ended",
        run: processor_time,
    },
    Scenario {
        name: "faults: endless recursion ends its program only",
        run: endless_recursion,
    },
    Scenario {
        name: "faults: a service that dies is back, with cause and time in its status",
        run: restart_is_reported,
    },
    Scenario {
        name: "faults: a service that hangs is restarted by the watchdog",
        run: hang,
    },
    Scenario {
        name: "faults: a service that is slow is left alone",
        run: short_hang,
    },
];

fn endless_allocation() -> Result<()> {
    let mut guest = Guest::boot("allocation")?;
    let mut agent = guest.agent()?;
    agent.write_file(
        "/grow.peb",
        "values = []\nwhile True:\n    values.append(\"x\" * 10000)\n",
    )?;
    let printed = guest.shell("run grow.peb")?;
    println!("{}", printed.trim());
    expect_contains("the error", &printed.to_lowercase(), "memory")?;
    guest.expect_alive()
}

fn endless_recursion() -> Result<()> {
    let mut guest = Guest::boot("recursion")?;
    let mut agent = guest.agent()?;
    agent.write_file("/deep.peb", "def f(n):\n    return f(n + 1)\nf(0)\n")?;
    expect_contains("the error", &guest.shell("run deep.peb")?, "deep.peb:2: ")?;
    guest.expect_alive()
}

fn processor_time() -> Result<()> {
    let mut guest = Guest::boot("cpu-limit")?;
    let mut agent = guest.agent()?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    guest.serial.send_line("run loop.peb")?;
    let find = |agent: &mut Agent| -> Option<u64> {
        let list = agent.ask("process.list", json!({})).ok()?;
        let found = list["processes"]
            .as_array()?
            .iter()
            .find(|process| process["argv"].to_string().contains("loop.peb"))?;
        found["pid"].as_u64()
    };
    let pid = step()
        .poll(|| find(&mut agent))
        .context("the program is not in the list")?;
    let set = json!({ "pid": pid, "set": { "max_cpu_ms": 200 } });
    agent.ask("process.limits", set)?;
    let exit = agent.ask("process.wait", json!({ "pid": pid }))?;
    expect_equal("the end", &exit["exit"]["limit"], "cpu_ms")?;
    let params = json!({ "service": "procd", "grep": format!("process {pid} passed its limit") });
    let log = agent.ask("log.read", params)?;
    if array(&log, "/records")?.is_empty() {
        bail!("the log does not speak of the limit");
    }
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
}

fn restart_is_reported() -> Result<()> {
    let guest = Guest::boot("restart")?;
    let mut agent = guest.agent()?;
    let before = agent.ask("service.status", json!({ "name": "logd" }))?;
    agent.ask("fault.kill", json!({ "service": "logd" }))?;
    let status = wait_for_restart(&mut agent, "logd", number(&before, "/generation")?)?;
    if number(&status, "/took_ns")? == 0 || status["cause"].is_null() {
        bail!("the restart is not described: {status}");
    }
    let log = agent.ask("log.read", json!({ "service": "init", "grep": "logd" }))?;
    if array(&log, "/records")?.is_empty() {
        bail!("the log does not speak of the restart")
    } else {
        Ok(())
    }
}

fn hang() -> Result<()> {
    let mut guest = Guest::boot("hang")?;
    for (how, said) in [
        ("loops", "does not answer: Loops"),
        ("waits", "does not answer: Stuck"),
    ] {
        guest.witness(|guest| {
            let mut agent = guest.agent()?;
            let before = agent.ask("service.status", json!({ "name": "logd" }))?;
            let order = json!({ "service": "logd", "forever": true, "how": how });
            agent.ask("fault.hang", order)?;
            let status = wait_for_restart(&mut agent, "logd", number(&before, "/generation")?)?;
            expect_equal("cause", &status["cause"], "watchdog")?;
            let params = json!({ "service": "init", "grep": format!("logd {said}") });
            let log = agent.ask("log.read", params)?;
            if array(&log, "/records")?.is_empty() {
                bail!("the log does not say that logd {said}");
            }
            guest.expect_alive()
        })?;
    }
    Ok(())
}

fn short_hang() -> Result<()> {
    let guest = Guest::boot("short-hang")?;
    let mut agent = guest.agent()?;
    let before = agent.ask("service.status", json!({ "name": "ramfs" }))?;
    let order = json!({ "service": "ramfs", "ms": 40 });
    for _ in 0..20 {
        agent.ask("fault.hang", order.clone())?;
        agent.write_file("/note.txt", "late, but here")?;
    }
    let after = agent.ask("service.status", json!({ "name": "ramfs" }))?;
    expect_equal("generation", &after["generation"], &before["generation"])
}

/// The status of a service once it runs as a later generation.
pub fn wait_for_restart(
    agent: &mut xtask::machine::Agent,
    service: &str,
    generation: u64,
) -> Result<Value> {
    let deadline = Deadline::after_seconds(15);
    let found = deadline.poll(|| {
        let status = agent
            .ask("service.status", json!({ "name": service }))
            .ok()?;
        let is_back = number(&status, "/generation").ok()? > generation
            && status["state"].as_str()?.eq_ignore_ascii_case("running");
        is_back.then_some(status)
    });
    match found {
        Some(status) => Ok(status),
        None => bail!(
            "{service} does not come back: {}",
            agent.ask("service.status", json!({ "name": service }))?
        ),
    }
}
