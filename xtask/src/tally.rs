//! Counting tests, whoever ran them: everything that tests prints lines `test NAME ... ok` or `test NAME ... FAILED`.

use crate::command::display;
use anyhow::{Context, Result};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

/// A test that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Its name.
    pub name: String,
    /// The command that runs it again.
    pub repeat: String,
}

/// How many tests passed, and which did not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    passed: u64,
    failures: Vec<Failure>,
}

impl Tally {
    /// Counts a test that passed.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// Counts a test that failed.
    pub fn fail(&mut self, name: impl Into<String>, repeat: impl Into<String>) {
        self.failures.push(Failure {
            name: name.into(),
            repeat: repeat.into(),
        });
    }

    /// Whether nothing failed so far.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Runs a step that is a test as a whole, and prints its line.
    pub fn step(&mut self, name: &str, repeat: &str, step: impl FnOnce() -> Result<()>) {
        match step() {
            Ok(()) => {
                self.pass();
                println!("test {name} ... ok");
            }
            Err(error) => {
                self.fail(name, repeat);
                println!("{error:#}\ntest {name} ... FAILED");
            }
        }
    }

    /// Runs `command`, shows what it prints and counts the tests in it. `repeat` makes the command that runs a test again
    /// from its name. A command that fails without a failed test counts as one that is called `name`.
    pub fn run(
        &mut self,
        name: &str,
        command: &mut Command,
        repeat: impl Fn(&str) -> String,
    ) -> Result<()> {
        let shown = display(command);
        eprintln!("$ {shown}");
        let failures_before = self.failures.len();
        let status = self
            .stream(command, &repeat)
            .with_context(|| shown.clone())?;
        if !status.success() && self.failures.len() == failures_before {
            self.fail(name, shown);
        }
        Ok(())
    }

    fn stream(
        &mut self,
        command: &mut Command,
        repeat: &dyn Fn(&str) -> String,
    ) -> Result<ExitStatus> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start")?;
        let output = child.stdout.take().context("its output is piped")?;
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.count_line(&line, repeat);
        }
        Ok(child.wait()?)
    }

    /// Counts what one line says. A test that was left out has not passed.
    pub fn count_line(&mut self, line: &str, repeat: &dyn Fn(&str) -> String) {
        match parse_line(line) {
            Some((_, Outcome::Passed)) => self.pass(),
            Some((name, Outcome::Failed)) => self.fail(name, repeat(name)),
            None => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.failures.is_empty() {
            writeln!(out, "failed:")?;
        }
        for failure in &self.failures {
            writeln!(
                out,
                "  {}\n    again with: {}",
                failure.name, failure.repeat
            )?;
        }
        write!(
            out,
            "{} passed, {} failed",
            self.passed,
            self.failures.len()
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Passed,
    Failed,
}

fn parse_line(line: &str) -> Option<(&str, Outcome)> {
    let (name, outcome) = line
        .trim_end()
        .strip_prefix("test ")?
        .rsplit_once(" ... ")?;
    // Documentation tests add what kind they are: `(line 7) - compile fail`.
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    let word = outcome.split([' ', ':', ',']).next()?;
    match word {
        "ok" => Some((name, Outcome::Passed)),
        "FAILED" | "ignored" => Some((name, Outcome::Failed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines
            .iter()
            .for_each(|line| tally.count_line(line, &|name| format!("again {name}")));
        tally
    }

    #[test]
    fn lines_of_every_runner_are_counted() {
        let tally = tally(&[
            "running 3 tests",
            "test machine::a_name ... ok",
            "test the guest boots ... ok (3.1 s)",
            "test shell: echo ... FAILED: no prompt",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored",
        ]);
        assert_eq!(
            tally.to_string(),
            "failed:\n  shell: echo\n    again with: again shell: echo\n2 passed, 1 failed"
        );
    }

    #[test]
    fn a_test_that_is_left_out_has_failed() {
        assert!(!tally(&["test slow ... ignored, takes long"]).is_clean());
    }

    #[test]
    fn a_command_that_fails_without_a_failed_test_is_a_failure() {
        let mut tally = Tally::default();
        tally
            .run(
                "build",
                Command::new("sh").args(["-c", "echo test a ... ok; exit 1"]),
                |_| String::new(),
            )
            .expect("sh exists");
        assert_eq!(tally.failures.len(), 1);
        assert_eq!(tally.failures[0].name, "build");
    }

    #[test]
    fn a_failed_test_is_counted_once_although_its_command_fails_too() {
        let mut tally = Tally::default();
        let mut command = Command::new("sh");
        command.args(["-c", "echo test a ... FAILED; exit 1"]);
        tally
            .run("all", &mut command, |name| name.into())
            .expect("sh exists");
        assert_eq!(tally.failures.len(), 1);
    }
}
