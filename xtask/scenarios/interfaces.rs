//! Every interface of every server, found through its own description.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_equal, text};
use crate::values::Values;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use xtask::deadline::Deadline;
use xtask::machine::{Agent, RpcError};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "interfaces: every idempotent method of every server answers generated arguments",
        run: every_method,
    },
    Scenario {
        name: "interfaces: arguments of the wrong shape never reach a server",
        run: wrong_shapes,
    },
    Scenario {
        name: "interfaces: a schema hash that differs is refused",
        run: wrong_hash,
    },
    Scenario {
        name: "interfaces: a forged handle is refused",
        run: forged_handle,
    },
];

/// Sets of arguments for each method.
const ROUNDS: u64 = 6;
/// How long a method that waits by nature is waited for.
const WAIT_MS: u64 = 300;

fn every_method() -> Result<()> {
    let mut guest = Guest::boot("interfaces")?;
    let mut agent = guest.agent()?;
    let before = generations(&mut agent)?;
    let mut calls = 0;
    for service in services(&mut agent)? {
        let name = text(&service, "/name")?;
        let schema = agent.ask("ipc.schema", json!({ "service": name }))?;
        for method in array(&schema, "/methods")? {
            if method["idempotent"] != true {
                continue;
            }
            for seed in 0..ROUNDS {
                let args = Values::new(&schema, seed).fitting(&method["params"]);
                let call = json!({ "service": name, "method": method["name"], "args": args, "_meta": { "timeout_ms": WAIT_MS } });
                let answer =
                    agent.request("ipc.call", call.clone(), Deadline::after_seconds(10))?;
                check_answer(answer).with_context(|| call.to_string())?;
                calls += 1;
            }
        }
    }
    println!("{calls} calls");
    expect_equal(
        "generations of the servers",
        generations(&mut agent)?,
        before,
    )?;
    guest.expect_alive()
}

/// A result, the method's own error, or a refusal that the description allows for: waiting too long, handles that nobody
/// gave us, or a service that this token may not steer that way.
fn check_answer(answer: Result<Value, RpcError>) -> Result<()> {
    match answer {
        Ok(result) if result.get("result").is_some() || result.get("error").is_some() => Ok(()),
        Ok(other) => bail!("neither a result nor an error: {other}"),
        Err(error) if [-31007, -31002].contains(&error.code) => Ok(()),
        Err(error) => bail!(error),
    }
}

fn wrong_shapes() -> Result<()> {
    let guest = Guest::boot("wrong-shapes")?;
    let mut agent = guest.agent()?;
    for service in services(&mut agent)? {
        let name = text(&service, "/name")?;
        let schema = agent.ask("ipc.schema", json!({ "service": name }))?;
        for method in array(&schema, "/methods")? {
            let call = json!({ "service": name, "method": method["name"], "args": { "no such member": [1] } });
            agent.must_refuse(-31015, "ipc.call", call)?;
        }
    }
    Ok(())
}

fn wrong_hash() -> Result<()> {
    let guest = Guest::boot("wrong-hash")?;
    let mut agent = guest.agent()?;
    let call = json!({ "service": "logd", "method": "stats", "args": {}, "schema_hash": "0000000000000000" });
    let data = agent.must_refuse(-31015, "ipc.call", call)?;
    if data["hash"].is_null() {
        bail!("the right hash is not said: {data}")
    } else {
        Ok(())
    }
}

fn forged_handle() -> Result<()> {
    let guest = Guest::boot("forged-handle")?;
    let mut agent = guest.agent()?;
    let handle = json!({ "$handle": "h12345", "type": "MemoryObject" });
    let call = json!({ "service": "logd", "method": "add_source", "args": { "service": "x", "pid": 1, "ring": handle } });
    agent.must_refuse(-31002, "ipc.call", call).map(drop)
}

fn services(agent: &mut Agent) -> Result<Vec<Value>> {
    let list = agent.ask("ipc.services", json!({}))?;
    let services = array(&list, "/services")?;
    if services.len() < 8 {
        bail!("only {} services are listed", services.len());
    }
    Ok(services.to_vec())
}

/// How often each service has been started.
fn generations(agent: &mut Agent) -> Result<BTreeMap<String, u64>> {
    let list = agent.ask("service.list", json!({}))?;
    let mut generations = BTreeMap::new();
    for service in array(&list, "/services")? {
        let restarts = service["restarts"]
            .as_u64()
            .context("a service without restarts")?;
        generations.insert(text(service, "/name")?.to_string(), restarts);
    }
    Ok(generations)
}
