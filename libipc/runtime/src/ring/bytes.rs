//! Rings of bytes: a stream in one direction.

use super::HEADER_BYTES;
use super::end::{Doorbell, End, RingFault};
use super::memory::RingMemory;

/// The end that writes bytes.
#[derive(Debug)]
pub struct ByteProducer<M> {
    end: End<M>,
}

impl<M: RingMemory> ByteProducer<M> {
    /// Takes this end of a ring that was formatted.
    ///
    /// # Errors
    /// `BadHeader`, `BadIndex`.
    pub fn attach(memory: M) -> Result<Self, RingFault> {
        Ok(Self {
            end: End::producer(memory, 1)?,
        })
    }

    /// Bytes that the ring holds.
    pub fn capacity(&self) -> u32 {
        self.end.capacity
    }

    /// Bytes that can be written now.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn room(&self) -> Result<u32, RingFault> {
        self.end.available()
    }

    /// Writes as many bytes as there is room for, and says how many that were.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(usize, Doorbell), RingFault> {
        let count = bytes.len().min(self.room()? as usize);
        for (offset, from, to) in pieces(self.end.own, self.end.capacity, count) {
            self.end.memory.write(offset, &bytes[from..to]);
        }
        let doorbell = if count == 0 {
            Doorbell::NotDue
        } else {
            self.end.advance(count as u32)
        };
        Ok((count, doorbell))
    }

    /// Asks to be woken when there is room. `false`: there is room already.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn sleep(&self) -> Result<bool, RingFault> {
        self.end.sleep()
    }

    /// Position in the stream, modulo 2³².
    pub fn position(&self) -> u32 {
        self.end.own
    }

    /// Checks that nobody made the ring anew.
    ///
    /// # Errors
    /// `Stale`, `BadHeader`.
    pub fn check_current(&self) -> Result<(), RingFault> {
        self.end.check_current()
    }
}

/// The end that reads bytes.
#[derive(Debug)]
pub struct ByteConsumer<M> {
    end: End<M>,
}

impl<M: RingMemory> ByteConsumer<M> {
    /// Takes this end of a ring that was formatted.
    ///
    /// # Errors
    /// `BadHeader`, `BadIndex`.
    pub fn attach(memory: M) -> Result<Self, RingFault> {
        Ok(Self {
            end: End::consumer(memory, 1)?,
        })
    }

    /// Bytes that the ring holds.
    pub fn capacity(&self) -> u32 {
        self.end.capacity
    }

    /// Bytes that can be read now.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn waiting(&self) -> Result<u32, RingFault> {
        self.end.available()
    }

    /// Copies the next bytes out without taking them: who dies before [`accept`](Self::accept) leaves them to the next incarnation.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn peek(&self, into: &mut [u8]) -> Result<usize, RingFault> {
        let count = into.len().min(self.waiting()? as usize);
        for (offset, from, to) in pieces(self.end.own, self.end.capacity, count) {
            self.end.memory.read(offset, &mut into[from..to]);
        }
        Ok(count)
    }

    /// Takes `count` bytes out; no more than there are.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn accept(&mut self, count: usize) -> Result<Doorbell, RingFault> {
        let count = count.min(self.waiting()? as usize);
        Ok(if count == 0 {
            Doorbell::NotDue
        } else {
            self.end.advance(count as u32)
        })
    }

    /// Copies the next bytes out and takes them.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn read(&mut self, into: &mut [u8]) -> Result<(usize, Doorbell), RingFault> {
        let count = self.peek(into)?;
        Ok((count, self.accept(count)?))
    }

    /// Asks to be woken when something comes. `false`: something is there already.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn sleep(&self) -> Result<bool, RingFault> {
        self.end.sleep()
    }

    /// Position in the stream, modulo 2³².
    pub fn position(&self) -> u32 {
        self.end.own
    }

    /// Checks that nobody made the ring anew.
    ///
    /// # Errors
    /// `Stale`, `BadHeader`.
    pub fn check_current(&self) -> Result<(), RingFault> {
        self.end.check_current()
    }
}

/// The one or two runs of the data area that `count` bytes from `position` on take: offset, and range in the bytes.
fn pieces(position: u32, capacity: u32, count: usize) -> [(usize, usize, usize); 2] {
    let start = (position & (capacity - 1)) as usize;
    let first = count.min(capacity as usize - start);
    [
        (HEADER_BYTES + start, 0, first),
        (HEADER_BYTES, first, count),
    ]
}
