//! `bench`: what operations cost, in instructions and switches of address spaces.
//!
//! The program `bench` runs inside the guest under `-icount`, where the time-stamp counter counts instructions, so that a
//! figure is the same in every run. The kernel's command line `bench` makes init start it; on the serial console it prints
//! `bench NAME INSTRUCTIONS SWITCHES` for each operation, `memory NAME BYTES` for what is in use, and `bench: done` at the end. It runs on one CPU, and once more on
//! two for what crosses CPUs.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::deadline::Deadline;
use crate::figures::Figures;
use crate::guest_image::BootFiles;
use crate::machine::options::Clock;
use crate::machine::{Machine, Nic, Options};
use crate::performance_page;
use crate::verbs::bench_pebble;
use crate::workspace::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;

/// The arguments, for the help.
pub const USAGE: &str = "\
[--json] [--check] [--update] [--no-build]
  --json       one array of {name, instructions, switches}
  --check      fail if an operation costs more than the committed figures allow
  --update     write the committed figures, and the table in docs/PERFORMANCE.md
  --no-build   measure what was built before
or: bench pebble [--rounds N] [--update] [--no-build] [PROGRAM]...
  the language beside Lua and CPython, on this machine
  --rounds N   how often each program runs in each language (5)
  --update     write the tables into docs/PERFORMANCE.md";

/// How long one run may take on the host.
const RUN_SECONDS: u64 = 300;

/// What to do with the figures.
#[derive(Default)]
struct Wishes {
    as_json: bool,
    is_checked: bool,
    is_updated: bool,
    is_built: bool,
}

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut wishes = Wishes::default();
    while let Some(argument) = arguments.take_next()? {
        match &argument {
            Argument::Option(option) if option == "json" => wishes.as_json = true,
            Argument::Option(option) if option == "check" => wishes.is_checked = true,
            Argument::Option(option) if option == "update" => wishes.is_updated = true,
            Argument::Option(option) if option == "no-build" => wishes.is_built = true,
            Argument::Word(word) if word == "pebble" => return bench_pebble::run(arguments),
            _ => return Err(unexpected(&argument)),
        }
    }
    let files = if wishes.is_built {
        BootFiles::built()
    } else {
        BootFiles::make()?
    };
    let figures = measure(&files)?;
    println!(
        "{}",
        if wishes.as_json {
            figures.to_json()
        } else {
            figures.to_table()
        }
    );
    if wishes.is_updated {
        fs::write(committed(), figures.to_json() + "\n")?;
        performance_page::write(&root(), &figures)?;
    }
    if wishes.is_checked {
        check(&figures)
    } else {
        Ok(())
    }
}

/// The committed figures.
fn committed() -> PathBuf {
    root().join("xtask/figures.json")
}

/// Compares with the committed figures.
pub fn check(figures: &Figures) -> Result<()> {
    let path = committed();
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let regressions = Figures::from_json(&text)?.regressions(figures);
    if !regressions.is_empty() {
        bail!(
            "{}\nif that is meant: cargo xtask bench --update",
            regressions.join("\n")
        );
    }
    Ok(())
}

/// Measures everything.
pub fn measure(files: &BootFiles) -> Result<Figures> {
    let mut figures = Figures::default();
    for cpus in [1, 2] {
        let run =
            measure_on(files, cpus).with_context(|| format!("the benchmarks on {cpus} CPUs"))?;
        figures.join(run)?;
    }
    Ok(figures)
}

fn measure_on(files: &BootFiles, cpus: u32) -> Result<Figures> {
    let options = Options {
        cpus,
        clock: Clock::Instructions,
        nic: Nic::None,
        command_line: "bench".into(),
        name: Some(format!("bench-{cpus}-{}", std::process::id())),
        ..Options::default()
    };
    let (_machine, mut serial) = Machine::boot(&options, files)?;
    let deadline = Deadline::after_seconds(RUN_SECONDS);
    let (end, _) = serial.expect_any(&["bench: done", "bench: failed: "], deadline)?;
    if end != 0 {
        serial.expect("\n", deadline)?;
        bail!("{}", serial.transcript());
    }
    Figures::from_transcript(&serial.transcript())
}
