//! What the families' handlers share: reading arguments, and answers now or later. Also input and the clock, which are
//! small.

use std::time::{SystemTime, UNIX_EPOCH};

use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, Started, SystemError};

use super::{HostSystem, InputRead};

/// How a request was handled.
pub enum Done {
    /// Here is the answer.
    Now(Data),
    /// It comes later.
    Later(Started),
}

/// What a handler returns.
pub type Outcome = Result<Done, SystemError>;

/// An answer at once.
pub fn now(data: Data) -> Outcome {
    Ok(Done::Now(data))
}

fn wrong(request: &Request, index: usize, what: &str) -> SystemError {
    SystemError::new(
        errno::INVAL,
        format!(
            "{}() expects {what} as argument {}",
            request.operation,
            index + 1
        ),
    )
}

/// A text argument.
pub fn text(request: &Request, index: usize) -> Result<&str, SystemError> {
    match request.arguments.get(index) {
        Some(Data::Text(text)) => Ok(text),
        _ => Err(wrong(request, index, "a string")),
    }
}

/// A storage name, checked: without empty, dotted or NUL parts, whatever the engine sent.
pub fn name_of(request: &Request, index: usize) -> Result<&str, SystemError> {
    let name = text(request, index)?;
    let is_plain = name.is_empty() || name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if is_plain && !name.contains(['\0', '\\']) {
        return Ok(name);
    }
    Err(SystemError::new(errno::INVAL, "invalid file name"))
}

/// An integer argument.
pub fn integer(request: &Request, index: usize) -> Result<i64, SystemError> {
    match request.arguments.get(index) {
        Some(Data::Number(number)) => Ok(*number),
        _ => Err(wrong(request, index, "an integer")),
    }
}

/// A bytes argument; a text counts as its UTF-8.
pub fn bytes(request: &Request, index: usize) -> Result<&[u8], SystemError> {
    match request.arguments.get(index) {
        Some(Data::Bytes(bytes)) => Ok(bytes),
        Some(Data::Text(text)) => Ok(text.as_bytes()),
        _ => Err(wrong(request, index, "bytes")),
    }
}

/// Milliseconds since 1970.
pub fn wall_clock_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The operations of the family `clock`.
pub fn clock(system: &mut HostSystem, request: &Request) -> Outcome {
    match request.operation {
        "now" => now(Data::Number(wall_clock_ms())),
        "sleep" => {
            let milliseconds = u64::try_from(integer(request, 0)?).unwrap_or(0);
            Ok(Done::Later(system.after(milliseconds)))
        }
        _ => Err(SystemError::unknown(request)),
    }
}

/// One line of the program's input, with the prompt before it.
pub fn read_input(system: &mut HostSystem, prompt: &str) -> Started {
    if !prompt.is_empty()
        && let Err(error) = system.streams.output.write(prompt.as_bytes())
    {
        return Started::Ready(Err(error));
    }
    let _ = system.streams.output.flush();
    system.machine.leave_raw_mode(system.pid);
    if let Some(answer) = system.kept_input.take() {
        return Started::Ready(answer);
    }
    if let Some(read) = system.input_read.as_mut().filter(|read| read.is_abandoned) {
        read.is_abandoned = false;
        return Started::Pending(read.token);
    }
    let input = system.streams.input.clone();
    let as_data = |line: Option<Vec<u8>>| {
        line.map_or(Data::None, |line| {
            Data::Text(String::from_utf8_lossy(&line).into_owned())
        })
    };
    match input.try_line() {
        Some(line) => Started::Ready(Ok(as_data(line))),
        None => {
            let started = system.on_thread(move || Ok(as_data(input.line())));
            if let (Started::Pending(token), None) = (&started, system.input_read) {
                system.input_read = Some(InputRead {
                    token: *token,
                    is_abandoned: false,
                });
            }
            started
        }
    }
}
