//! Every interface of every server, found through its own description.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_equal, number, text};
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
    Scenario {
        name: "interfaces: a handle of an answer is this connection's until it is closed",
        run: handles,
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
    let mut tally = Tally::default();
    for service in services(&mut agent)? {
        let (name, protocol) = (text(&service, "/name")?, text(&service, "/protocol")?);
        let interface = json!({ "service": name, "protocol": protocol });
        let schema = agent.ask("ipc.schema", interface)?;
        expect_equal(
            "the hash in the list",
            &service["schema_hash"],
            &schema["hash"],
        )?;
        for method in array(&schema, "/methods")? {
            if method["idempotent"] != true {
                continue;
            }
            for seed in 0..ROUNDS {
                let args = Values::new(&schema, seed).fitting(&method["params"]);
                let call = json!({ "service": name, "protocol": protocol, "method": method["name"], "args": args, "schema_hash": schema["hash"], "timeout_ms": WAIT_MS });
                let answer =
                    agent.request("ipc.call", call.clone(), Deadline::after_seconds(10))?;
                tally
                    .add(method, answer)
                    .with_context(|| call.to_string())?;
            }
        }
    }
    println!("{tally:?}");
    if tally.results < ROUNDS || tally.errors < ROUNDS {
        bail!("hardly anything was answered: {tally:?}");
    }
    expect_equal(
        "generations of the servers",
        generations(&mut agent)?,
        before,
    )?;
    guest.expect_alive()
}

/// What came of calls.
#[derive(Debug, Default)]
struct Tally {
    results: u64,
    /// The methods' own.
    errors: u64,
    /// Methods that may wait, and did.
    waited: u64,
    /// Handles that nobody gave us.
    refused: u64,
}

impl Tally {
    /// Counts an answer, if it is one that the description allows for.
    fn add(&mut self, method: &Value, answer: Result<Value, RpcError>) -> Result<()> {
        let takes_handles = !array(method, "/handles_in")?.is_empty();
        let kind = match answer {
            Ok(result) if result.get("result").is_some() => &mut self.results,
            Ok(result) if result.get("error").is_some() => &mut self.errors,
            Ok(other) => bail!("neither a result nor an error: {other}"),
            Err(error) if error.code == -31007 && method["deferred"] == true => &mut self.waited,
            Err(error) if error.code == -31002 && takes_handles => &mut self.refused,
            Err(error) => bail!(error),
        };
        *kind += 1;
        Ok(())
    }
}

fn wrong_shapes() -> Result<()> {
    let guest = Guest::boot("wrong-shapes")?;
    let mut agent = guest.agent()?;
    for service in services(&mut agent)? {
        let (name, protocol) = (text(&service, "/name")?, text(&service, "/protocol")?);
        let interface = json!({ "service": name, "protocol": protocol });
        let schema = agent.ask("ipc.schema", interface)?;
        for method in array(&schema, "/methods")? {
            let call = json!({ "service": name, "protocol": protocol, "method": method["name"], "args": { "no such member": [1] } });
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

/// One call's answer brings the ends of a pipe, and the next call gives them to a program.
fn handles() -> Result<()> {
    let guest = Guest::boot("handles")?;
    let mut agent = guest.agent()?;
    let call = |method: &str, args: Value| json!({ "service": "procd", "protocol": "process", "method": method, "args": args });
    let pipe = agent.ask(
        "ipc.call",
        call("pipe", json!({ "capacity": 64, "capture": false })),
    )?;
    let [reader, writer] = array(&pipe, "/result")? else {
        bail!("not two ends: {pipe}")
    };
    expect_equal("type", text(reader, "/type")?, "Connection")?;
    let request = json!({
        "program": "/system/bin/echo.peb", "arguments": ["through", "handles"], "environment": [], "cwd": "/",
        "limits": { "memory_kib": null, "cpu_ms": null, "wall_ms": null, "handles": null, "threads": null, "children": null },
        "group": null, "source": null, "modules": null,
    });
    let streams = json!({ "input": reader, "output": writer, "error": writer, "terminal": null });
    let spawn = call("spawn", json!({ "request": request, "streams": streams }));
    let mut stranger = guest.agent()?;
    stranger.must_refuse(-31002, "ipc.call", spawn.clone())?;
    let pid = number(&agent.ask("ipc.call", spawn)?, "/result")?;
    let end = agent.ask("ipc.call", call("wait", json!({ "pid": pid })))?;
    expect_equal("end", end, json!({ "result": { "Code": 0 } }))?;
    agent.ask("ipc.close", json!({ "handle": reader }))?;
    agent.ask("ipc.close", json!({ "handle": writer["$handle"] }))?;
    agent
        .must_refuse(-31002, "ipc.close", json!({ "handle": reader }))
        .map(drop)
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
