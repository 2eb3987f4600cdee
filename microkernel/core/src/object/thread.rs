//! Thread: what is scheduled. It begins with a header and a [`CallRecord`], as a Call does, so that both can wait in one queue.

use core::cell::Cell;

use abi::records::ThreadState;
use zerocopy::FromBytes;

use super::{CallRecord, Header, Link, Memory, Name, Process, lists};
use crate::handle::Reference;
use crate::machine::UserContext;

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Thread {
    /// The header. Its home is the process's.
    pub header: Header,
    /// The call that it makes, and the deadline of any wait.
    pub call: CallRecord,
    /// Registers.
    pub context: UserContext,

    /// Its process.
    pub process: Cell<Name<Process>>,
    state: Cell<u32>,
    /// Priority of its own.
    pub base_priority: Cell<u32>,
    /// Priority at present: its own, or that of the caller it works for.
    pub priority: Cell<u32>,
    /// On whose budget it runs; none if that is not limited.
    pub payer: Cell<Name<Process>>,
    /// 1 while it waits for that, ready but in no run queue; the deadline of its record is when it goes on.
    pub is_throttled: Cell<u32>,
    /// 1 if it must not run although it could.
    pub is_suspended: Cell<u32>,
    /// 1 if its system call is to be continued when it runs next.
    pub must_continue: Cell<u32>,
    /// 1 while another CPU works for it or keeps its wait.
    pub is_away: Cell<u32>,
    /// Number in its process.
    pub number: Cell<u32>,
    /// What its process's `endpoints_closed` was when it began to wait in `receive`.
    pub endpoints_closed: Cell<u32>,
    /// Link of the run queue.
    pub run: Link,
    /// Link of its process's list.
    pub of_process: Link,
    /// Counter ticks that it used.
    pub ticks: Cell<u64>,
    /// Since when it is in its state, in ticks.
    pub since: Cell<u64>,
    /// What it waits on; 0 for nothing.
    pub waits_on: Cell<u64>,
    /// Its send page and receive page.
    pub pages: Cell<Name<Memory>>,
    /// What its system call named, resolved, while another CPU works on it.
    pub arguments: [Reference; 3],
    /// Handles that its system call will return, not yet in its process's table.
    pub results: [Reference; 2],
    /// A handle that leaves the process's table when its system call has succeeded; 0 for none.
    pub moved: Cell<u32>,
    /// Progress of a system call that takes several steps.
    pub progress: Cell<u64>,
    /// Words of its fault call.
    pub fault_words: [Cell<u64>; 8],
}

lists! {
    /// Threads that are ready at one priority.
    RunList of Thread by run;
}

impl Thread {
    /// What it is doing.
    pub fn state(&self) -> ThreadState {
        match self.state.get() {
            0 => ThreadState::Created,
            1 => ThreadState::Ready,
            2 => ThreadState::Calling,
            3 => ThreadState::Receiving,
            4 => ThreadState::Waiting,
            5 => ThreadState::Faulted,
            6 => ThreadState::Suspended,
            _ => ThreadState::Dead,
        }
    }

    /// Sets what it is doing.
    #[inline]
    pub fn set_state(&self, state: ThreadState) {
        self.state.set(state as u32);
    }

    /// Whether it is in this state.
    #[inline]
    pub fn is(&self, state: ThreadState) -> bool {
        self.state.get() == state as u32
    }
}
