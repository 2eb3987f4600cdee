//! Page tables: their entries, and walking four levels of them through the direct map (Intel SDM 3A §4.5).

use super::direct;
use abi::layout::PAGE_SIZE;

bitflags::bitflags! {
    /// The bits of an entry that are not the address.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Flags: u64 {
        /// It maps something.
        const PRESENT = 1 << 0;
        /// Writable.
        const WRITABLE = 1 << 1;
        /// Reachable from user mode.
        const USER = 1 << 2;
        /// Page attribute: bit 0 of the index into the PAT.
        const WRITE_THROUGH = 1 << 3;
        /// Page attribute: bit 1 of the index.
        const UNCACHED = 1 << 4;
        /// Set by the processor at the first access.
        const ACCESSED = 1 << 5;
        /// Set by the processor at the first write.
        const DIRTY = 1 << 6;
        /// A large page, in levels 2 and 3.
        const LARGE = 1 << 7;
        /// Kept in the TLB over a change of address space.
        const GLOBAL = 1 << 8;
        /// Not executable.
        const NO_EXECUTE = 1 << 63;
    }
}

const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;
const ENTRIES: usize = 512;
/// Bytes of a large page of level 2.
pub const LARGE_PAGE: u64 = 2 << 20;

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Entry(u64);

impl Entry {
    /// Nothing there.
    pub const EMPTY: Self = Self(0);

    /// An entry for the frame or table at `physical`.
    pub const fn new(physical: u64, flags: Flags) -> Self {
        Self((physical & ADDRESS_MASK) | flags.bits())
    }

    /// The entry with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// All its bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What it leads to.
    pub const fn address(self) -> u64 {
        self.0 & ADDRESS_MASK
    }

    /// Its other bits.
    pub const fn flags(self) -> Flags {
        Flags::from_bits_truncate(self.0)
    }

    /// Whether it leads anywhere.
    pub const fn is_present(self) -> bool {
        self.0 & Flags::PRESENT.bits() != 0
    }
}

/// A table somewhere in memory, known to be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    entries: *mut Entry,
}

impl Table {
    /// The table in the frame at `physical`.
    ///
    /// # Safety
    /// The frame holds a page table, is used as nothing else, and only this CPU changes it while the value is in use.
    pub unsafe fn at(physical: u64) -> Option<Self> {
        Some(Self { entries: direct::pointer(physical, PAGE_SIZE as u64)?.cast() })
    }

    /// The entry with this index (only its low nine bits count).
    pub fn get(self, index: usize) -> Entry {
        // SAFETY: the index is below 512, and the table is a page of entries: `Table::at`'s caller vouched for it. Volatile,
        // because the processor sets bits in it.
        unsafe { self.entries.add(index % ENTRIES).read_volatile() }
    }

    /// Sets the entry with this index.
    pub fn set(self, index: usize, entry: Entry) {
        // SAFETY: as in `get`. What may be mapped is the business of who calls; the callers are in this module's parent.
        unsafe { self.entries.add(index % ENTRIES).write_volatile(entry) }
    }

    /// The table that the entry with this index leads to.
    pub fn next(self, index: usize) -> Option<Self> {
        let entry = self.get(index);
        if !entry.is_present() || entry.flags().contains(Flags::LARGE) {
            return None;
        }
        // SAFETY: a present entry of a table that is not for a large page leads to a table, with the same owner.
        unsafe { Self::at(entry.address()) }
    }

    /// The table that the entry with this index leads to; a new one in a frame from `take_frame` if there is none.
    ///
    /// Protection is decided by the last level alone, so upper levels allow everything in their half.
    pub fn next_or_new(self, index: usize, flags: Flags, take_frame: &mut impl FnMut() -> Option<u64>) -> Option<Self> {
        if self.get(index).is_present() {
            return self.next(index);
        }
        let frame = take_frame()?;
        // SAFETY: the frame is fresh from the allocator, so nobody else uses it, and becomes a table here.
        let table = unsafe { Self::at(frame) }?;
        for entry in 0..ENTRIES {
            table.set(entry, Entry::EMPTY);
        }
        self.set(index, Entry::new(frame, flags | Flags::PRESENT | Flags::WRITABLE));
        Some(table)
    }
}

/// The index of `address` in a table of `level` (4: top, 1: last).
pub const fn index(address: u64, level: u32) -> usize {
    ((address >> (12 + 9 * (level - 1))) & 0x1ff) as usize
}
