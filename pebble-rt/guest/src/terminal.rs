//! The operations of the family `term`, and lines of input.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use libipc::CallError;
use pebble_rt::modules::errno;
use pebble_rt::system::{Answer, Data, Request, SystemError, Token};
use protocols::terminal::{Error, Mode};

use crate::errors::{of_call, of_terminal};
use crate::files::{Wanted, fetch};
use crate::guest::Guest;
use crate::operations::{Done, Outcome, integer, now, record, text};

/// The size of a terminal that nobody has.
const DEFAULT_SIZE: (i64, i64) = (24, 80);

/// Handles a request of the family.
pub fn handle(guest: &mut Guest, request: &Request) -> Outcome {
    match request.operation {
        "size" => {
            let (rows, columns) = state(guest)?.map_or(DEFAULT_SIZE, |state| {
                (i64::from(state.rows), i64::from(state.columns))
            });
            now(Data::List(vec![Data::Number(rows), Data::Number(columns)]))
        }
        "state" => terminal_state(guest),
        "flush" => {
            guest.descriptors.output.flush()?;
            now(Data::None)
        }
        "set_mode" => {
            if let Some(terminal) = &guest.services.terminal {
                let mode = if text(request, 0)? == "raw" {
                    Mode::Raw
                } else {
                    Mode::Cooked
                };
                terminal
                    .set_mode(Guest::soon(), mode)
                    .map_err(|error| of_call(error, of_terminal))?;
            }
            now(Data::None)
        }
        "read_key" => read_key(guest, integer(request, 0)?),
        _ => Err(SystemError::unknown(request)),
    }
}

fn state(guest: &Guest) -> Result<Option<protocols::terminal::State>, SystemError> {
    let Some(terminal) = &guest.services.terminal else {
        return Ok(None);
    };
    terminal
        .state(Guest::soon())
        .map(Some)
        .map_err(|error| of_call(error, of_terminal))
}

fn terminal_state(guest: &mut Guest) -> Outcome {
    let found = state(guest)?;
    let is_raw = found.as_ref().is_some_and(|state| state.mode == Mode::Raw);
    let (rows, columns) = found.as_ref().map_or(DEFAULT_SIZE, |state| {
        (i64::from(state.rows), i64::from(state.columns))
    });
    let owner = found
        .as_ref()
        .map_or(0, |state| i64::from(state.foreground));
    now(record([
        ("owner_pgid", Data::Number(owner)),
        (
            "mode",
            Data::Text(if is_raw { "raw" } else { "cooked" }.into()),
        ),
        ("interactive", Data::Number(i64::from(found.is_some()))),
        ("foreground_raw", Data::Number(i64::from(is_raw))),
        ("rows", Data::Number(rows)),
        ("cols", Data::Number(columns)),
    ]))
}

fn read_key(guest: &mut Guest, milliseconds: i64) -> Outcome {
    let reads_terminal = guest.reads_terminal();
    let Some(terminal) = guest.services.terminal.as_ref().filter(|_| reads_terminal) else {
        let name = if milliseconds < 0 {
            "term_read_key"
        } else {
            "term_read_key_timeout"
        };
        return Err(SystemError::new(
            errno::IO,
            format!("{name}() requires an interactive terminal"),
        ));
    };
    guest.descriptors.output.flush()?;
    let timeout = u32::try_from(milliseconds).unwrap_or(u32::MAX);
    let pending = terminal
        .start_read_key(&guest.calls, Guest::late(), guest.last_input, timeout)
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    let token = guest.token();
    guest.when_done(pending, move |guest, result| {
        let answer = match result {
            Ok(key) => {
                guest.last_input = guest.last_input.max(key.sequence);
                Ok(Data::Text(key.name))
            }
            Err(error) => Err(of_call(error, of_terminal)),
        };
        Some((token, answer))
    });
    Ok(Done::Later(token))
}

/// A line of input, with the prompt before it: edited by the terminal if there is one, else from the input stream.
pub fn read_line(guest: &mut Guest, prompt: &str) -> Outcome {
    guest.descriptors.output.flush()?;
    let token = guest.token();
    if guest.reads_terminal() {
        ask_line(guest, token, String::from(prompt))?;
        return Ok(Done::Later(token));
    }
    guest.descriptors.output.write(prompt.as_bytes())?;
    guest.descriptors.output.flush()?;
    let input = guest.descriptors.input.clone();
    fetch(guest, token, input, Wanted::Line)?;
    Ok(Done::Later(token))
}

fn ask_line(guest: &mut Guest, token: Token, prompt: String) -> Result<(), SystemError> {
    let Some(terminal) = &guest.services.terminal else {
        return Err(SystemError::new(errno::IO, "no terminal"));
    };
    let pending = terminal
        .start_read_line(&guest.calls, Guest::late(), prompt, guest.last_input, true)
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    guest.when_done(pending, move |guest, result| {
        line_came(guest, token, result).map(|answer| (token, answer))
    });
    Ok(())
}

fn line_came(
    guest: &mut Guest,
    token: Token,
    result: Result<protocols::terminal::Line, CallError<Error>>,
) -> Option<Answer> {
    match result {
        Ok(line) => {
            guest.last_input = guest.last_input.max(line.sequence);
            Some(Ok(if line.end {
                Data::None
            } else {
                Data::Text(line.text)
            }))
        }
        // Ctrl-C drops the line: whoever reads gets an empty one.
        Err(CallError::Method(Error::Interrupted)) => Some(Ok(Data::Text(String::new()))),
        Err(CallError::Failed(libipc::Failure::DeadlinePassed { .. })) => {
            ask_line(guest, token, String::new()).err().map(Err)
        }
        Err(error) => Some(Err(of_call(error, of_terminal))),
    }
}
