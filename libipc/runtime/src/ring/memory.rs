//! The memory that a ring lies in.

use crate::object::Mapping;
use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};

/// Memory that two ends share. Offsets count from the start of the ring. An access outside does nothing and reads zero; the ends check the length
/// once, when they attach.
pub trait RingMemory {
    /// Bytes.
    fn length(&self) -> usize;
    /// Reads a half word atomically.
    fn load(&self, offset: usize, order: Ordering) -> u32;
    /// Writes a half word atomically.
    fn store(&self, offset: usize, value: u32, order: Ordering);
    /// A sequentially consistent fence.
    fn fence(&self);
    /// Copies out.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies in.
    fn write(&self, offset: usize, from: &[u8]);
}

/// A part of a mapping: a ring among others in the same memory.
#[derive(Clone, Debug)]
pub struct RingPart {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl RingPart {
    /// The part from `offset` on. `None` if it is not inside, or not aligned to 64 bytes.
    pub fn new(mapping: Arc<Mapping>, offset: usize, length: usize) -> Option<Self> {
        let end = offset.checked_add(length)?;
        (offset.is_multiple_of(64) && end <= mapping.len()).then_some(Self {
            mapping,
            offset,
            length,
        })
    }

    /// The two halves of a mapping: for a ring in each direction.
    pub fn halves(mapping: Mapping) -> (Self, Self) {
        let mapping = Arc::new(mapping);
        let length = mapping.len() / 2;
        let first = Self {
            mapping: mapping.clone(),
            offset: 0,
            length,
        };
        let second = Self {
            mapping,
            offset: length,
            length,
        };
        (first, second)
    }

    fn place(&self, offset: usize, length: usize) -> Option<usize> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| self.offset + offset)
    }
}

impl RingMemory for RingPart {
    fn length(&self) -> usize {
        self.length
    }

    #[inline]
    fn load(&self, offset: usize, order: Ordering) -> u32 {
        let word = self
            .place(offset, 4)
            .and_then(|place| self.mapping.half_word(place));
        word.map_or(0, |word| word.load(order))
    }

    #[inline]
    fn store(&self, offset: usize, value: u32, order: Ordering) {
        if let Some(word) = self
            .place(offset, 4)
            .and_then(|place| self.mapping.half_word(place))
        {
            word.store(value, order);
        }
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn read(&self, offset: usize, into: &mut [u8]) {
        let is_read = self
            .place(offset, into.len())
            .is_some_and(|place| self.mapping.read(place, into));
        if !is_read {
            into.fill(0);
        }
    }

    #[inline]
    fn write(&self, offset: usize, from: &[u8]) {
        // Outside of the ring nothing is written; the ends checked that they stay inside.
        let _ = self
            .place(offset, from.len())
            .is_some_and(|place| self.mapping.write(place, from));
    }
}
