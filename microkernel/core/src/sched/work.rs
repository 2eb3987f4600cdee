//! Work in slices: taking apart what is too large to be taken apart in one stay in the kernel.
//!
//! A CPU's list of such things is served at the end of its kernel entries, one slice each time, and while it has nothing else to
//! do. As long as the list is not empty the timer sees to it that there are entries.

use crate::object::{Any, Kind, Name};
use crate::{Kernel, Machine};

/// The longest that work waits for its next slice while threads keep the CPU busy.
const SLICE_INTERVAL_NANOSECONDS: u64 = 100_000;

/// Whether a thing is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to do.
    More,
    /// It waits for another CPU; whoever ends the wait adds it again.
    Waiting,
    /// It is done; its memory may be gone.
    Done,
}

impl<M: Machine> Kernel<M> {
    /// Adds a thing to this CPU's list. It is in no such list.
    pub fn add_work(&self, name: Name<Any>) {
        self.at(name).header.work_link.set(0);
        let last = self.work_last.get();
        if last.is_none() {
            self.work_first.set(name);
        } else {
            self.at(last).header.work_link.set(name.bits());
        }
        self.work_last.set(name);
    }

    /// Whether there is work.
    pub fn has_work(&self) -> bool {
        self.work_first.get().is_some()
    }

    /// Does one slice of the first thing in the list.
    pub fn work_a_slice(&self) {
        let name = self.work_first.get();
        if name.is_none() {
            return;
        }
        let header = &self.at(name).header;
        let kind = Kind::from_number(header.kind.get() as u8);
        self.work_first.set(Name::from_bits(header.work_link.get()));
        if self.work_first.get().is_none() {
            self.work_last.set(Name::NONE);
        }
        let progress = match kind {
            Some(Kind::Process) => self.take_apart_process(name.cast()),
            Some(Kind::Memory) => self.take_apart_memory(name.cast()),
            Some(Kind::Endpoint) => self.take_apart_endpoint(name.cast()),
            _ => Progress::Done,
        };
        if progress == Progress::More {
            self.add_work(name);
        }
        if self.has_work() {
            self.revisit_soon();
        }
    }

    /// Makes sure that the kernel is entered again soon, even if threads keep the CPU busy.
    pub fn revisit_soon(&self) {
        let next = self.machine().now() + SLICE_INTERVAL_NANOSECONDS;
        if next < self.armed_until.get() {
            self.arm(next);
        }
    }
}
