//! `fuzz`: the property tests, with many more cases than an ordinary test run has time for.
//!
//! A failing case is printed with its seed and kept by proptest beside the test (`proptest-regressions`), from where every
//! later run tries it first.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::command::run as run_command;
use crate::workspace::{Package, cargo, packages};
use anyhow::{Result, bail};
use std::fs;

/// The arguments, for the help.
pub const USAGE: &str = "\
[PACKAGE]... [--cases N]
  PACKAGE     whose tests (all that have property tests)
  --cases N   cases for each property (20000)";

/// Cases for each property if nobody says.
const CASES: u32 = 20_000;

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let (mut names, mut cases) = (Vec::new(), CASES);
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "cases" => cases = arguments.parsed()?,
            Argument::Word(word) => names.push(word),
            other => return Err(unexpected(&other)),
        }
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
fn has_properties(package: &Package) -> bool {
    fs::read_to_string(package.folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.contains("proptest"))
}
