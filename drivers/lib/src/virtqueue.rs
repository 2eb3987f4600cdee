//! A split virtqueue (virtio 1.2 §2.7).
//!
//! Invariants: a descriptor is either in the free list or part of one chain that the device has; `outstanding[head]` is the length of the
//! chain that starts at `head`, 0 if none does. What the device writes into the used ring is checked against that before it is believed, and
//! descriptors are never read back, because the device could have written to them.

use crate::dma::{DmaAddr, DmaMemory};
use crate::virtio::QueueAreas;

/// Descriptors of a queue, at most, in this driver.
pub const MAX_SIZE: usize = 256;
/// Descriptors of one chain, at most.
pub const MAX_CHAIN: usize = 4;

const DESCRIPTOR_BYTES: usize = 16;
const FLAG_NEXT: u16 = 1;
const FLAG_DEVICE_WRITES: u16 = 2;
/// Used ring flag: the device needs no doorbell (§2.7.10).
const USED_NO_NOTIFY: u16 = 1;
/// Available ring flag: the driver needs no interrupt (§2.7.6).
const AVAILABLE_NO_INTERRUPT: u16 = 1;

/// A piece of memory in a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where it is.
    pub address: DmaAddr,
    /// Bytes.
    pub length: u32,
    /// Who writes it.
    pub direction: Direction,
}

/// Who writes a piece of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// We do; the device reads.
    ToDevice,
    /// The device does.
    FromDevice,
}

/// Names a chain that the device has: the number of its first descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainId(pub u16);

/// A chain that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// Which.
    pub chain: ChainId,
    /// Bytes the device says that it wrote; a claim.
    pub written: u32,
}

/// No room for the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFull;

/// The device wrote nonsense into its ring. The queue is of no use until the device was reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueFault {
    /// It gave back more chains than it had.
    UsedIndex {
        /// The index that it wrote.
        reported: u16,
    },
    /// It gave back a chain that it did not have.
    UnknownChain {
        /// The number that it wrote.
        reported: u32,
    },
}

/// One queue, its memory, and what we know of it.
#[derive(Debug)]
pub struct Virtqueue<D> {
    memory: D,
    size: u16,
    available_offset: usize,
    used_offset: usize,
    free_head: u16,
    free_count: u16,
    next_free: [u16; MAX_SIZE],
    outstanding: [u8; MAX_SIZE],
    in_device: u16,
    available_index: u16,
    published_index: u16,
    used_index: u16,
}

impl<D: DmaMemory> Virtqueue<D> {
    /// Bytes of memory that a queue of `size` descriptors takes; a multiple of 8.
    pub const fn memory_bytes(size: u16) -> usize {
        Self::used_at(size) + (6 + 8 * size as usize).next_multiple_of(8)
    }

    const fn available_at(size: u16) -> usize {
        DESCRIPTOR_BYTES * size as usize
    }

    const fn used_at(size: u16) -> usize {
        (Self::available_at(size) + 6 + 2 * size as usize).next_multiple_of(8)
    }

    /// Makes an empty queue in zeroed memory.
    ///
    /// # Panics
    /// If `size` is no power of two up to [`MAX_SIZE`], or the memory is too small.
    pub fn new(memory: D, size: u16) -> Self {
        assert!(
            size.is_power_of_two() && usize::from(size) <= MAX_SIZE,
            "a queue's size is a power of two that we have room for"
        );
        assert!(
            memory.len() >= Self::memory_bytes(size),
            "a queue's memory holds it"
        );
        let mut next_free = [0; MAX_SIZE];
        for (slot, next) in next_free.iter_mut().zip(1..) {
            *slot = next;
        }
        Self {
            memory,
            size,
            available_offset: Self::available_at(size),
            used_offset: Self::used_at(size),
            free_head: 0,
            free_count: size,
            next_free,
            outstanding: [0; MAX_SIZE],
            in_device: 0,
            available_index: 0,
            published_index: 0,
            used_index: 0,
        }
    }

    /// Where the parts are, for the device.
    pub fn areas(&self) -> QueueAreas {
        let base = self.memory.device_address();
        QueueAreas {
            descriptors: base,
            driver: base.plus(self.available_offset as u64),
            device: base.plus(self.used_offset as u64),
        }
    }

    /// Descriptors that are free.
    pub fn free_descriptors(&self) -> usize {
        usize::from(self.free_count)
    }

    /// Chains that the device has.
    pub fn chains_in_device(&self) -> usize {
        usize::from(self.in_device)
    }

    /// Places a chain. The device looks at it after [`publish`](Self::publish).
    ///
    /// # Panics
    /// If the chain is empty or longer than [`MAX_CHAIN`].
    pub fn push(&mut self, chain: &[Segment]) -> Result<ChainId, QueueFull> {
        assert!(
            !chain.is_empty() && chain.len() <= MAX_CHAIN,
            "a chain has one to four segments"
        );
        if chain.len() > self.free_descriptors() {
            return Err(QueueFull);
        }
        let head = self.free_head;
        for (index, segment) in chain.iter().enumerate() {
            let slot = self.free_head;
            self.free_head = self.next_free[usize::from(slot)];
            let is_last = index + 1 == chain.len();
            self.write_descriptor(slot, *segment, (!is_last).then_some(self.free_head));
        }
        self.free_count -= chain.len() as u16;
        self.outstanding[usize::from(head)] = chain.len() as u8;
        self.in_device += 1;
        let entry = self.available_offset + 4 + 2 * usize::from(self.available_index % self.size);
        self.memory.write_u16(entry, head);
        self.available_index = self.available_index.wrapping_add(1);
        Ok(ChainId(head))
    }

    /// Shows the device everything pushed since the last time; says whether it wants its doorbell rung.
    pub fn publish(&mut self) -> bool {
        if self.published_index == self.available_index {
            return false;
        }
        self.memory.fence();
        self.memory
            .write_u16(self.available_offset + 2, self.available_index);
        self.published_index = self.available_index;
        self.memory.fence();
        self.memory.read_u16(self.used_offset) & USED_NO_NOTIFY == 0
    }

    /// Takes the next chain that the device has finished with.
    pub fn pop(&mut self) -> Result<Option<Used>, QueueFault> {
        let reported = self.memory.read_u16(self.used_offset + 2);
        let ready = reported.wrapping_sub(self.used_index);
        if ready == 0 {
            return Ok(None);
        }
        if ready > self.in_device {
            return Err(QueueFault::UsedIndex { reported });
        }
        self.memory.fence();
        let entry = self.used_offset + 4 + 8 * usize::from(self.used_index % self.size);
        let head = self.memory.read_u32(entry);
        let written = self.memory.read_u32(entry + 4);
        let length = usize::try_from(head)
            .ok()
            .filter(|&head| head < usize::from(self.size))
            .map_or(0, |head| usize::from(self.outstanding[head]));
        if length == 0 {
            return Err(QueueFault::UnknownChain { reported: head });
        }
        let head = head as u16;
        self.release(head, length);
        self.used_index = self.used_index.wrapping_add(1);
        Ok(Some(Used {
            chain: ChainId(head),
            written,
        }))
    }

    /// Asks the device for interrupts, or for none; after asking for them, look once more with [`pop`](Self::pop) before going to sleep.
    pub fn set_interrupts(&mut self, wanted: Interrupts) {
        let flags = match wanted {
            Interrupts::Wanted => 0,
            Interrupts::Unwanted => AVAILABLE_NO_INTERRUPT,
        };
        self.memory.write_u16(self.available_offset, flags);
        self.memory.fence();
    }

    /// The links between descriptors of a chain are the free list's own, which stay valid while the chain is out: `next_free` is changed only here.
    fn release(&mut self, head: u16, length: usize) {
        let mut last = head;
        for _ in 1..length {
            last = self.next_free[usize::from(last)];
        }
        self.next_free[usize::from(last)] = self.free_head;
        self.free_head = head;
        self.free_count += length as u16;
        self.outstanding[usize::from(head)] = 0;
        self.in_device -= 1;
    }

    fn write_descriptor(&mut self, slot: u16, segment: Segment, next: Option<u16>) {
        let at = DESCRIPTOR_BYTES * usize::from(slot);
        let direction = match segment.direction {
            Direction::ToDevice => 0,
            Direction::FromDevice => FLAG_DEVICE_WRITES,
        };
        self.memory.write_u64(at, segment.address.0);
        self.memory.write_u32(at + 8, segment.length);
        self.memory.write_u16(
            at + 12,
            direction | if next.is_some() { FLAG_NEXT } else { 0 },
        );
        self.memory.write_u16(at + 14, next.unwrap_or(0));
    }
}

/// Whether the device is to interrupt when it gives a chain back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interrupts {
    /// It is.
    Wanted,
    /// It need not.
    Unwanted,
}
