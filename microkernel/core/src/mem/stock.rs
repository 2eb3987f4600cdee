//! A CPU's own small stock of free frames, so that most requests touch nothing that CPUs share.

use core::cell::Cell;

use crate::Machine;
use crate::mem::allocator::FrameAllocator;
use crate::mem::frame::Frame;

/// Frames in the stock, at most.
const CAPACITY: usize = 64;
/// Frames that move between the stock and the allocator at a time.
const BATCH: usize = 32;

/// The stock. Its frames have any contents.
pub struct FrameStock {
    frames: [Cell<Frame>; CAPACITY],
    count: Cell<usize>,
}

impl FrameStock {
    /// An empty stock.
    pub const fn new() -> Self {
        Self { frames: [const { Cell::new(Frame::new(0)) }; CAPACITY], count: Cell::new(0) }
    }

    /// How many frames it has.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Takes a frame, filled with zeros.
    pub fn take<M: Machine>(&self, machine: &M, allocator: &FrameAllocator) -> Option<Frame> {
        if self.count.get() == 0 {
            let mut batch = [Frame::new(0); BATCH];
            let got = allocator.take(machine, &mut batch);
            for (place, frame) in self.frames.iter().zip(&batch[..got]) {
                place.set(*frame);
            }
            self.count.set(got);
        }
        let top = self.count.get().checked_sub(1)?;
        self.count.set(top);
        let frame = self.frames.get(top)?.get();
        machine.clear(frame);
        Some(frame)
    }

    /// Puts a frame back.
    pub fn give<M: Machine>(&self, machine: &M, allocator: &FrameAllocator, frame: Frame) {
        let count = self.count.get();
        if let Some(place) = self.frames.get(count) {
            place.set(frame);
            self.count.set(count + 1);
            return;
        }
        let mut batch = [frame; BATCH];
        for (copy, place) in batch.iter_mut().skip(1).zip(&self.frames[CAPACITY - BATCH + 1..]) {
            *copy = place.get();
        }
        allocator.give(machine, &batch);
        self.count.set(CAPACITY - BATCH + 1);
    }
}
