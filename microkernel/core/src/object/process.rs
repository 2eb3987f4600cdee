//! Process: an address space, a table of handles, threads, and the quota that pays.
//!
//! Its home CPU alone touches its cells. It lives until it is killed, exits or its quota is closed; the record stays until the last
//! handle to it is closed.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{records::DeathCause, records::ProcessState};
use zerocopy::FromBytes;

use super::{Connection, Endpoint, Head, Header, IoPorts, Link, Mapping, Name, Thread, lists};
use crate::machine::MAX_PORT_RANGES;
use crate::mem::frame::Frame;
use crate::sched::budget::Budget;

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Process {
    /// The header.
    pub header: Header,

    // What the fast path reads.
    /// Number of the frame of the top-level page table.
    pub root: Cell<u64>,
    /// Number of the frame that names the frames of the handle table.
    pub handle_root: Cell<u64>,
    /// The handle that will be given out next: the first free slot of the table, and its generation; 0 if there is none ready.
    pub next_handle: Cell<u32>,
    /// Free slots that are ready.
    pub free_slots: Cell<u32>,
    /// Handles of endpoints that it has closed: a thread that waits in `receive` may have lost its handle meanwhile.
    pub endpoints_closed: Cell<u32>,
    /// Ranges of ports that it has enabled.
    pub port_count: Cell<u32>,
    state: Cell<u32>,
    /// Counter ticks of its threads.
    pub ticks: Cell<u64>,
    /// Switches to its address space.
    pub switches: Cell<u64>,

    /// Slots that were ever made ready.
    pub slots_made: Cell<u32>,
    /// Handles in the table.
    pub handles: Cell<u32>,
    cause: Cell<u32>,
    /// Exit status or what the killer said.
    pub code: Cell<u64>,
    /// 1 once somebody decided that it must die.
    condemned: AtomicU32,
    /// No thread of it may have a higher priority.
    pub highest_priority: Cell<u32>,
    /// Its threads.
    pub threads: Head<ProcessThreads>,
    /// How many.
    pub thread_count: Cell<u32>,
    /// Number for the next thread.
    pub next_thread: Cell<u32>,
    /// Where its faults go; a counted copy.
    pub fault_connection: Cell<Name<Connection>>,
    /// Mappings, as a tree ordered by address.
    pub mappings: Cell<Name<Mapping>>,
    /// Bytes in them.
    pub mapped_bytes: Cell<u64>,
    /// Endpoints that it receives on.
    pub endpoints: Head<ProcessEndpoints>,
    /// Ports that it has enabled; each holds a reference.
    pub ports: [Cell<Name<IoPorts>>; MAX_PORT_RANGES],
    /// On whose budget its threads run: its own, its maker's, or nobody's.
    pub payer: Cell<Name<Process>>,
    /// How much CPU time it may use, if it is limited itself.
    pub budget: Budget,
    /// Page faults that were filled in or reported.
    pub faults: Cell<u64>,
    /// Where taking it apart has got to.
    pub stage: Cell<u32>,
    /// 1 while that waits for threads which other CPUs keep.
    pub is_waiting_for_threads: Cell<u32>,
    /// How far within that.
    pub cursor: Cell<u64>,
    /// Link of the list of processes under its quota; guarded by the tree's lock.
    pub under_quota: Link,
}

lists! {
    /// Threads of one process.
    ProcessThreads of Thread by of_process;
    /// Endpoints that one process receives on.
    ProcessEndpoints of Endpoint by of_process;
}

impl Process {
    /// The top-level page table.
    #[inline]
    pub fn root_frame(&self) -> Frame {
        Frame::new(self.root.get())
    }

    /// What it is doing.
    pub fn state(&self) -> ProcessState {
        match self.state.get() {
            0 => ProcessState::Alive,
            1 => ProcessState::Dying,
            _ => ProcessState::Dead,
        }
    }

    /// Sets what it is doing.
    pub fn set_state(&self, state: ProcessState) {
        self.state.set(state as u32);
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.state.get() == ProcessState::Alive as u32
    }

    /// Number of the [`DeathCause`].
    pub fn cause(&self) -> u32 {
        self.cause.get()
    }

    /// Sets why it ended.
    pub fn set_cause(&self, cause: DeathCause) {
        self.cause.set(cause as u32);
    }

    /// Decides that it must die; false if that was decided before. Any CPU may ask.
    pub fn mark_condemned(&self) -> bool {
        self.condemned.swap(1, Ordering::AcqRel) == 0
    }

    /// The CPU that it lives on.
    #[inline]
    pub fn home(&self) -> usize {
        self.header.home()
    }
}
