//! What both ends have in common: the header, the indices, and who has to ring whom.

use super::memory::RingMemory;
use super::{DESCRIPTOR_BYTES, HEADER_BYTES};
use core::fmt;
use core::sync::atomic::Ordering;

const MAGIC: u32 = u32::from_le_bytes(*b"PRng");
const VERSION: u32 = 1;

const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 4;
const AT_CAPACITY: usize = 8;
const AT_INCARNATION: usize = 16;
const PRODUCER: Line = Line {
    index: 64,
    sleeps: 68,
};
const CONSUMER: Line = Line {
    index: 128,
    sleeps: 132,
};

/// One end's cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    index: usize,
    sleeps: usize,
}

/// The other end broke the rules, or the memory is no ring. The ring can't be used any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingFault {
    /// The header is missing, of another version, or states what can't be.
    BadHeader,
    /// The other end's index can't be: more is in the ring than fits.
    BadIndex {
        /// The index it claims.
        claimed: u32,
    },
    /// The ring was made anew for another incarnation.
    Stale {
        /// That incarnation.
        incarnation: u64,
    },
    /// A descriptor leads outside of the memory that it is about.
    BadDescriptor,
}

impl fmt::Display for RingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadHeader => f.write_str("no ring there"),
            Self::BadIndex { claimed } => write!(f, "impossible ring index {claimed}"),
            Self::Stale { incarnation } => {
                write!(f, "the ring belongs to incarnation {incarnation} now")
            }
            Self::BadDescriptor => f.write_str("a descriptor leads out of the memory"),
        }
    }
}

impl core::error::Error for RingFault {}

/// Whether the other end has to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a doorbell that is due has to be rung, or the other end sleeps on"]
pub enum Doorbell {
    /// It sleeps: ring its Connection, or signal its Notification.
    Due,
    /// It is awake and will see.
    NotDue,
}

/// Writes a header and sets both indices to zero.
pub(super) fn format<M: RingMemory>(
    memory: &M,
    capacity: u32,
    incarnation: u64,
) -> Result<(), RingFault> {
    if !fits(memory, capacity) {
        return Err(RingFault::BadHeader);
    }
    memory.store(AT_MAGIC, 0, Ordering::Relaxed);
    memory.store(AT_VERSION, VERSION, Ordering::Relaxed);
    memory.store(AT_CAPACITY, capacity, Ordering::Relaxed);
    memory.store(AT_INCARNATION, incarnation as u32, Ordering::Relaxed);
    memory.store(
        AT_INCARNATION + 4,
        (incarnation >> 32) as u32,
        Ordering::Relaxed,
    );
    for line in [PRODUCER, CONSUMER] {
        memory.store(line.index, 0, Ordering::Relaxed);
        memory.store(line.sleeps, 0, Ordering::Relaxed);
    }
    memory.store(AT_MAGIC, MAGIC, Ordering::Release);
    Ok(())
}

fn fits<M: RingMemory>(memory: &M, capacity: u32) -> bool {
    let bytes = (capacity as usize)
        .checked_mul(DESCRIPTOR_BYTES)
        .and_then(|bytes| bytes.checked_add(HEADER_BYTES));
    capacity.is_power_of_two()
        && capacity <= 1 << 30
        && bytes.is_some_and(|bytes| bytes <= memory.length())
}

fn incarnation<M: RingMemory>(memory: &M) -> u64 {
    let low = memory.load(AT_INCARNATION, Ordering::Relaxed);
    let high = memory.load(AT_INCARNATION + 4, Ordering::Relaxed);
    u64::from(low) | (u64::from(high) << 32)
}

/// One end of a ring.
#[derive(Debug)]
pub(super) struct End<M> {
    pub memory: M,
    /// How much fits. Checked once; what the header says later does not matter.
    pub capacity: u32,
    /// Our own index: ours, never read back.
    pub own: u32,
    incarnation: u64,
    ours: Line,
    theirs: Line,
    is_producer: bool,
}

impl<M: RingMemory> End<M> {
    pub fn producer(memory: M) -> Result<Self, RingFault> {
        Self::attach(memory, PRODUCER, CONSUMER)
    }

    pub fn consumer(memory: M) -> Result<Self, RingFault> {
        Self::attach(memory, CONSUMER, PRODUCER)
    }

    fn attach(memory: M, ours: Line, theirs: Line) -> Result<Self, RingFault> {
        if memory.length() < HEADER_BYTES || memory.load(AT_MAGIC, Ordering::Acquire) != MAGIC {
            return Err(RingFault::BadHeader);
        }
        let capacity = memory.load(AT_CAPACITY, Ordering::Relaxed);
        if memory.load(AT_VERSION, Ordering::Relaxed) != VERSION || !fits(&memory, capacity) {
            return Err(RingFault::BadHeader);
        }
        let own = memory.load(ours.index, Ordering::Acquire);
        let incarnation = incarnation(&memory);
        let end = Self {
            memory,
            capacity,
            own,
            incarnation,
            ours,
            theirs,
            is_producer: ours == PRODUCER,
        };
        end.available()?;
        // Whoever had this end before may have died asleep.
        end.memory.store(ours.sleeps, 0, Ordering::Relaxed);
        Ok(end)
    }

    /// What this end may do now: places free to put something, or things to take.
    #[inline]
    pub fn available(&self) -> Result<u32, RingFault> {
        let theirs = self.memory.load(self.theirs.index, Ordering::Acquire);
        let used = if self.is_producer {
            self.own.wrapping_sub(theirs)
        } else {
            theirs.wrapping_sub(self.own)
        };
        if used > self.capacity {
            return Err(RingFault::BadIndex { claimed: theirs });
        }
        Ok(if self.is_producer {
            self.capacity - used
        } else {
            used
        })
    }

    /// Moves our index by `count`, which the other end sees, and says whether it sleeps.
    #[inline]
    pub fn advance(&mut self, count: u32) -> Doorbell {
        self.own = self.own.wrapping_add(count);
        self.memory
            .store(self.ours.index, self.own, Ordering::Release);
        // Either the other end sees our index before it sleeps, or we see here that it sleeps.
        self.memory.fence();
        if self.memory.load(self.theirs.sleeps, Ordering::Relaxed) == 0 {
            return Doorbell::NotDue;
        }
        self.memory.store(self.theirs.sleeps, 0, Ordering::Relaxed);
        Doorbell::Due
    }

    /// Says that we are going to sleep. `false` if there is something to do after all.
    pub fn sleep(&self) -> Result<bool, RingFault> {
        self.memory.store(self.ours.sleeps, 1, Ordering::Relaxed);
        self.memory.fence();
        if self.available()? == 0 {
            return Ok(true);
        }
        self.memory.store(self.ours.sleeps, 0, Ordering::Relaxed);
        Ok(false)
    }

    /// Whether the ring is still the one that we attached to.
    pub fn check_current(&self) -> Result<(), RingFault> {
        if self.memory.load(AT_MAGIC, Ordering::Acquire) != MAGIC {
            return Err(RingFault::BadHeader);
        }
        match incarnation(&self.memory) {
            same if same == self.incarnation => Ok(()),
            incarnation => Err(RingFault::Stale { incarnation }),
        }
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }
}
