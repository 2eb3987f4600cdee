//! The memory that outlives the server.

/// Bytes at numbered places. A write is complete when the function returns; a kill may leave any part of one that did not.
pub trait Region {
    /// Bytes there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Copies bytes out.
    ///
    /// # Panics
    /// If they are not all inside.
    fn read(&self, at: usize, into: &mut [u8]);
    /// Copies bytes in.
    ///
    /// # Panics
    /// If they are not all inside.
    fn write(&mut self, at: usize, from: &[u8]);
    /// Makes bytes zero.
    ///
    /// # Panics
    /// If they are not all inside.
    fn clear(&mut self, at: usize, length: usize);
}

impl Region for alloc::vec::Vec<u8> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }
    fn read(&self, at: usize, into: &mut [u8]) {
        into.copy_from_slice(&self[at..at + into.len()]);
    }
    fn write(&mut self, at: usize, from: &[u8]) {
        self[at..at + from.len()].copy_from_slice(from);
    }
    fn clear(&mut self, at: usize, length: usize) {
        self[at..at + length].fill(0);
    }
}
