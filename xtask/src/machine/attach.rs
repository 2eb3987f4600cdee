//! The terminal on a guest's serial console.

use super::record::Record;
use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Ctrl-]: leaves the console, as in telnet.
const LEAVE: u8 = 0x1d;

/// Why the console was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The user typed Ctrl-].
    Left,
    /// The guest ended.
    GuestEnded,
}

/// A connection to a console that has not been used yet.
pub struct Console {
    stream: UnixStream,
}

impl Console {
    /// Connects to the console of `record`.
    pub fn connect(record: &Record) -> Result<Self> {
        let stream = UnixStream::connect(&record.serial)
            .with_context(|| record.serial.display().to_string())?;
        Ok(Self { stream })
    }

    /// Copies bytes both ways until the user or the guest ends it.
    pub fn attach(self) -> Result<End> {
        let raw = RawTerminal::enter()?;
        let left = Arc::new(AtomicBool::new(false));
        let (input, says_left) = (self.stream.try_clone()?, Arc::clone(&left));
        // It ends with the process: reading a terminal can't be interrupted.
        thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || copy_keys(input, &says_left))?;
        copy_output(self.stream)?;
        drop(raw);
        Ok(if left.load(Ordering::Acquire) {
            End::Left
        } else {
            End::GuestEnded
        })
    }
}

fn copy_keys(mut stream: UnixStream, left: &AtomicBool) {
    let mut buffer = [0; 256];
    while let Ok(length @ 1..) = io::stdin().lock().read(&mut buffer) {
        let keys = &buffer[..length];
        let until = keys.iter().position(|&key| key == LEAVE);
        if stream.write_all(&keys[..until.unwrap_or(length)]).is_err() {
            return;
        }
        if until.is_some() {
            left.store(true, Ordering::Release);
            // Wakes the other direction; fails only if the guest has closed the socket, which wakes it too.
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn copy_output(mut stream: UnixStream) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut terminal = io::stdout().lock();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                terminal.write_all(&buffer[..length])?;
                terminal.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(()),
        }
    }
}

/// The terminal without its own line editing and signals, until this is dropped.
struct RawTerminal {
    before: Option<Termios>,
}

impl RawTerminal {
    fn enter() -> Result<Self> {
        let terminal = io::stdin();
        if !isatty(&terminal) {
            return Ok(Self { before: None });
        }
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Self {
            before: Some(before),
        })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is nobody to tell: the terminal is what failed.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
