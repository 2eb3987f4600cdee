//! Interrupt: a vector, and the notification bit that it sets.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicU64};

use zerocopy::FromBytes;

use super::Header;

/// The object. Its CPU is the one that its vector is routed to.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Interrupt {
    /// The header.
    pub header: Header,
    /// The CPU's number for it.
    pub vector: Cell<u32>,
    /// 1 if it is a line, else a message.
    pub is_line: Cell<u32>,
    /// 1 if that line signals by level: it is masked while it is served. One that signals by edge is not, because the
    /// controller forgets an edge that comes while the line is masked.
    pub is_level: Cell<u32>,
    /// Global system interrupt, for a line.
    pub gsi: Cell<u32>,
    /// Number of the bit.
    pub bit: AtomicU32,
    /// The notification, with a reference; 0 if none. Written once.
    pub notification: AtomicU64,
}
