//! Filling in pages when they are first touched.

use core::sync::atomic::Ordering;

use abi::{layout::PAGE_SIZE, syscall::MemoryKind, syscall::protection};

use crate::machine::{Access, PageAccess};
use crate::mem::frame::{Frame, WORDS_PER_FRAME};
use crate::object::{Mapping, Memory, Process};
use crate::sync::Order;
use crate::{Kernel, Machine};

/// What came of a touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filled {
    /// The page is there now.
    Present,
    /// Nothing is mapped there, or not for this.
    Refused,
    /// There was no frame for it.
    OutOfMemory,
}

/// Neighbours of a touched page that are mapped with it when their frames are known anyway.
const AROUND: u64 = 16;

/// What a mapping's protection lets user space do; `None` for nothing.
pub fn page_access(bits: u32) -> Option<PageAccess> {
    let bits = u64::from(bits);
    if bits & protection::READ == 0 {
        None
    } else if bits & protection::WRITE != 0 {
        Some(PageAccess::ReadWrite)
    } else if bits & protection::EXECUTE != 0 {
        Some(PageAccess::ReadExecute)
    } else {
        Some(PageAccess::Read)
    }
}

const fn allows(access: PageAccess, wanted: Access) -> bool {
    matches!(
        (access, wanted),
        (_, Access::Read) | (PageAccess::ReadWrite, Access::Write) | (PageAccess::ReadExecute, Access::Execute)
    )
}

impl<M: Machine> Kernel<M> {
    /// Makes the page at `address` present if a mapping allows the access.
    pub fn fill_page(&self, process: &Process, address: u64, wanted: Access) -> Filled {
        let Some(name) = self.mapping_at(process, address) else {
            return Filled::Refused;
        };
        let mapping = self.at(name);
        let Some(access) = page_access(mapping.protection.get()).filter(|&access| allows(access, wanted)) else {
            return Filled::Refused;
        };
        let address = address & !(PAGE_SIZE as u64 - 1);
        let memory = self.at(mapping.memory.get());
        let page = mapping.page_at(address);
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        let (frame, access) = match self.shown_frame(mapping, memory, page, access, wanted) {
            Ok(shown) => shown,
            Err(why) => return why,
        };
        let root = process.root_frame();
        let Ok(entry) = self.entry_or_new(self.at(process.header.quota.get()), root, address) else {
            return Filled::OutOfMemory;
        };
        let (before, after) = (entry.get(), self.machine().page_entry(frame, access, memory.cache()));
        if after & !before == 0 && wanted != Access::Execute {
            // The page was there already, so this is not what the fault was about, and would not end it.
            return Filled::Refused;
        }
        entry.set(after);
        if before != 0 {
            self.machine().flush_page(root, address);
        }
        if memory.kind() != MemoryKind::Anonymous {
            self.fill_around(process, mapping, memory, address, access);
        }
        Filled::Present
    }

    /// The frame that a mapping shows as a page of its memory, whose lock is held, and what may be done with it. A private mapping has a page of its own
    /// once it has written it, or where the memory had none; until then it shows the memory's, which it may not write.
    fn shown_frame(
        &self,
        mapping: &Mapping,
        memory: &Memory,
        page: u64,
        access: PageAccess,
        wanted: Access,
    ) -> Result<(Frame, PageAccess), Filled> {
        let is_inside = page < memory.pages.load(Ordering::Relaxed);
        let own = mapping.own.get();
        let keeper = if own.is_some() { self.at(own) } else { memory };
        let original = if own.is_none() || self.page_frame(keeper, page).is_some() {
            None
        } else {
            self.page_frame(memory, page).filter(|_| is_inside)
        };
        match original {
            Some(frame) if wanted != Access::Write => return Ok((frame, access.without_writing())),
            None if !is_inside && (own.is_none() || self.page_frame(keeper, page).is_none()) => {
                return Err(Filled::Refused);
            }
            _ => {}
        }
        let frame = self.page_frame_or_new(keeper, page).map_err(|_| Filled::OutOfMemory)?;
        if let Some(original) = original {
            self.machine().copy(original, frame, PAGE_SIZE);
        }
        Ok((frame, access))
    }

    /// Maps the neighbours of a touched page of memory that is one run of frames, but for those that have been copied.
    fn fill_around(&self, process: &Process, mapping: &Mapping, memory: &Memory, address: u64, access: PageAccess) {
        let page = mapping.page_at(address);
        let left = memory.pages.load(Ordering::Relaxed).saturating_sub(page);
        let left = left.min((mapping.end.get() - address) / PAGE_SIZE as u64);
        let in_table = WORDS_PER_FRAME as u64 - address / PAGE_SIZE as u64 % WORDS_PER_FRAME as u64;
        let own = mapping.own.get();
        let access = if own.is_some() { access.without_writing() } else { access };
        for next in 1..AROUND.min(left).min(in_table) {
            let Some(entry) = self.entry(process.root_frame(), address + next * PAGE_SIZE as u64) else {
                break;
            };
            let is_copied = own.is_some() && self.page_frame(self.at(own), page + next).is_some();
            if let Some(frame) = self.page_frame(memory, page + next).filter(|_| entry.get() == 0 && !is_copied) {
                entry.set(self.machine().page_entry(frame, access, memory.cache()));
            }
        }
    }

    /// The frame behind a mapped address of a process, filled in if need be; for debuggers and loaders, who may read and write whatever the
    /// process could be given. What they write in a private mapping is its own.
    pub fn frame_behind(&self, process: &Process, address: u64, wanted: Access) -> Option<(Frame, usize)> {
        let mapping = self.at(self.mapping_at(process, address)?);
        let memory = self.at(mapping.memory.get());
        if memory.kind() == MemoryKind::Device {
            return None;
        }
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        let (frame, _) =
            self.shown_frame(mapping, memory, mapping.page_at(address), PageAccess::ReadWrite, wanted).ok()?;
        if wanted == Access::Write && mapping.own.get().is_some() {
            // The page tables may show the page that has just been copied.
            self.clear_entries(process, address & !(PAGE_SIZE as u64 - 1), address + 1, 1);
        }
        Some((frame, (address % PAGE_SIZE as u64) as usize))
    }

    /// Copies bytes between frames, at any alignment.
    pub fn copy_between(&self, from: Frame, from_offset: usize, to: Frame, to_offset: usize, count: usize) {
        let (source, target) = (self.machine().words(from), self.machine().words(to));
        let mut done = 0;
        if (from_offset | to_offset | count).is_multiple_of(8) {
            let words = target[to_offset / 8..].iter().zip(&source[from_offset / 8..]);
            words.take(count / 8).for_each(|(to, from)| to.set(from.get()));
            return;
        }
        while done < count {
            let (at, into) = (from_offset + done, to_offset + done);
            let room = (8 - at % 8).min(8 - into % 8).min(count - done);
            let mask = if room == 8 { u64::MAX } else { (1 << (room * 8)) - 1 };
            let value = source[at / 8].get() >> (at % 8 * 8) & mask;
            let shift = into % 8 * 8;
            let word = &target[into / 8];
            word.set(word.get() & !(mask << shift) | value << shift);
            done += room;
        }
    }
}
