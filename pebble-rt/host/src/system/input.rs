//! Sources of bytes, with what has been read but not yet asked for.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::streams::{OpenFile, ReadEnd};

/// Bytes fetched from the command's input at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Somewhere to read from. Copies share the position.
#[derive(Clone, Debug)]
pub struct Input(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    source: Source,
}

#[derive(Debug, Default)]
struct State {
    buffer: VecDeque<u8>,
    is_ended: bool,
}

#[derive(Debug)]
enum Source {
    Nothing,
    Standard { is_terminal: bool },
    Pipe(ReadEnd),
    File(Arc<Mutex<OpenFile>>),
}

impl Input {
    fn new(source: Source) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            source,
        }))
    }

    /// The command's own input.
    pub fn standard() -> Self {
        Self::new(Source::Standard {
            is_terminal: io::IsTerminal::is_terminal(&io::stdin()),
        })
    }

    /// Ends at once.
    pub fn nothing() -> Self {
        Self::new(Source::Nothing)
    }

    /// From a file.
    pub fn file(file: Arc<Mutex<OpenFile>>) -> Self {
        Self::new(Source::File(file))
    }

    pub(super) fn pipe(end: ReadEnd) -> Self {
        Self::new(Source::Pipe(end))
    }

    /// `pipe`, `device` or `file`.
    pub fn kind(&self) -> &'static str {
        match self.0.source {
            Source::Pipe(_) => "pipe",
            Source::File(_) => "file",
            Source::Nothing | Source::Standard { .. } => "device",
        }
    }

    /// Whether a person types here.
    pub fn is_terminal(&self) -> bool {
        matches!(self.0.source, Source::Standard { is_terminal: true })
    }

    /// The next line without its end, `None` at the end of the input. Waits.
    pub fn line(&self) -> Option<Vec<u8>> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = state.take_line() {
                return line;
            }
            self.fill(&mut state, None);
        }
    }

    /// The next line if it is there, the inner `None` at the end of the input.
    pub fn try_line(&self) -> Option<Option<Vec<u8>>> {
        let mut state = self.0.state.try_lock().ok()?;
        loop {
            if let Some(line) = state.take_line() {
                return Some(line);
            }
            if self.fill(&mut state, Some(Duration::ZERO)) == 0 && !state.is_ended {
                return None;
            }
        }
    }

    /// Up to `limit` bytes, everything to the end without a limit. Empty at the end. Waits.
    pub fn read(&self, limit: Option<usize>) -> Vec<u8> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.is_ended && (limit.is_none() || state.buffer.is_empty()) {
            self.fill(&mut state, None);
        }
        state.take(limit)
    }

    /// As [`read`](Self::read), if it need not wait.
    pub fn try_read(&self, limit: Option<usize>) -> Option<Vec<u8>> {
        let mut state = self.0.state.try_lock().ok()?;
        loop {
            if state.is_ended || (limit.is_some() && !state.buffer.is_empty()) {
                return Some(state.take(limit));
            }
            if self.fill(&mut state, Some(Duration::ZERO)) == 0 && !state.is_ended {
                return None;
            }
        }
    }

    /// The next byte within the time given, for keys. `None` when nothing came.
    pub fn byte(&self, wait: Option<Duration>) -> Option<u8> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.buffer.is_empty() && !state.is_ended {
            self.fill(&mut state, wait);
        }
        state.buffer.pop_front()
    }

    /// Whether nothing more will come.
    pub fn is_ended(&self) -> bool {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_ended && state.buffer.is_empty()
    }

    /// Fetches more and says how much; waits no longer than `wait`.
    fn fill(&self, state: &mut State, wait: Option<Duration>) -> usize {
        let fetched = match &self.0.source {
            Source::Nothing => None,
            Source::Pipe(end) => end.read(&mut state.buffer, wait),
            Source::Standard { .. } => fill_from_command(&mut state.buffer, wait),
            Source::File(file) => {
                let mut chunk = vec![0; CHUNK_BYTES];
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let read = file.read(&mut chunk).ok().filter(|read| *read > 0);
                state.buffer.extend(&chunk[..read.unwrap_or(0)]);
                read
            }
        };
        state.is_ended |= fetched.is_none();
        fetched.unwrap_or(0)
    }
}

/// Past the standard library's own buffer, which could not say whether a line is waiting.
fn fill_from_command(buffer: &mut VecDeque<u8>, wait: Option<Duration>) -> Option<usize> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = rustix::stdio::stdin();
    if let Some(wait) = wait {
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        let time = Timespec::try_from(wait).ok();
        match poll(&mut ready, time.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Some(0),
            _ => {}
        }
    }
    let mut chunk = [0; CHUNK_BYTES];
    match rustix::io::read(stdin, &mut chunk) {
        Ok(0) => None,
        Ok(read) => {
            buffer.extend(&chunk[..read]);
            Some(read)
        }
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Some(0),
        Err(_) => None,
    }
}

impl State {
    /// A complete line, or what is left at the end; `None` when more has to be fetched.
    fn take_line(&mut self) -> Option<Option<Vec<u8>>> {
        if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Some(Some(line));
        }
        if !self.is_ended {
            return None;
        }
        let rest: Vec<u8> = self.buffer.drain(..).collect();
        Some((!rest.is_empty()).then_some(rest))
    }

    fn take(&mut self, limit: Option<usize>) -> Vec<u8> {
        let count = limit.unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.drain(..count).collect()
    }
}
