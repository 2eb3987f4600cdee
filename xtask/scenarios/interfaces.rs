//! Every interface of every server, found through its own description.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_equal, number, step, text};
use crate::values::{self, Values};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
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
    Scenario {
        name: "interfaces: a call that may be repeated outlives its server",
        run: repeated,
    },
    Scenario {
        name: "interfaces: a server that is restarting is waited for, to the deadline",
        run: waited_for,
    },
    Scenario {
        name: "interfaces: what does not exist is not found",
        run: unknown,
    },
    Scenario {
        name: "interfaces: every example of a method that only reads runs, and its result is as described",
        run: examples,
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
                    .add(&schema, method, answer)
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
    fn add(
        &mut self,
        schema: &Value,
        method: &Value,
        answer: Result<Value, RpcError>,
    ) -> Result<()> {
        let takes_handles = !array(method, "/handles_in")?.is_empty();
        let kind = match answer {
            Ok(answer) => match (answer.get("result"), answer.get("error")) {
                (Some(result), None) => {
                    values::check(schema, &method["result"], result).context("the result")?;
                    &mut self.results
                }
                (None, Some(error)) => {
                    values::check(schema, &method["error"], error).context("the error")?;
                    &mut self.errors
                }
                _ => bail!("neither a result nor an error: {answer}"),
            },
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

/// One call's answer brings the ends of a pipe, the next call gives them to a program, and what it wrote is read by a call of an end.
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
    let streams = json!({ "input": reader, "output": writer, "error": writer, "terminal": null, "report": null });
    let spawn = call("spawn", json!({ "request": request, "streams": streams }));
    let mut stranger = guest.agent()?;
    stranger.must_refuse(-31002, "ipc.call", spawn.clone())?;
    let pid = number(&agent.ask("ipc.call", spawn)?, "/result")?;
    let end = agent.ask("ipc.call", call("wait", json!({ "pid": pid })))?;
    expect_equal("end", end, json!({ "result": { "Code": 0 } }))?;
    let schema = agent.ask("ipc.schema", json!({ "service": reader }))?;
    expect_equal("protocol", text(&schema, "/protocol")?, "stream")?;
    let read = json!({ "service": reader, "method": "read", "args": { "from": 0, "max": 100 } });
    let came = agent.ask("ipc.call", read.clone())?;
    // "through handles\n"
    expect_equal(
        "output",
        text(&came, "/result/data/$b64")?,
        "dGhyb3VnaCBoYW5kbGVzCg==",
    )?;
    stranger.must_refuse(-31002, "ipc.call", read.clone())?;
    agent.ask("ipc.close", json!({ "handle": reader }))?;
    agent.must_refuse(-31002, "ipc.call", read)?;
    agent.ask("ipc.close", json!({ "handle": writer["$handle"] }))?;
    agent
        .must_refuse(-31002, "ipc.close", json!({ "handle": reader }))
        .map(drop)
}

fn repeated() -> Result<()> {
    let guest = Guest::boot("repeated")?;
    let mut agent = guest.agent()?;
    let call = |method: &str, args: Value| json!({ "service": "ramfs", "protocol": "directory", "method": method, "args": args });
    // `stat` is idempotent; `make_directory` is journaled: done before the server died, it is not done again, and its answer is still there.
    let make = json!({ "path": "/made", "parents": false });
    for (method, args) in [("stat", json!({ "path": "/" })), ("make_directory", make)] {
        for point in ["before", "after"] {
            let when = json!({ "method": method, "n": 1, "point": point });
            agent.ask("fault.kill", json!({ "service": "ramfs", "when": when }))?;
            let before = generations(&mut agent)?["ramfs"];
            let answer = agent.ask("ipc.call", call(method, args.clone()))?;
            let made_before = method == "make_directory" && point == "after";
            match (made_before, answer.get("result")) {
                (false, Some(_)) => {}
                // The directory of the first round is there.
                (true, None) => expect_equal("error", &answer["error"], "AlreadyExists")?,
                _ => bail!("{method}, killed {point}: {answer}"),
            }
            expect_equal(
                "restarts of ramfs",
                generations(&mut agent)?["ramfs"],
                before + 1,
            )?;
        }
    }
    agent.ask(
        "ipc.call",
        call("remove", json!({ "path": "/made", "recursive": false })),
    )?;
    let when = json!({ "method": "make_directory", "n": 1, "point": "after" });
    agent.ask("fault.kill", json!({ "service": "ramfs", "when": when }))?;
    let again = call(
        "make_directory",
        json!({ "path": "/made", "parents": false }),
    );
    let answer = agent.ask("ipc.call", again)?;
    match answer.get("result") {
        Some(_) => Ok(()),
        None => bail!("it was done twice: {answer}"),
    }
}

fn waited_for() -> Result<()> {
    let guest = Guest::boot("waited-for")?;
    let mut agent = guest.agent()?;
    let stats = json!({ "service": "logd", "method": "stats" });
    for _ in 0..3 {
        agent.ask("fault.kill", json!({ "service": "logd" }))?;
        agent.ask("ipc.call", stats.clone())?;
    }
    agent.ask("service.stop", json!({ "name": "logd" }))?;
    let mut briefly = stats.clone();
    briefly["timeout_ms"] = json!(200);
    agent.must_refuse(-31007, "ipc.call", briefly)?;
    agent.ask("service.start", json!({ "name": "logd" }))?;
    agent.ask("ipc.call", stats).map(drop)
}

fn unknown() -> Result<()> {
    let guest = Guest::boot("unknown")?;
    let mut agent = guest.agent()?;
    for (method, params, what) in [
        (
            "ipc.call",
            json!({ "service": "nobody", "method": "stats" }),
            "service",
        ),
        (
            "ipc.call",
            json!({ "service": "logd", "method": "nothing" }),
            "method",
        ),
        (
            "ipc.call",
            json!({ "service": "logd", "method": "stats", "protocol": "nic" }),
            "protocol",
        ),
        (
            "ipc.call",
            json!({ "service": "agentd", "method": "stats" }),
            "protocol",
        ),
        ("ipc.schema", json!({ "service": "nobody" }), "service"),
        (
            "ipc.schema",
            json!({ "service": "logd", "protocol": "nic" }),
            "protocol",
        ),
        ("ipc.schema", json!({ "protocol": "nothing" }), "protocol"),
    ] {
        let data = agent.must_refuse(-31003, method, params)?;
        expect_equal("what", &data["what"], what)?;
    }
    let by_protocol = agent.ask("ipc.schema", json!({ "protocol": "nic" }))?;
    expect_equal("service", text(&by_protocol, "/service")?, "virtio-net")
}

fn examples() -> Result<()> {
    let guest = Guest::boot("examples")?;
    let mut agent = guest.agent()?;
    let document = agent.ask("rpc.discover", json!({}))?;
    for method in array(&document, "/methods")? {
        let name = text(method, "/name")?;
        if method["x-mutating"] == true || name == "auth.login" {
            continue;
        }
        let example = array(method, "/examples/0/params")?;
        let params: Map<String, Value> = example
            .iter()
            .map(|param| Ok((text(param, "/name")?.to_string(), param["value"].clone())))
            .collect::<Result<_>>()?;
        let declared: Vec<i64> = array(method, "/errors")?
            .iter()
            .filter_map(|error| error["code"].as_i64())
            .collect();
        match agent.request(name, params.clone().into(), step())? {
            Ok(result) => values::check(&document, &method["result"]["schema"], &result)
                .with_context(|| format!("the result of {name}"))?,
            // What an example speaks of need not exist; but it must be a request as they should be.
            Err(error) if error.code != -32602 && declared.contains(&error.code) => {}
            Err(error) => bail!("{name} {params:?}: {error}"),
        }
    }
    Ok(())
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
