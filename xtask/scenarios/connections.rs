//! Connections to agentd: limits, order, HTTP as it is spoken, restarts.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_contains, expect_equal, number, step};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};
use xtask::deadline::Deadline;
use xtask::machine::{Agent, http};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "connections: replies come in the order of requests if that is asked for",
        run: strict_order,
    },
    Scenario {
        name: "connections: big integers come as strings if that is asked for",
        run: big_integers,
    },
    Scenario {
        name: "connections: the 257th request of all is refused as busy",
        run: busy_in_all,
    },
    Scenario {
        name: "connections: a stranger has 16 KiB and ten seconds",
        run: stranger,
    },
    Scenario {
        name: "connections: a first byte that nobody speaks closes it",
        run: unknown_transport,
    },
    Scenario {
        name: "connections: lines of 1 MiB and one byte less and more",
        run: line_limit,
    },
    Scenario {
        name: "connections: a reply over 4 MiB is refused, with its size",
        run: reply_limit,
    },
    Scenario {
        name: "connections: who reads nothing is closed, and memory comes back",
        run: slow_reader,
    },
    Scenario {
        name: "connections: HTTP keeps a connection and takes chunks",
        run: http_connection,
    },
    Scenario {
        name: "connections: who connects while agentd restarts only waits",
        run: backlog,
    },
    Scenario {
        name: "connections: a key keeps its result across a restart of agentd",
        run: key_across_restart,
    },
    Scenario {
        name: "connections: what follows a JSON-RPC 2.0 example is its answer",
        run: specification,
    },
];

/// Starts a program that never ends and returns its process.
fn start_loop(agent: &mut Agent) -> Result<u64> {
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    number(
        &agent.ask("process.spawn", json!({ "argv": ["/loop.peb"] }))?,
        "/pid",
    )
}

fn token(guest: &Guest) -> Result<String> {
    Ok(fs::read_to_string(guest.token_file())?.trim().to_string())
}

fn strict_order() -> Result<()> {
    let guest = Guest::boot("strict")?;
    let mut strict = guest.stranger()?;
    strict.ask(
        "auth.login",
        json!({ "token": token(&guest)?, "order": "strict" }),
    )?;
    let slow = json!({ "source": "for i in range(20000):\n    pass\n1" });
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(strict.start("pebble.eval", slow.clone())?);
        expected.push(strict.start("system.time", Value::Null)?);
        // Refused at once, and answered in its place all the same.
        expected.push(strict.start("no.such.method", Value::Null)?);
    }
    for id in &expected {
        expect_equal("order", number(&strict.read(step())?, "/id")?, *id)?;
    }
    // Without it the quick ones are first.
    let mut usual = guest.agent()?;
    let eval = usual.start("pebble.eval", slow)?;
    let time = usual.start("system.time", Value::Null)?;
    expect_equal("first", number(&usual.read(step())?, "/id")?, time)?;
    expect_equal("second", number(&usual.read(step())?, "/id")?, eval)?;
    usual
        .must_refuse(
            -32602,
            "auth.login",
            json!({ "token": "x", "order": "random" }),
        )
        .map(drop)
}

fn big_integers() -> Result<()> {
    let guest = Guest::boot("big-integers")?;
    let mut usual = guest.agent()?;
    let time = usual.ask("system.time", json!({}))?;
    if number(&time, "/epoch_ns")? < 1 << 53 {
        bail!("the time is too small for this test: {time}");
    }
    let mut strings = guest.stranger()?;
    strings.ask(
        "auth.login",
        json!({ "token": token(&guest)?, "bigint": "string" }),
    )?;
    let time = strings.ask("system.time", json!({}))?;
    let text = time["epoch_ns"].as_str().context("epoch_ns is no string")?;
    text.parse::<u64>().context("epoch_ns is no number")?;
    // What a double holds stays a number.
    number(&time, "/mono_ns")?;
    let value = strings.ask(
        "pebble.eval",
        json!({ "source": "[9007199254740991, 9007199254740993]" }),
    )?;
    expect_equal(
        "values",
        &value["value"],
        &json!([9_007_199_254_740_991_u64, "9007199254740993"]),
    )
}

fn busy_in_all() -> Result<()> {
    let guest = Guest::boot("busy-in-all")?;
    let mut agent = guest.agent()?;
    let pid = start_loop(&mut agent)?;
    let mut waiting = (0..8).map(|_| guest.agent()).collect::<Result<Vec<_>>>()?;
    for connection in &mut waiting {
        for _ in 0..32 {
            connection.start("process.wait", json!({ "pid": pid }))?;
        }
    }
    // All of them are under way when one more on each connection is refused.
    for connection in &mut waiting {
        let refused = connection.start("system.time", Value::Null)?;
        let reply = connection.read(step())?;
        expect_equal("the one that is answered", number(&reply, "/id")?, refused)?;
        expect_equal("its error", &reply["error"]["code"], -31011)?;
    }
    let data = agent.must_refuse(-31011, "system.time", json!({}))?;
    number(&data, "/retry_after_ms")?;
    // Cancelling is possible all the same, and makes room.
    let first = waiting[0].start("rpc.cancel", json!({ "id": 2 }))?;
    let mut seen = BTreeSet::new();
    while !seen.contains(&first) {
        seen.insert(number(&waiting[0].read(step())?, "/id")?);
    }
    agent.ask("process.kill", json!({ "pid": pid, "signal": "KILL" }))?;
    for connection in &mut waiting[1..] {
        for _ in 0..32 {
            let reply = connection.read(step())?;
            expect_equal("signal", &reply["result"]["exit"]["signal"], "KILL")?;
        }
    }
    Ok(())
}

fn stranger() -> Result<()> {
    let guest = Guest::boot("stranger")?;
    let mut long = guest.stranger()?;
    long.send(
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}\n",
            "x".repeat(17 << 10)
        )
        .as_bytes(),
    )?;
    let reply = long.read(step())?;
    expect_equal("code", &reply["error"]["code"], -31009)?;
    expect_equal("limit", number(&reply, "/error/data/limit")?, 16 << 10)?;
    if let Ok(Some(reply)) = long.read_or_end(step()) {
        bail!("the connection stays open: {reply}");
    }
    let mut silent = guest.stranger()?;
    let mut trickling = guest.stranger()?;
    let begun = Instant::now();
    trickling.send(b"{\"jsonrpc\":")?;
    for connection in [&mut silent, &mut trickling] {
        if let Ok(Some(reply)) = connection.read_or_end(Deadline::after_seconds(25)) {
            bail!("somebody who does not log in is told {reply}");
        }
    }
    let patience = begun.elapsed();
    if patience < Duration::from_secs(9) {
        bail!("a stranger has only {patience:?}");
    }
    guest.agent().map(drop)
}

fn unknown_transport() -> Result<()> {
    let guest = Guest::boot("binary")?;
    for first in [
        b"\x16\x03\x01\x00".as_slice(),
        b"\x00",
        b"get / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = http::connect(guest.machine.agentd_port()?, step())?;
        stream.write_all(first)?;
        stream.set_read_timeout(Some(Duration::from_secs(9)))?;
        match stream.read(&mut [0; 16]) {
            Ok(0) => {}
            Ok(_) => bail!("{first:?} is answered"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error).context("the connection is not closed"),
        }
    }
    guest.agent().map(drop)
}

fn line_limit() -> Result<()> {
    let guest = Guest::boot("line-limit")?;
    let line = |length: usize| {
        let head = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.time\",\"params\":{\"_meta\":{\"x\":\"";
        let tail = "\"}}}";
        format!(
            "{head}{}{tail}\n",
            "y".repeat(length - head.len() - tail.len())
        )
    };
    for (length, is_allowed) in [
        ((1 << 20) - 1, true),
        (1 << 20, true),
        ((1 << 20) + 1, false),
    ] {
        let mut agent = guest.agent()?;
        // What is refused may be refused before all of it is sent.
        let _ = agent.send(line(length).as_bytes());
        let reply = agent.read(step())?;
        if is_allowed {
            number(&reply, "/result/mono_ns").with_context(|| format!("{length} bytes"))?;
        } else {
            expect_equal("code", &reply["error"]["code"], -31009)?;
            expect_equal("limit", number(&reply, "/error/data/limit")?, 1 << 20)?;
        }
    }
    Ok(())
}

fn reply_limit() -> Result<()> {
    let guest = Guest::boot("reply-limit")?;
    let mut agent = guest.agent()?;
    agent.write_file("/big.txt", &"0123456789abcdef".repeat(32 << 10))?;
    let read = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "fs.read", "params": { "path": "/big.txt" } });
    let batch: Vec<Value> = (0..9).map(read).collect();
    agent.send(format!("{}\n", Value::Array(batch)).as_bytes())?;
    let reply = agent.read(Deadline::after_seconds(60))?;
    expect_equal("code", &reply["error"]["code"], -31009)?;
    expect_equal("limit", number(&reply, "/error/data/limit")?, 4 << 20)?;
    if number(&reply, "/error/data/size")? <= 4 << 20 {
        bail!("it would have fitted: {reply}");
    }
    let one = agent.ask("fs.read", json!({ "path": "/big.txt" }))?;
    expect_equal("one of them", &one["eof"], true)
}

fn slow_reader() -> Result<()> {
    let guest = Guest::boot("slow-reader")?;
    let mut agent = guest.agent()?;
    agent.write_file("/big.txt", &"0123456789abcdef".repeat(32 << 10))?;
    // It asks for 15 MiB and reads nothing of it.
    let mut slow = guest.agent()?;
    for _ in 0..30 {
        slow.start("fs.read", json!({ "path": "/big.txt" }))?;
    }
    let closed = Deadline::after_seconds(60).poll(|| {
        let log = agent.ask(
            "log.read",
            json!({ "service": "agentd", "grep": "it does not read its replies", "tail": 1 }),
        );
        match log {
            Ok(log)
                if log["records"]
                    .as_array()
                    .is_some_and(|found| !found.is_empty()) =>
            {
                Some(Ok(log))
            }
            Ok(_) => {
                sleep(Duration::from_millis(200));
                None
            }
            Err(error) => Some(Err(error)),
        }
    });
    let log = closed.context("it is not closed")??;
    let record = &array(&log, "/records")?[0];
    expect_equal("topic", &record["fields"]["topic"], "audit")?;
    // What it held can be used by others.
    for _ in 0..8 {
        agent.ask("fs.read", json!({ "path": "/big.txt" }))?;
    }
    Ok(())
}

/// Reads one reply of HTTP: its status line and its body.
fn read_reply(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes)?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .context("no length")?
        .parse()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let status = head.lines().next().unwrap_or_default().to_string();
    Ok((status, body))
}

fn http_connection() -> Result<()> {
    let guest = Guest::boot("http-connection")?;
    let bearer = token(&guest)?;
    let mut stream = http::connect(guest.machine.agentd_port()?, step())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head =
        format!("POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n");
    let request =
        |id: u32| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"system.time\"}}");
    let with_length = |id| {
        let body = request(id);
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let in_chunks = |id| {
        let body = request(id);
        let (one, other) = body.split_at(10);
        format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
            one.len(),
            other.len()
        )
    };
    // One after the other, two at once, and in pieces: all on one connection.
    stream.write_all(with_length(1).as_bytes())?;
    let mut replies = vec![read_reply(&mut stream)?];
    stream.write_all(format!("{}{}", in_chunks(2), with_length(3)).as_bytes())?;
    replies.push(read_reply(&mut stream)?);
    replies.push(read_reply(&mut stream)?);
    for piece in in_chunks(4).as_bytes().chunks(7) {
        stream.write_all(piece)?;
    }
    replies.push(read_reply(&mut stream)?);
    for (index, (status, body)) in replies.iter().enumerate() {
        expect_contains("status", status, " 200 ")?;
        let body: Value = serde_json::from_slice(body)?;
        expect_equal("id", &body["id"], index + 1)?;
        number(&body, "/result/mono_ns")?;
    }
    // Without a token a long body is not waited for.
    let mut foreign = http::connect(guest.machine.agentd_port()?, step())?;
    foreign.set_read_timeout(Some(Duration::from_secs(20)))?;
    foreign
        .write_all(b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")?;
    expect_contains("status", &read_reply(&mut foreign)?.0, " 413 ")?;
    // Nor is a name that was bound to this address believed.
    let mut rebound = http::connect(guest.machine.agentd_port()?, step())?;
    rebound.set_read_timeout(Some(Duration::from_secs(20)))?;
    let body = request(1);
    let foreign_host = format!(
        "POST /rpc HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    rebound.write_all(foreign_host.as_bytes())?;
    expect_contains("status", &read_reply(&mut rebound)?.0, " 403 ")
}

fn backlog() -> Result<()> {
    let guest = Guest::boot("backlog")?;
    for round in 1..=5 {
        let mut agent = guest.agent()?;
        // The order is given and not waited for: agentd dies of it, and its connections end.
        agent.start("fault.kill", json!({ "service": "agentd" }))?;
        while let Ok(Some(_)) = agent.read_or_end(step()) {}
        // Whoever comes now comes before the next incarnation, or just after its start. Nobody is refused.
        let mut waiting = (0..4)
            .map(|_| guest.stranger())
            .collect::<Result<Vec<_>>>()?;
        for session in &mut waiting {
            session.ask("auth.login", json!({ "token": token(&guest)? }))?;
            let described = session.ask("system.describe", json!({}))?;
            expect_equal("generation", number(&described, "/generation")?, round + 1)?;
        }
    }
    let mut agent = guest.agent()?;
    let log = agent.ask(
        "log.read",
        json!({ "service": "agentd", "grep": "listening on port", "limit": 100 }),
    )?;
    expect_equal(
        "times that agentd asked for its port",
        array(&log, "/records")?.len(),
        1,
    )
}

fn key_across_restart() -> Result<()> {
    let guest = Guest::boot("key-restart")?;
    let mut agent = guest.agent()?;
    let keyed = |key: &str, text: &str| json!({ "path": "/keyed.txt", "data": text, "_meta": { "idempotency_key": key } });
    let first = agent.ask("fs.write", keyed("k1", "one"))?;
    expect_equal("the first", &first["_meta"], &Value::Null)?;
    let version = number(
        &agent.ask("fs.stat", json!({ "path": "/keyed.txt" }))?,
        "/version",
    )?;
    agent.start("fault.kill", json!({ "service": "agentd" }))?;
    // The connection ends with it.
    while let Ok(Some(_)) = agent.read_or_end(step()) {}
    let mut again = guest.agent()?;
    let second = again.ask("fs.write", keyed("k1", "one"))?;
    expect_equal("replayed", &second["_meta"]["replayed"], true)?;
    expect_equal("its version", &second["version"], &first["version"])?;
    expect_equal(
        "the file",
        number(
            &again.ask("fs.stat", json!({ "path": "/keyed.txt" }))?,
            "/version",
        )?,
        version,
    )?;
    let data = again.must_refuse(-31005, "fs.write", keyed("k1", "two"))?;
    expect_equal("retryable", &data["retryable"], false)?;
    // A key belongs to its subject.
    let minted = again.ask(
        "auth.mint",
        json!({ "scopes": ["fs.write"], "ttl_s": 60, "label": "writer" }),
    )?;
    let mut other = guest.stranger()?;
    other.ask("auth.login", json!({ "token": minted["token"] }))?;
    let own = other.ask("fs.write", keyed("k1", "three"))?;
    expect_equal("another's", &own["_meta"], &Value::Null)?;
    // What had no effect may be tried again.
    let missing = json!({ "path": "/none.txt", "data": "x", "create": false, "_meta": { "idempotency_key": "k2" } });
    again.must_refuse(-31003, "fs.write", missing.clone())?;
    again.write_file("/none.txt", "there")?;
    let now = again.ask("fs.write", missing)?;
    expect_equal("tried again", &now["_meta"], &Value::Null)?;
    let dry = json!({ "path": "/dry.txt", "data": "x", "_meta": { "dry_run": true } });
    again.must_refuse(-31016, "fs.write", dry)?;
    again
        .must_refuse(-31003, "fs.stat", json!({ "path": "/dry.txt" }))
        .map(drop)
}

/// The examples of section 7 of the JSON-RPC 2.0 specification, with methods of ours and named parameters.
fn specification() -> Result<()> {
    let guest = Guest::boot("specification")?;
    let mut agent = guest.agent()?;
    let stat = r#"{"jsonrpc": "2.0", "method": "fs.stat", "params": {"path": "/"}, "id": 3}"#;
    let unknown = r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#;
    let notification = r#"{"jsonrpc": "2.0", "method": "system.time"}"#;
    // Each line, and the codes that come back (0: a result) with their ids, sorted; nothing for what is not answered.
    let cases: &[(&str, &[(&str, i64)])] = &[
        (stat, &[("3", 0)]),
        (notification, &[]),
        (r#"{"jsonrpc": "2.0", "method": "foobar"}"#, &[]),
        (unknown, &[("\"1\"", -32601)]),
        (
            r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
            &[("null", -32700)],
        ),
        (
            r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
            &[("null", -32600)],
        ),
        (
            r#"[{"jsonrpc": "2.0", "method": "system.time", "id": "1"}, {"jsonrpc": "2.0", "method"]"#,
            &[("null", -32700)],
        ),
        ("[]", &[("null", -32600)]),
        ("[1]", &[("null", -32600)]),
        (
            "[1,2,3]",
            &[("null", -32600), ("null", -32600), ("null", -32600)],
        ),
        (
            r#"[{"jsonrpc": "2.0", "method": "system.time", "id": "1"}, {"jsonrpc": "2.0", "method": "system.time"}, {"jsonrpc": "2.0", "method": "fs.stat", "params": {"path": "/"}, "id": "2"}, {"foo": "boo"}, {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"}, {"jsonrpc": "2.0", "method": "system.info", "id": "9"}]"#,
            &[
                ("\"1\"", 0),
                ("\"2\"", 0),
                ("\"5\"", -32601),
                ("\"9\"", 0),
                ("null", -32600),
            ],
        ),
        (
            r#"[{"jsonrpc": "2.0", "method": "system.time"}, {"jsonrpc": "2.0", "method": "system.info"}]"#,
            &[],
        ),
        // Positions are not what our methods take.
        (
            r#"{"jsonrpc": "2.0", "method": "fs.stat", "params": ["/"], "id": 1}"#,
            &[("1", -32602)],
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "system.time", "id": null}"#,
            &[("null", 0)],
        ),
    ];
    for (line, expected) in cases {
        agent.send(format!("{line}\n").as_bytes())?;
        // A request after each tells that nothing came where nothing is due.
        agent.send(b"{\"jsonrpc\":\"2.0\",\"id\":\"mark\",\"method\":\"rpc.nosuch\"}\n")?;
        let mut found = Vec::new();
        let mut is_marked = false;
        while !is_marked || found.len() < expected.len() {
            let reply = agent.read(step()).with_context(|| (*line).to_string())?;
            let elements = match &reply {
                Value::Array(elements) => elements.clone(),
                other => vec![other.clone()],
            };
            for element in elements {
                if element["id"] == "mark" {
                    is_marked = true;
                } else {
                    let code = element["error"]["code"].as_i64().unwrap_or(0);
                    found.push((element["id"].to_string(), code));
                }
            }
        }
        found.sort();
        let expected: Vec<(String, i64)> = expected
            .iter()
            .map(|(id, code)| ((*id).to_string(), *code))
            .collect();
        expect_equal(line, found, expected)?;
    }
    Ok(())
}
