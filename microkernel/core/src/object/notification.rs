//! Notification: 64 sticky bits. Setting them is an atomic OR from any CPU; who waits for them is the home's affair.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use zerocopy::FromBytes;

use super::{Endpoint, Head, Header, Link, Name, Waiters, lists};

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Notification {
    /// The header.
    pub header: Header,
    bits: AtomicU64,
    /// The endpoint that it is bound to, with a reference; 0 if none. Written once, by the home.
    pub bound: AtomicU64,
    /// What its wake is marked with.
    pub cookie: Cell<u64>,
    /// Threads that wait.
    pub waiters: Head<Waiters>,
    /// Link of the endpoint's list of those with bits.
    pub pending: Link,
}

lists! {
    /// Notifications bound to an endpoint that have bits.
    BoundPending of Notification by pending;
}

impl Notification {
    /// Sets bits; true if one of them was clear.
    pub fn set(&self, bits: u64) -> bool {
        self.bits.fetch_or(bits, Ordering::AcqRel) & bits != bits
    }

    /// Takes those of `mask` that are set.
    pub fn take(&self, mask: u64) -> u64 {
        self.bits.fetch_and(!mask, Ordering::AcqRel) & mask
    }

    /// Those of `mask` that are set.
    pub fn peek(&self, mask: u64) -> u64 {
        self.bits.load(Ordering::Acquire) & mask
    }

    /// The endpoint that it is bound to.
    pub fn bound(&self) -> Name<Endpoint> {
        Name::from_bits(self.bound.load(Ordering::Acquire))
    }
}
