//! The tests that run inside the guest: the program `selftest`, started instead of the shell.
//!
//! The kernel's command line `selftest` (and `selftest=TEXT` for the tests whose names contain TEXT) makes init start it.
//! On the serial console it prints `test NAME ... ok` or `test NAME ... FAILED: REASON` for each test, and at the end
//! `selftest: N passed, N failed`.

use crate::deadline::Deadline;
use crate::guest_image::BootFiles;
use crate::machine::{Machine, Nic, Options};
use crate::tally::Tally;
use anyhow::Result;

/// How long the suite may take, on each number of processors.
const SUITE_SECONDS: u64 = 240;

/// Runs the suite on one processor, on two and on four.
pub fn run(tally: &mut Tally, files: &BootFiles, filter: Option<&str>) -> Result<()> {
    for cpus in [1, 2, 4] {
        let title = format!("the suite inside the guest ends on {cpus} CPUs");
        let repeat = |name: &str| format!("cargo xtask test guest --filter '{name}'");
        let mut lines = Vec::new();
        tally.step(&title, "cargo xtask test guest", || {
            suite(files, cpus, filter, &mut lines)
        });
        for line in lines {
            let line = line.replacen("test ", &format!("test {cpus} CPUs: "), 1);
            println!("{line}");
            tally.count_line(&line, &repeat);
        }
    }
    Ok(())
}

fn suite(
    files: &BootFiles,
    cpus: u32,
    filter: Option<&str>,
    lines: &mut Vec<String>,
) -> Result<()> {
    let command_line =
        filter.map_or_else(|| "selftest".into(), |filter| format!("selftest={filter}"));
    let options = Options {
        cpus,
        command_line,
        nic: Nic::None,
        name: Some(format!("selftest-{cpus}")),
        ..Options::default()
    };
    let (_machine, mut serial) = Machine::boot(&options, files)?;
    let deadline = Deadline::after_seconds(SUITE_SECONDS);
    let ended = serial
        .expect("selftest: ", deadline)
        .and_then(|_| serial.expect("failed", deadline));
    lines.extend(
        serial
            .transcript()
            .lines()
            .filter(|line| line.starts_with("test "))
            .map(String::from),
    );
    ended.map(drop)
}
