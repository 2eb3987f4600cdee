//! `test`: everything that can fail, counted.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::command::run as run_command;
use crate::doctor::{Need, ensure};
use crate::guest_build::{Action, build_all};
use crate::guest_image::{BootFiles, manifests};
use crate::guest_suite;
use crate::protocol_pages;
use crate::tally::Tally;
use crate::verbs::{sizes, spec_coverage};
use crate::workspace::{cargo, packages, root};
use anyhow::{Result, bail};

/// The arguments, for the help.
pub const USAGE: &str = "\
[PART]... [--filter TEXT]
  PART            style, host, guest or scenarios (all of them, in this order)
  --filter TEXT   only tests whose names contain it";

/// Which kinds of tests to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    style: bool,
    host: bool,
    guest: bool,
    scenarios: bool,
}

impl Parts {
    /// All of them.
    pub const ALL: Self = Self {
        style: true,
        host: true,
        guest: true,
        scenarios: true,
    };
    const NONE: Self = Self {
        style: false,
        host: false,
        guest: false,
        scenarios: false,
    };

    fn add(&mut self, name: &str) -> Result<()> {
        match name {
            "style" => self.style = true,
            "host" => self.host = true,
            "guest" => self.guest = true,
            "scenarios" => self.scenarios = true,
            _ => bail!("no tests are called {name:?}: choose style, host, guest or scenarios"),
        }
        Ok(())
    }
}

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut parts = Parts::NONE;
    let mut filter = None;
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "filter" => filter = Some(arguments.value()?),
            Argument::Word(word) => parts.add(&word)?,
            other => return Err(unexpected(&other)),
        }
    }
    run_parts(
        if parts == Parts::NONE {
            Parts::ALL
        } else {
            parts
        },
        filter.as_deref(),
    )
}

/// Runs the chosen tests. The last line says how many passed and failed; a failure is an error.
pub fn run_parts(parts: Parts, filter: Option<&str>) -> Result<()> {
    let mut tally = Tally::default();
    if parts.style && filter.is_none() {
        style(&mut tally);
        documents(&mut tally);
    }
    if parts.host {
        host(&mut tally, filter)?;
    }
    if parts.guest || parts.scenarios {
        booted(&mut tally, parts, filter)?;
    }
    let is_clean = tally.is_clean();
    println!("\n{tally}");
    // The count stays the last line: the exit status says the rest.
    if is_clean {
        Ok(())
    } else {
        std::process::exit(1)
    }
}

fn style(tally: &mut Tally) {
    tally.step(
        "style: the code is formatted",
        "cargo fmt --all --check",
        || {
            ensure(&[Need::Formatter])?;
            run_command(cargo().args(["fmt", "--all", "--check"]))
        },
    );
    tally.step(
        "style: clippy is content with what runs on the host",
        "cargo clippy --workspace --all-targets",
        || {
            ensure(&[Need::Clippy])?;
            run_command(cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--keep-going",
                "--",
                "--deny",
                "warnings",
            ]))
        },
    );
    tally.step(
        "style: clippy is content with what runs in the guest",
        "cargo xtask build --lint",
        || {
            ensure(&[Need::Clippy])?;
            build_all(Action::Lint).map(drop)
        },
    );
}

/// What the documents say must be what the code says.
fn documents(tally: &mut Tally) {
    tally.step(
        "style: the pages of the protocols are what the sources say",
        "cargo xtask docs --pages",
        || protocol_pages::check(&root()),
    );
    tally.step(
        "style: every paragraph and error of Pebble's definition has its program",
        "cargo xtask spec-coverage",
        spec_coverage::check,
    );
    tally.step(
        "style: the kernel does not grow",
        "cargo xtask sizes",
        || {
            let lines = sizes::kernel_lines()?;
            println!(
                "kernel: {lines} lines of code; the goal is {}",
                sizes::KERNEL_LINES
            );
            if lines > sizes::KERNEL_CEILING {
                bail!("more than {} lines", sizes::KERNEL_CEILING)
            }
            Ok(())
        },
    );
    tally.step(
        "style: every service of the manifests has its program",
        "cargo xtask image",
        || {
            let packages = packages()?;
            let programs: Vec<&String> = packages
                .iter()
                .flat_map(|package| &package.guest_programs)
                .collect();
            for manifest in manifests()? {
                if !programs
                    .iter()
                    .any(|program| *program == manifest.program())
                {
                    bail!(
                        "nothing builds {}, which {} wants",
                        manifest.program(),
                        manifest.name
                    );
                }
            }
            Ok(())
        },
    );
}

fn host(tally: &mut Tally, filter: Option<&str>) -> Result<()> {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast", "--"])
        .args(filter);
    tally.run("the host tests build and run", &mut command, |name| {
        let name = name.split(" - ").next().unwrap_or(name);
        format!("cargo test --workspace -- {name}")
    })
}

fn booted(tally: &mut Tally, parts: Parts, filter: Option<&str>) -> Result<()> {
    let mut files = None;
    tally.step("the boot image is built", "cargo xtask image", || {
        files = Some(BootFiles::make()?);
        Ok(())
    });
    let Some(files) = files else { return Ok(()) };
    if parts.guest {
        guest_suite::run(tally, &files, filter)?;
    }
    if parts.scenarios {
        let mut command = cargo();
        command
            .args([
                "run",
                "--quiet",
                "--package",
                "xtask",
                "--bin",
                "scenarios",
                "--",
            ])
            .args(filter);
        tally.run("the scenarios run", &mut command, |name| {
            format!("cargo xtask test scenarios --filter '{name}'")
        })?;
    }
    Ok(())
}
