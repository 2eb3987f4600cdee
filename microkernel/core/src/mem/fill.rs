//! Filling in pages when they are first touched.

use core::sync::atomic::Ordering;

use abi::{layout::PAGE_SIZE, syscall::MemoryKind, syscall::protection};

use crate::machine::{Access, PageAccess};
use crate::mem::frame::{Frame, WORDS_PER_FRAME};
use crate::object::{Mapping, Process};
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
        self.fill_from(process, mapping, address & !(PAGE_SIZE as u64 - 1), access)
    }

    fn fill_from(&self, process: &Process, mapping: &Mapping, address: u64, access: PageAccess) -> Filled {
        let memory = self.at(mapping.memory.get());
        let page = mapping.first_page.get() + (address - mapping.start.get()) / PAGE_SIZE as u64;
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        let pages = memory.pages.load(Ordering::Relaxed);
        if page >= pages {
            return Filled::Refused;
        }
        let quota = self.at(process.header.quota.get());
        let Ok(frame) = self.page_frame_or_new(memory, page) else {
            return Filled::OutOfMemory;
        };
        let root = process.root_frame();
        let Ok(entry) = self.entry_or_new(quota, root, address) else {
            return Filled::OutOfMemory;
        };
        let was_present = entry.get() != 0;
        let cache = memory.cache();
        entry.set(self.machine().page_entry(frame, access, cache));
        if was_present {
            self.machine().flush_page(root, address);
        }
        if memory.kind() != MemoryKind::Anonymous {
            let left = (pages - page).min((mapping.end.get() - address) / PAGE_SIZE as u64);
            let in_table = WORDS_PER_FRAME as u64 - address / PAGE_SIZE as u64 % WORDS_PER_FRAME as u64;
            for next in 1..AROUND.min(left).min(in_table) {
                let Some(entry) = self.entry(root, address + next * PAGE_SIZE as u64) else {
                    break;
                };
                if entry.get() == 0 {
                    entry.set(self.machine().page_entry(frame.plus(next), access, cache));
                }
            }
        }
        Filled::Present
    }

    /// The frame behind a mapped address of a process, filled in if need be; for debuggers and loaders, who may read and write whatever the
    /// process could be given.
    pub fn frame_behind(&self, process: &Process, address: u64) -> Option<(Frame, usize)> {
        let mapping = self.at(self.mapping_at(process, address)?);
        let memory = self.at(mapping.memory.get());
        if memory.kind() == MemoryKind::Device {
            return None;
        }
        let page = mapping.first_page.get() + (address - mapping.start.get()) / PAGE_SIZE as u64;
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        if page >= memory.pages.load(Ordering::Relaxed) {
            return None;
        }
        let frame = self.page_frame_or_new(memory, page).ok()?;
        Some((frame, (address % PAGE_SIZE as u64) as usize))
    }
}
