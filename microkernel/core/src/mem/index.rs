//! Which frame is behind which page of a memory object.
//!
//! An anonymous object has a tree of frames with 512 numbers each, as deep as its length needs (up to three levels: 512 GiB). Others have one run of
//! frames. The object's lock is held by whoever calls these.

use abi::{Outcome, syscall::MemoryKind};

use crate::mem::frame::{Frame, WORDS_PER_FRAME};
use crate::object::Memory;
use crate::{Kernel, Machine};

const FANOUT: u64 = WORDS_PER_FRAME as u64;
/// Levels of the index, at most.
const MAX_LEVELS: u32 = 3;
/// Pages in a memory object, at most.
pub const MAX_PAGES: u64 = FANOUT * FANOUT * FANOUT;

/// Levels that an index needs for so many pages.
pub const fn levels_for(pages: u64) -> u32 {
    let mut levels = 1;
    let mut covered = FANOUT;
    while covered < pages && levels < MAX_LEVELS {
        covered *= FANOUT;
        levels += 1;
    }
    levels
}

impl<M: Machine> Kernel<M> {
    /// The frame behind a page, if there is one.
    pub fn page_frame(&self, memory: &Memory, page: u64) -> Option<Frame> {
        if memory.kind() != MemoryKind::Anonymous {
            return Some(Frame::new(memory.base.get() + page));
        }
        let mut at = memory.index.get();
        let mut level = memory.index_levels.get();
        if page >= FANOUT.pow(level.min(MAX_LEVELS)) {
            return None;
        }
        while at != 0 && level > 0 {
            level -= 1;
            let position = page / FANOUT.pow(level) % FANOUT;
            at = self.machine().words(Frame::new(at))[position as usize].get();
        }
        (at != 0).then(|| Frame::new(at))
    }

    /// The frame behind a page of an anonymous object, taken and charged if there was none.
    pub fn page_frame_or_new(&self, memory: &Memory, page: u64) -> Result<Frame, Outcome> {
        if let Some(frame) = self.page_frame(memory, page) {
            return Ok(frame);
        }
        let quota = self.at(memory.header.quota.get());
        self.grow_index(memory, page)?;
        let mut table = Frame::new(memory.index.get());
        for level in (1..memory.index_levels.get()).rev() {
            let place = &self.machine().words(table)[(page / FANOUT.pow(level) % FANOUT) as usize];
            if place.get() == 0 {
                place.set(self.take_charged_frame(quota)?.number());
            }
            table = Frame::new(place.get());
        }
        let frame = self.take_charged_frame(quota)?;
        self.machine().words(table)[(page % FANOUT) as usize].set(frame.number());
        memory.present.set(memory.present.get() + 1);
        Ok(frame)
    }

    /// Makes the index deep enough for `page`.
    fn grow_index(&self, memory: &Memory, page: u64) -> Result<(), Outcome> {
        let quota = self.at(memory.header.quota.get());
        let needed = levels_for(page + 1);
        if memory.index.get() == 0 {
            memory.index.set(self.take_charged_frame(quota)?.number());
            memory.index_levels.set(needed);
        }
        while memory.index_levels.get() < needed {
            let root = self.take_charged_frame(quota)?;
            self.machine().words(root)[0].set(memory.index.get());
            memory.index.set(root.number());
            memory.index_levels.set(memory.index_levels.get() + 1);
        }
        Ok(())
    }

    /// Frees frames of an anonymous object from `from` on, looking at no more than `budget` places. Gives the page to go on from, or
    /// nothing when none is left. Tables that become empty stay until the object goes.
    pub fn free_pages(&self, memory: &Memory, from: u64, budget: u64) -> Option<u64> {
        let quota = memory.header.quota.get();
        let levels = memory.index_levels.get();
        if memory.index.get() == 0 {
            return None;
        }
        let end = FANOUT.pow(levels);
        let mut page = from;
        for _ in 0..budget {
            if page >= end {
                return None;
            }
            // Down to the place of the page, or to the highest table that is not there.
            let mut at = Frame::new(memory.index.get());
            let mut level = levels;
            let place = loop {
                level -= 1;
                let place = &self.machine().words(at)[(page / FANOUT.pow(level) % FANOUT) as usize];
                if place.get() == 0 || level == 0 {
                    break place;
                }
                at = Frame::new(place.get());
            };
            if place.get() != 0 {
                self.give_charged_frame(quota, Frame::new(place.get()));
                place.set(0);
                memory.present.set(memory.present.get() - 1);
            }
            let step = FANOUT.pow(level);
            page = (page / step + 1) * step;
        }
        Some(page)
    }

    /// Frees the tables of an index without pages, no more than `budget` of them. True when none is left.
    pub fn free_index(&self, memory: &Memory, budget: u64) -> bool {
        let quota = memory.header.quota.get();
        for _ in 0..budget {
            if memory.index.get() == 0 {
                return true;
            }
            // The last table on the way down along the first entries that are there.
            let mut above: Option<&core::cell::Cell<u64>> = None;
            let mut at = Frame::new(memory.index.get());
            for _ in 1..memory.index_levels.get() {
                let Some(place) = self.machine().words(at).iter().find(|place| place.get() != 0) else {
                    break;
                };
                at = Frame::new(place.get());
                above = Some(place);
            }
            match above {
                Some(place) => place.set(0),
                None => memory.index.set(0),
            }
            self.give_charged_frame(quota, at);
        }
        memory.index.get() == 0
    }
}
