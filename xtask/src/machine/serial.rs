//! The serial console as a test sees it: type, and expect text, always with a deadline.
//!
//! A thread reads all the time, so that the guest never waits for us; what it read is searched from where the last
//! expectation was met. Colours and carriage returns are gone ([`Plain`]); [`Serial::transcript`] is for reports.

use super::ansi::Plain;
use crate::deadline::Deadline;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// The shell's prompt, on a terminal with colours and on a plain one.
pub const PROMPTS: [&str; 2] = ["pebble@pebble-os:", "pebble-os:"];

/// How much of the end of the output an error shows.
const SHOWN_BYTES: usize = 2000;

/// A connection to a guest's serial console.
pub struct Serial {
    stream: UnixStream,
    shared: Arc<Shared>,
    searched: usize,
}

struct Shared {
    output: Mutex<Output>,
    grown: Condvar,
}

#[derive(Default)]
struct Output {
    text: Vec<u8>,
    is_closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Output> {
        // The reader can't panic while it holds the lock, and if it did, its text is still what was read.
        self.output
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Serial {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).with_context(|| path.display().to_string())?;
        let reader = stream.try_clone()?;
        let shared = Arc::new(Shared {
            output: Mutex::default(),
            grown: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("serial".into())
            .spawn(move || read_all(reader, &theirs))?;
        Ok(Self {
            stream,
            shared,
            searched: 0,
        })
    }

    /// Types `bytes`.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .write_all(bytes)
            .context("the serial console is closed")
    }

    /// Types a line and Enter.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.send(line.as_bytes())?;
        self.send(b"\r")
    }

    /// Waits for `wanted` and returns the text before it. The next search starts behind it.
    pub fn expect(&mut self, wanted: &str, deadline: Deadline) -> Result<String> {
        self.expect_any(&[wanted], deadline)
            .map(|(_, before)| before)
    }

    /// Waits for the first of several texts and returns which it was and the text before it.
    pub fn expect_any(&mut self, wanted: &[&str], deadline: Deadline) -> Result<(usize, String)> {
        let mut output = self.shared.lock();
        loop {
            let unsearched = &output.text[self.searched..];
            let found = wanted
                .iter()
                .enumerate()
                .filter_map(|(which, text)| Some((position(unsearched, text.as_bytes())?, which)));
            if let Some((at, which)) = found.min() {
                let before = String::from_utf8_lossy(&unsearched[..at]).into_owned();
                self.searched += at + wanted[which].len();
                return Ok((which, before));
            }
            let Some(remaining) = deadline.remaining().filter(|_| !output.is_closed) else {
                let why = if output.is_closed {
                    "the guest ended"
                } else {
                    "too late"
                };
                bail!(
                    "expected {wanted:?} on the serial console, but {why}; it showed:\n{}",
                    tail(unsearched)
                );
            };
            output = self
                .shared
                .grown
                .wait_timeout(output, remaining)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
    }

    /// Types a command at the prompt and returns what it printed, without the echo of the command.
    pub fn run(&mut self, command: &str, deadline: Deadline) -> Result<String> {
        self.send_line(command)?;
        self.expect(command, deadline)
            .context("the terminal does not echo what is typed")?;
        let printed = self.expect_prompt(deadline)?;
        Ok(printed.trim_start_matches('\n').to_string())
    }

    /// Waits for the next prompt, all of it, and returns the text before it.
    pub fn expect_prompt(&mut self, deadline: Deadline) -> Result<String> {
        let (_, before) = self.expect_any(&PROMPTS, deadline)?;
        self.expect_any(&["$ ", "> ", "# "], deadline)?;
        Ok(before)
    }

    /// Everything the guest printed so far.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().text).into_owned()
    }
}

fn read_all(mut reader: UnixStream, shared: &Shared) {
    let mut plain = Plain::default();
    let mut buffer = [0; 4096];
    loop {
        let length = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        plain.feed(&buffer[..length], &mut shared.lock().text);
        shared.grown.notify_all();
    }
    shared.lock().is_closed = true;
    shared.grown.notify_all();
}

impl Drop for Serial {
    fn drop(&mut self) {
        // Ends the reader; if that fails, the socket is closed already and so is the reader.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Where `wanted` starts in `text`.
pub fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

/// The end of `text`, cut at a line.
pub fn tail(text: &[u8]) -> String {
    let start = text.len().saturating_sub(SHOWN_BYTES);
    let shown = String::from_utf8_lossy(&text[start..]).into_owned();
    match shown.split_once('\n') {
        Some((_, lines)) if start > 0 => lines.into(),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    /// A guest that is a thread: it gets the other end of the console.
    fn with_guest(name: &str, guest: impl FnOnce(UnixStream) + Send + 'static) -> Serial {
        let path: PathBuf =
            std::env::temp_dir().join(format!("pebble-serial-{}-{name}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a fresh path");
        let serial = Serial::connect(&path).expect("it listens");
        let (stream, _) = listener.accept().expect("we connected");
        std::fs::remove_file(&path).expect("it is ours");
        thread::spawn(move || guest(stream));
        serial
    }

    fn soon() -> Deadline {
        Deadline::after_seconds(20)
    }

    #[test]
    fn text_that_comes_in_pieces_is_found_once() {
        let mut serial = with_guest("pieces", |mut stream| {
            for piece in ["one pebb", "le-os:/> ", "two pebble-os:/> "] {
                stream.write_all(piece.as_bytes()).expect("we listen");
            }
        });
        assert_eq!(serial.expect_prompt(soon()).expect("first"), "one ");
        assert_eq!(serial.expect_prompt(soon()).expect("second"), "two ");
    }

    #[test]
    fn a_command_returns_what_it_printed() {
        let mut serial = with_guest("command", |mut stream| {
            let mut line = [0; 8];
            stream.read_exact(&mut line).expect("we type");
            assert_eq!(&line, b"echo hi\r");
            stream
                .write_all(b"echo hi\r\nhi\r\n\x1b[1mpebble@pebble-os\x1b[0m:/$ ")
                .expect("we listen");
        });
        assert_eq!(serial.run("echo hi", soon()).expect("it answers"), "hi\n");
    }

    #[test]
    fn the_first_of_several_texts_wins() {
        let mut serial = with_guest("several", |mut stream| {
            stream
                .write_all(b"a panic and a prompt")
                .expect("we listen")
        });
        assert_eq!(
            serial
                .expect_any(&["prompt", "panic"], soon())
                .expect("both are there"),
            (1, "a ".into())
        );
    }

    #[test]
    fn a_guest_that_ends_is_noticed_before_the_deadline() {
        let mut serial = with_guest("ends", |mut stream| {
            stream.write_all(b"last words").expect("we listen")
        });
        let error = serial
            .expect("more", Deadline::after_seconds(600))
            .expect_err("there is no more");
        assert!(
            error.to_string().contains("the guest ended")
                && error.to_string().contains("last words"),
            "{error}"
        );
    }
}
