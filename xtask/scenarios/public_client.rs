//! A public JSON-RPC client library against agentd: what we call JSON-RPC must be what others do.

use crate::Scenario;
use crate::support::Guest;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use xtask::command::run;
use xtask::doctor::{Need, ensure};
use xtask::workspace::{root, target};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "public client: the library jsonrpcclient drives every method over lines and HTTP",
        run: python,
    },
    Scenario {
        name: "public client: nc talks with agentd by hand",
        run: netcat,
    },
];

/// The library, and the version that is known to work.
const LIBRARY: &str = "jsonrpcclient==4.0.3";

fn python() -> Result<()> {
    let python = environment()?;
    let guest = Guest::boot("python")?;
    let mut command = Command::new(python);
    command.arg(root().join("xtask/scenarios/public_client.py"));
    command
        .arg(guest.machine.agentd_port()?.to_string())
        .arg(guest.token_file());
    run(&mut command)
}

/// A virtual environment with the library, made once.
fn environment() -> Result<PathBuf> {
    let folder = target().join("python");
    let (python, mark) = (folder.join("bin/python"), folder.join("complete"));
    if fs::read_to_string(&mark).is_ok_and(|version| version == LIBRARY) {
        return Ok(python);
    }
    ensure(&[Need::Python])?;
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        LIBRARY,
    ]))?;
    fs::write(&mark, LIBRARY).with_context(|| mark.display().to_string())?;
    Ok(python)
}

fn netcat() -> Result<()> {
    ensure(&[Need::Netcat])?;
    let guest = Guest::boot("netcat")?;
    let script = format!(
        "set -e; token=$(cat '{}'); reply=$(printf '%s\\n%s\\n' \
         '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"auth.login\",\"params\":{{\"token\":\"'\"$token\"'\"}}}}' \
         '{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"system.time\"}}' | nc -w 5 127.0.0.1 {}); \
         echo \"$reply\"; echo \"$reply\" | grep -q '\"id\":2.*mono_ns\\|mono_ns.*\"id\":2'",
        guest.token_file().display(),
        guest.machine.agentd_port()?
    );
    run(Command::new("sh").args(["-c", &script]))
}
