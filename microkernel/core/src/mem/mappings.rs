//! The mappings of a process: a tree ordered by address.
//!
//! A treap: each mapping has a random weight and weighs at least as much as those below it, which keeps the tree shallow whatever the
//! order in which it grows. Nothing here recurses.

use core::cell::Cell;

use crate::object::{Mapping, Name, Process};
use crate::{Kernel, Machine};

type Place = Cell<Name<Mapping>>;

impl<M: Machine> Kernel<M> {
    /// The mapping that `address` is in.
    pub fn mapping_at(&self, process: &Process, address: u64) -> Option<Name<Mapping>> {
        let mut at = process.mappings.get();
        while at.is_some() {
            let mapping = self.at(at);
            if address < mapping.start.get() {
                at = mapping.lower.get();
            } else if address >= mapping.end.get() {
                at = mapping.upper.get();
            } else {
                return Some(at);
            }
        }
        None
    }

    /// The lowest mapping that has a part at or above `address` and below `end`.
    pub fn first_mapping(&self, process: &Process, address: u64, end: u64) -> Option<Name<Mapping>> {
        let mut at = process.mappings.get();
        let mut best = None;
        while at.is_some() {
            let mapping = self.at(at);
            if mapping.end.get() <= address {
                at = mapping.upper.get();
            } else {
                if mapping.start.get() < end {
                    best = Some(at);
                }
                at = mapping.lower.get();
            }
        }
        best
    }

    /// Adds a mapping that overlaps no other.
    pub fn insert_mapping(&self, process: &Process, name: Name<Mapping>) {
        let new = self.at(name);
        new.weight.set(self.machine().random() as u32);
        let mut place: &Place = &process.mappings;
        while place.get().is_some() && self.at(place.get()).weight.get() > new.weight.get() {
            let above = self.at(place.get());
            place = if new.start.get() < above.start.get() { &above.lower } else { &above.upper };
        }
        // What was here goes below the new one, split by its address.
        let mut rest = place.replace(name);
        let (mut lower, mut upper): (&Place, &Place) = (&new.lower, &new.upper);
        while rest.is_some() {
            let mapping = self.at(rest);
            if mapping.start.get() < new.start.get() {
                lower.set(rest);
                lower = &mapping.upper;
                rest = mapping.upper.get();
            } else {
                upper.set(rest);
                upper = &mapping.lower;
                rest = mapping.lower.get();
            }
        }
        lower.set(Name::NONE);
        upper.set(Name::NONE);
    }

    /// Takes a mapping out of the tree, which it is in.
    pub fn remove_mapping(&self, process: &Process, name: Name<Mapping>) {
        let old = self.at(name);
        let mut place: &Place = &process.mappings;
        while place.get() != name && place.get().is_some() {
            let above = self.at(place.get());
            place = if old.start.get() < above.start.get() { &above.lower } else { &above.upper };
        }
        let (mut lower, mut upper) = (old.lower.get(), old.upper.get());
        while lower.is_some() && upper.is_some() {
            let (left, right) = (self.at(lower), self.at(upper));
            if left.weight.get() >= right.weight.get() {
                place.set(lower);
                place = &left.upper;
                lower = left.upper.get();
            } else {
                place.set(upper);
                place = &right.lower;
                upper = right.lower.get();
            }
        }
        place.set(if lower.is_some() { lower } else { upper });
    }
}
