//! Which frames of the machine are free.
//!
//! A tree of bitmaps: in level 0 a bit for each frame, in level n + 1 a bit for each word of level n that has a bit set.
//! Taking, returning and looking cost one word a level. The bitmaps lie in frames of their own, found by a fixed offset
//! from the first, so the allocator needs no memory beside them. Guarded by `Order::Frames`; each CPU
//! takes from it in batches (see `stock.rs`).

use core::sync::atomic::{AtomicU64, Ordering};

use crate::Machine;
use crate::mem::frame::{Frame, FrameRange, WORDS_PER_FRAME};
use crate::sync::{Lock, Order};

/// Levels of bitmaps: enough for 64^4 frames, 64 GiB.
const LEVELS: usize = 4;
/// Frames that the tree can name.
pub const MAX_FRAMES: u64 = 64 * 64 * 64 * 64;

/// The frames of the machine, as all CPUs see them.
pub struct FrameAllocator {
    lock: Lock,
    /// First frame of each level's bitmap.
    bitmaps: [AtomicU64; LEVELS],
    /// Frames covered: one past the highest number.
    limit: AtomicU64,
    free: AtomicU64,
}

impl FrameAllocator {
    /// One without frames.
    pub const fn new() -> Self {
        Self {
            lock: Lock::new(),
            bitmaps: [const { AtomicU64::new(0) }; LEVELS],
            limit: AtomicU64::new(0),
            free: AtomicU64::new(0),
        }
    }

    /// Takes over the usable ranges. The bitmaps are placed at the start of the first range with room for them;
    /// gives the number of frames needed if none has.
    pub fn initialise<M: Machine>(&self, machine: &M, usable: &[FrameRange]) -> Result<(), u64> {
        let end = usable
            .iter()
            .map(|range| range.first.number().saturating_add(range.count))
            .max()
            .unwrap_or(0)
            .min(MAX_FRAMES);
        let needed: u64 = (0..LEVELS).map(|level| frames_for(level, end)).sum();
        let home = usable
            .iter()
            .position(|range| range.count >= needed && range.first.number() + needed <= end)
            .ok_or(needed)?;

        let mut next = usable[home].first;
        for level in 0..LEVELS {
            self.bitmaps[level].store(next.number(), Ordering::Relaxed);
            for _ in 0..frames_for(level, end) {
                machine.clear(next);
                next = next.plus(1);
            }
        }
        self.limit.store(end, Ordering::Relaxed);

        let _guard = self.lock.take(machine, Order::Frames);
        for (index, range) in usable.iter().enumerate() {
            let skipped = if index == home { needed } else { 0 };
            let first = range.first.number() + skipped;
            let past = range.first.number().saturating_add(range.count).min(end);
            for number in first..past {
                // Frame 0 is never handed out: its number stands for "none" in tables.
                if number != 0 {
                    self.put(machine, Frame::new(number));
                }
            }
        }
        Ok(())
    }

    /// How many frames are free here.
    pub fn free_count(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes up to `into.len()` frames; gives how many it got. They are not cleared.
    pub fn take<M: Machine>(&self, machine: &M, into: &mut [Frame]) -> usize {
        let _guard = self.lock.take(machine, Order::Frames);
        let mut count = 0;
        for place in into {
            let Some(frame) = self.first_free(machine) else {
                break;
            };
            self.remove(machine, frame);
            *place = frame;
            count += 1;
        }
        count
    }

    /// Gives frames back.
    pub fn give<M: Machine>(&self, machine: &M, frames: &[Frame]) {
        let _guard = self.lock.take(machine, Order::Frames);
        for &frame in frames {
            self.put(machine, frame);
        }
    }

    /// Takes `count` frames that follow each other, from the top of memory down. Looks at one word for 64 frames.
    pub fn take_contiguous<M: Machine>(&self, machine: &M, count: u64) -> Option<FrameRange> {
        let _guard = self.lock.take(machine, Order::Frames);
        let mut run = 0;
        let mut number = self.limit.load(Ordering::Relaxed);
        while number > 0 {
            if number.is_multiple_of(64) && self.word(machine, 0, number / 64 - 1).get() == 0 {
                number -= 64;
                run = 0;
                continue;
            }
            number -= 1;
            let is_free = self.word(machine, 0, number / 64).get() & (1 << (number % 64)) != 0;
            run = if is_free { run + 1 } else { 0 };
            if run == count {
                let range = FrameRange { first: Frame::new(number), count };
                (0..count).for_each(|index| self.remove(machine, range.first.plus(index)));
                return Some(range);
            }
        }
        None
    }

    fn first_free<M: Machine>(&self, machine: &M) -> Option<Frame> {
        let mut index = 0;
        for level in (0..LEVELS).rev() {
            let word = self.word(machine, level, index).get();
            if word == 0 {
                return None;
            }
            index = index * 64 + u64::from(word.trailing_zeros());
        }
        Some(Frame::new(index))
    }

    fn put<M: Machine>(&self, machine: &M, frame: Frame) {
        let mut index = frame.number();
        for level in 0..LEVELS {
            let word = self.word(machine, level, index / 64);
            word.set(word.get() | 1 << (index % 64));
            index /= 64;
        }
        self.free.fetch_add(1, Ordering::Relaxed);
    }

    fn remove<M: Machine>(&self, machine: &M, frame: Frame) {
        let mut index = frame.number();
        for level in 0..LEVELS {
            let word = self.word(machine, level, index / 64);
            word.set(word.get() & !(1 << (index % 64)));
            if word.get() != 0 {
                break;
            }
            index /= 64;
        }
        self.free.fetch_sub(1, Ordering::Relaxed);
    }

    fn word<'m, M: Machine>(&self, machine: &'m M, level: usize, index: u64) -> &'m core::cell::Cell<u64> {
        let first = Frame::new(self.bitmaps[level].load(Ordering::Relaxed));
        let words = WORDS_PER_FRAME as u64;
        &machine.words(first.plus(index / words))[(index % words) as usize]
    }
}

/// Frames that a level's bitmap takes when `end` frames are covered.
fn frames_for(level: usize, end: u64) -> u64 {
    let bits_below = 64u64.pow(level as u32 + 1);
    end.div_ceil(bits_below).div_ceil(WORDS_PER_FRAME as u64).max(1)
}
