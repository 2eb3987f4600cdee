//! Programs that go wrong: each ends alone, and the log says who, what and where.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_contains, number, step};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use xtask::deadline::Deadline;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "faults: endless allocation ends its program only, at its limit",
        run: endless_allocation,
    },
    Scenario {
        name: "faults: endless recursion ends its program only",
        run: endless_recursion,
    },
    Scenario {
        name: "faults: a program over its processor time is ended",
        run: processor_time,
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
        name: "faults: a crash loop is throttled and starves nobody",
        run: crash_loop,
    },
];

fn endless_allocation() -> Result<()> {
    let mut guest = Guest::boot("allocation")?;
    let mut agent = guest.agent()?;
    agent.write_file(
        "/grow.peb",
        "values = []\nwhile True:\n    values.append(\"x\" * 10000)\n",
    )?;
    let started = agent.ask(
        "process.spawn",
        json!({ "argv": ["/grow.peb"], "limits": { "max_rss_kb": 8192 } }),
    )?;
    let exit = agent.ask("process.wait", json!({ "pid": started["pid"] }))?;
    if exit.pointer("/exit/code") == Some(&json!(0)) {
        bail!("it ends as if nothing had happened: {exit}");
    }
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
    let started = agent.ask(
        "process.spawn",
        json!({ "argv": ["/loop.peb"], "limits": { "max_cpu_ms": 200 } }),
    )?;
    let exit = agent.ask("process.wait", json!({ "pid": started["pid"] }))?;
    if exit.pointer("/exit/limit").is_none() {
        bail!("it ends by {exit}");
    }
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
    let mut agent = guest.agent()?;
    let before = agent.ask("service.status", json!({ "name": "logd" }))?;
    agent.ask("fault.hang", json!({ "service": "logd", "forever": true }))?;
    let status = wait_for_restart(&mut agent, "logd", number(&before, "/generation")?)?;
    expect_contains(
        "cause",
        &status["cause"].to_string().to_lowercase(),
        "watchdog",
    )?;
    guest.expect_alive()
}

fn crash_loop() -> Result<()> {
    let mut guest = Guest::boot("crash-loop")?;
    let mut agent = guest.agent()?;
    for _ in 0..6 {
        let status = agent.ask("service.status", json!({ "name": "ramfs" }))?;
        agent.ask("fault.kill", json!({ "service": "ramfs" }))?;
        let generation = number(&status, "/generation")?;
        // The sixth death in a row is one too many: init waits for a person.
        if wait_for_restart(&mut agent, "ramfs", generation).is_err() {
            break;
        }
    }
    let status = agent.ask("service.status", json!({ "name": "ramfs" }))?;
    println!(
        "after six kills: {} ({} restarts)",
        status["state"], status["restarts"]
    );
    agent
        .ask("service.start", json!({ "name": "ramfs" }))
        .or_else(|_| agent.ask("service.status", json!({ "name": "ramfs" })))?;
    guest.serial.send_line("")?;
    guest.serial.expect_prompt(step())?;
    guest.expect_alive()
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
