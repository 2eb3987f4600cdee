//! Page tables: four levels of 512 entries, allocated as they are needed and charged to the process.
//!
//! `core` walks them as words; what an entry means is the machine's affair.

use core::cell::Cell;

use abi::{Outcome, layout::PAGE_SIZE, layout::TIME_PAGE_ADDRESS};

use crate::machine::{CacheKind, PageAccess};
use crate::mem::frame::Frame;
use crate::object::{Name, Process, Quota};
use crate::{Kernel, Machine};

/// Levels of tables.
const LEVELS: u32 = 4;
/// Entries of the top-level table that are user space's.
const USER_ENTRIES: usize = 256;

const fn position(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 0x1ff) as usize
}

/// Bytes that an entry of this level covers.
const fn span(level: u32) -> u64 {
    (PAGE_SIZE as u64) << (9 * level)
}

impl<M: Machine> Kernel<M> {
    /// A new top-level table with the kernel's half and the time page, charged to `quota`.
    pub fn make_tables(&self, quota: &Quota) -> Result<Frame, Outcome> {
        let root = self.take_charged_frame(quota)?;
        self.machine().initialise_root(root);
        let time = Frame::new(self.shared().time_page.load(core::sync::atomic::Ordering::Relaxed));
        match self.entry_or_new(quota, root, TIME_PAGE_ADDRESS) {
            Ok(entry) => {
                entry.set(self.machine().page_entry(time, PageAccess::Read, CacheKind::WriteBack));
                Ok(root)
            }
            Err(outcome) => {
                let quota = Name::from_bits(quota.header.name.get());
                while !self.free_tables(quota, root, 64) {}
                Err(outcome)
            }
        }
    }

    /// The entry for the page at `address`, if its table is there.
    pub fn entry(&self, root: Frame, address: u64) -> Option<&Cell<u64>> {
        let mut table = root;
        for level in (1..LEVELS).rev() {
            let entry = self.machine().words(table)[position(address, level)].get();
            table = self.machine().entry_frame(entry)?;
        }
        Some(&self.machine().words(table)[position(address, 0)])
    }

    /// The entry for the page at `address`, with tables made as needed.
    pub fn entry_or_new(&self, quota: &Quota, root: Frame, address: u64) -> Result<&Cell<u64>, Outcome> {
        let mut table = root;
        for level in (1..LEVELS).rev() {
            let place = &self.machine().words(table)[position(address, level)];
            table = match self.machine().entry_frame(place.get()) {
                Some(next) => next,
                None => {
                    let next = self.take_charged_frame(quota)?;
                    place.set(self.machine().table_entry(next));
                    next
                }
            };
        }
        Ok(&self.machine().words(table)[position(address, 0)])
    }

    /// Clears the entries of a range, looking at no more than `budget` places; gives the address to go on from.
    pub fn clear_entries(&self, process: &Process, start: u64, end: u64, budget: u32) -> u64 {
        let root = process.root_frame();
        let mut address = start;
        let mut cleared = 0;
        for _ in 0..budget {
            if address >= end {
                break;
            }
            let (entry, level) = self.lowest_entry(root, address);
            if level == 0 && entry.get() != 0 {
                entry.set(0);
                cleared += 1;
                if cleared <= 8 {
                    self.machine().flush_page(root, address);
                }
            }
            address = (address / span(level) + 1) * span(level);
        }
        if cleared > 8 {
            self.machine().flush_all(root);
        }
        address.min(end)
    }

    /// Changes what may be done with the pages of a range that are present; like [`Kernel::clear_entries`].
    pub fn reprotect_entries(
        &self,
        process: &Process,
        start: u64,
        end: u64,
        access: Option<PageAccess>,
        cache: CacheKind,
        budget: u32,
    ) -> u64 {
        let root = process.root_frame();
        let mut address = start;
        for _ in 0..budget {
            if address >= end {
                break;
            }
            let (entry, level) = self.lowest_entry(root, address);
            if level == 0
                && let Some(frame) = self.machine().entry_frame(entry.get())
            {
                entry.set(access.map_or(0, |access| self.machine().page_entry(frame, access, cache)));
                self.machine().flush_page(root, address);
            }
            address = (address / span(level) + 1) * span(level);
        }
        address.min(end)
    }

    /// The entry of the lowest table on the way to `address` that is there, and its level.
    fn lowest_entry(&self, root: Frame, address: u64) -> (&Cell<u64>, u32) {
        let mut table = root;
        let mut level = LEVELS - 1;
        loop {
            let entry = &self.machine().words(table)[position(address, level)];
            match self.machine().entry_frame(entry.get()) {
                Some(next) if level > 0 => table = next,
                _ => return (entry, level),
            }
            level -= 1;
        }
    }

    /// Frees up to `budget` tables of an address space that is active nowhere; the top one last. True when none is left.
    pub fn free_tables(&self, quota: Name<Quota>, root: Frame, budget: u32) -> bool {
        for _ in 0..budget {
            let mut table = root;
            let mut above: Option<&Cell<u64>> = None;
            for level in (1..LEVELS).rev() {
                let entries = if level == LEVELS - 1 {
                    &self.machine().words(table)[..USER_ENTRIES]
                } else {
                    &self.machine().words(table)[..]
                };
                let Some(place) = entries.iter().find(|entry| entry.get() != 0) else {
                    break;
                };
                let Some(next) = self.machine().entry_frame(place.get()) else {
                    place.set(0);
                    break;
                };
                above = Some(place);
                table = next;
            }
            match above {
                Some(place) => {
                    place.set(0);
                    self.give_charged_frame(quota, table);
                }
                None => {
                    self.give_charged_frame(quota, root);
                    return true;
                }
            }
        }
        false
    }
}
