//! What programs read from and write to, by number.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use libipc::{Connection, Handle};
use pebble_rt::modules::errno;
use pebble_rt::system::SystemError;
use protocols::stream::MAX_CHUNK_BYTES;
use protocols::{file, stream};

use crate::errors::{of_call, of_stream};
use crate::guest::Guest;

/// A place to read from.
#[derive(Clone)]
pub struct Input(Rc<RefCell<InputState>>);

struct InputState {
    stream: stream::Client,
    position: u64,
    buffer: VecDeque<u8>,
    is_ended: bool,
}

impl Input {
    /// A stream, from its start.
    pub fn stream(stream: stream::Client) -> Self {
        Self(Rc::new(RefCell::new(InputState {
            stream,
            position: 0,
            buffer: VecDeque::new(),
            is_ended: false,
        })))
    }

    /// Whether a terminal is at the other end.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self.0.borrow().stream.kind(Guest::soon()),
            Ok(stream::Kind::Terminal)
        )
    }

    /// Up to `most` bytes that are here already; `None` if the stream has to be asked. Empty at the end.
    pub fn take(&self, most: usize) -> Option<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        if state.buffer.is_empty() && !state.is_ended {
            return None;
        }
        let count = most.min(state.buffer.len());
        Some(state.buffer.drain(..count).collect())
    }

    /// A line that is here already, without its end; the inner `None` at the end; `None` if the stream has to be asked.
    pub fn take_line(&self) -> Option<Option<Vec<u8>>> {
        let mut state = self.0.borrow_mut();
        if let Some(end) = state.buffer.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = state.buffer.drain(..=end).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Some(Some(line));
        }
        if !state.is_ended {
            return None;
        }
        let rest: Vec<u8> = state.buffer.drain(..).collect();
        Some((!rest.is_empty()).then_some(rest))
    }

    /// Everything that has come, if the end was seen.
    pub fn take_all(&self) -> Option<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        state.is_ended.then(|| state.buffer.drain(..).collect())
    }

    /// Takes in what the stream answered.
    pub fn feed(&self, chunk: stream::Chunk) {
        let mut state = self.0.borrow_mut();
        let known = state.position.saturating_sub(chunk.at) as usize;
        let news = chunk.data.get(known..).unwrap_or_default();
        state.buffer.extend(news);
        state.position = chunk.at + chunk.data.len() as u64;
        state.is_ended |= chunk.end;
    }

    /// Asks the stream for more.
    ///
    /// # Errors
    /// If no call can be started.
    pub fn ask(
        &self,
        guest: &Guest,
    ) -> Result<libipc::Pending<stream::Chunk, stream::Error>, SystemError> {
        let state = self.0.borrow();
        let pending = state.stream.start_read(
            &guest.calls,
            Guest::late(),
            state.position,
            MAX_CHUNK_BYTES as u32,
        );
        pending.map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))
    }

    /// A copy of the Connection, for a child.
    ///
    /// # Errors
    /// The quota's.
    pub fn connection(&self) -> Result<Handle<Connection>, SystemError> {
        self.0
            .borrow()
            .stream
            .connection()
            .duplicate()
            .map_err(|error| SystemError::new(errno::AGAIN, format!("{error}")))
    }
}

/// A place to write to. What is written is kept back until a line is complete or enough has come together.
#[derive(Clone)]
pub struct Output(Rc<RefCell<OutputState>>);

struct OutputState {
    stream: stream::Client,
    position: u64,
    kept: Vec<u8>,
}

impl Output {
    /// A stream, from its start.
    pub fn new(stream: stream::Client) -> Self {
        Self(Rc::new(RefCell::new(OutputState {
            stream,
            position: 0,
            kept: Vec::new(),
        })))
    }

    /// Takes bytes; those up to the last end of a line go out.
    ///
    /// # Errors
    /// If nobody reads them.
    pub fn write(&self, bytes: &[u8]) -> Result<(), SystemError> {
        let mut state = self.0.borrow_mut();
        state.kept.extend_from_slice(bytes);
        if bytes.contains(&b'\n') || state.kept.len() >= MAX_CHUNK_BYTES {
            return state.flush();
        }
        Ok(())
    }

    /// Sends what is kept back.
    ///
    /// # Errors
    /// If nobody reads it.
    pub fn flush(&self) -> Result<(), SystemError> {
        self.0.borrow_mut().flush()
    }

    /// Another Connection to the same place, for a child.
    ///
    /// # Errors
    /// The server's.
    pub fn another(&self) -> Result<Handle<Connection>, SystemError> {
        self.flush()?;
        self.0
            .borrow()
            .stream
            .another(Guest::soon())
            .map_err(|error| of_call(error, of_stream))
    }
}

impl OutputState {
    fn flush(&mut self) -> Result<(), SystemError> {
        let kept = core::mem::take(&mut self.kept);
        let mut rest = &kept[..];
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(MAX_CHUNK_BYTES)];
            let position = self
                .stream
                .write(Guest::late(), self.position, piece)
                .map_err(|error| of_call(error, of_stream))?;
            let taken = (position.saturating_sub(self.position) as usize).min(piece.len());
            if taken == 0 {
                return Err(SystemError::new(errno::IO, "the stream takes nothing"));
            }
            self.position = position;
            rest = &rest[taken..];
        }
        Ok(())
    }
}

/// An open file with its position.
#[derive(Clone)]
pub struct OpenFile(pub Rc<OpenFileState>);

/// What belongs to an open file.
pub struct OpenFileState {
    /// Its Connection.
    pub client: file::Client,
    /// Where reading and writing go on.
    pub position: core::cell::Cell<u64>,
    /// Its path.
    pub path: String,
    /// As it was opened.
    pub mode: String,
}

/// What a number stands for.
#[derive(Clone)]
pub enum Descriptor {
    /// `/dev/null`.
    Null,
    /// An input stream or the reading end of a pipe.
    Input(Input),
    /// An output stream or the writing end of a pipe.
    Output(Output),
    /// A file.
    File(OpenFile),
}

/// All of them.
pub struct Descriptors {
    /// Standard input.
    pub input: Input,
    /// Standard output.
    pub output: Output,
    /// Error output.
    pub error: Output,
    open: BTreeMap<i64, Descriptor>,
    last: i64,
}

impl Descriptors {
    /// The three that every program has.
    pub fn new(input: Input, output: Output, error: Output) -> Self {
        // The old descriptor functions count from 3 on their own; these never meet them.
        Self {
            input,
            output,
            error,
            open: BTreeMap::new(),
            last: 63,
        }
    }

    /// Gives a number to something.
    pub fn add(&mut self, descriptor: Descriptor) -> i64 {
        self.last += 1;
        self.open.insert(self.last, descriptor);
        self.last
    }

    /// What a number stands for.
    ///
    /// # Errors
    /// If it stands for nothing.
    pub fn get(&self, number: i64) -> Result<Descriptor, SystemError> {
        match number {
            0 => Ok(Descriptor::Input(self.input.clone())),
            1 => Ok(Descriptor::Output(self.output.clone())),
            2 => Ok(Descriptor::Output(self.error.clone())),
            _ => self
                .open
                .get(&number)
                .cloned()
                .ok_or_else(|| Self::not_open(number)),
        }
    }

    /// Forgets a number.
    ///
    /// # Errors
    /// If it stands for nothing, or what was kept back can't be written.
    pub fn close(&mut self, number: i64) -> Result<(), SystemError> {
        match self.open.remove(&number) {
            Some(Descriptor::Output(output)) => output.flush(),
            Some(_) => Ok(()),
            None => Err(Self::not_open(number)),
        }
    }

    fn not_open(number: i64) -> SystemError {
        SystemError::new(errno::INVAL, format!("fd {number} is not open"))
    }
}
