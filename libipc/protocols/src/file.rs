//! An open file. The Connection is the open file; where a reader stands is its own affair.
//!
//! Served by filesystems. What was acknowledged survives the death of the server.

use libipc::prelude::*;

pub use crate::directory::{Error, Metadata};

/// Bytes in one `read` or `write` by message, at most.
pub const MAX_CHUNK_BYTES: usize = 3072;

/// See the module.
#[protocol(name = "file", version = 1)]
pub trait File {
    /// Reads up to `length` bytes at `offset`; fewer only at the end.
    #[idempotent]
    fn read(&mut self, offset: u64, length: u32) -> Result<Vec<u8>, Error>;

    /// Writes at `offset`, beyond the end too (the gap reads as zeroes); answers the new size.
    #[idempotent]
    fn write(&mut self, offset: u64, data: Vec<u8>) -> Result<u64, Error>;

    /// Writes at the end; answers where the data went.
    #[journaled]
    fn append(&mut self, data: Vec<u8>) -> Result<u64, Error>;

    /// Sets the size.
    #[idempotent]
    fn truncate(&mut self, size: u64) -> Result<Metadata, Error>;

    /// Describes the file.
    #[idempotent]
    fn stat(&mut self) -> Result<Metadata, Error>;

    /// Attaches memory (`READ | WRITE | MAP`) for bulk transfers of this Connection.
    #[idempotent]
    fn attach(&mut self, buffer: Handle<MemoryObject>) -> Result<(), Error>;

    /// Reads `length` bytes at `offset` into the attached memory at `at`; answers how many.
    #[idempotent]
    fn read_bulk(&mut self, offset: u64, length: u32, at: u32) -> Result<u32, Error>;

    /// Writes `length` bytes of the attached memory from `at` to `offset`; answers the new size.
    #[idempotent]
    fn write_bulk(&mut self, offset: u64, length: u32, at: u32) -> Result<u64, Error>;

    /// Returns when all is where it survives.
    #[idempotent]
    fn sync(&mut self) -> Result<(), Error>;
}
