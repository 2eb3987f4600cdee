//! The shell on a terminal: from boot to its prompt, and from Enter to the next one.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::RefCell;

use libipc::{Boot, StartError};
use protocols::process::{self, Limits, SpawnRequest, Streams};
use protocols::terminal;

use crate::Bench;
use crate::busy::least;
use crate::calls::patience;
use crate::footprint;
use crate::line::Line;

/// What the shell writes when it waits for a command.
const PROMPT: &str = "pebble-os:/> ";
/// The program.
const SHELL: &str = "/system/shell.peb";
/// A command, and what of it shows that the terminal has taken all of it.
const COMMAND: &str = "echo hello";

/// A shell that waits for a command.
pub struct Shell {
    line: Line,
    processes: process::Client,
}

impl Shell {
    /// Starts a shell on a terminal of its own and waits for its prompt.
    pub fn start(boot: &mut Boot) -> Result<Self, StartError> {
        let mut line = Line::open(boot.endpoint("service")?)?;
        let terminal = terminal::Client::adopt(boot.service("bench-terminal")?);
        let opened = terminal
            .open(patience(), 0)
            .map_err(|error| StartError::Other(format!("the terminal does not open: {error}")))?;
        let processes = process::Client::adopt(boot.service("process")?);
        let request = SpawnRequest {
            program: SHELL.into(),
            arguments: Vec::new(),
            // Without colours, so that the prompt is what it is looked for as.
            environment: [("PATH", "/system/bin"), ("PEBBLE_COLOR", "0")]
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .into(),
            cwd: "/".into(),
            limits: Limits::default(),
            group: None,
            source: None,
            modules: None,
        };
        let streams = Streams {
            input: opened.output.duplicate()?,
            output: opened.output,
            error: opened.error,
            terminal: Some(opened.terminal),
            report: None,
        };
        processes
            .spawn(patience(), request, streams)
            .map_err(|error| StartError::Other(format!("the shell does not start: {error}")))?;
        line.wait_for(PROMPT)?;
        Ok(Self { line, processes })
    }
}

/// Measures a command from Enter to the next prompt: shell, process manager, interpreter, terminal, without the driver of the serial line.
pub fn measure(bench: &mut Bench, shell: Shell) -> Result<(), StartError> {
    footprint::measure(bench, &shell.processes)?;
    let line = RefCell::new(shell.line);
    let cost = least(
        &bench.services,
        || {
            let mut line = line.borrow_mut();
            line.type_in(COMMAND)?;
            line.wait_for(COMMAND)
        },
        || {
            let mut line = line.borrow_mut();
            line.type_in("\r")?;
            line.wait_for(PROMPT)
        },
    )?;
    bench.report("pebble_echo", cost);
    Ok(())
}
