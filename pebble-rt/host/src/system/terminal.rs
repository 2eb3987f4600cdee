//! The operations of the family `term`, and the modes of the terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, SystemError};
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

use super::HostSystem;
use super::keys;
use super::operations::{Done, Outcome, integer, now, text};

/// The size of a terminal that does not say.
const DEFAULT_SIZE: (i64, i64) = (24, 80);

/// The mode of the command's terminal.
#[derive(Debug, Default)]
pub struct Mode {
    cooked: Option<Termios>,
    owner: i64,
}

impl Mode {
    /// Whether keys come one by one, without echo.
    pub fn is_raw(&self) -> bool {
        self.cooked.is_some()
    }

    /// Switches to raw for a process: until it reads a line, ends or is detached.
    pub fn enter_raw(&mut self, pid: i64) -> Result<(), SystemError> {
        self.owner = pid;
        if self.is_raw() {
            return Ok(());
        }
        let failed = |_| SystemError::new(errno::IO, "the terminal cannot be set");
        let stdin = rustix::stdio::stdin();
        let before = termios::tcgetattr(stdin).map_err(failed)?;
        let mut raw = before.clone();
        // Ctrl-C still interrupts; Enter stays apart from Ctrl-J, and Ctrl-O and Ctrl-S are keys like others.
        raw.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
        raw.input_modes
            .remove(termios::InputModes::ICRNL | termios::InputModes::IXON);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(stdin, OptionalActions::Drain, &raw).map_err(failed)?;
        self.cooked = Some(before);
        Ok(())
    }

    /// Switches back, if `pid` is who asked for raw.
    pub fn leave_raw(&mut self, pid: i64) {
        if self.owner != pid {
            return;
        }
        if let Some(before) = self.cooked.take() {
            let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &before);
        }
    }
}

/// Handles a request of the family.
pub fn handle(system: &mut HostSystem, request: &Request) -> Outcome {
    match request.operation {
        "size" => {
            let (rows, columns) = size();
            now(Data::List(vec![Data::Number(rows), Data::Number(columns)]))
        }
        "state" => now(state(system)),
        "flush" => {
            system.streams.output.flush()?;
            now(Data::None)
        }
        "set_mode" => set_mode(system, request),
        "read_key" => read_key(system, request),
        _ => Err(SystemError::unknown(request)),
    }
}

fn size() -> (i64, i64) {
    if !std::io::stdout().is_terminal() {
        return DEFAULT_SIZE;
    }
    match termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            (i64::from(size.ws_row), i64::from(size.ws_col))
        }
        _ => DEFAULT_SIZE,
    }
}

fn is_interactive(system: &HostSystem) -> bool {
    system.streams.input.is_terminal() && system.machine.is_foreground(system.pid)
}

fn state(system: &HostSystem) -> Data {
    let (rows, columns) = size();
    let is_raw = system.machine.is_raw();
    let interactive = is_interactive(system);
    Data::Record(vec![
        (
            "owner_pgid".into(),
            Data::Number(system.machine.foreground()),
        ),
        (
            "mode".into(),
            Data::Text(if is_raw { "raw" } else { "cooked" }.into()),
        ),
        ("interactive".into(), Data::Number(i64::from(interactive))),
        ("foreground_raw".into(), Data::Number(i64::from(is_raw))),
        ("rows".into(), Data::Number(rows)),
        ("cols".into(), Data::Number(columns)),
    ])
}

fn set_mode(system: &mut HostSystem, request: &Request) -> Outcome {
    if !is_interactive(system) {
        return now(Data::None);
    }
    if text(request, 0)? == "raw" {
        system.machine.enter_raw_mode(system.pid)?;
    } else {
        system.machine.leave_raw_mode(system.pid);
    }
    now(Data::None)
}

fn read_key(system: &mut HostSystem, request: &Request) -> Outcome {
    let milliseconds = integer(request, 0)?;
    if !is_interactive(system) {
        let name = if milliseconds < 0 {
            "term_read_key"
        } else {
            "term_read_key_timeout"
        };
        return Err(SystemError::new(
            errno::IO,
            format!("{name}() requires an interactive terminal"),
        ));
    }
    system.streams.output.flush()?;
    system.machine.enter_raw_mode(system.pid)?;
    let input = system.streams.input.clone();
    let limit = u64::try_from(milliseconds).ok().map(Duration::from_millis);
    let started = Instant::now();
    Ok(Done::Later(system.on_thread(move || {
        loop {
            let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
            let Some(first) = input.byte(left) else {
                if input.is_ended() {
                    return Err(SystemError::new(errno::IO, "the terminal has been closed"));
                }
                if limit.is_some() {
                    return Ok(Data::Text(String::new()));
                }
                continue;
            };
            if let Some(key) = keys::decode(first, &mut |wait| input.byte(Some(wait))) {
                return Ok(Data::Text(key));
            }
        }
    })))
}
