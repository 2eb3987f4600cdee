//! The newest records, in memory that outlives the server.
//!
//! A record is numbered and in the journal before its ring is told that it was read. Whoever dies in between leaves one record that is in both: it says where in its ring it ended,
//! so the next incarnation skips it. So numbers have no gap and no record has two.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use libipc::capsule::{Found, Journal, Storage};
use protocols::log::{Filter, Level, Page, Record};
use serde::{Deserialize, Serialize};

use crate::filter::wants;

/// Layout version of the records.
const VERSION: u32 = 1;
/// Bytes of records in one page of an answer, at most: a message, less what surrounds them.
const PAGE_BYTES: usize = 3_800;

/// A record before it has a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// When.
    pub time_ns: u64,
    /// Who.
    pub service: String,
    /// Its process.
    pub pid: u32,
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
    /// Named values.
    pub fields: Vec<(String, String)>,
    /// Where it ended in its process's ring; `None` if it came by message.
    pub position: Option<u64>,
}

/// A record as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    record: Record,
    position: Option<u64>,
}

/// Where the last record of all ended in its ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Last {
    /// The process.
    pub pid: u32,
    /// Where.
    pub position: u64,
}

/// It does not fit, even into an empty journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge;

/// The records.
#[derive(Debug)]
pub struct Store<S> {
    journal: Journal<S>,
    /// The records that are kept, encoded, the oldest first.
    kept: VecDeque<Vec<u8>>,
    bytes: usize,
    capacity: usize,
    next_seq: u64,
}

impl<S: Storage> Store<S> {
    /// Opens what the last incarnation left. `None` if there is no room for anything.
    pub fn open(storage: S) -> Option<(Self, Option<Last>, Found)> {
        // A compaction leaves half of a half free.
        let capacity = storage.length() / 4;
        let (journal, records, found) = Journal::open(storage, VERSION)?;
        let last = records.last().and_then(|bytes| decode(bytes));
        let next_seq = last.as_ref().map_or(1, |last| last.record.seq + 1);
        let last = last.and_then(|last| {
            let pid = last.record.pid;
            last.position.map(|position| Last { pid, position })
        });
        let store = Self {
            journal,
            bytes: records.iter().map(Vec::len).sum(),
            kept: records.into(),
            capacity,
            next_seq,
        };
        Some((store, last, found))
    }

    /// Numbers a record and keeps it. When this returns, the next incarnation has it.
    ///
    /// # Errors
    /// `TooLarge`. It was not kept, and its number is free.
    pub fn append(&mut self, fresh: Fresh) -> Result<u64, TooLarge> {
        let seq = self.next_seq;
        let kept = Kept {
            record: Record {
                seq,
                time_ns: fresh.time_ns,
                service: fresh.service,
                pid: fresh.pid,
                level: fresh.level,
                message: fresh.message,
                fields: fresh.fields,
            },
            position: fresh.position,
        };
        let bytes = postcard::to_allocvec(&kept).map_err(|_| TooLarge)?;
        if bytes.len() > PAGE_BYTES {
            return Err(TooLarge);
        }
        if self.journal.append(&bytes).is_err() {
            self.forget_oldest();
            self.journal.append(&bytes).map_err(|_| TooLarge)?;
        }
        self.bytes += bytes.len();
        self.kept.push_back(bytes);
        self.next_seq += 1;
        Ok(seq)
    }

    /// How many there have been.
    pub fn count(&self) -> u64 {
        self.next_seq - 1
    }

    /// The wanted records, as many as fit an answer.
    pub fn read(&self, filter: &Filter) -> Page {
        let first = self.next_seq - self.kept.len() as u64;
        let since = filter.since_seq.unwrap_or(first);
        let lost = first.saturating_sub(since.max(1));
        let mut page = Page {
            records: Vec::new(),
            next_seq: self.next_seq.max(since),
            lost,
            more: false,
        };
        let mut bytes = 0;
        for index in self.wanted(filter, since.saturating_sub(first)) {
            let Some(encoded) = self.kept.get(index) else {
                break;
            };
            let Some(kept) = decode(encoded) else {
                continue;
            };
            bytes += encoded.len();
            if bytes > PAGE_BYTES {
                page.next_seq = kept.record.seq;
                page.more = true;
                break;
            }
            page.records.push(kept.record);
        }
        page
    }

    /// Places of the wanted records from `start` on: all, or the newest so many.
    fn wanted(&self, filter: &Filter, start: u64) -> Vec<usize> {
        let start = usize::try_from(start)
            .unwrap_or(usize::MAX)
            .min(self.kept.len());
        let is_wanted = |index: &usize| {
            decode(&self.kept[*index]).is_some_and(|kept| wants(filter, &kept.record))
        };
        let places = start..self.kept.len();
        match filter.tail {
            None => places.filter(is_wanted).collect(),
            Some(count) => {
                let newest = places.rev().filter(is_wanted).take(count as usize);
                let mut newest: Vec<usize> = newest.collect();
                newest.reverse();
                newest
            }
        }
    }

    /// Makes room: the newest records move to the other half of the journal.
    fn forget_oldest(&mut self) {
        while self.bytes > self.capacity
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.len();
        }
        loop {
            let records = self.kept.iter().map(Vec::as_slice);
            if self.journal.compact(records).is_ok() {
                return;
            }
            // Headers and padding count as well; with many small records they matter.
            match self.kept.pop_front() {
                Some(oldest) => self.bytes -= oldest.len(),
                None => return,
            }
        }
    }
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    postcard::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use alloc::format;
    use alloc::rc::Rc;
    use alloc::string::ToString;
    use alloc::vec;
    use core::cell::{Cell, RefCell};
    use proptest::prelude::*;

    /// Memory that outlives its writer, who may die at any write.
    #[derive(Clone)]
    struct Memory {
        bytes: Rc<RefCell<Vec<u8>>>,
        writes_left: Rc<Cell<usize>>,
    }

    impl Memory {
        fn new(length: usize) -> Self {
            Self {
                bytes: Rc::new(RefCell::new(vec![0; length])),
                writes_left: Rc::new(Cell::new(usize::MAX)),
            }
        }

        fn die_after(&self, writes: usize) {
            self.writes_left.set(writes);
        }

        fn is_dead(&self) -> bool {
            self.writes_left.get() == 0
        }
    }

    impl Storage for Memory {
        fn length(&self) -> usize {
            self.bytes.borrow().len()
        }
        fn read(&self, offset: usize, into: &mut [u8]) -> bool {
            into.copy_from_slice(&self.bytes.borrow()[offset..offset + into.len()]);
            true
        }
        fn write(&mut self, offset: usize, from: &[u8]) -> bool {
            let left = self.writes_left.get();
            if left > 0 {
                self.writes_left.set(left - 1);
                self.bytes.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
            }
            true
        }
    }

    fn open(memory: &Memory) -> (Store<Memory>, Option<Last>) {
        let (store, last, _) = Store::open(memory.clone()).expect("the tests give room");
        (store, last)
    }

    fn fresh(text: &str) -> Fresh {
        Fresh {
            time_ns: 5,
            service: "it".to_string(),
            pid: 3,
            level: Level::Info,
            message: text.to_string(),
            fields: vec![("key".to_string(), "value".to_string())],
            position: Some(64),
        }
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn records_and_numbers_survive_the_server() {
        let memory = Memory::new(8192);
        let (mut store, last) = open(&memory);
        assert_eq!((store.append(fresh("one")), last), (Ok(1), None));
        drop(store);
        let (mut store, last) = open(&memory);
        let place = Last {
            pid: 3,
            position: 64,
        };
        assert_eq!((store.append(fresh("two")), last), (Ok(2), Some(place)));
        let page = store.read(&Filter::default());
        assert_eq!((numbers(&page), page.next_seq), (vec![1, 2], 3));
        assert_eq!(page.records[1].message, "two");
    }

    #[test]
    fn the_oldest_make_room_and_are_counted_as_lost() {
        let (mut store, _) = open(&Memory::new(4096));
        for number in 0..200 {
            store
                .append(fresh(&format!("record {number}")))
                .expect("room is made");
        }
        let page = store.read(&Filter {
            since_seq: Some(1),
            ..Filter::default()
        });
        let first = page.records[0].seq;
        assert_eq!(page.lost, first - 1);
        assert_eq!((store.count(), page.next_seq), (200, 201));
        let is_without_gap = numbers(&page).windows(2).all(|pair| pair[1] == pair[0] + 1);
        assert!(first > 1 && is_without_gap);
    }

    #[test]
    fn pages_follow_each_other_and_a_tail_is_the_newest() {
        let (mut store, _) = open(&Memory::new(1 << 16));
        for number in 1..=100 {
            let level = if number % 2 == 0 {
                Level::Error
            } else {
                Level::Info
            };
            store
                .append(Fresh {
                    level,
                    ..fresh(&"x".repeat(100))
                })
                .expect("room");
        }
        let mut filter = Filter {
            level: Some(Level::Error),
            ..Filter::default()
        };
        let mut all = Vec::new();
        loop {
            let page = store.read(&filter);
            all.extend(numbers(&page));
            filter.since_seq = Some(page.next_seq);
            if !page.more {
                break;
            }
        }
        assert_eq!(all, (1..=50).map(|half| half * 2).collect::<Vec<u64>>());
        let tail = store.read(&Filter {
            tail: Some(3),
            ..Filter::default()
        });
        assert_eq!(numbers(&tail), [98, 99, 100]);
        assert_eq!(store.read(&filter).records, []);
    }

    #[test]
    fn what_fits_no_answer_is_refused() {
        let (mut store, _) = open(&Memory::new(1 << 16));
        assert_eq!(store.append(fresh(&"x".repeat(5_000))), Err(TooLarge));
        assert_eq!(store.append(fresh("y")), Ok(1));
    }

    proptest! {
        /// Wherever the server dies, its successor has every record that was acknowledged, and numbers without a gap.
        #[test]
        fn a_death_between_any_two_writes_loses_nothing(lengths in proptest::collection::vec(0usize..300, 1..60), writes in 0usize..200) {
            let memory = Memory::new(4096);
            let (mut store, _) = open(&memory);
            memory.die_after(writes);
            let mut acknowledged = 0;
            for length in lengths {
                store.append(fresh(&"x".repeat(length))).expect("room is made");
                if memory.is_dead() {
                    break;
                }
                acknowledged += 1;
            }
            memory.die_after(usize::MAX);
            let (mut store, _) = open(&memory);
            prop_assert!(store.count() == acknowledged || store.count() == acknowledged + 1);
            let next = store.append(fresh("after")).expect("room is made");
            let page = store.read(&Filter { tail: Some(10), ..Filter::default() });
            let numbers = numbers(&page);
            prop_assert_eq!(numbers.last(), Some(&next));
            prop_assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }

        /// Whatever is in the memory, it opens.
        #[test]
        fn any_memory_opens(bytes in proptest::collection::vec(any::<u8>(), 256..2048)) {
            let memory = Memory::new(0);
            *memory.bytes.borrow_mut() = bytes;
            let _ = Store::open(memory);
        }
    }
}
