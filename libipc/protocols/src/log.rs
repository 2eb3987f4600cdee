//! The log: every process's records, numbered without a gap.
//!
//! Processes write into their own log rings (see the runtime); init gives logd each ring when it starts a process. logd drains them, numbers the records, and keeps the newest in its capsule.

use libipc::prelude::*;

/// How much a record matters.
#[message]
#[derive(Copy, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What was lost.
    Error,
    /// What was survived.
    Warn,
    /// A change of state.
    Info,
    /// For whoever works on the program.
    Debug,
    /// More than anybody wants to read.
    Trace,
}

/// One record.
#[message]
pub struct Record {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When, in nanoseconds since boot.
    pub time_ns: u64,
    /// The service (or program) that wrote it.
    pub service: String,
    /// Its process.
    pub pid: u32,
    /// How much it matters.
    pub level: Level,
    /// The text, UTF-8, one line.
    pub message: String,
    /// Named values.
    pub fields: Vec<(String, String)>,
}

/// Which records to give.
#[message]
#[derive(Default)]
pub struct Filter {
    /// Only of this service.
    pub service: Option<String>,
    /// Only this level and above.
    pub level: Option<Level>,
    /// From this number on.
    pub since_seq: Option<u64>,
    /// Before this time.
    pub until_ns: Option<u64>,
    /// Only records whose message contains this text.
    pub grep: Option<String>,
    /// Only the newest so many.
    pub tail: Option<u32>,
}

/// A page of the answer: as many records as fit a message.
#[message]
pub struct Page {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Where to go on (`since_seq` of the next call).
    pub next_seq: u64,
    /// Records that the filter would have wanted but are no longer kept.
    pub lost: u64,
    /// There is more now.
    pub more: bool,
}

/// Errors of the log.
#[message]
pub enum Error {
    /// Only init registers sources.
    NotPermitted,
    /// Too many sources.
    TooManySources,
    /// The ring has no valid header.
    BadRing,
}

/// See the module.
#[protocol(name = "log", version = 1)]
pub trait Log {
    /// Gives a page of records.
    #[idempotent]
    fn read(&mut self, filter: Filter) -> Result<Page, Error>;

    /// As `read`, but waits until there is at least one record.
    #[idempotent]
    #[deferred]
    fn follow(&mut self, filter: Filter) -> Result<Page, Error>;

    /// Adds one record for a process that has no ring.
    fn write(&mut self, level: Level, message: String) -> Result<(), Error>;

    /// Adds a process's log ring. Only init and procd may. The ring is dropped when it is drained and `remove_source` was called.
    #[idempotent]
    fn add_source(
        &mut self,
        service: String,
        pid: u32,
        ring: Handle<MemoryObject>,
    ) -> Result<(), Error>;

    /// The process has ended: drain its ring a last time and forget it.
    #[idempotent]
    fn remove_source(&mut self, pid: u32) -> Result<(), Error>;

    /// How many records there have been, and how many were dropped by full rings.
    #[idempotent]
    fn stats(&mut self) -> Result<(u64, u64), Error>;
}
