//! Shrinking a memory object: what is cut off is unmapped everywhere, then freed.
//!
//! How far it has got is kept in the object, not in the thread that asked, so that whoever resizes next finishes what somebody who was
//! killed had begun. The thread travels: what a mapping needs is done on its process's home CPU.

use core::sync::atomic::Ordering;

use abi::{Outcome, layout::PAGE_SIZE, syscall::MemoryKind};

use crate::mem::index::MAX_PAGES;
use crate::object::Memory;
use crate::sync::Order;
use crate::{Kernel, Machine};

/// Places that are looked at in one stay in the kernel.
const SLICE: u32 = 256;

/// How far a shrink has got: the number in `Memory::shrinking`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Shrinking {
    /// None is under way.
    No = 0,
    /// Mappings lose their entries past the new end.
    Unmapping = 1,
    /// Frames past it are freed.
    Freeing = 2,
}

/// What a step of resizing came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The length is as asked, and nothing is left to do.
    Done,
    /// Another step is needed, here.
    More,
    /// The next step is another CPU's.
    Elsewhere(usize),
}

impl<M: Machine> Kernel<M> {
    /// Takes a step towards a length of `pages`.
    pub fn resize_step(&self, memory: &Memory, pages: u64) -> Result<Step, Outcome> {
        if memory.kind() != MemoryKind::Anonymous {
            return Err(Outcome::Unsupported);
        }
        if pages == 0 || pages > MAX_PAGES {
            return Err(Outcome::BadArgument);
        }
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        if memory.shrinking.get() == Shrinking::Unmapping as u32 {
            return Ok(self.follow_shrink(memory));
        }
        if memory.shrinking.get() == Shrinking::Freeing as u32 {
            match self.free_pages(memory, memory.cursor.get(), u64::from(SLICE)) {
                Some(next) => memory.cursor.set(next),
                None => {
                    memory.cursor.set(0);
                    memory.shrinking.set(Shrinking::No as u32);
                }
            }
            return Ok(Step::More);
        }
        let old = memory.pages.load(Ordering::Relaxed);
        if pages < old {
            memory.shrinks.set(memory.shrinks.get().wrapping_add(1));
            memory.shrinking.set(Shrinking::Unmapping as u32);
        }
        memory.pages.store(pages, Ordering::Release);
        Ok(if pages < old { Step::More } else { Step::Done })
    }

    /// Clears what one mapping shows past the end. Mappings that are done stand at the back of the list.
    fn follow_shrink(&self, memory: &Memory) -> Step {
        let shrinks = memory.shrinks.get();
        let pages = memory.pages.load(Ordering::Relaxed);
        let pending = memory.mappings.first().filter(|&first| self.at(first).shrinks.get() != shrinks);
        let Some(name) = pending else {
            memory.cursor.set(pages);
            memory.shrinking.set(Shrinking::Freeing as u32);
            return Step::More;
        };
        let mapping = self.at(name);
        let process = self.at(mapping.process.get());
        if process.home() != self.cpu() {
            return Step::Elsewhere(process.home());
        }
        let kept = pages.saturating_sub(mapping.first_page.get()) * PAGE_SIZE as u64;
        let (start, end) = (mapping.start.get(), mapping.end.get());
        let first = start.saturating_add(kept).min(end).max(mapping.cursor.get());
        let next = self.clear_entries(process, first, end, SLICE);
        if next >= end {
            mapping.cursor.set(0);
            mapping.shrinks.set(shrinks);
            self.rotate(&memory.mappings);
        } else {
            mapping.cursor.set(next);
        }
        Step::More
    }
}
