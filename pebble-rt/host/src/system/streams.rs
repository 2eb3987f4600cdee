//! Where a process reads from and writes to: the command's own streams, pipes, files, nothing.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cap_std::fs::File;
use pebble_rt::system::SystemError;

use super::files::io_error;
pub use super::input::Input;

/// What a pipe holds before its writers wait.
const PIPE_BYTES: usize = 64 * 1024;

/// What is kept back before it is written to the command's own output, when that is no terminal.
const KEPT_BYTES: usize = 16 * 1024;

/// For how long it may be kept back while the program goes on printing.
const KEPT_TIME: Duration = Duration::from_millis(20);

/// The three streams of a process.
#[derive(Clone, Debug)]
pub struct Streams {
    /// Standard input.
    pub input: Input,
    /// Standard output.
    pub output: Output,
    /// Standard error.
    pub error: Output,
}

impl Streams {
    /// Those of the command itself.
    pub fn standard() -> Self {
        Self {
            input: Input::standard(),
            output: Output::standard_output(),
            error: Output::standard_error(),
        }
    }
}

/// An open file.
#[derive(Debug)]
pub enum OpenFile {
    /// In the sandbox.
    File(File),
    /// In the embedded tree.
    Memory(Cursor<Vec<u8>>),
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(content) => content.read(buffer),
        }
    }
}

impl Write for OpenFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(content),
            Self::Memory(_) => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for OpenFile {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(place),
            Self::Memory(content) => content.seek(place),
        }
    }
}

/// What a descriptor stands for. Copies share it.
#[derive(Clone, Debug)]
pub enum Descriptor {
    /// `/dev/null`.
    Null,
    /// An input stream or the reading end of a pipe.
    Input(Input),
    /// An output stream or the writing end of a pipe.
    Output(Output),
    /// A file.
    File {
        /// With its position.
        file: Arc<Mutex<OpenFile>>,
        /// Storage name.
        name: String,
        /// As it was opened.
        mode: String,
    },
}

/// Somewhere to write.
#[derive(Clone, Debug)]
pub struct Output(Arc<Target>);

#[derive(Debug)]
enum Target {
    Nothing,
    Standard {
        kept: Mutex<Kept>,
        is_error: bool,
        is_terminal: bool,
    },
    Pipe(WriteEnd),
    File(Arc<Mutex<OpenFile>>),
    Collected(Mutex<Vec<u8>>),
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    written: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    fn standard(is_error: bool, is_terminal: bool) -> Self {
        let kept = Mutex::new(Kept {
            bytes: Vec::new(),
            written: Instant::now(),
        });
        Self(Arc::new(Target::Standard {
            kept,
            is_error,
            is_terminal,
        }))
    }

    fn standard_output() -> Self {
        Self::standard(false, io::IsTerminal::is_terminal(&io::stdout()))
    }

    fn standard_error() -> Self {
        Self::standard(true, io::IsTerminal::is_terminal(&io::stderr()))
    }

    /// Swallows everything.
    pub fn nothing() -> Self {
        Self(Arc::new(Target::Nothing))
    }

    /// Into a file.
    pub fn file(file: Arc<Mutex<OpenFile>>) -> Self {
        Self(Arc::new(Target::File(file)))
    }

    /// Keeps everything for [`collected`](Self::collected).
    pub fn collecting() -> Self {
        Self(Arc::new(Target::Collected(Mutex::default())))
    }

    /// What has been kept so far; it is taken away.
    pub fn collected(&self) -> Vec<u8> {
        match &*self.0 {
            Target::Collected(bytes) => std::mem::take(&mut lock(bytes)),
            _ => Vec::new(),
        }
    }

    /// `pipe`, `device` or `file`.
    pub fn kind(&self) -> &'static str {
        match &*self.0 {
            Target::Pipe(_) => "pipe",
            Target::File(_) => "file",
            _ => "device",
        }
    }

    /// Whether writing so much now would wait for a reader.
    pub fn would_wait(&self, length: usize) -> bool {
        match &*self.0 {
            Target::Pipe(end) => end.0.would_wait(length),
            _ => false,
        }
    }

    /// Writes all of it.
    pub fn write(&self, content: &[u8]) -> Result<(), SystemError> {
        match &*self.0 {
            Target::Nothing => Ok(()),
            Target::Pipe(end) => end.0.write(content),
            Target::File(file) => lock(file)
                .write_all(content)
                .map_err(|error| io_error(&error)),
            Target::Collected(bytes) => {
                lock(bytes).extend_from_slice(content);
                Ok(())
            }
            Target::Standard {
                kept,
                is_terminal,
                is_error,
            } => {
                let mut kept = lock(kept);
                kept.bytes.extend_from_slice(content);
                let is_due = *is_terminal
                    || *is_error
                    || kept.bytes.len() >= KEPT_BYTES
                    || kept.written.elapsed() >= KEPT_TIME;
                if is_due {
                    kept.flush(*is_error)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Writes what is kept back.
    pub fn flush(&self) -> Result<(), SystemError> {
        match &*self.0 {
            Target::Standard { kept, is_error, .. } => lock(kept).flush(*is_error),
            _ => Ok(()),
        }
    }
}

impl Kept {
    fn flush(&mut self, is_error: bool) -> Result<(), SystemError> {
        self.written = Instant::now();
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let result = if is_error {
            io::stderr().write_all(&bytes)
        } else {
            let mut output = io::stdout().lock();
            output.write_all(&bytes).and_then(|()| output.flush())
        };
        self.bytes = bytes;
        self.bytes.clear();
        result.map_err(|error| io_error(&error))
    }
}

/// A bounded queue of bytes between processes.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PipeState {
    bytes: VecDeque<u8>,
    is_written: bool,
    is_read: bool,
}

/// The writing end: the pipe ends when the last copy is gone.
#[derive(Debug)]
struct WriteEnd(Arc<Pipe>);

/// The reading end: writing fails when the last copy is gone.
#[derive(Debug)]
pub(super) struct ReadEnd(Arc<Pipe>);

impl Drop for WriteEnd {
    fn drop(&mut self) {
        lock(&self.0.state).is_written = false;
        self.0.changed.notify_all();
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        lock(&self.0.state).is_read = false;
        self.0.changed.notify_all();
    }
}

/// A new pipe.
pub fn pipe() -> (Input, Output) {
    let state = PipeState {
        bytes: VecDeque::new(),
        is_written: true,
        is_read: true,
    };
    let pipe = Arc::new(Pipe {
        state: Mutex::new(state),
        changed: Condvar::new(),
    });
    (
        Input::pipe(ReadEnd(pipe.clone())),
        Output(Arc::new(Target::Pipe(WriteEnd(pipe)))),
    )
}

impl Pipe {
    fn would_wait(&self, length: usize) -> bool {
        let state = lock(&self.state);
        state.is_read && state.bytes.len().saturating_add(length) > PIPE_BYTES
    }

    fn write(&self, content: &[u8]) -> Result<(), SystemError> {
        let mut rest = content;
        let mut state = lock(&self.state);
        while !rest.is_empty() {
            if !state.is_read {
                return Err(io_error(&io::ErrorKind::BrokenPipe.into()));
            }
            let room = PIPE_BYTES.saturating_sub(state.bytes.len());
            if room == 0 {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            state.bytes.extend(now);
            rest = later;
            self.changed.notify_all();
        }
        Ok(())
    }
}

impl ReadEnd {
    /// Moves what is there into `target`. `None` at the end of the pipe, zero when nothing came in time.
    pub(super) fn read(&self, target: &mut VecDeque<u8>, wait: Option<Duration>) -> Option<usize> {
        let mut state = lock(&self.0.state);
        let deadline = wait.map(|wait| Instant::now() + wait);
        while state.bytes.is_empty() {
            if !state.is_written {
                return None;
            }
            match deadline {
                None => {
                    state = self
                        .0
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner)
                }
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Some(0);
                    }
                    state = self
                        .0
                        .changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
        }
        let moved = state.bytes.len();
        target.append(&mut state.bytes);
        self.0.changed.notify_all();
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_ends_with_its_writer() {
        let (input, output) = pipe();
        let copy = output.clone();
        assert!(output.write(b"one\ntwo").is_ok());
        drop(output);
        assert_eq!(input.line(), Some(b"one".to_vec()));
        assert_eq!(
            input.try_line(),
            None,
            "a copy of the writer is still there"
        );
        drop(copy);
        assert_eq!((input.line(), input.line()), (Some(b"two".to_vec()), None));
    }

    #[test]
    fn writing_without_a_reader_fails() {
        let (input, output) = pipe();
        drop(input);
        assert_eq!(
            output.write(b"x").map_err(|error| error.errno),
            Err(pebble_rt::modules::errno::PIPE)
        );
    }

    #[test]
    fn a_full_pipe_waits_for_its_reader() {
        let (input, output) = pipe();
        let content = vec![b'x'; 3 * PIPE_BYTES];
        assert!(output.would_wait(content.len()));
        let writer = std::thread::spawn(move || output.write(&content).is_ok());
        assert_eq!(input.read(None).len(), 3 * PIPE_BYTES);
        assert!(writer.join().is_ok_and(|written| written));
    }

    #[test]
    fn what_is_collected_is_taken_once() {
        let output = Output::collecting();
        assert!(output.write(b"abc").is_ok());
        assert_eq!(
            (output.collected(), output.collected()),
            (b"abc".to_vec(), Vec::new())
        );
    }
}
