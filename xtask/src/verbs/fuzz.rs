//! `fuzz`: the property tests, with many more cases than an ordinary test run has time for.
//!
//! A failing case is printed with its seed and kept by proptest beside the test (`proptest-regressions`), from where every
//! later run tries it first.
//!
//! `fuzz kernel` is the long form of the random system calls inside the guest: seeds one after the other, each a process that makes so many calls, and
//! all counts compared afterwards. A failing seed is repeated by `fuzz kernel --seed N`.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::command::run as run_command;
use crate::deadline::Deadline;
use crate::guest_image::BootFiles;
use crate::machine::{Machine, Nic, Options};
use crate::workspace::{Package, cargo, packages};
use anyhow::{Result, bail};
use std::fs;

/// The arguments, for the help.
pub const USAGE: &str = "\
[PACKAGE]... [--cases N]
  PACKAGE     whose tests (all that have property tests)
  --cases N   cases for each property (20000)

kernel [--seed N] [--seeds N] [--cases N] [--cpus N]
  --seed N    the first seed (1)
  --seeds N   how many seeds (8)
  --cases N   system calls for each seed (20000)
  --cpus N    processors of the guest (1)";

/// How long a seed of random system calls may take, with the boot.
const SEED_SECONDS: u64 = 180;

/// Cases for each property if nobody says.
const CASES: u32 = 20_000;

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let (mut names, mut cases) = (Vec::new(), CASES);
    let (mut seed, mut seeds, mut cpus) = (1, 8, 1);
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "cases" => cases = arguments.parsed()?,
            Argument::Option(option) if option == "seed" => seed = arguments.parsed()?,
            Argument::Option(option) if option == "seeds" => seeds = arguments.parsed()?,
            Argument::Option(option) if option == "cpus" => cpus = arguments.parsed()?,
            Argument::Word(word) => names.push(word),
            other => return Err(unexpected(&other)),
        }
    }
    if names == ["kernel"] {
        let files = BootFiles::make()?;
        return (seed..seed + seeds).try_for_each(|seed| play(&files, seed, cases, cpus));
    }
    let mut chosen = packages()?;
    chosen.retain(|package| {
        has_properties(package) && (names.is_empty() || names.contains(&package.name))
    });
    if chosen.is_empty() {
        bail!("no package of that name has property tests");
    }
    let mut command = cargo();
    command
        .env("PROPTEST_CASES", cases.to_string())
        .args(["test", "--no-fail-fast"]);
    for package in &chosen {
        command.args(["--package", &package.name]);
    }
    run_command(&mut command)
}

/// Whether the package's tests use proptest.
/// Has one seed of random system calls played in a guest.
fn play(files: &BootFiles, seed: u64, calls: u32, cpus: u32) -> Result<()> {
    let options = Options {
        cpus,
        command_line: format!("selftest=fuzz:{seed}:{calls}"),
        nic: Nic::None,
        name: Some(format!("fuzz-{cpus}-{seed}")),
        ..Options::default()
    };
    let (_machine, mut serial) = Machine::boot(&options, files)?;
    let deadline = Deadline::after_seconds(SEED_SECONDS);
    let ended = serial.expect("selftest: ", deadline);
    let transcript = serial.transcript();
    let verdict = transcript
        .lines()
        .find(|line| line.starts_with("test fuzz:"));
    println!("{}", verdict.unwrap_or("the guest gave no verdict"));
    ended?;
    if verdict.is_some_and(|line| line.ends_with("... ok")) {
        return Ok(());
    }
    bail!(
        "repeat it with: cargo xtask fuzz kernel --seed {seed} --seeds 1 --cases {calls} --cpus {cpus}"
    )
}

fn has_properties(package: &Package) -> bool {
    fs::read_to_string(package.folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.contains("proptest"))
}
