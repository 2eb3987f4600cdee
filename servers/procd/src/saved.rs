//! The table in the capsule: a slot for each living process, and short ones for those that have ended.

use alloc::vec::Vec;

use libipc::capsule::{Part, SlotError, Slots};
use procd::table::{MAX_ALIVE, MAX_ENDED, Record, Table};

const LIVING_BYTES: usize = 4 * 1024;
const ENDED_BYTES: usize = 160;
/// Numbers that an incarnation may have given out without using them.
const NUMBERS_SKIPPED: u32 = 1000;

/// Where the table is kept.
pub struct SavedTable {
    living: Slots<Part>,
    ended: Slots<Part>,
}

impl SavedTable {
    /// Bytes of the capsule that it takes.
    pub const fn storage_bytes() -> usize {
        Slots::<Part>::storage_bytes(MAX_ALIVE, LIVING_BYTES)
            + 64
            + Slots::<Part>::storage_bytes(MAX_ENDED, ENDED_BYTES)
    }

    /// Opens what the last incarnation left. `None` if the memory is too small.
    pub fn open(part: Part) -> Option<(Self, Table)> {
        let (living, ended) = part.split(Slots::<Part>::storage_bytes(MAX_ALIVE, LIVING_BYTES))?;
        let (living, found_living) = Slots::open(living, 1, MAX_ALIVE, LIVING_BYTES)?;
        let (ended, found_ended) = Slots::open(ended, 1, MAX_ENDED, ENDED_BYTES)?;
        for place in found_living.bad.iter().chain(&found_ended.bad) {
            libipc::warn!("dropped the damaged record of a process, slot {place}");
        }
        let mut table = Table::default();
        let records = load(&ended).chain(load(&living)).collect::<Vec<_>>();
        let is_fresh = records.is_empty();
        for record in records {
            table.restore(record);
        }
        if !is_fresh {
            table.skip(NUMBERS_SKIPPED);
        }
        Some((Self { living, ended }, table))
    }

    /// Stores a living process.
    ///
    /// # Errors
    /// If it is too long for its slot.
    pub fn store(&mut self, record: &Record) -> Result<(), SlotError> {
        record.place.map_or(Ok(()), |place| {
            self.living.store(usize::from(place), record)
        })
    }

    /// Stores the end of a process that had `place`, as the table remembers it.
    pub fn end(&mut self, record: &Record, place: Option<u16>) {
        let slot = (record.report % MAX_ENDED as u64) as usize;
        let mut result = self.ended.store(slot, record);
        if let Some(place) = place {
            result = result.and(self.living.clear(usize::from(place)));
        }
        if let Err(error) = result {
            libipc::error!("the end of process {} can't be stored: {error}", record.pid);
        }
    }

    /// Forgets a process that was to have `place` and never ran.
    pub fn forget(&mut self, place: u16) {
        if let Err(error) = self.living.clear(usize::from(place)) {
            libipc::error!("the record of a process can't be cleared: {error}");
        }
    }
}

fn load(slots: &Slots<Part>) -> impl Iterator<Item = Record> + '_ {
    slots
        .used()
        .filter_map(|slot| slots.load(slot).ok().flatten())
}
