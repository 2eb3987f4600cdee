//! Memory objects: their making and their end.

use core::sync::atomic::Ordering;

use abi::{Outcome, syscall::MemoryKind};

use crate::machine::CacheKind;
use crate::mem::frame::{Frame, FrameRange};
use crate::mem::index::MAX_PAGES;
use crate::object::{Memory, Name, Quota, Resource};
use crate::sched::work::Progress;
use crate::{Kernel, Machine};

/// Frames of contiguous memory, at most: they are cleared in one stay in the kernel.
pub const MAX_CONTIGUOUS: u64 = 1024;
/// Places that are looked at in one slice.
const SLICE: u64 = 128;
/// Tables that are freed in one slice; each may cost a search through three tables.
const TABLE_SLICE: u64 = 4;

impl<M: Machine> Kernel<M> {
    /// Anonymous memory. Has no references yet.
    pub fn make_anonymous(&self, quota: Name<Quota>, pages: u64) -> Result<Name<Memory>, Outcome> {
        if pages == 0 || pages > MAX_PAGES {
            return Err(Outcome::BadArgument);
        }
        let (name, memory) = self.allocate::<Memory>(quota)?;
        memory.set_kind(MemoryKind::Anonymous);
        memory.pages.store(pages, Ordering::Relaxed);
        Ok(name)
    }

    /// Contiguous memory, charged and taken at once.
    pub fn make_contiguous(&self, quota: Name<Quota>, pages: u64) -> Result<Name<Memory>, Outcome> {
        if pages == 0 {
            return Err(Outcome::BadArgument);
        }
        if pages > MAX_CONTIGUOUS {
            return Err(Outcome::Unsupported);
        }
        let (name, memory) = self.allocate::<Memory>(quota)?;
        let payer = self.at(quota);
        if let Err(outcome) = payer.charge(Resource::Frames, pages) {
            self.free(name);
            return Err(outcome);
        }
        let Some(range) = self.shared().frames.take_contiguous(self.machine(), pages) else {
            self.uncharge(quota, Resource::Frames, pages);
            self.free(name);
            return Err(Outcome::NoMemory);
        };
        for index in 0..pages {
            self.machine().clear(range.first.plus(index));
        }
        memory.set_kind(MemoryKind::Contiguous);
        memory.base.set(range.first.number());
        memory.present.set(pages);
        memory.pages.store(pages, Ordering::Relaxed);
        Ok(name)
    }

    /// Memory over frames that belong to nobody: a device's, or what the boot loader filled.
    pub fn make_fixed(
        &self,
        quota: Name<Quota>,
        range: FrameRange,
        kind: MemoryKind,
        cache: CacheKind,
    ) -> Result<Name<Memory>, Outcome> {
        if range.count == 0 || range.count > MAX_PAGES {
            return Err(Outcome::BadArgument);
        }
        let (name, memory) = self.allocate::<Memory>(quota)?;
        memory.set_kind(kind);
        memory.set_cache(cache);
        memory.base.set(range.first.number());
        memory.pages.store(range.count, Ordering::Relaxed);
        Ok(name)
    }

    /// Frees some of a memory object that nobody refers to any more.
    pub fn take_apart_memory(&self, name: Name<Memory>) -> Progress {
        let memory = self.at(name);
        match memory.kind() {
            MemoryKind::Anonymous => {
                if memory.present.get() != 0 {
                    if let Some(next) = self.free_pages(memory, memory.cursor.get(), SLICE) {
                        memory.cursor.set(next);
                        return Progress::More;
                    }
                    memory.present.set(0);
                }
                if !self.free_index(memory, TABLE_SLICE) {
                    return Progress::More;
                }
            }
            MemoryKind::Contiguous => {
                for _ in 0..SLICE {
                    let Some(left) = memory.present.get().checked_sub(1) else {
                        break;
                    };
                    memory.present.set(left);
                    self.give_charged_frame(memory.header.quota.get(), Frame::new(memory.base.get() + left));
                }
                if memory.present.get() != 0 {
                    return Progress::More;
                }
            }
            MemoryKind::Device | MemoryKind::Boot => {}
        }
        self.free(name);
        Progress::Done
    }
}
