//! Every error code, provoked.

use crate::Scenario;
use crate::support::{Call, Guest, expect_equal, number, step};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "errors: -32700 for what is not JSON, and the connection goes on",
        run: parse,
    },
    Scenario {
        name: "errors: -32700 for what is not UTF-8",
        run: not_utf8,
    },
    Scenario {
        name: "errors: -32600 for what is no request",
        run: invalid_request,
    },
    Scenario {
        name: "errors: -32600 for a duplicate member, a lone surrogate and deep nesting",
        run: hostile_json,
    },
    Scenario {
        name: "errors: -32600 for an id that is in flight",
        run: duplicate_id,
    },
    Scenario {
        name: "errors: -32601 for an unknown method, with suggestions",
        run: method_not_found,
    },
    Scenario {
        name: "errors: -32602 for wrong parameters, with their place",
        run: invalid_params,
    },
    Scenario {
        name: "errors: -32603 for a handler that fails inside, with an incident in the log",
        run: internal,
    },
    Scenario {
        name: "errors: -31001 without a login and for a wrong token",
        run: unauthenticated,
    },
    Scenario {
        name: "errors: -31001 five times closes the connection",
        run: five_wrong_tokens,
    },
    Scenario {
        name: "errors: -31002 for an object that the token does not cover",
        run: forbidden,
    },
    Scenario {
        name: "errors: -31003 for what does not exist",
        run: not_found,
    },
    Scenario {
        name: "errors: -31005 for another version and for a reused key",
        run: conflict,
    },
    Scenario {
        name: "errors: -31006 for a wait that is not possible",
        run: invalid_state,
    },
    Scenario {
        name: "errors: -31007 when the time is over",
        run: timeout,
    },
    Scenario {
        name: "errors: -31008 for a request that was cancelled",
        run: cancelled,
    },
    Scenario {
        name: "errors: -31009 for a line of 2 MiB, then the connection closes",
        run: too_large,
    },
    Scenario {
        name: "errors: -31011 for the connection after the 64th",
        run: busy,
    },
    Scenario {
        name: "errors: -31014 for a Pebble program that fails",
        run: pebble,
    },
    Scenario {
        name: "errors: -31012 when a server ends during a call that is not idempotent",
        run: peer_died,
    },
    Scenario {
        name: "errors: -31015 for arguments that do not fit the schema",
        run: schema_mismatch,
    },
];

/// What agentd says to one line.
fn reply_to(agent: &mut Agent, line: &[u8]) -> Result<Value> {
    agent.send(line)?;
    agent.send(b"\n")?;
    agent.read(step())
}

fn expect_code(reply: &Value, code: i64) -> Result<()> {
    if reply["error"]["code"] == code {
        Ok(())
    } else {
        bail!("expected {code}: {reply}")
    }
}

fn parse() -> Result<()> {
    let guest = Guest::boot("parse")?;
    let mut agent = guest.agent()?;
    let reply = reply_to(&mut agent, b"{\"jsonrpc\": \"2.0\", \"id\": 1, ")?;
    expect_code(&reply, -32700)?;
    expect_equal("id", &reply["id"], &Value::Null)?;
    number(&reply, "/error/data/offset")?;
    agent.ask("system.time", json!({})).map(drop)
}

fn not_utf8() -> Result<()> {
    let guest = Guest::boot("utf8")?;
    let mut agent = guest.agent()?;
    let reply = reply_to(
        &mut agent,
        b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\xfe\",\"method\":\"system.time\"}",
    )?;
    expect_code(&reply, -32700)?;
    agent.ask("system.time", json!({})).map(drop)
}

fn invalid_request() -> Result<()> {
    let guest = Guest::boot("invalid-request")?;
    let mut agent = guest.agent()?;
    for line in [
        "7",
        "{\"id\":1,\"method\":\"system.time\"}",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"system.time\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"system.time\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"system.time\"}",
    ] {
        expect_code(&reply_to(&mut agent, line.as_bytes())?, -32600)?;
    }
    Ok(())
}

fn hostile_json() -> Result<()> {
    let guest = Guest::boot("hostile-json")?;
    let mut agent = guest.agent()?;
    let with_params = |params: &str| {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.time\",\"params\":{params}}}")
    };
    let deep =
        |levels: usize| format!("{{\"_meta\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    for params in [
        "{\"a\":1,\"a\":2}".to_string(),
        "{\"a\":\"\\ud83d\"}".into(),
        deep(65),
    ] {
        expect_code(
            &reply_to(&mut agent, with_params(&params).as_bytes())?,
            -32600,
        )?;
    }
    agent.ask("system.time", json!({})).map(drop)
}

fn duplicate_id() -> Result<()> {
    let guest = Guest::boot("duplicate-id")?;
    let mut agent = guest.agent()?;
    let pid = start_loop(&mut agent)?;
    let wait = json!({ "jsonrpc": "2.0", "id": "same", "method": "process.wait", "params": { "pid": pid } });
    agent.send(format!("{wait}\n").as_bytes())?;
    let reply = reply_to(
        &mut agent,
        b"{\"jsonrpc\":\"2.0\",\"id\":\"same\",\"method\":\"system.time\"}",
    )?;
    expect_code(&reply, -32600)?;
    expect_equal("kind", &reply["error"]["data"]["kind"], "duplicate_id")
}

fn method_not_found() -> Result<()> {
    let guest = Guest::boot("no-method")?;
    let data = guest
        .agent()?
        .must_refuse(-32601, "system.tim", json!({}))?;
    if data["suggestions"].to_string().contains("system.time") {
        Ok(())
    } else {
        bail!("no useful suggestion: {data}")
    }
}

fn invalid_params() -> Result<()> {
    let guest = Guest::boot("params")?;
    let mut agent = guest.agent()?;
    let data = agent.must_refuse(-32602, "process.info", json!({ "pid": "one" }))?;
    expect_equal("path", &data["path"], "/pid")?;
    agent.must_refuse(-32602, "process.info", json!({}))?;
    agent.must_refuse(-32602, "process.info", json!([1]))?;
    let data = agent.must_refuse(-32602, "process.info", json!({ "pid": 1, "pdi": 2 }))?;
    if data.to_string().contains("pdi") {
        Ok(())
    } else {
        bail!("the unknown member is not named: {data}")
    }
}

fn internal() -> Result<()> {
    let guest = Guest::boot("internal")?;
    let mut agent = guest.agent()?;
    // A bug can't be had on demand, but what it looks like from here can: an answer that makes no sense.
    agent.ask(
        "fault.ipc",
        json!({ "service": "logd", "error": "bad_reply", "count": 1 }),
    )?;
    let data = agent.must_refuse(-32603, "log.read", json!({}))?;
    let incident = data["incident"].clone();
    if incident.is_null() {
        bail!("no incident number: {data}");
    }
    let log = agent.ask("log.read", json!({ "service": "agentd", "level": "error" }))?;
    if log.to_string().contains(&incident.to_string()) {
        Ok(())
    } else {
        bail!("incident {incident} is not in the log: {log}")
    }
}

fn unauthenticated() -> Result<()> {
    let guest = Guest::boot("unauthenticated")?;
    let mut stranger = guest.stranger()?;
    stranger.must_refuse(-31001, "system.info", json!({}))?;
    let token = std::fs::read_to_string(guest.token_file())?;
    let wrong = format!(
        "{}{}",
        &token[..token.len() - 1],
        if token.ends_with('0') { '1' } else { '0' }
    );
    stranger.must_refuse(-31001, "auth.login", json!({ "token": wrong }))?;
    stranger.must_refuse(-31001, "auth.login", json!({ "token": "" }))?;
    stranger.ask("auth.login", json!({ "token": token.trim() }))?;
    stranger.ask("system.info", json!({})).map(drop)
}

fn five_wrong_tokens() -> Result<()> {
    let guest = Guest::boot("wrong-tokens")?;
    let mut stranger = guest.stranger()?;
    for _ in 0..5 {
        stranger.must_refuse(-31001, "auth.login", json!({ "token": "pbl1.0.0" }))?;
    }
    match stranger.read_or_end(step()) {
        Ok(None) | Err(_) => guest.agent().map(drop),
        Ok(Some(reply)) => bail!("the connection stays open: {reply}"),
    }
}

fn forbidden() -> Result<()> {
    let guest = Guest::boot("forbidden")?;
    let mut agent = guest.agent()?;
    let minted = agent.ask("auth.mint", json!({ "scopes": ["fs.read"], "constraints": { "paths": ["/allowed"] }, "ttl_s": 600, "label": "test" }))?;
    let mut narrow = guest.stranger()?;
    narrow.ask("auth.login", json!({ "token": minted["token"] }))?;
    narrow.must_refuse(-31002, "fs.read", json!({ "path": "/system/shell.peb" }))?;
    narrow.must_refuse(
        -31002,
        "fs.read",
        json!({ "path": "/allowed/../system/shell.peb" }),
    )?;
    narrow
        .must_refuse(
            -32601,
            "fs.write",
            json!({ "path": "/allowed/x", "data": "" }),
        )
        .map(drop)
}

fn not_found() -> Result<()> {
    let guest = Guest::boot("not-found")?;
    let mut agent = guest.agent()?;
    for (method, params) in [
        ("process.info", json!({ "pid": 999_999 })),
        ("fs.read", json!({ "path": "/no/such/file" })),
        ("service.status", json!({ "name": "nobody" })),
    ] {
        let data = agent.must_refuse(-31003, method, params)?;
        if data["what"].is_null() {
            bail!("{method} does not say what is missing: {data}");
        }
    }
    Ok(())
}

fn conflict() -> Result<()> {
    let guest = Guest::boot("conflict")?;
    let mut agent = guest.agent()?;
    agent.write_file("/v.txt", "1")?;
    let version = number(
        &agent.ask("fs.stat", json!({ "path": "/v.txt" }))?,
        "/version",
    )?;
    agent.ask(
        "fs.write",
        json!({ "path": "/v.txt", "data": "2", "expect_version": version }),
    )?;
    let data = agent.must_refuse(
        -31005,
        "fs.write",
        json!({ "path": "/v.txt", "data": "3", "expect_version": version }),
    )?;
    if data["current"].is_null() {
        bail!("the current version is not said: {data}");
    }
    let keyed = |text: &str| json!({ "path": "/k.txt", "data": text, "_meta": { "idempotency_key": "once" } });
    agent.ask("fs.write", keyed("a"))?;
    expect_equal(
        "replayed",
        &agent.ask("fs.write", keyed("a"))?["_meta"]["replayed"],
        true,
    )?;
    agent.must_refuse(-31005, "fs.write", keyed("b")).map(drop)
}

fn invalid_state() -> Result<()> {
    let guest = Guest::boot("invalid-state")?;
    let mut agent = guest.agent()?;
    let list = agent.ask("process.list", json!({}))?;
    let service = crate::support::array(&list, "/processes")?
        .iter()
        .find(|process| process["name"] == "logd" || process["argv"].to_string().contains("logd"));
    let Some(service) = service else {
        bail!("logd is not in the list: {list}")
    };
    agent
        .must_refuse(
            -31006,
            "process.wait",
            json!({ "pid": service["pid"], "_meta": { "timeout_ms": 2000 } }),
        )
        .map(drop)
}

fn timeout() -> Result<()> {
    let guest = Guest::boot("timeout")?;
    let mut agent = guest.agent()?;
    let pid = start_loop(&mut agent)?;
    let data = agent.must_refuse(
        -31007,
        "process.wait",
        json!({ "pid": pid, "_meta": { "timeout_ms": 200 } }),
    )?;
    if data["may_have_happened"].is_boolean() {
        Ok(())
    } else {
        bail!("may_have_happened is missing: {data}")
    }
}

fn cancelled() -> Result<()> {
    let guest = Guest::boot("cancelled")?;
    let mut agent = guest.agent()?;
    let pid = start_loop(&mut agent)?;
    let wait = agent.start("process.wait", json!({ "pid": pid }))?;
    let cancel = agent.start("rpc.cancel", json!({ "id": wait }))?;
    let mut replies = [agent.read(step())?, agent.read(step())?];
    replies.sort_by_key(|reply| reply["id"] == cancel);
    expect_equal("the cancelled one", number(&replies[0], "/id")?, wait)?;
    expect_code(&replies[0], -31008)
}

fn too_large() -> Result<()> {
    let guest = Guest::boot("too-large")?;
    let mut agent = guest.agent()?;
    // agentd may close while we still send: what it said before is what counts.
    let line = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}\n",
        "x".repeat(2 << 20)
    );
    let _ = agent.send(line.as_bytes());
    let reply = agent.read(step())?;
    expect_code(&reply, -31009)?;
    expect_equal("id", &reply["id"], &Value::Null)?;
    expect_equal("limit", number(&reply, "/error/data/limit")?, 1 << 20)?;
    match agent.read_or_end(step()) {
        Ok(None) | Err(_) => guest.agent().map(drop),
        Ok(Some(reply)) => bail!("the connection stays open: {reply}"),
    }
}

fn busy() -> Result<()> {
    let guest = Guest::boot("connections")?;
    let mut kept = (0..64).map(|_| guest.agent()).collect::<Result<Vec<_>>>()?;
    let mut extra = guest.stranger()?;
    extra.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.discover\"}\n")?;
    expect_code(&extra.read(step())?, -31011)?;
    kept[0].ask("system.time", json!({})).map(drop)
}

fn peer_died() -> Result<()> {
    let guest = Guest::boot("peer-died")?;
    let mut agent = guest.agent()?;
    // `write` of the log protocol is neither idempotent nor journaled.
    agent.ask(
        "fault.kill",
        json!({ "service": "logd", "when": { "method": "write", "n": 1, "point": "before" } }),
    )?;
    let call = json!({ "service": "logd", "method": "write", "args": { "level": "Info", "message": "lost" } });
    let data = agent.must_refuse(-31012, "ipc.call", call)?;
    expect_equal("service", &data["service"], "logd")?;
    agent.ask("log.read", json!({})).map(drop)
}

fn pebble() -> Result<()> {
    let guest = Guest::boot("pebble-error")?;
    let data = guest.agent()?.must_refuse(
        -31014,
        "pebble.eval",
        json!({ "source": "x = 1\ny = [][3]\n" }),
    )?;
    expect_equal("line", number(&data, "/line")?, 2)
}

fn schema_mismatch() -> Result<()> {
    let guest = Guest::boot("schema")?;
    let mut agent = guest.agent()?;
    let call = json!({ "service": "logd", "method": "write", "args": { "level": "Loud", "message": "x" } });
    let data = agent.must_refuse(-31015, "ipc.call", call)?;
    expect_equal("path", &data["path"], "/level")
}

/// Starts a program that never ends and returns its process.
fn start_loop(agent: &mut Agent) -> Result<u64> {
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    number(
        &agent.ask("process.spawn", json!({ "argv": ["/loop.peb"] }))?,
        "/pid",
    )
}
