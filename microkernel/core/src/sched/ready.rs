//! The run queues of a CPU: a list for each priority and a word that says which have members. The running thread is in none.

use core::cell::Cell;

use crate::object::{Head, Name, PRIORITIES, RunList, Thread};
use crate::{Kernel, Machine};

/// The queues.
pub struct ReadyQueues {
    occupied: Cell<u64>,
    lists: [Head<RunList>; PRIORITIES],
    /// How many threads are in them.
    count: Cell<u64>,
}

impl ReadyQueues {
    /// Empty queues.
    pub const fn new() -> Self {
        Self { occupied: Cell::new(0), lists: [const { Head::new() }; PRIORITIES], count: Cell::new(0) }
    }

    /// Whether a thread of a higher priority is ready.
    #[inline]
    pub fn has_above(&self, priority: u32) -> bool {
        // Two shifts, because a shift by 64 is not one.
        (self.occupied.get() >> (priority & 63)) >> 1 != 0
    }

    /// Whether a thread of this priority is ready.
    pub fn has_at(&self, priority: u32) -> bool {
        self.occupied.get() >> (priority & 63) & 1 != 0
    }

    /// The highest priority at which a thread is ready.
    pub fn highest(&self) -> Option<u32> {
        self.occupied.get().checked_ilog2()
    }

    /// How many threads are ready.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// The list of one priority.
    pub fn list(&self, priority: u32) -> &Head<RunList> {
        &self.lists[priority as usize % PRIORITIES]
    }
}

/// Which end of its queue a thread joins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It goes on before the others: it was interrupted by something more urgent.
    Front,
    /// Its turn is over, or it has just become ready.
    Back,
}

impl<M: Machine> Kernel<M> {
    /// Adds a thread that is ready.
    #[inline(always)]
    pub fn enqueue(&self, name: Name<Thread>, end: End) {
        let thread = self.at(name);
        let priority = thread.priority.get();
        let ready = &self.ready;
        match end {
            End::Back => self.push_back(ready.list(priority), name),
            End::Front => self.push_front(ready.list(priority), name),
        }
        ready.occupied.set(ready.occupied.get() | 1 << (priority & 63));
        ready.count.set(ready.count.get() + 1);
    }

    /// Takes a thread out of its queue.
    #[inline(always)]
    pub fn dequeue(&self, name: Name<Thread>) {
        let priority = self.at(name).priority.get();
        let ready = &self.ready;
        self.unlink(ready.list(priority), name);
        if ready.list(priority).is_empty() {
            ready.occupied.set(ready.occupied.get() & !(1 << (priority & 63)));
        }
        ready.count.set(ready.count.get() - 1);
    }

    /// Takes the next thread to run.
    pub fn dequeue_next(&self) -> Option<Name<Thread>> {
        let priority = self.ready.highest()?;
        let first = self.ready.list(priority).first()?;
        self.dequeue(first);
        Some(first)
    }
}
