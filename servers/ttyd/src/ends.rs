//! Who has which end of the terminal, in memory that outlives the server.
//!
//! The position of a writer is stored after its bytes went out, so a write that is repeated after a restart is recognised.

use libipc::capsule::{Part, Slots};
use serde::{Deserialize, Serialize};

/// Ends there are, at most.
pub const ENDS: usize = 128;
const RECORD_BYTES: usize = 24;

/// What an end speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// `stream`.
    Stream,
    /// `terminal`.
    Terminal,
}

/// One end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// What it speaks.
    pub kind: Kind,
    /// Whether its holder leads the session.
    pub leads: bool,
    /// The process group of its holder; the leader's is 0.
    pub group: u32,
    /// Bytes written through it.
    pub position: u64,
}

/// All ends.
pub struct Ends {
    slots: Slots<Part>,
    ends: alloc::vec::Vec<Option<End>>,
}

impl Ends {
    /// Bytes of the capsule that they take.
    pub const fn storage_bytes() -> usize {
        Slots::<Part>::storage_bytes(ENDS, RECORD_BYTES)
    }

    /// Opens what the last incarnation left. `None` if the memory is too small.
    pub fn open(part: Part) -> Option<Self> {
        let (slots, found) = Slots::open(part, 1, ENDS, RECORD_BYTES)?;
        if !found.bad.is_empty() {
            libipc::warn!("dropped damaged records of ends {:?}", found.bad);
        }
        let ends = (0..ENDS)
            .map(|index| slots.load(index).ok().flatten())
            .collect();
        Some(Self { slots, ends })
    }

    /// Takes a free place; `None` if there is none.
    pub fn add(&mut self, end: End) -> Option<usize> {
        let index = self.ends.iter().position(Option::is_none)?;
        self.put(index, Some(end));
        Some(index)
    }

    /// Gives a place back.
    pub fn remove(&mut self, index: usize) {
        if index < ENDS {
            self.put(index, None);
        }
    }

    /// The end at a place.
    pub fn get(&self, index: usize) -> Option<End> {
        self.ends.get(index).copied().flatten()
    }

    /// Bytes written through it.
    pub fn position(&self, index: usize) -> u64 {
        self.get(index).map_or(0, |end| end.position)
    }

    /// Sets that.
    pub fn set_position(&mut self, index: usize, position: u64) {
        if let Some(end) = self.get(index) {
            self.put(index, Some(End { position, ..end }));
        }
    }

    fn put(&mut self, index: usize, end: Option<End>) {
        self.ends[index] = end;
        let stored = match end {
            Some(end) => self.slots.store(index, &end),
            None => self.slots.clear(index),
        };
        if let Err(error) = stored {
            libipc::error!("the record of an end can't be stored: {error}");
        }
    }
}
