//! Scenarios: the real boot image in QEMU, driven from outside over the serial console and JSON-RPC by real clients.
//!
//! Each scenario is named by what the user would see. It boots guests of its own, every wait in it has a deadline, and
//! when it fails the guest's folder under `target/run` keeps the logs. `cargo xtask test scenarios [--filter TEXT]` builds
//! what they need and runs them.
#![forbid(unsafe_code)]

mod agent;
mod boot;
mod broken;
mod connections;
mod console;
mod errors;
mod faults;
mod figures;
mod interfaces;
mod kills;
mod leaks;
mod programs;
mod public_client;
mod shell;
mod support;
mod tokens;
mod transfers;
mod values;

use anyhow::Result;
use std::process::ExitCode;
use std::time::Instant;

/// One scenario.
struct Scenario {
    /// What the user would see, as a sentence.
    name: &'static str,
    /// Makes it happen.
    run: fn() -> Result<()>,
}

/// All scenarios, the quick ones first.
fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    let files = [
        boot::SCENARIOS,
        console::SCENARIOS,
        shell::SCENARIOS,
        figures::SCENARIOS,
        interfaces::SCENARIOS,
        broken::SCENARIOS,
        faults::SCENARIOS,
        agent::SCENARIOS,
        connections::SCENARIOS,
        tokens::SCENARIOS,
        programs::SCENARIOS,
        errors::SCENARIOS,
        public_client::SCENARIOS,
        kills::SCENARIOS,
        leaks::SCENARIOS,
        transfers::SCENARIOS,
    ];
    files.into_iter().flatten()
}

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let chosen: Vec<&Scenario> = scenarios()
        .filter(|scenario| scenario.name.contains(&filter))
        .collect();
    println!("running {} scenarios", chosen.len());
    let failed = chosen.iter().filter(|scenario| !run(scenario)).count();
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one and prints its line. Whether it passed.
fn run(scenario: &Scenario) -> bool {
    let start = Instant::now();
    let result = (scenario.run)();
    let seconds = start.elapsed().as_secs_f32();
    match result {
        Ok(()) => {
            println!("test {} ... ok ({seconds:.1} s)", scenario.name);
            true
        }
        Err(error) => {
            println!(
                "{error:#}\ntest {} ... FAILED ({seconds:.1} s)",
                scenario.name
            );
            false
        }
    }
}
