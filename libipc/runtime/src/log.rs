//! The process's own log ring: written here, drained by logd. Nobody ever waits for logd: what does not fit is dropped and counted.
//!
//! `info!("link up at {speed} Mbit/s")`, or with named values `warn!("reset"; "device" => address, "took_ms" => took)`.

pub mod ring;
#[cfg(test)]
mod tests;

#[cfg(target_os = "none")]
use crate::object::Mapping;
use crate::sync::Lock;
use crate::time::Instant;
use core::fmt::{self, Write};
use ring::Writer;

/// How much a record matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    /// What was lost.
    Error = 0,
    /// What was survived.
    Warn = 1,
    /// A change of state.
    Info = 2,
    /// For whoever works on the program.
    Debug = 3,
    /// More than anybody wants to read.
    Trace = 4,
}

impl Level {
    /// The level with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Error,
            1 => Self::Warn,
            2 => Self::Info,
            3 => Self::Debug,
            4 => Self::Trace,
            _ => return None,
        })
    }
}

static LOG: Lock<Option<Writer>> = Lock::new(None);

#[cfg(target_os = "none")]
/// Starts logging into a ring. Called at process start; init, which nobody gives a ring, calls it with one of its own.
pub fn start(memory: Mapping) {
    *LOG.lock() = Writer::new(memory);
}

/// Writes a record: one line of text, and named values.
pub fn record(level: Level, text: fmt::Arguments<'_>, values: &[(&str, &dyn fmt::Display)]) {
    // A record written while one is being written (by a Display that logs) is dropped rather than waited for.
    let Some(mut log) = LOG.try_lock() else {
        return;
    };
    let Some(writer) = log.as_mut() else {
        #[cfg(not(target_os = "none"))]
        std::eprintln!("{level:?}: {text}");
        return;
    };
    let mut line = Line::new();
    // A Display that fails leaves what it wrote so far.
    let _ = line.write_fmt(text);
    let text_length = line.used;
    let mut count = 0;
    for (name, value) in values.iter().take(ring::MAX_VALUES) {
        line.value(name, *value);
        count += 1;
    }
    let (text, values) = line.bytes[..line.used].split_at(text_length);
    writer.write(level, Instant::now(), text, values, count);
}

/// Records dropped because the ring was full.
pub fn dropped() -> u64 {
    LOG.try_lock()
        .and_then(|log| log.as_ref().map(Writer::dropped))
        .unwrap_or(0)
}

/// Puts the reason of this process's end where the supervisor finds it.
pub(crate) fn last_words(text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    // The thread that holds the lock may be the one that panics: then the text still reaches the fault report, but not the ring.
    if let Some(log) = LOG.try_lock()
        && let Some(writer) = log.as_ref()
    {
        writer.last_words(&line.bytes[..line.used]);
    }
}

/// A record while it is put together.
struct Line {
    bytes: [u8; ring::MAX_RECORD_BYTES],
    used: usize,
}

impl Line {
    fn new() -> Self {
        Self {
            bytes: [0; ring::MAX_RECORD_BYTES],
            used: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self.bytes.len() - self.used;
        let count = bytes.len().min(room);
        self.bytes[self.used..self.used + count].copy_from_slice(&bytes[..count]);
        self.used += count;
        count
    }

    /// A named value: length of the name, the name, length of the value, the value.
    fn value(&mut self, name: &str, value: &dyn fmt::Display) {
        let name = &name.as_bytes()[..name.len().min(usize::from(u8::MAX))];
        self.push(&[name.len() as u8]);
        self.push(name);
        let length_at = self.used;
        self.push(&[0, 0]);
        let start = self.used;
        let _ = write!(self, "{value}");
        let length = (self.used - start) as u16;
        if let Some(slot) = self.bytes.get_mut(length_at..length_at + 2) {
            slot.copy_from_slice(&length.to_le_bytes());
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A text that is cut is cut between characters.
        let room = self.bytes.len() - self.used;
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.push(&text.as_bytes()[..end]);
        if end < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// Logs at a level; the other macros are this with their level filled in.
#[macro_export]
macro_rules! log_at {
    ($level:expr, $format:literal $(, $argument:expr)* $(,)?; $($name:literal => $value:expr),+ $(,)?) => {
        $crate::log::record($level, ::core::format_args!($format $(, $argument)*), &[$(($name, &$value)),+])
    };
    ($level:expr, $($text:tt)+) => {
        $crate::log::record($level, ::core::format_args!($($text)+), &[])
    };
}

/// Logs what was lost.
#[macro_export]
macro_rules! error {
    ($($record:tt)+) => { $crate::log_at!($crate::log::Level::Error, $($record)+) };
}

/// Logs what was survived.
#[macro_export]
macro_rules! warn {
    ($($record:tt)+) => { $crate::log_at!($crate::log::Level::Warn, $($record)+) };
}

/// Logs a change of state.
#[macro_export]
macro_rules! info {
    ($($record:tt)+) => { $crate::log_at!($crate::log::Level::Info, $($record)+) };
}

/// Logs for whoever works on the program.
#[macro_export]
macro_rules! debug {
    ($($record:tt)+) => { $crate::log_at!($crate::log::Level::Debug, $($record)+) };
}

/// Logs more than anybody wants to read.
#[macro_export]
macro_rules! trace {
    ($($record:tt)+) => { $crate::log_at!($crate::log::Level::Trace, $($record)+) };
}
