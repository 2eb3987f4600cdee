//! What scenarios share: a guest with its console and its agentd, and checks that say what they saw.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use xtask::deadline::Deadline;
use xtask::guest_image::BootFiles;
use xtask::machine::{Agent, Machine, Options, Serial};

/// How long a boot may take: ten times what it takes on an idle host.
pub const BOOT_SECONDS: u64 = 60;
/// How long one command or one call may take.
pub const STEP_SECONDS: u64 = 30;

/// Records of the log that are shown with a failure.
const LAST_RECORDS: u64 = 60;

/// The deadline of one step.
pub fn step() -> Deadline {
    Deadline::after_seconds(STEP_SECONDS)
}

/// A booted guest. It ends when this is dropped.
pub struct Guest {
    /// Its machine.
    pub machine: Machine,
    /// Its console.
    pub serial: Serial,
}

impl Guest {
    /// Boots the system with two processors and a network card, and waits until it is ready.
    pub fn boot(name: &str) -> Result<Self> {
        Self::boot_with(name, Options::default())
    }

    /// Boots the system on a machine of the scenario's choice, and waits until it is ready.
    pub fn boot_with(name: &str, options: Options) -> Result<Self> {
        let mut guest = Self::start(name, options)?;
        guest
            .machine
            .wait_until_ready(Deadline::after_seconds(BOOT_SECONDS))?;
        guest.serial.expect_prompt(step())?;
        Ok(guest)
    }

    /// Starts a guest without waiting for anything.
    pub fn start(name: &str, options: Options) -> Result<Self> {
        Self::start_with(name, options, &BootFiles::built())
    }

    /// Starts a guest from other files than those that were built.
    pub fn start_with(name: &str, options: Options, files: &BootFiles) -> Result<Self> {
        let options = Options {
            name: Some(format!("scenario-{name}")),
            ..options
        };
        let (machine, serial) = Machine::boot(&options, files)?;
        Ok(Self { machine, serial })
    }

    /// Types a command at the prompt and returns what it printed.
    pub fn shell(&mut self, command: &str) -> Result<String> {
        self.serial
            .run(command, step())
            .with_context(|| format!("shell: {command}"))
    }

    /// A new connection to agentd, logged in with everything allowed.
    pub fn agent(&self) -> Result<Agent> {
        self.machine.agent(step())
    }

    /// A new connection to agentd on which nobody is logged in.
    pub fn stranger(&self) -> Result<Agent> {
        Agent::connect(self.machine.agentd_port()?, step())
    }

    /// The token's file.
    pub fn token_file(&self) -> &Path {
        &self.machine.record().token_file
    }

    /// Runs what a scenario is about; if it fails, the error comes with the end of the log.
    pub fn witness<T>(&mut self, scenario: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        scenario(self).map_err(|error| {
            // Over the console: the network may be what failed.
            let log = self
                .serial
                .send(b"\x03\r")
                .and_then(|()| self.serial.expect_prompt(step()))
                .and_then(|_| self.shell(&format!("log -n {LAST_RECORDS}")));
            match log {
                Ok(log) => error.context(format!("the end of the log:\n{log}")),
                Err(silence) => error.context(format!("and the log can't be read: {silence:#}")),
            }
        })
    }

    /// Whether the shell still answers: what every fault must leave alone.
    pub fn expect_alive(&mut self) -> Result<()> {
        expect_equal(
            "echo",
            self.shell("echo still here")?.trim_end(),
            "still here",
        )
    }
}

/// Calls with the usual deadline.
pub trait Call {
    /// Calls a method that must succeed.
    fn ask(&mut self, method: &str, params: Value) -> Result<Value>;
    /// Calls a method that must be refused with `code`; returns `error.data`.
    fn must_refuse(&mut self, code: i64, method: &str, params: Value) -> Result<Value>;
    /// Writes a file.
    fn write_file(&mut self, path: &str, text: &str) -> Result<()>;
}

impl Call for Agent {
    fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.call(method, params, step())
    }

    fn must_refuse(&mut self, code: i64, method: &str, params: Value) -> Result<Value> {
        let error = self.refused(method, params, step())?;
        if error.code != code {
            bail!("{method} is refused with {error}, not with {code}");
        }
        for member in ["kind", "retryable"] {
            if error.data.get(member).is_none() {
                bail!("{method}: error.data has no {member:?}: {error}");
            }
        }
        Ok(error.data)
    }

    fn write_file(&mut self, path: &str, text: &str) -> Result<()> {
        self.ask("fs.write", json!({ "path": path, "data": text }))
            .map(drop)
    }
}

/// Checks that two things are the same, and says which they are if not.
pub fn expect_equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    what: &str,
    found: T,
    wanted: U,
) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        bail!("{what}: found {found:?}, expected {wanted:?}")
    }
}

/// Checks that `text` contains `wanted`.
pub fn expect_contains(what: &str, text: &str, wanted: &str) -> Result<()> {
    if text.contains(wanted) {
        Ok(())
    } else {
        bail!("{what}: no {wanted:?} in:\n{text}")
    }
}

/// The number at `pointer` of a result.
pub fn number(value: &Value, pointer: &str) -> Result<u64> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .with_context(|| format!("no number at {pointer} of {value}"))
}

/// The text at `pointer` of a result.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no text at {pointer} of {value}"))
}

/// The array at `pointer` of a result.
pub fn array<'a>(value: &'a Value, pointer: &str) -> Result<&'a [Value]> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found
        .map(Vec::as_slice)
        .with_context(|| format!("no array at {pointer} of {value}"))
}
