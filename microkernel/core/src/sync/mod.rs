//! The few short locks.
//!
//! State belongs to its home CPU and needs none. What several CPUs share has a lock that is held for a bounded number of
//! instructions with interrupts off. Locks are taken in the order of [`Order`], each at most once: a lock is never taken
//! while one of the same or a later order is held, but for two memories between which bytes are copied, which are taken in the
//! order of their addresses.

use core::sync::atomic::{AtomicU32, Ordering};

use zerocopy::FromBytes;

use crate::Machine;

/// The order in which locks are taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Order {
    /// The tree of quotas and the lists of processes in it.
    Tree = 1,
    /// A MemoryObject's index of pages and list of mappings.
    Memory = 2,
    /// A Capsule's slots.
    Capsule = 3,
    /// An IoSpace's entries.
    IoSpace = 4,
    /// A quota's partly filled frames of objects.
    Pool = 5,
    /// The frames of the machine.
    Frames = 6,
}

/// A lock that guards the cells named in its owner's description.
#[derive(FromBytes)]
#[repr(transparent)]
pub struct Lock(AtomicU32);

impl Lock {
    /// An open lock.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes the lock; it is given back when the guard is dropped.
    pub fn take<M: Machine>(&self, machine: &M, order: Order) -> Guard<'_> {
        while self.0.compare_exchange_weak(0, order as u32, Ordering::Acquire, Ordering::Relaxed).is_err() {
            machine.pause();
        }
        Guard(&self.0)
    }
}

/// Proof that a lock is held.
#[must_use]
pub struct Guard<'a>(&'a AtomicU32);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}
