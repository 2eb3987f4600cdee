//! Programs that the shell starts, as the console and agentd show them.

use crate::Scenario;
use crate::support::{Call, Guest, expect_equal, number, step, text};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::collections::BTreeSet;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "shell: ps lists what runs besides the shell",
        run: listing,
    },
    Scenario {
        name: "shell: kill ends a program",
        run: kill,
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

fn listing() -> Result<()> {
    let mut guest = guest_with("shell-ps", &[("/loop.peb", LOOP)])?;
    expect_equal("ps", guest.shell("ps")?.as_str(), "(no processes)\n")?;
    guest.shell("/loop.peb one two &")?;
    let pid = loop_pids(&mut guest)?
        .into_iter()
        .next()
        .context("the loop does not run")?;
    let line = format!("{pid} vm running cwd=/ argv=2 cmd=/loop.peb one two\n");
    expect_equal("ps", guest.shell("ps")?, line)
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
