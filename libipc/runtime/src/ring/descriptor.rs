//! Rings of descriptors: which piece of a pool of memory, and whose business it is.

use super::end::{Doorbell, End, RingFault};
use super::memory::RingMemory;
use super::{DESCRIPTOR_BYTES, HEADER_BYTES};
use core::ops::Range;

/// A piece of the pool. Read from a ring it is a claim: [`range`](Self::range) checks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Descriptor {
    /// First byte in the pool.
    pub offset: u32,
    /// Bytes, at most 2²⁴ − 1.
    pub length: u32,
    /// What the protocol says.
    pub flags: u8,
    /// The producer's own business; comes back with the completion.
    pub cookie: u64,
}

const LENGTH_BITS: u32 = 24;

impl Descriptor {
    /// The bytes of the pool that it speaks of.
    ///
    /// # Errors
    /// `BadDescriptor` if they are not all inside.
    pub fn range(&self, pool_bytes: usize) -> Result<Range<usize>, RingFault> {
        let start = self.offset as usize;
        let end = start + self.length as usize;
        if end <= pool_bytes {
            Ok(start..end)
        } else {
            Err(RingFault::BadDescriptor)
        }
    }

    fn to_bytes(self) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes[..4].copy_from_slice(&self.offset.to_le_bytes());
        let length =
            (self.length & ((1 << LENGTH_BITS) - 1)) | (u32::from(self.flags) << LENGTH_BITS);
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[8..].copy_from_slice(&self.cookie.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; DESCRIPTOR_BYTES]) -> Self {
        let [o0, o1, o2, o3, l0, l1, l2, flags, cookie @ ..] = bytes;
        Self {
            offset: u32::from_le_bytes([o0, o1, o2, o3]),
            length: u32::from_le_bytes([l0, l1, l2, 0]),
            flags,
            cookie: u64::from_le_bytes(cookie),
        }
    }
}

/// The end that puts descriptors in.
#[derive(Debug)]
pub struct Producer<M> {
    end: End<M>,
    /// Put in but not yet shown.
    unseen: u32,
}

impl<M: RingMemory> Producer<M> {
    /// Takes this end of a ring that was formatted.
    ///
    /// # Errors
    /// `BadHeader`, `BadIndex`.
    pub fn attach(memory: M) -> Result<Self, RingFault> {
        Ok(Self {
            end: End::producer(memory)?,
            unseen: 0,
        })
    }

    /// Entries that the ring holds.
    pub fn depth(&self) -> u32 {
        self.end.capacity
    }

    /// Places free.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn room(&self) -> Result<u32, RingFault> {
        Ok(self.end.available()?.saturating_sub(self.unseen))
    }

    /// Puts a descriptor in; the consumer sees it after [`publish`](Self::publish). `false` if there is no room.
    ///
    /// # Errors
    /// `BadIndex`; `BadDescriptor` for a length that has no room in a descriptor.
    pub fn push(&mut self, descriptor: Descriptor) -> Result<bool, RingFault> {
        if descriptor.length >> LENGTH_BITS != 0 {
            return Err(RingFault::BadDescriptor);
        }
        if self.room()? == 0 {
            return Ok(false);
        }
        let place = self.end.own.wrapping_add(self.unseen) & (self.end.capacity - 1);
        self.end.memory.write(
            HEADER_BYTES + place as usize * DESCRIPTOR_BYTES,
            &descriptor.to_bytes(),
        );
        self.unseen += 1;
        Ok(true)
    }

    /// Shows the consumer everything pushed so far.
    pub fn publish(&mut self) -> Doorbell {
        match core::mem::take(&mut self.unseen) {
            0 => Doorbell::NotDue,
            count => self.end.advance(count),
        }
    }

    /// Asks to be woken when there is room. `false`: there is room already.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn sleep(&self) -> Result<bool, RingFault> {
        self.end.sleep()
    }

    /// Checks that nobody made the ring anew.
    ///
    /// # Errors
    /// `Stale`, `BadHeader`.
    pub fn check_current(&self) -> Result<(), RingFault> {
        self.end.check_current()
    }

    /// The incarnation for which the ring was made.
    pub fn incarnation(&self) -> u64 {
        self.end.incarnation()
    }
}

/// The end that takes descriptors out.
#[derive(Debug)]
pub struct Consumer<M> {
    end: End<M>,
    /// Read but not yet taken out.
    held: u32,
}

impl<M: RingMemory> Consumer<M> {
    /// Takes this end of a ring that was formatted.
    ///
    /// # Errors
    /// `BadHeader`, `BadIndex`.
    pub fn attach(memory: M) -> Result<Self, RingFault> {
        Ok(Self {
            end: End::consumer(memory)?,
            held: 0,
        })
    }

    /// Entries that the ring holds.
    pub fn depth(&self) -> u32 {
        self.end.capacity
    }

    /// Descriptors to be read.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn waiting(&self) -> Result<u32, RingFault> {
        Ok(self.end.available()?.saturating_sub(self.held))
    }

    /// Reads the next descriptor. It stays in the ring until [`release`](Self::release): who dies before that leaves it to the next incarnation.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn read(&mut self) -> Result<Option<Descriptor>, RingFault> {
        if self.waiting()? == 0 {
            return Ok(None);
        }
        let place = self.end.own.wrapping_add(self.held) & (self.end.capacity - 1);
        let mut bytes = [0; DESCRIPTOR_BYTES];
        self.end
            .memory
            .read(HEADER_BYTES + place as usize * DESCRIPTOR_BYTES, &mut bytes);
        self.held += 1;
        Ok(Some(Descriptor::from_bytes(bytes)))
    }

    /// Takes everything read so far out of the ring.
    pub fn release(&mut self) -> Doorbell {
        match core::mem::take(&mut self.held) {
            0 => Doorbell::NotDue,
            count => self.end.advance(count),
        }
    }

    /// Takes the oldest `count` of those read so far out of the ring.
    pub fn release_some(&mut self, count: u32) -> Doorbell {
        let count = count.min(self.held);
        self.held -= count;
        if count == 0 {
            Doorbell::NotDue
        } else {
            self.end.advance(count)
        }
    }

    /// Asks to be woken when something comes. `false`: something is there already. Release first: what is held counts as there.
    ///
    /// # Errors
    /// `BadIndex`.
    pub fn sleep(&self) -> Result<bool, RingFault> {
        self.end.sleep()
    }

    /// Checks that nobody made the ring anew.
    ///
    /// # Errors
    /// `Stale`, `BadHeader`.
    pub fn check_current(&self) -> Result<(), RingFault> {
        self.end.check_current()
    }

    /// The incarnation for which the ring was made.
    pub fn incarnation(&self) -> u64 {
        self.end.incarnation()
    }
}
