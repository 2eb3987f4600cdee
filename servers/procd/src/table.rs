//! The table of processes.
//!
//! Invariants: a number is never used twice; a process that has ended is remembered until it is the oldest of [`MAX_ENDED`] or [`REMEMBER_NS`] old; children of a
//! process that ended become those of number 1.
//!
//! The places for those that have ended are made at the start, with room for what is kept of them, so that the server's memory does not depend on how many came and went.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Processes alive, at most.
pub const MAX_ALIVE: usize = 100;
/// Ended processes that are remembered, at most.
pub const MAX_ENDED: usize = 1024;
/// Bytes of an ended process's program that are remembered: the last ones.
pub const MAX_ENDED_PROGRAM_BYTES: usize = 40;
/// How long an ended process is remembered, in nanoseconds.
pub const REMEMBER_NS: u64 = 600_000_000_000;
/// init's number: whoever has no other parent is its child.
pub const INIT: u32 = 1;
/// The first number that is given out; those below are services'.
pub const FIRST_PID: u32 = 100;

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Exit {
    /// By itself; the status.
    Code(u8),
    /// By the signal with this number.
    Signal(u8),
    /// By a fault: its kind and address.
    Fault(String, u64),
    /// It passed a limit; which.
    Limit(String),
}

/// What may be used up; `None`: no limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in KiB.
    pub memory_kib: Option<u64>,
    /// CPU time in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Wall time in milliseconds.
    pub wall_ms: Option<u64>,
    /// Handles.
    pub handles: Option<u32>,
    /// Threads.
    pub threads: Option<u32>,
    /// Children alive.
    pub children: Option<u32>,
}

fn tighter<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Limits {
    /// The lower of both, field by field.
    #[must_use]
    pub fn tightened(self, by: Self) -> Self {
        Self {
            memory_kib: tighter(self.memory_kib, by.memory_kib),
            cpu_ms: tighter(self.cpu_ms, by.cpu_ms),
            wall_ms: tighter(self.wall_ms, by.wall_ms),
            handles: tighter(self.handles, by.handles),
            threads: tighter(self.threads, by.threads),
            children: tighter(self.children, by.children),
        }
    }
}

/// One process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Its user.
    pub uid: u32,
    /// The program's path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// When it started, in nanoseconds since boot.
    pub start_ns: u64,
    /// Its limits.
    pub limits: Limits,
    /// The place of its handles in the capsule, while it lives.
    pub place: Option<u16>,
    /// Why it is being ended, until it has.
    pub ending: Option<Exit>,
    /// Whether it is stopped.
    pub stopped: bool,
    /// How it ended, and when.
    pub ended: Option<(Exit, u64)>,
    /// The number of the report about its end, among those for its parent.
    pub report: u64,
}

impl Record {
    /// A free place.
    fn blank() -> Self {
        Self {
            pid: 0,
            parent: INIT,
            group: 0,
            session: 0,
            uid: 0,
            program: String::with_capacity(MAX_ENDED_PROGRAM_BYTES),
            arguments: Vec::new(),
            cwd: String::new(),
            start_ns: 0,
            limits: Limits::default(),
            place: None,
            ending: None,
            stopped: false,
            ended: None,
            report: 0,
        }
    }

    /// Takes over what is remembered of a process that has ended, into the memory that is there.
    fn remember(&mut self, process: &Self) {
        let mut program = core::mem::take(&mut self.program);
        program.clear();
        program.push_str(end_of(&process.program));
        *self = Self {
            program,
            arguments: Vec::new(),
            cwd: String::new(),
            ended: process.ended.clone(),
            ending: None,
            ..*process
        };
    }
}

/// As much of the end of a path as is remembered.
fn end_of(program: &str) -> &str {
    let mut start = program.len().saturating_sub(MAX_ENDED_PROGRAM_BYTES);
    while !program.is_char_boundary(start) {
        start += 1;
    }
    &program[start..]
}

/// All processes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Table {
    /// The living, by number.
    processes: BTreeMap<u32, Record>,
    /// Those that have ended, in the place that the number of their report gives; a place of number 0 is free.
    ended: Vec<Record>,
    next_pid: u32,
    next_report: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            processes: BTreeMap::new(),
            ended: (0..MAX_ENDED).map(|_| Record::blank()).collect(),
            next_pid: FIRST_PID,
            next_report: 1,
        }
    }
}

/// Why a process can't be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddError {
    /// Too many are alive.
    TooMany,
    /// The parent may have no more children.
    TooManyChildren,
}

impl Table {
    /// Takes a number that nobody has had.
    pub fn reserve(&mut self) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        pid
    }

    /// Checks that `parent` may have another child.
    pub fn check_room(&self, parent: u32) -> Result<(), AddError> {
        if self.alive().count() >= MAX_ALIVE {
            return Err(AddError::TooMany);
        }
        let allowed = self
            .processes
            .get(&parent)
            .and_then(|record| record.limits.children);
        let children = self
            .alive()
            .filter(|record| record.parent == parent)
            .count();
        if allowed.is_some_and(|allowed| children >= allowed as usize) {
            Err(AddError::TooManyChildren)
        } else {
            Ok(())
        }
    }

    /// A free place for handles.
    pub fn free_place(&self) -> Option<u16> {
        (0..MAX_ALIVE as u16).find(|place| self.alive().all(|record| record.place != Some(*place)))
    }

    /// Adds a process.
    pub fn add(&mut self, record: Record) {
        self.next_pid = self.next_pid.max(record.pid + 1);
        self.processes.insert(record.pid, record);
    }

    /// Puts back a process that an earlier incarnation of the server knew.
    pub fn restore(&mut self, record: Record) {
        self.next_report = self.next_report.max(record.report + 1);
        self.next_pid = self.next_pid.max(record.pid + 1);
        if record.ended.is_some() {
            self.remember(&record);
        } else {
            self.add(record);
        }
    }

    /// Leaves out numbers that may have been given away without a trace.
    pub fn skip(&mut self, numbers: u32) {
        self.next_pid = self.next_pid.saturating_add(numbers);
    }

    /// A process.
    pub fn get(&self, pid: u32) -> Option<&Record> {
        let living = self.processes.get(&pid);
        living.or_else(|| self.ended().find(|record| record.pid == pid))
    }

    /// A process, to change it.
    pub fn get_mut(&mut self, pid: u32) -> Option<&mut Record> {
        let ended = self.ended.iter_mut();
        let mut ended = ended.filter(|record| record.pid == pid && pid != 0);
        self.processes.get_mut(&pid).or_else(|| ended.next())
    }

    /// The processes that have not ended.
    pub fn alive(&self) -> impl Iterator<Item = &Record> {
        self.processes.values()
    }

    /// Those that have, as long as they are remembered.
    fn ended(&self) -> impl Iterator<Item = &Record> {
        self.ended.iter().filter(|record| record.pid != 0)
    }

    /// Every number after `after` in ascending order, those that have ended and are remembered too.
    pub fn after(&self, after: u32) -> impl Iterator<Item = &Record> {
        let all = self.alive().chain(self.ended());
        let mut found: Vec<&Record> = all.filter(|record| record.pid > after).collect();
        found.sort_unstable_by_key(|record| record.pid);
        found.into_iter()
    }

    /// A process has ended, and nothing of it is left.
    pub fn end(&mut self, pid: u32, exit: Exit, now: u64) {
        let Some(mut record) = self.processes.remove(&pid) else {
            return;
        };
        record.ended = Some((exit, now));
        record.place = None;
        record.report = self.next_report;
        self.next_report += 1;
        let all = self.processes.values_mut().chain(&mut self.ended);
        for child in all.filter(|child| child.parent == pid) {
            child.parent = INIT;
        }
        self.remember(&record);
        self.forget_old(now);
    }

    fn remember(&mut self, record: &Record) {
        let place = (record.report % MAX_ENDED as u64) as usize;
        self.ended[place].remember(record);
    }

    /// The first end of a child of `parent` after report number `after`.
    pub fn child_end(&self, parent: u32, after: u64) -> Option<(u64, u32, Exit)> {
        let ended = self
            .ended()
            .filter(|record| record.parent == parent && record.report > after);
        let first = ended.min_by_key(|record| record.report)?;
        first
            .ended
            .as_ref()
            .map(|(exit, _)| (first.report, first.pid, exit.clone()))
    }

    /// Whether `parent` has a child that has not ended.
    pub fn has_child(&self, parent: u32) -> bool {
        self.alive().any(|record| record.parent == parent)
    }

    fn forget_old(&mut self, now: u64) {
        for record in &mut self.ended {
            let is_old = |at: u64| now.saturating_sub(at) >= REMEMBER_NS;
            if record.ended.as_ref().is_some_and(|(_, at)| is_old(*at)) {
                (record.pid, record.ended) = (0, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn add(table: &mut Table, parent: u32) -> u32 {
        let pid = table.reserve();
        let place = table.free_place();
        table.add(Record {
            pid,
            parent,
            group: pid,
            session: pid,
            uid: 0,
            program: "/a.peb".into(),
            arguments: vec![],
            cwd: "/".into(),
            start_ns: 0,
            limits: Limits::default(),
            place,
            ending: None,
            stopped: false,
            ended: None,
            report: 0,
        });
        pid
    }

    #[test]
    fn an_end_is_reported_to_the_parent_until_it_has_it() {
        let mut table = Table::default();
        let parent = add(&mut table, INIT);
        let (first, second) = (add(&mut table, parent), add(&mut table, parent));
        table.end(second, Exit::Code(3), 10);
        table.end(first, Exit::Signal(9), 20);
        assert_eq!(table.child_end(parent, 0), Some((1, second, Exit::Code(3))));
        assert_eq!(
            table.child_end(parent, 0),
            Some((1, second, Exit::Code(3))),
            "asked again"
        );
        assert_eq!(
            table.child_end(parent, 1),
            Some((2, first, Exit::Signal(9)))
        );
        assert_eq!(table.child_end(parent, 2), None);
        assert!(!table.has_child(parent));
    }

    #[test]
    fn children_of_the_dead_are_inits() {
        let mut table = Table::default();
        let parent = add(&mut table, INIT);
        let child = add(&mut table, parent);
        table.end(parent, Exit::Code(0), 1);
        assert_eq!(table.get(child).map(|record| record.parent), Some(INIT));
    }

    #[test]
    fn a_limit_on_children_counts_the_living() {
        let mut table = Table::default();
        let parent = add(&mut table, INIT);
        table.get_mut(parent).expect("it was added").limits.children = Some(1);
        let child = add(&mut table, parent);
        assert_eq!(table.check_room(parent), Err(AddError::TooManyChildren));
        table.end(child, Exit::Code(0), 1);
        assert_eq!(table.check_room(parent), Ok(()));
    }

    #[test]
    fn the_oldest_ends_are_forgotten_and_numbers_never_come_back() {
        let mut table = Table::default();
        let pids: Vec<u32> = (0..MAX_ENDED as u32 + 5)
            .map(|_| add(&mut table, INIT))
            .collect();
        for (now, pid) in pids.iter().enumerate() {
            table.end(*pid, Exit::Code(0), now as u64);
        }
        assert_eq!(table.get(pids[4]), None);
        assert!(table.get(pids[5]).is_some());
        let last = add(&mut table, INIT);
        table.end(last, Exit::Code(0), REMEMBER_NS + MAX_ENDED as u64 + 100);
        assert_eq!(table.after(0).count(), 1, "the others are too old");
        assert!(table.reserve() > last);
    }

    #[test]
    fn what_is_remembered_of_the_ended_takes_no_memory_of_its_own() {
        let mut table = Table::default();
        let places: Vec<*const u8> = table
            .ended
            .iter()
            .map(|record| record.program.as_ptr())
            .collect();
        for round in 0..2 * MAX_ENDED as u64 {
            let pid = add(&mut table, INIT);
            let record = table.get_mut(pid).expect("it was added");
            record.program = "/a/path/that/is/longer/than/what/is/kept/of/it/ä.peb".into();
            record.arguments = vec!["argument".into(); 3];
            table.end(pid, Exit::Code(0), round);
        }
        let record = table.after(0).last().expect("they are remembered");
        assert_eq!(record.program, "is/longer/than/what/is/kept/of/it/ä.peb");
        for (record, place) in table.ended.iter().zip(places) {
            assert_eq!(record.program.as_ptr(), place, "it was moved");
            assert_eq!(record.arguments.capacity() + record.cwd.capacity(), 0);
        }
    }

    #[test]
    fn limits_only_tighten() {
        let loose = Limits {
            memory_kib: Some(100),
            cpu_ms: None,
            ..Limits::default()
        };
        let other = Limits {
            memory_kib: Some(200),
            cpu_ms: Some(5),
            ..Limits::default()
        };
        assert_eq!(
            loose.tightened(other),
            Limits {
                memory_kib: Some(100),
                cpu_ms: Some(5),
                ..Limits::default()
            }
        );
    }
}
