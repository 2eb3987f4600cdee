//! A process's handles.

use abi::{Handle, Outcome, Rights};

/// Names an object; never used again.
pub type ObjectId = usize;

/// What a handle is.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub object: ObjectId,
    pub rights: Rights,
}

/// The table: slots and their generations.
#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<(u32, Option<Entry>)>,
    /// Handles allowed at once.
    pub limit: usize,
}

impl Table {
    pub fn new() -> Self {
        // Slot 0 is never used, so that a small number is easily told from a handle.
        Self {
            slots: vec![(1, None)],
            limit: 4096,
        }
    }

    pub fn insert(&mut self, entry: Entry) -> Result<Handle, Outcome> {
        if self.count() >= self.limit {
            return Err(Outcome::QuotaHandles);
        }
        let slot = match self
            .slots
            .iter()
            .skip(1)
            .position(|(_, entry)| entry.is_none())
        {
            Some(slot) => slot + 1,
            None => {
                self.slots.push((1, None));
                self.slots.len() - 1
            }
        };
        self.slots[slot].1 = Some(entry);
        Ok(Handle::new(slot, self.slots[slot].0))
    }

    pub fn get(&self, handle: u32) -> Result<Entry, Outcome> {
        let handle = Handle(handle);
        match self.slots.get(handle.slot()) {
            Some((generation, Some(entry))) if *generation == handle.generation() => Ok(*entry),
            _ => Err(Outcome::BadHandle),
        }
    }

    pub fn remove(&mut self, handle: u32) -> Result<Entry, Outcome> {
        let entry = self.get(handle)?;
        let slot = &mut self.slots[Handle(handle).slot()];
        *slot = (slot.0 + 1, None);
        Ok(entry)
    }

    pub fn count(&self) -> usize {
        self.slots
            .iter()
            .filter(|(_, entry)| entry.is_some())
            .count()
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> Vec<Entry> {
        self.slots
            .iter_mut()
            .filter_map(|slot| slot.1.take())
            .collect()
    }
}

impl Table {
    /// The handle of the first object for which `is_it` holds.
    pub fn find(&self, is_it: impl Fn(ObjectId) -> bool) -> Option<Handle> {
        let mut slots = self.slots.iter().enumerate();
        slots.find_map(|(slot, (generation, entry))| {
            entry
                .filter(|entry| is_it(entry.object))
                .map(|_| Handle::new(slot, *generation))
        })
    }
}
