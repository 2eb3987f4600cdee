//! Mapping: a range of an address space and the memory behind it. No handle names it; its process's home alone touches it, but for
//! the fields marked so, which the memory's lock guards.

use core::cell::Cell;

use abi::layout::PAGE_SIZE;
use zerocopy::FromBytes;

use super::{Header, Link, Memory, Name, Process, lists};

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Mapping {
    /// The header.
    pub header: Header,
    /// First address.
    pub start: Cell<u64>,
    /// One past the last address.
    pub end: Cell<u64>,
    /// The memory; holds a reference.
    pub memory: Cell<Name<Memory>>,
    /// The pages that this mapping has of its own, under the same numbers, if it is private; holds a reference.
    pub own: Cell<Name<Memory>>,
    /// The page of it that `start` shows.
    pub first_page: Cell<u64>,
    /// The process.
    pub process: Cell<Name<Process>>,
    /// `protection` bits at present.
    pub protection: Cell<u32>,
    /// `protection` bits at most.
    pub allowed: Cell<u32>,
    /// Keys of the tree.
    pub lower: Cell<Name<Mapping>>,
    /// See `lower`.
    pub upper: Cell<Name<Mapping>>,
    /// Random; a parent's weight is at least its children's.
    pub weight: Cell<u32>,
    /// The memory's count of shrinks that it has followed. Memory's lock.
    pub shrinks: Cell<u32>,
    /// How far it has followed the shrinking that is under way: an address.
    pub cursor: Cell<u64>,
    of_memory: Link,
}

lists! {
    /// Mappings of one memory. Memory's lock.
    MemoryMappings of Mapping by of_memory;
}

impl Mapping {
    /// The page of the memory that an address of it shows.
    pub fn page_at(&self, address: u64) -> u64 {
        self.first_page.get() + (address - self.start.get()) / PAGE_SIZE as u64
    }
}
