//! The rings of the processes. Their handles and a record of each are in the capsule, so that they need not be registered again when logd dies.

use alloc::format;

use libipc::capsule::{Part, Slots, Storage};
use libipc::log::ring::{Reader, Record};
use libipc::prelude::*;
use libipc::{Protection, log};
use logd::store::{Fresh, Last, Store};
use protocols::log::{Error, Level};
use serde::{Deserialize, Serialize};

/// Rings at once, at most; one handle slot of the capsule each.
pub const MAX_SOURCES: usize = 256;
/// Bytes of a source's record, at most.
pub const SOURCE_BYTES: usize = 80;

/// Layout version of the records.
const VERSION: u32 = 1;
/// Bytes of a service's name that are kept.
const MAX_NAME_BYTES: usize = 64;
/// Records read in one go, at most, so that calls are answered in between.
const MAX_AT_ONCE: usize = 512;
/// Bytes of a ring, at most.
const MAX_RING_BYTES: u64 = 1 << 20;

/// All rings.
pub struct Sources {
    capsule: Handle<Capsule>,
    table: Slots<Part>,
    sources: Vec<Source>,
    /// Dropped by those that are gone.
    dropped: u64,
}

/// What the capsule says of a ring.
#[derive(Serialize, Deserialize)]
struct Saved {
    pid: u32,
    service: String,
}

struct Source {
    slot: usize,
    pid: u32,
    service: String,
    /// The same for every handle to this ring.
    identity: u64,
    reader: Reader,
    /// What was dropped when it was last looked at.
    dropped: u64,
    /// The oldest record that was not taken yet, and where the next begins.
    head: Option<(Record, u64)>,
    is_broken: bool,
}

impl Sources {
    /// Opens the rings that the last incarnation had. `last`: what it read last, which its ring may not know. `None` if the table has no room.
    pub fn open(capsule: Handle<Capsule>, table: Part, last: Option<Last>) -> Option<Self> {
        let (table, found) = Slots::open(table, VERSION, MAX_SOURCES, SOURCE_BYTES)?;
        let mut sources = Self {
            capsule,
            table,
            sources: Vec::new(),
            dropped: 0,
        };
        for bad in found.bad {
            libipc::warn!("the record of ring {bad} was damaged and is dropped");
        }
        for slot in 0..MAX_SOURCES {
            if !sources.reopen(slot, last) {
                // A handle without a record, or a record without a ring: half of a change that was not finished.
                let _ = sources.table.clear(slot);
                let _ = sources.capsule.clear(slot as u16);
            }
        }
        Some(sources)
    }

    /// Adds a ring; the one that the process had before is read to its end.
    pub fn add<S: Storage>(
        &mut self,
        store: &mut Store<S>,
        mut service: String,
        pid: u32,
        ring: Handle<MemoryObject>,
    ) -> Result<(), Error> {
        let (_, identity) = ring.identify().map_err(|_| Error::BadRing)?;
        if self
            .sources
            .iter()
            .any(|source| source.pid == pid && source.identity == identity)
        {
            return Ok(());
        }
        self.remove(store, pid);
        let slot = self.table.free().ok_or(Error::TooManySources)?;
        let mut length = service.len().min(MAX_NAME_BYTES);
        while !service.is_char_boundary(length) {
            length -= 1;
        }
        service.truncate(length);
        let source = Source::open(slot, pid, service, &ring).ok_or(Error::BadRing)?;
        let saved = Saved {
            pid,
            service: source.service.clone(),
        };
        self.capsule
            .keep(slot as u16, &ring)
            .map_err(|_| Error::BadRing)?;
        self.table
            .store(slot, &saved)
            .map_err(|_| Error::TooManySources)?;
        self.sources.push(source);
        Ok(())
    }

    /// Reads a process's ring to its end and forgets it.
    pub fn remove<S: Storage>(&mut self, store: &mut Store<S>, pid: u32) {
        if !self.sources.iter().any(|source| source.pid == pid) {
            return;
        }
        while self.drain(store) == MAX_AT_ONCE {}
        if let Some(index) = self.sources.iter().position(|source| source.pid == pid) {
            self.close(index);
        }
    }

    /// Reads what is new, the oldest first; gives the number of records.
    pub fn drain<S: Storage>(&mut self, store: &mut Store<S>) -> usize {
        let mut found = 0;
        while found < MAX_AT_ONCE
            && let Some(source) = self.oldest()
        {
            source.take(store);
            found += 1;
        }
        self.report_losses(store);
        while let Some(index) = self.sources.iter().position(|source| source.is_broken) {
            let service = &self.sources[index].service;
            libipc::warn!("the log ring of {service} is broken and is no longer read");
            self.close(index);
        }
        found
    }

    /// What a process is called.
    pub fn name_of(&self, pid: u32) -> String {
        match self.sources.iter().find(|source| source.pid == pid) {
            Some(source) => source.service.clone(),
            None => format!("process {pid}"),
        }
    }

    /// Records that full rings dropped.
    pub fn dropped(&self) -> u64 {
        let present = self.sources.iter().map(|source| source.reader.dropped());
        present.fold(self.dropped, u64::saturating_add)
    }

    fn reopen(&mut self, slot: usize, last: Option<Last>) -> bool {
        let Ok(Some(Saved { pid, service })) = self.table.load::<Saved>(slot) else {
            return false;
        };
        let ring = self
            .capsule
            .take::<libipc::object::MemoryObject>(slot as u16);
        let source = ring
            .ok()
            .and_then(|ring| Source::open(slot, pid, service, &ring));
        let Some(mut source) = source else {
            return false;
        };
        if let Some(last) = last
            && last.pid == pid
        {
            source.skip_to(last.position);
        }
        self.sources.push(source);
        true
    }

    /// The source whose oldest record is the oldest of all.
    fn oldest(&mut self) -> Option<&mut Source> {
        self.sources.iter_mut().for_each(Source::look);
        let with_record = self.sources.iter_mut().filter(|it| it.head.is_some());
        with_record.min_by_key(|source| source.head.as_ref().map(|(record, _)| record.time))
    }

    fn report_losses<S: Storage>(&mut self, store: &mut Store<S>) {
        for source in &mut self.sources {
            let dropped = source.reader.dropped();
            let news = dropped.saturating_sub(source.dropped);
            source.dropped = dropped;
            if news > 0 {
                // A short record always fits.
                let _ = store.append(Fresh {
                    time_ns: libipc::Instant::now().as_ns(),
                    service: source.service.clone(),
                    pid: source.pid,
                    level: Level::Warn,
                    message: format!("{news} records were dropped because the ring was full"),
                    fields: Vec::new(),
                    position: None,
                });
            }
        }
    }

    /// First the record, then the handle: a handle without a record is cleared by the next incarnation.
    fn close(&mut self, index: usize) {
        let source = self.sources.swap_remove(index);
        self.dropped = self.dropped.saturating_add(source.reader.dropped());
        // The slots exist.
        let _ = self.table.clear(source.slot);
        let _ = self.capsule.clear(source.slot as u16);
    }
}

impl Source {
    fn open(slot: usize, pid: u32, service: String, ring: &Handle<MemoryObject>) -> Option<Self> {
        let length = ring.figures().ok()?.length;
        if length > MAX_RING_BYTES {
            return None;
        }
        let mapping = ring.map(0, length as usize, Protection::ReadWrite).ok()?;
        let reader = Reader::new(mapping).ok()?;
        Some(Self {
            slot,
            pid,
            service,
            identity: ring.identify().ok()?.1,
            dropped: reader.dropped(),
            reader,
            head: None,
            is_broken: false,
        })
    }

    /// Looks for the oldest record, if none is known.
    fn look(&mut self) {
        if self.head.is_none() && !self.is_broken {
            match self.reader.peek() {
                Ok(head) => self.head = head,
                Err(log::ring::BadRing) => self.is_broken = true,
            }
        }
    }

    /// Moves the oldest record into the store.
    fn take<S: Storage>(&mut self, store: &mut Store<S>) {
        let Some((record, next)) = self.head.take() else {
            return;
        };
        let fresh = Fresh {
            time_ns: record.time.as_ns(),
            service: self.service.clone(),
            pid: self.pid,
            level: level(record.level),
            message: record.text.replace('\n', " "),
            fields: record.values,
            position: Some(next),
        };
        // What the ring took also fits an answer; what a hostile writer made larger is dropped.
        let _ = store.append(fresh);
        libipc::fault::point("logd.kept");
        self.reader.accept(next);
    }

    /// Skips the record that is in the store already, if the ring does not know yet that it was read.
    fn skip_to(&mut self, position: u64) {
        let is_next = self
            .reader
            .peek()
            .ok()
            .flatten()
            .is_some_and(|(_, next)| next == position);
        if is_next {
            self.reader.accept(position);
        }
    }
}

const fn level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}
