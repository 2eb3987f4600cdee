//! Programs that agentd starts: what they get, what they write, and when they end.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_contains, expect_equal, number, step, text};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::time::Duration;
use xtask::deadline::Deadline;
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "programs: a spawned program gets its environment, folder, input and limits",
        run: spawn,
    },
    Scenario {
        name: "programs: 10 MiB of output are counted, cut at 1 MiB and flagged",
        run: much_output,
    },
    Scenario {
        name: "programs: what is cancelled, abandoned or late is killed",
        run: cancelled,
    },
    Scenario {
        name: "programs: shell.run takes input and gives records",
        run: shell_run,
    },
    Scenario {
        name: "programs: pebble.eval gives value, text and the whole error",
        run: eval,
    },
    Scenario {
        name: "programs: a token's program can do no more than the token",
        run: narrow,
    },
    Scenario {
        name: "programs: services are processes that nobody waits for or kills",
        run: services,
    },
];

fn spawn() -> Result<()> {
    let guest = Guest::boot("spawn")?;
    let mut agent = guest.agent()?;
    agent.write_file(
        "/show.peb",
        "print(\"env \" + ENV[\"COLOUR\"])\nprint(\"home \" + ENV[\"HOME\"])\nprint(\"cwd \" + CWD)\nprint(\"args \" + ARGV[0])\nprint(\"in \" + input(\"\"))\n",
    )?;
    let started = agent.ask(
        "process.spawn",
        json!({ "argv": ["/show.peb", "one"], "env": { "COLOUR": "blue" }, "cwd": "/system", "stdin": "a line\nanother\n", "limits": { "max_wall_ms": 20_000 }, "capture": true }),
    )?;
    let pid = number(&started, "/pid")?;
    expect_equal("job", number(&started, "/job_id")?, pid)?;
    let ended = agent.ask("process.wait", json!({ "pid": pid }))?;
    expect_equal("exit", number(&ended, "/exit/code")?, 0).with_context(|| ended.to_string())?;
    expect_equal(
        "output",
        text(&ended, "/stdout")?,
        "env blue\nhome /\ncwd /system\nargs one\nin a line\n",
    )?;
    expect_equal("cut", &ended["stdout_truncated"], false)?;

    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    let limited = agent.ask(
        "process.spawn",
        json!({ "argv": ["/loop.peb"], "limits": { "max_wall_ms": 300, "max_rss_kb": 8192 } }),
    )?;
    let pid = number(&limited, "/pid")?;
    let info = agent.ask("process.info", json!({ "pid": pid }))?;
    expect_equal("cap", number(&info, "/limits/max_rss_kb/cap")?, 8192)?;
    expect_equal("environment", text(&info, "/env/USER")?, "root")?;
    let ended = agent.ask("process.wait", json!({ "pid": pid }))?;
    expect_equal("the limit", text(&ended, "/exit/limit")?, "wall_ms")?;

    absent_program(&mut agent)?;
    agent.must_refuse(-32602, "process.spawn", json!({ "argv": [] }))?;
    agent
        .must_refuse(
            -32602,
            "process.spawn",
            json!({ "argv": ["/x"], "policy": "all" }),
        )
        .map(drop)
}

/// A program that does not exist is found out by its own process, which says so and ends with 127.
fn absent_program(agent: &mut Agent) -> Result<()> {
    let started = agent.ask(
        "process.spawn",
        json!({ "argv": ["/no/such.peb"], "capture": true }),
    )?;
    let ended = agent.ask("process.wait", json!({ "pid": started["pid"] }))?;
    expect_equal("exit", number(&ended, "/exit/code")?, 127)?;
    expect_contains("its complaint", text(&ended, "/stderr")?, "no/such.peb")
}

fn much_output() -> Result<()> {
    let guest = Guest::boot("much-output")?;
    let mut agent = guest.agent()?;
    let source = "line = \"0123456789abcde\" * 1000 + \"ü\"\nfor i in range(700):\n    print(line)\n    stderr_write_line(line)\n";
    let result = agent.ask(
        "pebble.eval",
        json!({ "source": source, "_meta": { "timeout_ms": 120_000 } }),
    )?;
    for stream in ["stdout", "stderr"] {
        let kept = text(&result, &format!("/{stream}"))?;
        expect_equal("cut", &result[format!("{stream}_truncated")], true)?;
        if !(((1 << 20) - 4)..=1 << 20).contains(&kept.len()) {
            bail!("{} bytes of {stream} are kept", kept.len());
        }
        if kept.contains('\u{fffd}') {
            bail!("a character of {stream} was cut in two");
        }
    }
    agent.ask("system.time", json!({})).map(drop)
}

/// Waits until no process runs this program.
fn expect_gone(agent: &mut Agent, program: &str) -> Result<()> {
    let gone = Deadline::after_seconds(30).poll(|| match runs(agent, program) {
        Ok(false) => Some(Ok(())),
        Ok(true) => {
            std::thread::sleep(Duration::from_millis(50));
            None
        }
        Err(error) => Some(Err(error)),
    });
    gone.unwrap_or_else(|| bail!("{program} runs on"))
}

fn runs(agent: &mut Agent, program: &str) -> Result<bool> {
    let list = agent.ask("process.list", json!({ "limit": 1000 }))?;
    Ok(array(&list, "/processes")?
        .iter()
        .any(|process| process["argv"].to_string().contains(program)))
}

fn expect_running(agent: &mut Agent, program: &str) -> Result<()> {
    let there = step().poll(|| match runs(agent, program) {
        Ok(true) => Some(Ok(())),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    there.unwrap_or_else(|| bail!("{program} does not run"))
}

fn cancelled() -> Result<()> {
    let guest = Guest::boot("cancel-run")?;
    let mut agent = guest.agent()?;
    agent.write_file("/spin.peb", "while True:\n    pass\n")?;
    let mut runner = guest.agent()?;
    let run = runner.start("shell.run", json!({ "cmd": "/spin.peb" }))?;
    expect_running(&mut agent, "spin.peb")?;
    let cancel = runner.start("rpc.cancel", json!({ "id": run }))?;
    let mut replies = [runner.read(step())?, runner.read(step())?];
    replies.sort_by_key(|reply| reply["id"] == cancel);
    expect_equal("code", &replies[0]["error"]["code"], -31008)?;
    expect_equal(
        "may_have_happened",
        &replies[0]["error"]["data"]["may_have_happened"],
        true,
    )?;
    expect_gone(&mut agent, "spin.peb")?;
    runner.must_refuse(-31003, "rpc.cancel", json!({ "id": 12345 }))?;

    // The same when the client goes away.
    let mut leaving = guest.agent()?;
    let forever =
        json!({ "source": "while True:\n    pass\n", "_meta": { "timeout_ms": 300_000 } });
    leaving.start("pebble.eval", forever)?;
    expect_running(&mut agent, "eval")?;
    drop(leaving);
    expect_gone(&mut agent, "eval")?;

    let mut timed = guest.agent()?;
    timed.must_refuse(
        -31007,
        "pebble.eval",
        json!({ "source": "while True:\n    pass\n", "_meta": { "timeout_ms": 500 } }),
    )?;
    let killed = json!({ "source": "while True:\n    pass\n", "timeout_ms": 300 });
    timed.must_refuse(-31007, "pebble.eval", killed)?;
    expect_gone(&mut agent, "eval")?;
    agent.ask("system.time", json!({})).map(drop)
}

fn shell_run() -> Result<()> {
    let guest = Guest::boot("shell-input")?;
    let mut agent = guest.agent()?;
    let input = "b\na\n";
    let result = agent.ask("shell.run", json!({ "cmd": "cat", "stdin": input }))?;
    expect_equal("what it read", text(&result, "/stdout")?, input)?;
    // Nothing to read is an end, not a wait: wc counts it, and comes to its own end.
    let result = agent.ask("shell.run", json!({ "cmd": "wc" }))?;
    expect_equal("nothing", number(&result, "/exit_code")?, 0)?;
    let long = "0123456789abcde\n".repeat(12 << 10);
    let result = agent.ask("shell.run", json!({ "cmd": "cat", "stdin": long }))?;
    expect_equal(
        "192 KiB through a pipe of 64",
        text(&result, "/stdout")? == long,
        true,
    )?;
    let records =
        json!({ "cmd": "cat", "stdin": "{\"a\":1}\nplain\n{\"b\":2}\n", "output": "records" });
    let result = agent.ask("shell.run", records)?;
    expect_equal(
        "records",
        &result["records"],
        &json!([{ "a": 1 }, { "b": 2 }]),
    )?;
    expect_equal("other lines", &result["bad_lines"], 1)?;
    let result = agent.ask("shell.run", json!({ "cmd": "nosuchcommand" }))?;
    if number(&result, "/exit_code")? == 0 {
        bail!("a command that does not exist succeeds");
    }
    let result = agent.ask(
        "shell.run",
        json!({ "cmd": "pwd", "cwd": "/system", "env": { "X": "y" } }),
    )?;
    expect_equal("folder", text(&result, "/stdout")?, "/system\n")
}

fn eval() -> Result<()> {
    let guest = Guest::boot("eval-value")?;
    let mut agent = guest.agent()?;
    let mut value_of = |source: &str| agent.ask("pebble.eval", json!({ "source": source }));
    for (source, value, repr) in [
        ("6 * 7", json!(42), json!("42")),
        ("\"a\" + \"b\"", json!("ab"), json!("\"ab\"")),
        (
            "[1, 2.5, None]",
            json!([1, 2.5, null]),
            json!("[1, 2.5, None]"),
        ),
        (
            "x = {\"k\": [1]}\nx\n",
            json!({ "k": [1] }),
            json!("{\"k\": [1]}"),
        ),
        ("x = 1\n", Value::Null, Value::Null),
    ] {
        let result = value_of(source)?;
        expect_equal(source, &result["value"], &value)?;
        expect_equal(source, &result["repr"], &repr)?;
    }
    let result = value_of("def f():\n    return 1\nf\n")?;
    expect_equal("a function has no JSON", &result["value"], &Value::Null)?;
    if result["repr"].as_str().is_none_or(str::is_empty) {
        bail!("a function has no text: {result}");
    }
    if number(&value_of("1")?, "/steps")? == 0 {
        bail!("no steps are counted");
    }
    let result = agent.ask(
        "pebble.eval",
        json!({ "source": "input(\"\") + \"!\"", "stdin": "typed\n" }),
    )?;
    expect_equal("input", &result["value"], "typed!")?;
    let data = agent.must_refuse(
        -31014,
        "pebble.eval",
        json!({ "source": "def f(n):\n    return 1 / n\nprint(\"before\")\nf(0)\n" }),
    )?;
    expect_equal("class", &data["exception"], "ZeroDivisionError")?;
    expect_equal("line", &data["line"], 2)?;
    expect_equal("file", &data["file"], "eval")?;
    expect_equal("output before", &data["stdout"], "before\n")?;
    expect_equal(
        "calls",
        array(&data, "/traceback")?
            .iter()
            .any(|call| call["function"] == "f"),
        true,
    )?;
    let data = agent.must_refuse(-31014, "pebble.eval", json!({ "source": "x = = 1\n" }))?;
    expect_equal("class", &data["exception"], "SyntaxError")
}

fn narrow() -> Result<()> {
    let guest = Guest::boot("narrow-eval")?;
    let mut agent = guest.agent()?;
    agent.write_file("/secret.txt", "secret")?;
    let scopes =
        json!({ "scopes": ["pebble.eval", "shell.run"], "ttl_s": 600, "label": "evaluator" });
    let minted = agent.ask("auth.mint", scopes)?;
    let mut narrow = guest.stranger()?;
    narrow.ask("auth.login", json!({ "token": minted["token"] }))?;
    let result = narrow.ask("pebble.eval", json!({ "source": "6 * 7" }))?;
    expect_equal("value", &result["value"], 42)?;
    for source in [
        "read_file(\"/secret.txt\")",
        "write_file(\"/new.txt\", \"x\")",
        "import proc\nproc.spawn([\"/system/bin/ls.peb\"])",
    ] {
        narrow.must_refuse(-31014, "pebble.eval", json!({ "source": source }))?;
        // Asking for more than the token has gives nothing more.
        let wanted = json!({ "source": source, "modules": ["fs", "proc", "service", "net"] });
        narrow.must_refuse(-31014, "pebble.eval", wanted)?;
    }
    narrow.must_refuse(-31002, "shell.run", json!({ "cmd": "cat /secret.txt" }))?;
    // A program without files has its text read by agentd, within what the token may read.
    agent.write_file("/sum.peb", "print(str(1 + 1))\n")?;
    let scopes = json!({ "scopes": ["proc.spawn", "proc.read", "fs.read"], "constraints": { "paths": ["/sum.peb"] }, "ttl_s": 600, "label": "spawner" });
    let minted = agent.ask("auth.mint", scopes)?;
    let mut spawner = guest.stranger()?;
    spawner.ask("auth.login", json!({ "token": minted["token"] }))?;
    let started = spawner.ask(
        "process.spawn",
        json!({ "argv": ["/sum.peb"], "capture": true }),
    )?;
    let ended = spawner.ask("process.wait", json!({ "pid": started["pid"] }))?;
    expect_equal("output", text(&ended, "/stdout")?, "2\n")?;
    spawner.must_refuse(-31002, "process.spawn", json!({ "argv": ["/secret.txt"] }))?;
    agent
        .must_refuse(-31003, "fs.stat", json!({ "path": "/new.txt" }))
        .map(drop)
}

fn services() -> Result<()> {
    let guest = Guest::boot("service-processes")?;
    let mut agent = guest.agent()?;
    let status = agent.ask("service.status", json!({ "name": "logd" }))?;
    let pid = number(&status, "/pid")?;
    let list = agent.ask("process.list", json!({ "service": "logd" }))?;
    let found = array(&list, "/processes")?;
    expect_equal("processes of logd", found.len(), 1)?;
    expect_equal("its number", number(&found[0], "/pid")?, pid)?;
    expect_equal("what it is", &found[0]["service"], true)?;
    let info = agent.ask("process.info", json!({ "pid": pid }))?;
    expect_equal("name", &info["name"], "logd")?;
    agent.must_refuse(-31006, "process.wait", json!({ "pid": pid }))?;
    agent.must_refuse(-31006, "process.kill", json!({ "pid": pid }))?;
    let tree = agent.ask("process.list", json!({ "tree": true, "limit": 1000 }))?;
    let processes = array(&tree, "/processes")?;
    let place = |wanted: &str| {
        processes
            .iter()
            .position(|process| process["name"] == wanted)
    };
    let (init, logd) = (
        place("init").context("init is not in the tree")?,
        place("logd").context("logd is not in the tree")?,
    );
    if init > logd {
        bail!("a child comes before its parent: {tree}");
    }
    expect_equal(
        "depth",
        number(&processes[logd], "/depth")?,
        number(&processes[init], "/depth")? + 1,
    )
}
