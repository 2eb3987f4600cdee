//! What is taken comes back: objects, handles and frames, exactly.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_equal, number, step, text};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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
/// How long one half may take.
const HALF_SECONDS: u64 = 240;

fn processes() -> Result<()> {
    Guest::boot("leak-processes")?.witness(|guest| {
        let mut agent = guest.agent()?;
        agent.write_file("/loop.peb", "while True:\n    pass\n")?;
        // A program starts them: half of them end by themselves, half of them are killed.
        let source = format!(
            "import proc\ni = 0\nwhile i < {}:\n    proc.wait(proc.spawn(\"/system/bin/true.peb\", []))\n    pid = proc.spawn(\"/loop.peb\", [])\n    proc.kill(pid, 9)\n    proc.wait(pid)\n    i = i + 1\nprint(\"CHURNED\")\n",
            HALF / 2
        );
        agent.write_file("/churn.peb", &source)?;
        // The questions themselves have memory made ready the first time.
        usage(&mut agent)?;
        let mut churn = || -> Result<Usage> {
            guest.serial.send_line("run churn.peb")?;
            guest
                .serial
                .expect("\nCHURNED\n", Deadline::after_seconds(HALF_SECONDS))?;
            guest.serial.expect_prompt(step())?;
            usage(&mut agent)
        };
        let first = churn()?;
        let second = churn()?;
        println!("after {HALF} and {} processes: {first:?}", 2 * HALF);
        expect_equal("what is in use", second, first)
    })
}

fn connections() -> Result<()> {
    let guest = Guest::boot("leak-connections")?;
    let mut agent = guest.agent()?;
    let churn =
        || (0..100).try_for_each(|_| guest.agent()?.ask("system.time", json!({})).map(drop));
    churn()?;
    let first = usage(&mut agent)?;
    churn()?;
    let second = usage(&mut agent)?;
    // Each login is a record of the audit trail, some 160 bytes in agentd's ring and in the log, which take memory until they are full. A page that was lost with
    // each connection would be 400 KiB.
    let lost = first.free_bytes.saturating_sub(second.free_bytes);
    if lost > 64 << 10 {
        bail!("{lost} bytes are lost: {first:?}, {second:?}");
    }
    let second = Usage {
        free_bytes: first.free_bytes,
        ..second
    };
    expect_equal("objects and handles", second, first)
}

/// What is in use.
#[derive(Clone, PartialEq, Debug)]
struct Usage {
    free_bytes: u64,
    objects: u64,
    handles: BTreeMap<String, u64>,
}

/// What is in use once nothing changes any more: the dead are cleared away in slices.
fn usage(agent: &mut Agent) -> Result<Usage> {
    let mut last = look(agent)?;
    let settled = Deadline::after_seconds(10).poll(|| {
        let now = look(agent).ok()?;
        let is_settled = now == last;
        last = now.clone();
        is_settled.then_some(now)
    });
    Ok(settled.unwrap_or(last))
}

fn look(agent: &mut Agent) -> Result<Usage> {
    let info = agent.ask("system.info", json!({}))?;
    let services = agent.ask("service.list", json!({}))?;
    let of = |service: &Value| -> Result<(String, u64)> {
        let name = text(service, "/name")?.to_string();
        Ok((name, number(service, "/handles")?))
    };
    Ok(Usage {
        free_bytes: number(&info, "/mem/free")?,
        objects: number(&info, "/objects")?,
        handles: array(&services, "/services")?
            .iter()
            .map(of)
            .collect::<Result<_>>()?,
    })
}
