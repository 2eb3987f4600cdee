//! Call: a prepaid outgoing call. Every thread has one built in; a Call object is one that does not block.
//!
//! The record is in the custody of one CPU: the caller's home while the call is being made and after it ended, the endpoint's home
//! from its arrival there until its end. Only the CPU that has custody decides how it ends, and touches the fields of the
//! second group. The others ask it, by a post.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::message::{MAX_HANDLES, MAX_LEASES};
use zerocopy::FromBytes;

use super::{Connection, Endpoint, Head, Header, Link, Memory, Name, Process, lists};
use crate::handle::Reference;

/// Where a call is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum CallState {
    /// Not under way.
    Idle = 0,
    /// Posted to the endpoint's home.
    InTransit = 1,
    /// In the endpoint's queue.
    Queued = 2,
    /// A receiver has it; a Reply names it.
    Received = 3,
    /// Ended; the end is on its way to the caller's home.
    Ending = 4,
    /// Ended; the end waits to be taken (Call objects).
    Ended = 5,
}

/// The part that Thread and Call share.
#[derive(FromBytes)]
#[repr(C)]
pub struct CallRecord {
    // Fields of the caller's home.
    /// Calls that are made on behalf of this one, by the process that received it.
    pub dependents: Head<Dependents>,
    /// The call on whose behalf this one is made.
    pub behalf: Cell<Name<Caller>>,
    behalf_link: Link,
    /// Its priority.
    pub priority: Cell<u32>,
    custody: AtomicU32,
    /// Frame of the page that is sent from, by number.
    pub send_page: Cell<u64>,
    /// Frame of the page that the reply goes to, by number.
    pub receive_page: Cell<u64>,

    // Fields of the CPU that has custody.
    state: Cell<u32>,
    /// Handle slot of the Reply, in the receiver's table.
    pub reply_slot: Cell<u32>,
    /// The process that received it.
    pub receiver: Cell<Name<Process>>,
    /// When it must end, in nanoseconds since boot; also the deadline of a thread's other waits.
    pub deadline: Cell<u64>,
    /// Links of the timer heap: first child, next sibling, and previous sibling or parent. `timer_cpu` is 1 + the CPU whose heap it is in, or 0.
    pub timer_child: Cell<u64>,
    /// See `timer_child`.
    pub timer_next: Cell<u64>,
    /// See `timer_child`.
    pub timer_previous: Cell<u64>,
    /// See `timer_child`.
    pub timer_cpu: Cell<u64>,
    /// Where it was sent.
    pub endpoint: Cell<Name<Endpoint>>,
    /// Through what; only while it is queued.
    pub connection: Cell<Name<Connection>>,
    /// The badge of that.
    pub badge: Cell<u64>,
    /// Link of the endpoint's queue of calls, of receivers, or of completed Calls; or of a notification's waiters.
    pub queue: Link,
    /// Link of the connection's list of queued calls.
    pub through: Link,
    /// Shape of the message, or of the reply (without wake or operation).
    pub info: Cell<u32>,
    /// How it ended: [`abi::CallOutcome`] bits.
    pub end: Cell<u32>,
    /// When it was queued, in ticks.
    pub queued_at: Cell<u64>,
    /// Handles in the message, or in the reply; counted.
    pub transfers: [Reference; MAX_HANDLES],
    /// On whose budget it is to be answered; none if that is not limited.
    pub payer: Cell<Name<Process>>,
    /// What the call lends to its receiver until it ends.
    pub leases: [Lease; MAX_LEASES],
    /// How many of them there are.
    pub lease_count: Cell<u64>,
}

/// A window of memory that a call lends to its receiver.
#[derive(FromBytes)]
#[repr(C)]
pub struct Lease {
    /// The memory, with a reference; none if there is no lease here.
    pub memory: Cell<Name<Memory>>,
    /// Its first byte.
    pub offset: Cell<u64>,
    /// Bytes.
    pub length: Cell<u64>,
    /// [`Rights`](abi::Rights) bits: `READ`, `WRITE`.
    pub rights: Cell<u64>,
}

/// What begins with a header and a call record: a Thread or a Call.
#[derive(FromBytes)]
#[repr(C)]
pub struct Caller {
    /// The header.
    pub header: Header,
    /// The record.
    pub call: CallRecord,
}

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Call {
    /// The header.
    pub header: Header,
    /// The record.
    pub call: CallRecord,
    /// Message words, then words of the reply.
    pub words: [Cell<u64>; 8],
    /// What the completion is marked with.
    pub cookie: Cell<u64>,
    /// Where its end is reported; holds a reference.
    pub report: Cell<Name<Endpoint>>,
    /// The process that made it.
    pub process: Cell<Name<Process>>,
    /// Its message page.
    pub page: Cell<Name<Memory>>,
}

lists! {
    /// Calls in an endpoint's queue at one priority, receivers that wait there, completed Calls, or waiters of a notification.
    Waiters of Caller by call.queue;
    /// Calls queued through one Connection.
    ConnectionCalls of Caller by call.through;
    /// Calls made on behalf of one.
    Dependents of Caller by call.behalf_link;
}

impl CallRecord {
    /// Where it is in its life.
    #[inline]
    pub fn state(&self) -> CallState {
        match self.state.get() {
            0 => CallState::Idle,
            1 => CallState::InTransit,
            2 => CallState::Queued,
            3 => CallState::Received,
            4 => CallState::Ending,
            _ => CallState::Ended,
        }
    }

    /// Sets where it is in its life.
    #[inline]
    pub fn set_state(&self, state: CallState) {
        self.state.set(state as u32);
    }

    /// The CPU that has custody.
    #[inline]
    pub fn custody(&self) -> usize {
        self.custody.load(Ordering::Acquire) as usize
    }

    /// Hands custody to `cpu`.
    #[inline]
    pub fn set_custody(&self, cpu: usize) {
        self.custody.store(cpu as u32, Ordering::Release);
    }
}
