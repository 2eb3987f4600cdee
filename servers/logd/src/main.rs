//! logd's process: drains the rings, answers questions.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod sources;

use core::convert::Infallible;

use libipc::capsule::{Part, Slots};
use libipc::prelude::*;
use libipc::{Boot, Instant, Protection, StartError, Wake, fault};
use logd::pace::Pace;
use logd::store::{Fresh, Store};
use protocols::client::{Client, Grants};
use protocols::log::{self, Error, Filter, Level, Log, Page};

use sources::{MAX_SOURCES, SOURCE_BYTES, Sources};

/// Callers of `follow` that wait at once, at most.
const MAX_FOLLOWERS: usize = 64;
/// Bytes of a message from a process without a ring, at most.
const MAX_MESSAGE_BYTES: usize = 1_000;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let capsule = boot.capsule()?;
    let memory = capsule.memory()?;
    let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
    let too_small = || StartError::Other("the capsule is too small".into());
    let table = Slots::<Part>::storage_bytes(MAX_SOURCES, SOURCE_BYTES);
    let (table, rest) = Part::whole(mapping).split(table).ok_or_else(too_small)?;
    let (store, last, found) = Store::open(rest).ok_or_else(too_small)?;
    if !found.bad.is_empty() {
        libipc::warn!("a record that was being written is written again");
    }
    let mut logd = Logd {
        sources: Sources::open(capsule, table, last).ok_or_else(too_small)?,
        store,
        followers: Vec::new(),
        pace: Pace::default(),
    };

    let mut due = Instant::now();
    loop {
        match endpoint.receive(due) {
            Wake::Call(call) => log::dispatch(&mut logd, call),
            Wake::Cancelled(cancelled) => {
                let followers = &mut logd.followers;
                followers.retain(|(_, reply)| !reply.is_cancelled_by(&cancelled));
            }
            Wake::Failed(error) => return Err(error.into()),
            Wake::Deadline(now) => {
                let found = logd.drain();
                due = Instant::from_ns(logd.pace.next(now.as_ns(), found));
            }
            Wake::Closed(_) | Wake::Completed(_) | Wake::Rung(_) | Wake::Notified(_) => {}
        }
    }
}

struct Logd {
    store: Store<Part>,
    sources: Sources,
    followers: Vec<(Filter, Reply<Page, Error>)>,
    pace: Pace,
}

impl Logd {
    /// Reads every ring and answers those who waited for it; gives the number of new records.
    fn drain(&mut self) -> usize {
        let found = self.sources.drain(&mut self.store);
        if found > 0 {
            fault::point("logd.drained");
            self.answer_followers();
        }
        found
    }

    fn answer_followers(&mut self) {
        for (mut filter, reply) in core::mem::take(&mut self.followers) {
            let page = self.store.read(&filter);
            if page.records.is_empty() {
                filter.since_seq = Some(page.next_seq);
                self.followers.push((filter, reply));
            } else {
                reply.ok(page);
            }
        }
    }
}

/// Only init and whoever its manifest lets do so registers rings.
fn may_register(caller: Caller) -> Result<(), Error> {
    match Client::of(caller.badge) {
        Some(client) if client == Client::INIT || client.grants.has(Grants::LOG_SOURCES) => Ok(()),
        _ => Err(Error::NotPermitted),
    }
}

impl Log for Logd {
    fn read(&mut self, _caller: Caller, filter: Filter) -> Result<Page, Error> {
        self.drain();
        Ok(self.store.read(&filter))
    }

    fn follow(&mut self, _caller: Caller, filter: Filter, reply: Reply<Page, Error>) {
        if self.followers.len() >= MAX_FOLLOWERS {
            return reply.err(Error::TooManySources);
        }
        self.drain();
        self.followers.push((filter, reply));
        self.answer_followers();
    }

    fn write(&mut self, caller: Caller, level: Level, mut message: String) -> Result<(), Error> {
        let mut length = message.len().min(MAX_MESSAGE_BYTES);
        while !message.is_char_boundary(length) {
            length -= 1;
        }
        message.truncate(length);
        let pid = Client::of(caller.badge).map_or(0, |client| client.pid);
        let fresh = Fresh {
            time_ns: Instant::now().as_ns(),
            service: self.sources.name_of(pid),
            pid,
            level,
            message: message.replace('\n', " "),
            fields: Vec::new(),
            position: None,
        };
        self.sources.drain(&mut self.store);
        // A message of this length always fits.
        let _ = self.store.append(fresh);
        self.answer_followers();
        Ok(())
    }

    fn add_source(
        &mut self,
        caller: Caller,
        service: String,
        pid: u32,
        ring: Handle<MemoryObject>,
    ) -> Result<(), Error> {
        may_register(caller)?;
        self.sources.add(&mut self.store, service, pid, ring)
    }

    fn remove_source(&mut self, caller: Caller, pid: u32) -> Result<(), Error> {
        may_register(caller)?;
        self.sources.remove(&mut self.store, pid);
        self.answer_followers();
        Ok(())
    }

    fn stats(&mut self, _caller: Caller) -> Result<(u64, u64), Error> {
        self.drain();
        Ok((self.store.count(), self.sources.dropped()))
    }
}
