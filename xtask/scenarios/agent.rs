//! agentd's methods, and JSON-RPC as such.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_contains, expect_equal, number, step, text};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use xtask::machine::http;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "agentd: system.describe, info and time agree with the machine",
        run: system,
    },
    Scenario {
        name: "agentd: a process is started, listed, limited, killed and waited for",
        run: process,
    },
    Scenario {
        name: "agentd: services are listed, stopped, started and restarted",
        run: service,
    },
    Scenario {
        name: "agentd: the log is read by number without a gap",
        run: log,
    },
    Scenario {
        name: "agentd: files are written, read, listed and described",
        run: files,
    },
    Scenario {
        name: "agentd: a tree is listed page by page, each name once",
        run: tree,
    },
    Scenario {
        name: "agentd: a file is replaced at once, and one writer at a time compares its version",
        run: replaced,
    },
    Scenario {
        name: "agentd: Pebble source is evaluated",
        run: eval,
    },
    Scenario {
        name: "agentd: shell.run carries bytes through pipes",
        run: shell_run,
    },
    Scenario {
        name: "agentd: HTTP serves /rpc, /healthz and /openrpc.json and nothing else",
        run: over_http,
    },
    Scenario {
        name: "agentd: a page of another origin is refused",
        run: foreign_origin,
    },
    Scenario {
        name: "agentd: 100 requests in flight over four connections are all answered",
        run: in_flight,
    },
    Scenario {
        name: "agentd: the 33rd request on a connection is refused as busy",
        run: too_many_in_flight,
    },
    Scenario {
        name: "agentd: requests come split and joined at every byte",
        run: framing,
    },
    Scenario {
        name: "agentd: batches are answered as one array",
        run: batches,
    },
    Scenario {
        name: "agentd: a client that stalls delays nobody",
        run: stalled_client,
    },
    Scenario {
        name: "agentd: rpc.discover describes every method that answers",
        run: discover,
    },
];

fn system() -> Result<()> {
    let guest = Guest::boot("system")?;
    let mut agent = guest.agent()?;
    let described = agent.ask("system.describe", json!({}))?;
    expect_equal("protocol", number(&described, "/protocol")?, 1)?;
    expect_equal("arch", text(&described, "/arch")?, "x86_64")?;
    expect_equal(
        "in flight",
        number(&described, "/limits/requests_per_connection")
            .or_else(|_| number(&described, "/limits/in_flight"))?,
        32,
    )?;
    let info = agent.ask("system.info", json!({}))?;
    expect_equal("processors", array(&info, "/cpus")?.len(), 2)?;
    let first = number(&agent.ask("system.time", json!({}))?, "/mono_ns")?;
    let second = number(&agent.ask("system.time", json!({}))?, "/mono_ns")?;
    if second <= first {
        bail!("time stands still: {first}, {second}")
    } else {
        Ok(())
    }
}

fn process() -> Result<()> {
    let guest = Guest::boot("process")?;
    let mut agent = guest.agent()?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    let pid = number(
        &agent.ask("process.spawn", json!({ "argv": ["/loop.peb"] }))?,
        "/pid",
    )?;
    let list = agent.ask("process.list", json!({}))?;
    if !array(&list, "/processes")?
        .iter()
        .any(|process| process["pid"] == pid)
    {
        bail!("process {pid} is not in the list: {list}");
    }
    let info = agent.ask("process.info", json!({ "pid": pid }))?;
    expect_contains("argv", &info["argv"].to_string(), "loop.peb")?;
    let limits = agent.ask(
        "process.limits",
        json!({ "pid": pid, "set": { "max_rss_kb": 4096 } }),
    )?;
    expect_contains("limits", &limits["limits"].to_string(), "cap")?;
    agent.ask("process.kill", json!({ "pid": pid, "signal": "KILL" }))?;
    let exit = agent.ask("process.wait", json!({ "pid": pid }))?;
    if exit.pointer("/exit/signal").is_none() {
        bail!("a killed process ends by {exit}");
    }
    let pid = number(
        &agent.ask(
            "process.spawn",
            json!({ "argv": ["/system/bin/echo.peb", "x"] }),
        )?,
        "/pid",
    )?;
    let exit = agent.ask("process.wait", json!({ "pid": pid }))?;
    expect_equal("exit status", number(&exit, "/exit/code")?, 0)
}

fn service() -> Result<()> {
    let guest = Guest::boot("service")?;
    let mut agent = guest.agent()?;
    let list = agent.ask("service.list", json!({}))?;
    let names: Vec<&str> = array(&list, "/services")?
        .iter()
        .filter_map(|service| service["name"].as_str())
        .collect();
    for wanted in [
        "platform",
        "uart",
        "pci",
        "virtio-net",
        "logd",
        "ramfs",
        "vfs",
        "ttyd",
        "procd",
        "netd",
        "agentd",
    ] {
        if !names.contains(&wanted) {
            bail!("service {wanted} is missing: {names:?}");
        }
    }
    let before = number(
        &agent.ask("service.status", json!({ "name": "logd" }))?,
        "/generation",
    )?;
    agent.ask("service.restart", json!({ "name": "logd" }))?;
    let after = agent.ask("service.status", json!({ "name": "logd" }))?;
    expect_equal("generation", number(&after, "/generation")?, before + 1)?;
    expect_equal("state", text(&after, "/state")?.to_lowercase(), "running")
}

fn log() -> Result<()> {
    let guest = Guest::boot("log")?;
    let mut agent = guest.agent()?;
    let (mut next, mut count) = (1, 0);
    loop {
        let page = agent.ask("log.read", json!({ "since_seq": next, "level": "trace" }))?;
        expect_equal("lost", number(&page, "/lost")?, 0)?;
        let records = array(&page, "/records")?;
        for (index, record) in records.iter().enumerate() {
            expect_equal("seq", number(record, "/seq")?, next + index as u64)?;
        }
        count += records.len();
        next = number(&page, "/next_seq")?;
        if records.is_empty() {
            break;
        }
    }
    if count < 10 {
        bail!("only {count} records of a whole boot")
    } else {
        Ok(())
    }
}

fn files() -> Result<()> {
    let guest = Guest::boot("files")?;
    let mut agent = guest.agent()?;
    agent.write_file("/a.txt", "one\nzwei ü\n")?;
    let read = agent.ask("fs.read", json!({ "path": "/a.txt", "encoding": "utf8" }))?;
    expect_equal("data", text(&read, "/data")?, "one\nzwei ü\n")?;
    expect_equal("eof", &read["eof"], true)?;
    let part = agent.ask(
        "fs.read",
        json!({ "path": "/a.txt", "offset": 4, "length": 4, "encoding": "utf8" }),
    )?;
    expect_equal("part", text(&part, "/data")?, "zwei")?;
    let stat = agent.ask("fs.stat", json!({ "path": "/a.txt" }))?;
    expect_equal("size", number(&stat, "/size")?, 12)?;
    expect_equal("type", text(&stat, "/type")?, "file")?;
    let listing = agent.ask("fs.list", json!({ "path": "/" }))?;
    if !array(&listing, "/entries")?
        .iter()
        .any(|entry| entry["name"] == "a.txt")
    {
        bail!("the file is not in its folder: {listing}");
    }
    agent.ask(
        "fs.write",
        json!({ "path": "/b.bin", "data": "AAEC/w==", "encoding": "b64" }),
    )?;
    let bytes = agent.ask("fs.read", json!({ "path": "/b.bin", "encoding": "b64" }))?;
    expect_equal("bytes", text(&bytes, "/data")?, "AAEC/w==")
}

fn tree() -> Result<()> {
    let guest = Guest::boot("tree")?;
    let mut agent = guest.agent()?;
    let mut list = |params: Value| -> Result<(Vec<String>, Value)> {
        let listing = agent.ask("fs.list", params)?;
        let entries = array(&listing, "/entries")?.iter();
        let names = entries.filter_map(|entry| Some(entry["name"].as_str()?.to_string()));
        Ok((names.collect(), listing["next_cursor"].clone()))
    };
    let (all, next) = list(json!({ "path": "/system", "recursive": true, "limit": 1000 }))?;
    expect_equal("the end", next, Value::Null)?;
    if all.len() < 100 || !all.contains(&"bin/echo.peb".to_string()) {
        bail!("only {} names: {all:?}", all.len());
    }
    let unique: BTreeSet<&String> = all.iter().collect();
    expect_equal("names that are there twice", all.len() - unique.len(), 0)?;
    for limit in [1, 7, 64] {
        let (mut found, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let page =
                json!({ "path": "/system", "recursive": true, "limit": limit, "cursor": cursor });
            let (names, next) = list(page)?;
            found.extend(names);
            cursor = next;
            if cursor.is_null() {
                break;
            }
        }
        expect_equal("pages", &found, &all)?;
    }
    let (programs, _) =
        list(json!({ "path": "/system", "recursive": true, "glob": "*.peb", "limit": 1000 }))?;
    let expected: Vec<String> = all
        .iter()
        .filter(|name| name.ends_with(".peb"))
        .cloned()
        .collect();
    expect_equal("programs", programs, expected)?;
    let (flat, _) = list(json!({ "path": "/system/bin", "glob": "[a-c]*.peb" }))?;
    if flat.is_empty() || flat.iter().any(|name| name > &"d".to_string()) {
        bail!("the pattern does not hold: {flat:?}");
    }
    Ok(())
}

fn replaced() -> Result<()> {
    let guest = Guest::boot("replaced")?;
    let mut agent = guest.agent()?;
    let contents = |letter: char| String::from(letter).repeat(100_000);
    agent.write_file("/whole.txt", &contents('a'))?;
    let version = number(
        &agent.ask("fs.stat", json!({ "path": "/whole.txt" }))?,
        "/version",
    )?;
    // Ten writers that all expect the same version: one of them is right.
    let mut writers = Vec::new();
    for letter in 'b'..='k' {
        let mut writer = guest.agent()?;
        let write =
            json!({ "path": "/whole.txt", "data": contents(letter), "expect_version": version });
        writer.start("fs.write", write)?;
        writers.push(writer);
    }
    let mut readers = Vec::new();
    for _ in 0..20 {
        let read = agent.ask("fs.read", json!({ "path": "/whole.txt", "sha256": true }))?;
        let data = text(&read, "/data")?;
        let first = data.chars().next().context("it is empty")?;
        if data != contents(first) {
            bail!("a reader sees a mixture");
        }
        expect_equal("digest", text(&read, "/sha256")?.len(), 64)?;
        readers.push(first);
    }
    let mut done = 0;
    for writer in &mut writers {
        let reply = writer.read(step())?;
        match reply["error"]["code"].as_i64() {
            None => done += 1,
            Some(code) => expect_equal("code", code, -31005)?,
        }
    }
    expect_equal("writers that were right", done, 1)?;
    let listing = agent.ask("fs.list", json!({ "path": "/", "limit": 1000 }))?;
    if listing.to_string().contains(".agentd-") {
        bail!("something temporary was left: {listing}");
    }
    // In the middle, with a mode, and only if it is there.
    agent.ask(
        "fs.write",
        json!({ "path": "/whole.txt", "data": "MIDDLE", "offset": 10 }),
    )?;
    let part = agent.ask(
        "fs.read",
        json!({ "path": "/whole.txt", "offset": 9, "length": 8 }),
    )?;
    expect_contains("part", text(&part, "/data")?, "MIDDLE")?;
    agent.ask(
        "fs.write",
        json!({ "path": "/mode.txt", "data": "x", "mode": 0o600 }),
    )?;
    let stat = agent.ask("fs.stat", json!({ "path": "/mode.txt" }))?;
    expect_equal("mode", number(&stat, "/mode")?, 0o600)?;
    agent.write_file("/mode.txt", "y")?;
    let stat = agent.ask("fs.stat", json!({ "path": "/mode.txt" }))?;
    expect_equal("mode of its successor", number(&stat, "/mode")?, 0o600)?;
    let absent = json!({ "path": "/absent.txt", "data": "x", "create": false });
    agent.must_refuse(-31003, "fs.write", absent)?;
    let both = json!({ "path": "/mode.txt", "data": "x", "offset": 1, "atomic": true });
    agent.must_refuse(-32602, "fs.write", both).map(drop)
}

fn eval() -> Result<()> {
    let guest = Guest::boot("eval")?;
    let mut agent = guest.agent()?;
    let result = agent.ask("pebble.eval", json!({ "source": "print(\"out\")\n6 * 7" }))?;
    expect_equal("stdout", text(&result, "/stdout")?, "out\n")?;
    expect_equal("value", &result["value"], 42)
}

fn shell_run() -> Result<()> {
    let guest = Guest::boot("shell-run")?;
    let mut agent = guest.agent()?;
    let result = agent.ask(
        "shell.run",
        json!({ "cmd": "echo one two | cat", "output": "text" }),
    )?;
    expect_equal("stdout", text(&result, "/stdout")?, "one two\n")?;
    expect_equal("exit code", number(&result, "/exit_code")?, 0)?;
    agent.ask(
        "shell.run",
        json!({ "cmd": "echo redirected > /r.txt", "output": "text" }),
    )?;
    let result = agent.ask(
        "shell.run",
        json!({ "cmd": "cat < /r.txt", "output": "text" }),
    )?;
    expect_equal("stdout", text(&result, "/stdout")?, "redirected\n")
}

fn discover() -> Result<()> {
    const WANTED: &[&str] = &[
        "system.describe",
        "system.info",
        "system.time",
        "process.list",
        "process.info",
        "process.spawn",
        "process.wait",
        "process.kill",
        "process.limits",
        "service.list",
        "service.status",
        "service.start",
        "service.stop",
        "service.restart",
        "log.read",
        "fs.stat",
        "fs.list",
        "fs.read",
        "fs.write",
        "pebble.eval",
        "shell.run",
        "ipc.services",
        "ipc.schema",
        "ipc.call",
        "fault.kill",
        "rpc.discover",
        "auth.login",
        "auth.whoami",
    ];
    let guest = Guest::boot("discover")?;
    let mut agent = guest.agent()?;
    let document = agent.ask("rpc.discover", json!({}))?;
    let methods: BTreeSet<&str> = array(&document, "/methods")?
        .iter()
        .filter_map(|method| method["name"].as_str())
        .collect();
    for wanted in WANTED {
        if !methods.contains(wanted) {
            bail!("{wanted} is not described");
        }
    }
    for method in &methods {
        // Parameters that no method has: whoever knows the method refuses them, whoever doesn't says so.
        let outcome = agent.request(method, json!({ "no_such_parameter": 1 }), step())?;
        if outcome.is_err_and(|error| error.code == -32601) {
            bail!("{method} is described, but unknown");
        }
    }
    Ok(())
}

fn over_http() -> Result<()> {
    let guest = Guest::boot("http")?;
    let port = guest.machine.agentd_port()?;
    let bearer = format!("Bearer {}", fs::read_to_string(guest.token_file())?.trim());
    let login = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let ask = |verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        http::request(port, verb, path, headers, body, step())
    };

    expect_equal("health", ask("GET", "/healthz", &[], b"")?.status, 200)?;
    let reply = ask(
        "POST",
        "/rpc",
        &login,
        br#"{"jsonrpc":"2.0","id":"x","method":"system.time"}"#,
    )?;
    expect_equal("call", reply.status, 200)?;
    let value: Value = serde_json::from_slice(&reply.body).context("the body is JSON")?;
    expect_equal("id", &value["id"], "x")?;
    number(&value, "/result/mono_ns")?;
    let document = ask("GET", "/openrpc.json", &login, b"")?;
    expect_equal("description", document.status, 200)?;
    let document: Value =
        serde_json::from_slice(&document.body).context("the description is JSON")?;
    expect_equal("its version", text(&document, "/openrpc")?, "1.3.2")?;

    expect_equal(
        "notifications only",
        ask(
            "POST",
            "/rpc",
            &login,
            br#"{"jsonrpc":"2.0","method":"system.time"}"#,
        )?
        .status,
        202,
    )?;
    expect_equal(
        "without a token",
        ask("POST", "/rpc", &[], b"{}")?.status,
        401,
    )?;
    expect_equal("an unknown path", ask("GET", "/", &login, b"")?.status, 404)?;
    expect_equal("a wrong verb", ask("GET", "/rpc", &login, b"")?.status, 405)
}

fn foreign_origin() -> Result<()> {
    let guest = Guest::boot("origin")?;
    let port = guest.machine.agentd_port()?;
    let bearer = format!("Bearer {}", fs::read_to_string(guest.token_file())?.trim());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Origin", "https://example.org"),
    ];
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"system.time"}"#;
    expect_equal(
        "a foreign origin",
        http::request(port, "POST", "/rpc", &headers, body, step())?.status,
        403,
    )
}

fn in_flight() -> Result<()> {
    let guest = Guest::boot("in-flight")?;
    let mut connections = (0..4).map(|_| guest.agent()).collect::<Result<Vec<_>>>()?;
    let mut waiting: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); 4];
    for number in 0..100 {
        let which = number % 4;
        waiting[which].insert(connections[which].start("system.time", Value::Null)?);
    }
    for (connection, waiting) in connections.iter_mut().zip(&mut waiting) {
        while !waiting.is_empty() {
            let reply = connection.read(step())?;
            number(&reply, "/result/mono_ns")?;
            if !waiting.remove(&number(&reply, "/id")?) {
                bail!("nobody asked for {reply}");
            }
        }
    }
    Ok(())
}

fn too_many_in_flight() -> Result<()> {
    let guest = Guest::boot("busy")?;
    let mut agent = guest.agent()?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    let pid = number(
        &agent.ask("process.spawn", json!({ "argv": ["/loop.peb"] }))?,
        "/pid",
    )?;
    let waits = (0..32)
        .map(|_| agent.start("process.wait", json!({ "pid": pid })))
        .collect::<Result<BTreeSet<u64>>>()?;
    let refused = agent.start("system.time", Value::Null)?;
    let reply = agent.read(step())?;
    expect_equal("the one that is answered", number(&reply, "/id")?, refused)?;
    expect_equal("its error", &reply["error"]["code"], -31011)?;
    number(&reply, "/error/data/retry_after_ms")?;
    guest
        .agent()?
        .ask("process.kill", json!({ "pid": pid, "signal": "KILL" }))?;
    let mut answered = BTreeSet::new();
    for _ in 0..32 {
        answered.insert(number(&agent.read(step())?, "/id")?);
    }
    expect_equal("answers", answered, waits)
}

fn framing() -> Result<()> {
    let guest = Guest::boot("framing")?;
    let mut agent = guest.agent()?;
    let request = "{\"jsonrpc\":\"2.0\",\"id\":\"split\",\"method\":\"system.time\"}\r\n\n";
    for byte in request.as_bytes() {
        agent.send(&[*byte])?;
    }
    expect_equal("split", &agent.read(step())?["id"], "split")?;
    agent.send(
        format!("{request}{request}")
            .replacen("split", "joined", 1)
            .as_bytes(),
    )?;
    let ids: BTreeSet<String> = [agent.read(step())?, agent.read(step())?]
        .iter()
        .map(|reply| reply["id"].to_string())
        .collect();
    expect_equal(
        "joined",
        ids,
        BTreeSet::from(["\"joined\"".to_string(), "\"split\"".to_string()]),
    )
}

fn batches() -> Result<()> {
    let guest = Guest::boot("batches")?;
    let mut agent = guest.agent()?;
    agent.send(b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.time\"},{\"jsonrpc\":\"2.0\",\"method\":\"system.time\"},7,{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"nosuch\"}]\n")?;
    let reply = agent.read(step())?;
    let elements = reply
        .as_array()
        .context("a batch is answered by an array")?;
    let mut seen: Vec<(String, i64)> = elements
        .iter()
        .map(|element| {
            (
                element["id"].to_string(),
                element["error"]["code"].as_i64().unwrap_or(0),
            )
        })
        .collect();
    seen.sort();
    expect_equal(
        "elements",
        seen,
        vec![
            ("1".into(), 0),
            ("2".into(), -32601),
            ("null".to_string(), -32600),
        ],
    )?;
    agent.send(b"[]\n")?;
    expect_equal(
        "an empty batch",
        &agent.read(step())?["error"]["code"],
        -32600,
    )?;
    let many: Vec<Value> = (0..65)
        .map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "system.time" }))
        .collect();
    agent.send(format!("{}\n", Value::Array(many)).as_bytes())?;
    expect_equal("65 elements", &agent.read(step())?["error"]["code"], -31009)
}

fn stalled_client() -> Result<()> {
    let guest = Guest::boot("stalled")?;
    let mut stalled = guest.agent()?;
    stalled.write_file("/big.txt", &"0123456789abcdef".repeat(16 << 10))?;
    // It asks for far more than the socket's buffers hold and reads nothing of it.
    for _ in 0..30 {
        stalled.start("fs.read", json!({ "path": "/big.txt", "length": 262_144 }))?;
    }
    let mut other = guest.agent()?;
    for _ in 0..20 {
        other.ask("system.time", json!({}))?;
    }
    Ok(())
}
