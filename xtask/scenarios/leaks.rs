//! What is taken comes back: objects, handles and frames, exactly.

use crate::Scenario;
use crate::support::{Call, Guest, expect_equal, number};
use anyhow::Result;
use serde_json::{Value, json};
use xtask::deadline::Deadline;
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "leaks: 2,000 processes come and go without a trace",
        run: processes,
    },
    Scenario {
        name: "leaks: 200 connections come and go without a trace",
        run: connections,
    },
];

/// Processes in each of the two halves.
const HALF: usize = 1000;
/// Starts under way at once, so that the host's round trips don't dominate.
const AT_ONCE: usize = 8;

fn processes() -> Result<()> {
    let guest = Guest::boot("leak-processes")?;
    let mut agent = guest.agent()?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    churn(&mut agent)?;
    let first = usage(&mut agent)?;
    churn(&mut agent)?;
    let second = usage(&mut agent)?;
    println!(
        "after {HALF} and {} processes: {first:?}, {second:?}",
        2 * HALF
    );
    expect_equal("free memory and objects", second, first)
}

/// Starts a thousand processes, half of which end by themselves and half of which are killed.
fn churn(agent: &mut Agent) -> Result<()> {
    for round in 0..HALF / AT_ONCE {
        let argv = if round % 2 == 0 {
            json!(["/system/bin/true.peb"])
        } else {
            json!(["/loop.peb"])
        };
        for _ in 0..AT_ONCE {
            agent.start("process.spawn", json!({ "argv": argv }))?;
        }
        let mut pids = Vec::new();
        for _ in 0..AT_ONCE {
            pids.push(number(
                &agent.read(Deadline::after_seconds(30))?,
                "/result/pid",
            )?);
        }
        for pid in pids {
            if round % 2 == 1 {
                agent.ask("process.kill", json!({ "pid": pid, "signal": "KILL" }))?;
            }
            agent.ask("process.wait", json!({ "pid": pid }))?;
        }
    }
    Ok(())
}

fn connections() -> Result<()> {
    let guest = Guest::boot("leak-connections")?;
    let mut agent = guest.agent()?;
    let churn =
        || (0..100).try_for_each(|_| guest.agent()?.ask("system.time", json!({})).map(drop));
    churn()?;
    let first = usage(&mut agent)?;
    churn()?;
    expect_equal("free memory and objects", usage(&mut agent)?, first)
}

/// Free memory and kernel objects, once nothing changes any more: the dead are cleared away in slices.
fn usage(agent: &mut Agent) -> Result<(u64, Value)> {
    let look = |agent: &mut Agent| -> Result<(u64, Value)> {
        let info = agent.ask("system.info", json!({}))?;
        Ok((number(&info, "/mem/free")?, info["mem"]["by_kind"].clone()))
    };
    let mut last = look(agent)?;
    let settled = Deadline::after_seconds(10).poll(|| {
        let now = look(agent).ok()?;
        let is_settled = now == last;
        last = now.clone();
        is_settled.then_some(now)
    });
    Ok(settled.unwrap_or(last))
}
