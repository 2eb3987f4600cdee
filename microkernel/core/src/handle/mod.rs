//! Handles: a process's table of what it may use, and counted references to objects outside of any table.

mod table;

use core::cell::Cell;

use abi::Rights;
use zerocopy::FromBytes;

use crate::object::{Any, Kind, Name, Object};

pub use table::meta;

/// An object and what may be done with it: what a handle is, outside of its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The object.
    pub name: Name<Any>,
    /// Its kind.
    pub kind: Kind,
    /// What may be done.
    pub rights: Rights,
}

impl Held {
    /// An object with these rights.
    pub fn new<T: Object>(name: Name<T>, rights: Rights) -> Self {
        Self { name: name.cast(), kind: T::KIND, rights }
    }
}

/// A place in an object for a [`Held`], or for nothing.
#[derive(FromBytes)]
#[repr(C)]
pub struct Reference {
    name: Cell<u64>,
    meta: Cell<u64>,
}

impl Reference {
    /// An empty place.
    pub const fn empty() -> Self {
        Self { name: Cell::new(0), meta: Cell::new(0) }
    }

    /// What is there.
    pub fn get(&self) -> Option<Held> {
        let kind = Kind::from_number((self.meta.get() >> 16) as u8)?;
        Some(Held {
            name: Name::from_bits(self.name.get()),
            kind,
            rights: Rights::from_bits_retain(self.meta.get() as u16),
        })
    }

    /// Puts something there. What was there is forgotten, not released.
    pub fn set(&self, held: Option<Held>) {
        let (name, meta) =
            held.map_or((0, 0), |held| (held.name.bits(), u64::from(held.rights.bits()) | (held.kind as u64) << 16));
        self.name.set(name);
        self.meta.set(meta);
    }

    /// Takes it out.
    pub fn take(&self) -> Option<Held> {
        let held = self.get();
        self.set(None);
        held
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.meta.get() == 0
    }
}
