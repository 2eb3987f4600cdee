//! What outlives a server: records in memory that its next incarnation finds, and that it must not trust further than their checksums.
//!
//! A server can die between any two instructions, so a record is either the one before or the one after a write, never a mixture: [`Slots`] is a table
//! whose slots have two copies each, [`Journal`] a log that is compacted into its other half. [`Replies`] keeps the answers of journaled methods.
//!
//! The order of a change is always: handle into the capsule, then the record, then the first effect that anybody else can see (answer, doorbell,
//! packet). See `docs/libipc.md`.

mod checksum;
mod journal;
mod replies;
mod slots;
#[cfg(test)]
mod tests;

pub use checksum::crc32;
pub use journal::Journal;
pub use replies::Replies;
pub use slots::{SlotError, Slots};

use crate::object::Mapping;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Memory that outlives its user. Accesses outside of it fail.
pub trait Storage {
    /// Bytes.
    fn length(&self) -> usize;
    /// Copies out; `false` if the range is not inside.
    fn read(&self, offset: usize, into: &mut [u8]) -> bool;
    /// Copies in; `false` if the range is not inside. Whoever dies meanwhile leaves a part of it written.
    fn write(&mut self, offset: usize, from: &[u8]) -> bool;
}

/// A part of a capsule's memory.
#[derive(Clone, Debug)]
pub struct Part {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl Part {
    /// All of a capsule's memory.
    pub fn whole(mapping: Mapping) -> Self {
        let length = mapping.len();
        Self {
            mapping: Arc::new(mapping),
            offset: 0,
            length,
        }
    }

    /// Cuts the first `length` bytes off, rounded up to 64. `None` if there are not so many.
    pub fn split(self, length: usize) -> Option<(Self, Self)> {
        let length = length.checked_next_multiple_of(64)?;
        let rest = self.length.checked_sub(length)?;
        let first = Self {
            length,
            ..self.clone()
        };
        Some((
            first,
            Self {
                offset: self.offset + length,
                length: rest,
                ..self
            },
        ))
    }

    fn place(&self, offset: usize, length: usize) -> Option<usize> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| self.offset + offset)
    }
}

impl Storage for Part {
    fn length(&self) -> usize {
        self.length
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        self.place(offset, into.len())
            .is_some_and(|place| self.mapping.read(place, into))
    }

    fn write(&mut self, offset: usize, from: &[u8]) -> bool {
        self.place(offset, from.len())
            .is_some_and(|place| self.mapping.write(place, from))
    }
}

/// What an incarnation found in its capsule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The memory was empty or laid out otherwise: everything starts cold.
    pub is_fresh: bool,
    /// Records that are whole.
    pub good: usize,
    /// Slots (or, of a journal, one for its torn end) whose records were neither old nor new. They were dropped.
    pub bad: Vec<usize>,
    /// The slot that was in use in two deaths in a row, and was therefore set aside.
    pub set_aside: Option<usize>,
}
