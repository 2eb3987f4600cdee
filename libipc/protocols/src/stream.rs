//! A stream of bytes: a terminal, a pipe, a captured output, a program's standard input and outputs.
//!
//! Each end is a Connection of its own. Both directions are numbered: a writer says at which byte of *its* stream the data starts,
//! a reader how far it has got. So every method can be repeated after a restart of the server: what is there already is not
//! taken twice, and what was given out is kept until the reader says that it has it.
//! Served by ttyd and procd, called by every program.

use libipc::prelude::*;

/// Bytes in one `write` or one answer of `read`, at most. More is refused, never shortened.
pub const MAX_CHUNK_BYTES: usize = 3072;

/// What came.
#[message]
pub struct Chunk {
    /// Position of the first byte of `data` in the stream.
    pub at: u64,
    /// The bytes; empty only if `end`.
    pub data: Vec<u8>,
    /// Nothing will follow.
    pub end: bool,
}

/// What is at the other end.
#[message]
pub enum Kind {
    /// A terminal.
    Terminal,
    /// A pipe.
    Pipe,
    /// Output that somebody captures.
    Capture,
    /// Nothing: reads end at once, writes vanish.
    Null,
}

/// Errors of streams.
#[message]
pub enum Error {
    /// Nobody reads any more: what is written is lost, so stop writing.
    BrokenPipe,
    /// `at` is beyond what was taken before: bytes are missing. The next byte wanted is `expected`.
    Gap {
        /// Where the stream stands.
        expected: u64,
    },
    /// More than [`MAX_CHUNK_BYTES`].
    TooLong,
    /// This end can't be read (or written).
    WrongDirection,
    /// No more ends.
    LimitReached,
    /// The reader was interrupted (Ctrl-C) or put into the background.
    Interrupted,
}

/// See the module.
#[protocol(name = "stream", version = 1)]
pub trait Stream {
    /// Takes bytes that start at `at` of this writer's stream; answers with the position after the last byte taken. Waits while there is no room.
    #[idempotent]
    #[deferred]
    fn write(&mut self, at: u64, data: Vec<u8>) -> Result<u64, Error>;

    /// Gives up to `max` bytes from position `from`; everything before `from` is forgotten. Waits until there is at least one byte or the end.
    #[idempotent]
    #[deferred]
    fn read(&mut self, from: u64, max: u32) -> Result<Chunk, Error>;

    /// Makes another end of the same kind with a position of its own, for another program that is to write here too.
    #[idempotent]
    fn another(&mut self) -> Result<Handle<Connection>, Error>;

    /// Says what this is.
    #[idempotent]
    fn kind(&mut self) -> Result<Kind, Error>;

    /// No more will be written through this end.
    #[idempotent]
    fn finish(&mut self) -> Result<(), Error>;
}
