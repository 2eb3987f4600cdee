//! Endpoint: where calls arrive, and the one place where a server waits.
//!
//! Its home is the CPU of the process that receives on it. Everything that can wake the receiver is queued here, linked through the
//! object that it is about; `pending` has a bit for each queue that is not empty, so that a receive looks at one word.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::{BoundPending, ClosedConnections, Head, Header, Link, Name, Process, RungConnections, Thread, Waiters};

/// Priorities of calls.
pub const PRIORITIES: usize = abi::layout::PRIORITIES as usize;

/// Bits of [`Endpoint::pending`], in the order in which receives serve them, over and over.
pub mod pending {
    /// A bound notification has bits.
    pub const NOTIFIED: u32 = 1 << 0;
    /// A Call has ended.
    pub const COMPLETED: u32 = 1 << 1;
    /// The caller of a received call went away.
    pub const CANCELLED: u32 = 1 << 2;
    /// A Connection's last counted copy went.
    pub const CLOSED: u32 = 1 << 3;
    /// A Connection was rung.
    pub const RUNG: u32 = 1 << 4;
    /// A call is queued.
    pub const CALLED: u32 = 1 << 5;
}

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Endpoint {
    /// The header. `is_dead` is set when the last owner has gone.
    pub header: Header,
    /// Threads that wait in `receive`.
    pub receivers: Head<Waiters>,
    /// The process that receives here.
    pub process: Cell<Name<Process>>,
    /// The thread that has received here last, which waiting calls lend their priority to.
    pub server: Cell<Name<Thread>>,
    /// Which queues are not empty.
    pub pending: Cell<u32>,
    /// The bit of the queue that was served last.
    pub served: Cell<u32>,
    /// Calls that were received here and have not ended.
    pub outstanding: Cell<u32>,
    /// 1 while a reference is held because a process receives here, or has calls from here.
    pub is_kept: Cell<u32>,
    /// How many processes have received here.
    pub incarnation: Cell<u32>,
    /// Priorities at which calls are queued, a bit each.
    pub call_priorities: Cell<u64>,
    /// Calls that are queued.
    pub queued: Cell<u64>,
    /// First slot of the receiver's handle table whose call was cancelled, and the last; 0 for none.
    pub cancelled_first: Cell<u32>,
    /// See `cancelled_first`.
    pub cancelled_last: Cell<u32>,
    /// Bound notifications with bits.
    pub notified: Head<BoundPending>,
    /// Ended Calls.
    pub completed: Head<Waiters>,
    /// Connections whose last counted copy went.
    pub closed: Head<ClosedConnections>,
    /// Connections that were rung.
    pub rung: Head<RungConnections>,
    /// Link of the process's list.
    pub of_process: Link,
    /// Queued calls, by priority.
    pub calls: [Head<Waiters>; PRIORITIES],
}

impl Endpoint {
    /// Notes that a queue has something.
    pub fn raise(&self, bit: u32) {
        self.pending.set(self.pending.get() | bit);
    }

    /// Chooses the queue that is served next, among those that are not empty: each in its turn, so that none keeps the others waiting.
    pub fn take_turn(&self) -> u32 {
        let pending = self.pending.get();
        let later = pending & !(self.served.get() << 1).wrapping_sub(1);
        let candidates = if later == 0 { pending } else { later };
        self.served.set(candidates & candidates.wrapping_neg());
        self.served.get()
    }

    /// Notes that a queue is empty.
    pub fn lower(&self, bit: u32) {
        self.pending.set(self.pending.get() & !bit);
    }
}
