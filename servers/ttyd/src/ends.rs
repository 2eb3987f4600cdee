//! Who has which end of the terminal, in memory that outlives the server.

use libipc::capsule::{Part, Slots};
use ttyd::end::{End, RECORD_BYTES};

/// Layout version of the records.
const VERSION: u32 = 2;
/// Ends there are, at most.
pub const ENDS: usize = 128;

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

    /// Opens what the last incarnation left, with the output ring where it left it: writes that had begun are settled by that. `None` if the memory is too small.
    pub fn open(part: Part, ring_at: u64) -> Option<Self> {
        let (slots, found) = Slots::open(part, VERSION, ENDS, RECORD_BYTES)?;
        if !found.bad.is_empty() {
            libipc::warn!("dropped damaged records of ends {:?}", found.bad);
        }
        let ends = (0..ENDS)
            .map(|index| slots.load(index).ok().flatten())
            .collect();
        let mut ends = Self { slots, ends };
        (0..ENDS).for_each(|index| ends.settle(index, ring_at));
        Some(ends)
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

    /// Notes that `count` bytes of this end are about to enter the ring, which stands at `ring_at`.
    pub fn begin(&mut self, index: usize, ring_at: u64, count: u32) {
        if let Some(end) = self.get(index) {
            self.put(index, Some(end.begun(ring_at, count)));
        }
    }

    /// Notes what became of that, by where the ring stands now.
    pub fn settle(&mut self, index: usize, ring_at: u64) {
        if let Some(end) = self.get(index)
            && end.settled(ring_at) != end
        {
            self.put(index, Some(end.settled(ring_at)));
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
