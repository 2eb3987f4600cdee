//! Tokens: who may do what, and for how long.

use crate::Scenario;
use crate::support::{Call, Guest, array, expect_contains, expect_equal, step, text};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use xtask::deadline::Deadline;
use xtask::machine::Agent;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tokens: a minted token may do no more than the one it comes from",
        run: no_more,
    },
    Scenario {
        name: "tokens: a method whose scope is missing does not exist",
        run: invisible,
    },
    Scenario {
        name: "tokens: a token ends with its time, and its session with it",
        run: expiry,
    },
    Scenario {
        name: "tokens: revoking a token ends its live session and all that came from it",
        run: revoked,
    },
    Scenario {
        name: "tokens: minted tokens outlive agentd",
        run: outlive,
    },
    Scenario {
        name: "tokens: who guesses has to wait, and the others do not",
        run: guessing,
    },
    Scenario {
        name: "tokens: changes and refusals are in the audit trail, secrets are not",
        run: audit,
    },
];

/// A new connection with a token that was just minted.
fn with_minted(guest: &Guest, agent: &mut Agent, params: Value) -> Result<(Agent, Value)> {
    let minted = agent.ask("auth.mint", params)?;
    let mut session = guest.stranger()?;
    session.ask("auth.login", json!({ "token": minted["token"] }))?;
    Ok((session, minted))
}

fn reader(scopes: &[&str], ttl_s: u64) -> Value {
    json!({ "scopes": scopes, "ttl_s": ttl_s, "label": "reader" })
}

fn no_more() -> Result<()> {
    let guest = Guest::boot("no-more")?;
    let mut agent = guest.agent()?;
    let wanted = json!({ "scopes": ["fs.read", "svc.read"], "constraints": { "paths": ["/system"] }, "ttl_s": 60, "label": "narrow" });
    let (mut narrow, _) = with_minted(&guest, &mut agent, wanted)?;
    narrow.must_refuse(-31002, "auth.mint", reader(&["fs.write"], 60))?;
    narrow.must_refuse(-32602, "auth.mint", reader(&["no.such"], 60))?;
    let wider = json!({ "scopes": ["fs.read"], "constraints": { "paths": ["/"] }, "ttl_s": 60, "label": "x" });
    narrow.must_refuse(-31002, "auth.mint", wider)?;
    // Without constraints of its own a child has its parent's.
    let (mut child, minted) = with_minted(&guest, &mut narrow, reader(&["fs.read"], 3600))?;
    child.ask("fs.stat", json!({ "path": "/system/shell.peb" }))?;
    child.must_refuse(-31002, "fs.stat", json!({ "path": "/etc" }))?;
    child.must_refuse(-31002, "fs.stat", json!({ "path": "/system/../etc" }))?;
    let own = child.ask("auth.whoami", json!({}))?;
    let parents = narrow.ask("auth.whoami", json!({}))?;
    expect_equal("its end", &own["expires_at"], &parents["expires_at"])?;
    expect_equal("its number", &own["subject"], &minted["id"])?;
    let listed = |value: Value| -> Result<Vec<String>> {
        let tokens = array(&value, "/tokens")?;
        Ok(tokens.iter().map(|token| token["id"].to_string()).collect())
    };
    expect_equal(
        "tokens that the child sees",
        listed(child.ask("auth.list", json!({}))?)?.len(),
        1,
    )?;
    expect_equal(
        "tokens that the first one sees",
        listed(agent.ask("auth.list", json!({}))?)?.len(),
        3,
    )
}

fn invisible() -> Result<()> {
    let guest = Guest::boot("invisible")?;
    let mut agent = guest.agent()?;
    let all = agent.ask("rpc.discover", json!({}))?;
    let (mut nobody, _) = with_minted(&guest, &mut agent, reader(&[], 600))?;
    let mut hidden = 0;
    for method in array(&all, "/methods")? {
        let name = text(method, "/name")?;
        if method["x-scope"] != "" {
            nobody
                .must_refuse(-32601, name, json!({}))
                .with_context(|| name.to_string())?;
            hidden += 1;
        }
    }
    if hidden < 20 {
        bail!("only {hidden} methods take a scope");
    }
    let own = nobody.ask("rpc.discover", json!({}))?;
    let names: BTreeSet<&str> = array(&own, "/methods")?
        .iter()
        .filter_map(|method| method["name"].as_str())
        .collect();
    expect_equal(
        "the methods of a token without scopes",
        names
            .iter()
            .all(|name| name.starts_with("auth.") || name.starts_with("rpc.")),
        true,
    )
}

fn expiry() -> Result<()> {
    let guest = Guest::boot("expiry")?;
    let mut agent = guest.agent()?;
    let (mut short, minted) = with_minted(&guest, &mut agent, reader(&["system.read"], 2))?;
    short.ask("system.time", json!({}))?;
    let over = Deadline::after_seconds(20).poll(|| {
        let outcome = short.request("system.time", json!({}), step());
        match outcome {
            Ok(Err(error)) => Some(Ok(error.code)),
            Ok(Ok(_)) => {
                std::thread::sleep(Duration::from_millis(100));
                None
            }
            Err(error) => Some(Err(error)),
        }
    });
    expect_equal("after its time", over.context("it does not end")??, -31001)?;
    guest
        .stranger()?
        .must_refuse(-31001, "auth.login", json!({ "token": minted["token"] }))
        .map(drop)
}

fn revoked() -> Result<()> {
    let guest = Guest::boot("revoked")?;
    let mut agent = guest.agent()?;
    let scopes = ["proc.read", "proc.spawn"];
    let (mut parent, minted) = with_minted(&guest, &mut agent, reader(&scopes, 600))?;
    let (mut child, _) = with_minted(&guest, &mut parent, reader(&["proc.read"], 600))?;
    agent.write_file("/loop.peb", "while True:\n    pass\n")?;
    let started = agent.ask("process.spawn", json!({ "argv": ["/loop.peb"] }))?;
    parent.start("process.wait", json!({ "pid": started["pid"] }))?;
    agent.must_refuse(-31003, "auth.revoke", json!({ "id": "nobody" }))?;
    agent.must_refuse(-31006, "auth.revoke", json!({ "id": "root" }))?;
    let begun = Instant::now();
    let gone = agent.ask("auth.revoke", json!({ "id": minted["id"] }))?;
    expect_equal("revoked tokens", array(&gone, "/revoked")?.len(), 2)?;
    let last = parent.read(step())?;
    expect_equal("the request under way", &last["error"]["code"], -31001)?;
    for session in [&mut parent, &mut child] {
        match session.read_or_end(Deadline::after_seconds(10)) {
            Ok(None) | Err(_) => {}
            Ok(Some(reply)) => bail!("the session goes on: {reply}"),
        }
    }
    println!("sessions ended after {} ms", begun.elapsed().as_millis());
    guest
        .stranger()?
        .must_refuse(-31001, "auth.login", json!({ "token": minted["token"] }))?;
    agent.ask("system.time", json!({})).map(drop)
}

fn outlive() -> Result<()> {
    let guest = Guest::boot("outlive")?;
    let mut agent = guest.agent()?;
    let before = agent.ask("system.describe", json!({}))?;
    let minted = agent.ask("auth.mint", reader(&["system.read"], 600))?;
    let gone = agent.ask("auth.mint", reader(&["system.read"], 600))?;
    agent.ask("auth.revoke", json!({ "id": gone["id"] }))?;
    agent.start("fault.kill", json!({ "service": "agentd" }))?;
    while let Ok(Some(_)) = agent.read_or_end(step()) {}
    let mut again = guest.stranger()?;
    again.ask("auth.login", json!({ "token": minted["token"] }))?;
    let after = again.ask("system.describe", json!({}))?;
    expect_equal("boot_id", &after["boot_id"], &before["boot_id"])?;
    if after["generation"] == before["generation"] {
        bail!("agentd was not restarted");
    }
    guest
        .stranger()?
        .must_refuse(-31001, "auth.login", json!({ "token": gone["token"] }))
        .map(drop)
}

fn guessing() -> Result<()> {
    let guest = Guest::boot("guessing")?;
    let mut kept = guest.agent()?;
    // Five on each connection: it is closed then.
    for _ in 0..2 {
        let mut stranger = guest.stranger()?;
        for _ in 0..5 {
            stranger.must_refuse(-31001, "auth.login", json!({ "token": "pbl1.0.0" }))?;
        }
    }
    let begun = Instant::now();
    guest.agent()?;
    let waited = begun.elapsed();
    if waited < Duration::from_secs(1) {
        bail!("after ten wrong tokens the next login takes only {waited:?}");
    }
    // Who is logged in notices nothing.
    let begun = Instant::now();
    kept.ask("system.time", json!({}))?;
    println!("delayed {waited:?}, not delayed {:?}", begun.elapsed());
    Ok(())
}

fn audit() -> Result<()> {
    let guest = Guest::boot("audit")?;
    let mut agent = guest.agent()?;
    agent.ask(
        "fs.write",
        json!({ "path": "/audited.txt", "data": "the contents are nobody's business" }),
    )?;
    let minted = agent.ask("auth.mint", reader(&["fs.read"], 60))?;
    let mut stranger = guest.stranger()?;
    stranger.must_refuse(-31001, "system.info", json!({}))?;
    let log = agent.ask("log.read", json!({ "service": "agentd", "limit": 1000 }))?;
    let trail: Vec<&Value> = array(&log, "/records")?
        .iter()
        .filter(|record| record["fields"]["topic"] == "audit")
        .collect();
    let has = |method: &str, object: &str, outcome: &str| {
        trail.iter().any(|record| {
            let fields = &record["fields"];
            fields["method"] == method && fields["object"] == object && fields["outcome"] == outcome
        })
    };
    for (method, object, outcome) in [
        ("auth.login", "", "ok"),
        ("fs.write", "/audited.txt", "ok"),
        ("auth.mint", "reader", "ok"),
        ("system.info", "", "unauthenticated"),
    ] {
        if !has(method, object, outcome) {
            bail!("{method} {object} {outcome} is not in the trail: {trail:#?}");
        }
    }
    expect_contains(
        "its duration",
        &trail[0]["fields"].to_string(),
        "duration_ns",
    )?;
    let everything = log.to_string();
    let secret = text(&minted, "/token")?;
    if everything.contains(secret) || everything.contains("nobody's business") {
        bail!("the log has what it must not have");
    }
    Ok(())
}
