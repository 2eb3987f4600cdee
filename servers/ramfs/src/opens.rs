//! Connections that this server minted: open files and views, in memory that outlives it.

use libipc::capsule::{Part, Slots};
use libipc::{Capsule, Handle, Mapping, MemoryObject, Protection, SysError};
use protocols::directory::Access;
use ramfs::NodeId;
use serde::{Deserialize, Serialize};

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Open files and views, at most.
pub const OPENS: usize = 1024;
const RECORD_BYTES: usize = 32;
/// Attached memory is kept in the capsule's handle slots, of which there are fewer.
const ATTACHED: usize = 256;

/// What a Connection stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    node: u32,
    /// Which node of that number.
    pub birth: u64,
    /// Reading is allowed.
    pub read: bool,
    /// Writing is allowed.
    pub write: bool,
}

impl Open {
    /// An open file or view.
    pub fn new(node: NodeId, birth: u64, access: Access) -> Self {
        Self {
            node: node.0,
            birth,
            read: access.read,
            write: access.write,
        }
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    /// What is allowed.
    pub fn access(&self) -> Access {
        Access {
            read: self.read,
            write: self.write,
        }
    }
}

/// All of them.
pub struct Opens {
    slots: Slots<Part>,
    opens: Vec<Option<Open>>,
    capsule: Handle<Capsule>,
    mappings: BTreeMap<usize, Mapping>,
}

impl Opens {
    /// Bytes of the capsule that they take.
    pub const fn storage_bytes() -> usize {
        Slots::<Part>::storage_bytes(OPENS, RECORD_BYTES)
    }

    /// Opens what the last incarnation left. `None` if the memory is too small.
    pub fn open(part: Part, capsule: Handle<Capsule>) -> Option<Self> {
        let (slots, found) = Slots::open(part, 1, OPENS, RECORD_BYTES)?;
        if !found.bad.is_empty() {
            libipc::warn!("dropped damaged records of open files {:?}", found.bad);
        }
        let opens = (0..OPENS)
            .map(|index| slots.load(index).ok().flatten())
            .collect();
        Some(Self {
            slots,
            opens,
            capsule,
            mappings: BTreeMap::new(),
        })
    }

    /// Takes a free place; `None` if there is none.
    pub fn add(&mut self, open: Open) -> Option<usize> {
        let index = self.opens.iter().position(Option::is_none)?;
        self.put(index, Some(open));
        Some(index)
    }

    /// Gives a place back.
    pub fn remove(&mut self, index: usize) {
        if self.get(index).is_some() {
            self.put(index, None);
            self.mappings.remove(&index);
            if index < ATTACHED {
                // Most never had memory attached.
                let _ = self.capsule.clear(index as u16);
            }
        }
    }

    /// What is at a place.
    pub fn get(&self, index: usize) -> Option<Open> {
        self.opens.get(index).copied().flatten()
    }

    /// Attaches memory.
    ///
    /// # Errors
    /// What the kernel says; `QuotaHandles` if all slots are in use.
    pub fn attach(&mut self, index: usize, memory: &Handle<MemoryObject>) -> Result<(), SysError> {
        if index >= ATTACHED {
            return Err(SysError(abi::Outcome::QuotaHandles));
        }
        let _ = self.capsule.clear(index as u16);
        self.capsule.keep(index as u16, memory)?;
        self.mappings.insert(index, map(memory)?);
        Ok(())
    }

    /// The attached memory; mapped again after a restart.
    pub fn attached(&mut self, index: usize) -> Option<&Mapping> {
        if !self.mappings.contains_key(&index) {
            let memory = self
                .capsule
                .take::<libipc::object::MemoryObject>(u16::try_from(index).ok()?)
                .ok()?;
            self.mappings.insert(index, map(&memory).ok()?);
        }
        self.mappings.get(&index)
    }

    fn put(&mut self, index: usize, open: Option<Open>) {
        self.opens[index] = open;
        let stored = match open {
            Some(open) => self.slots.store(index, &open),
            None => self.slots.clear(index),
        };
        if let Err(error) = stored {
            libipc::error!("the record of an open file can't be stored: {error}");
        }
    }
}

fn map(memory: &Handle<MemoryObject>) -> Result<Mapping, SysError> {
    memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)
}
