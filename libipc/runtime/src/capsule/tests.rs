//! Death between any two stores.

use super::*;
use crate::badge::Badge;
use crate::reply::{Journal as _, RequestNumber};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;

/// Storage whose user dies after so many bytes were written: everything later is lost.
#[derive(Clone)]
struct Mortal {
    bytes: Rc<RefCell<Vec<u8>>>,
    left: Rc<Cell<usize>>,
}

impl Mortal {
    fn new(length: usize) -> Self {
        Self {
            bytes: Rc::new(RefCell::new(vec![0; length])),
            left: Rc::new(Cell::new(usize::MAX)),
        }
    }

    /// Lets the user live for another `bytes` bytes of writing.
    fn dies_after(&self, bytes: usize) {
        self.left.set(bytes);
    }

    fn lives(&self) {
        self.left.set(usize::MAX);
    }
}

impl Storage for Mortal {
    fn length(&self) -> usize {
        self.bytes.borrow().len()
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        match self.bytes.borrow().get(offset..offset + into.len()) {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    fn write(&mut self, offset: usize, from: &[u8]) -> bool {
        let count = from.len().min(self.left.get());
        self.left.set(self.left.get() - count);
        match self.bytes.borrow_mut().get_mut(offset..offset + from.len()) {
            Some(bytes) => {
                bytes[..count].copy_from_slice(&from[..count]);
                true
            }
            None => false,
        }
    }
}

fn open(storage: &Mortal) -> (Slots<Mortal>, Found) {
    Slots::open(storage.clone(), 1, 4, 40).unwrap()
}

#[test]
fn a_record_is_there_after_the_user_died() {
    let storage = Mortal::new(1024);
    let (mut slots, found) = open(&storage);
    assert!(found.is_fresh);
    slots.store(2, &(7u32, "seven")).unwrap();
    let (slots, found) = open(&storage);
    assert_eq!((found.is_fresh, found.good), (false, 1));
    assert_eq!(
        slots.load::<(u32, std::string::String)>(2),
        Ok(Some((7, "seven".into())))
    );
    assert_eq!(slots.used().collect::<Vec<_>>(), vec![2]);
    assert_eq!(slots.free(), Some(0));
}

#[test]
fn another_layout_starts_cold() {
    let storage = Mortal::new(1024);
    open(&storage).0.write(0, b"old").unwrap();
    let (slots, found) = Slots::open(storage.clone(), 2, 4, 40).unwrap();
    assert!(found.is_fresh && slots.is_empty());
    assert!(Slots::open(storage, 2, 100, 40).is_none(), "too small");
}

#[test]
fn a_record_that_was_in_use_in_two_deaths_is_set_aside() {
    let storage = Mortal::new(1024);
    let (mut slots, _) = open(&storage);
    slots.write(3, b"poison").unwrap();
    slots.begin(3);
    let (mut slots, found) = open(&storage);
    assert_eq!(found.set_aside, None, "once may be chance");
    slots.begin(3);
    let (slots, found) = open(&storage);
    assert_eq!(found.set_aside, Some(3));
    assert_eq!(slots.read(3), Ok(None));
}

#[test]
fn a_good_life_between_two_deaths_clears_the_blame() {
    let storage = Mortal::new(1024);
    let (mut slots, _) = open(&storage);
    slots.write(3, b"innocent").unwrap();
    slots.begin(3);
    let (mut slots, _) = open(&storage);
    slots.begin(3);
    slots.end();
    let (mut slots, found) = open(&storage);
    assert_eq!(found.set_aside, None);
    slots.begin(3);
    assert_eq!(open(&storage).1.set_aside, None);
}

#[test]
fn an_answer_is_found_by_its_client_only() {
    let storage = Mortal::new(4096);
    let (mut replies, _) = Replies::open(storage.clone(), 2, 64).unwrap();
    let (one, other) = (Badge::for_client(0, 1), Badge::for_client(0, 2));
    replies.remember(one, RequestNumber(9), b"nine");
    let (mut replies, _) = Replies::open(storage.clone(), 2, 64).unwrap();
    assert_eq!(replies.recall(one, RequestNumber(9)), Some(&b"nine"[..]));
    assert_eq!(replies.recall(other, RequestNumber(9)), None);
    replies.remember(other, RequestNumber(1), b"a");
    replies.remember(other, RequestNumber(2), b"b");
    assert_eq!(
        replies.recall(one, RequestNumber(9)),
        None,
        "the oldest made room"
    );
    replies.forget(other);
    let (mut replies, found) = Replies::open(storage, 2, 64).unwrap();
    assert_eq!(found.good, 0);
    assert_eq!(replies.recall(other, RequestNumber(2)), None);
}

proptest! {
    /// However far a write got, the slot has the old record or the new one, and all others are untouched.
    #[test]
    fn a_torn_write_leaves_the_old_record_or_the_new_one(
        history in prop::collection::vec((0usize..4, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        slot in 0usize..4,
        last in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        survived in 0usize..80,
    ) {
        let storage = Mortal::new(1024);
        let (mut slots, _) = open(&storage);
        let mut model = vec![None; 4];
        for (slot, record) in history {
            slots.write(slot, &record).unwrap();
            model[slot] = Some(record);
        }
        storage.dies_after(survived);
        match &last {
            Some(record) => slots.write(slot, record).unwrap(),
            None => slots.clear(slot).unwrap(),
        }
        storage.lives();
        let (slots, found) = open(&storage);
        prop_assert!(found.bad.is_empty());
        for (other, old) in model.iter().enumerate() {
            let record = slots.read(other).unwrap();
            prop_assert!(record == *old || (other == slot && record == last));
        }
    }

    /// However far an append or a compaction got, the log has the records of before or of after.
    #[test]
    fn a_journal_is_what_it_was_or_what_it_was_to_be(
        history in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..12),
        last in prop::collection::vec(any::<u8>(), 1..30),
        survived in 0usize..300,
        compacts in any::<bool>(),
    ) {
        let storage = Mortal::new(1024);
        let (mut journal, _, found) = Journal::open(storage.clone(), 1).unwrap();
        prop_assert!(found.is_fresh);
        let mut model: Vec<Vec<u8>> = Vec::new();
        for record in history {
            if journal.append(&record).is_err() {
                model.clear();
                journal.compact([]).unwrap();
                journal.append(&record).unwrap();
            }
            model.push(record);
        }
        let after = if compacts { vec![last.clone()] } else { [model.clone(), vec![last.clone()]].concat() };
        storage.dies_after(survived);
        let result = if compacts { journal.compact([&last[..]]) } else { journal.append(&last) };
        storage.lives();
        let (_, records, _) = Journal::open(storage, 1).unwrap();
        prop_assert!(records == model || (result.is_ok() && records == after));
        if survived >= 299 && result.is_ok() {
            prop_assert_eq!(records, after);
        }
    }

    /// Any bytes at all in the memory: records are found, dropped or begun anew, but nothing panics.
    #[test]
    fn rubbish_in_a_capsule_never_panics(changes in prop::collection::vec((0usize..1024, any::<u8>()), 0..40)) {
        let storage = Mortal::new(1024);
        let (mut slots, _) = open(&storage);
        for slot in 0..4 {
            slots.write(slot, &[slot as u8; 24]).unwrap();
        }
        for (at, byte) in &changes {
            storage.bytes.borrow_mut()[*at] = *byte;
        }
        let (mut slots, _) = open(&storage);
        for slot in 0..4 {
            let _ = slots.load::<(u64, std::string::String)>(slot);
            slots.write(slot, b"new").unwrap();
        }
        let _ = Journal::open(storage.clone(), 1).map(|(mut journal, ..)| journal.append(b"new"));
        let _ = Replies::open(storage, 2, 64);
    }
}
