//! IoSpace: what a device may reach by DMA.
//!
//! What was mapped in it is kept until the device is known to have stopped: entries are only *ended* by unmapping, and the memory
//! behind them is let go when the space is released.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::{Header, Memory, Name};
use crate::sync::Lock;

/// Entries in the frame of an IoSpace.
pub const MAX_ENTRIES: usize = 128;

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct IoSpace {
    /// The header.
    pub header: Header,
    /// Guards the entries.
    pub lock: Lock,
    /// The device's PCI address.
    pub device: Cell<u32>,
    /// Number of the frame with the entries.
    pub entries: Cell<u64>,
}

/// Memory that the device may reach.
#[derive(FromBytes)]
#[repr(C)]
pub struct IoEntry {
    /// The memory, with a reference; 0 if the entry is free.
    pub memory: Cell<Name<Memory>>,
    /// Device address of its first byte.
    pub address: Cell<u64>,
    /// Bytes.
    pub length: Cell<u64>,
    /// 1 once it was unmapped, and only the device's stop is waited for.
    pub is_ended: Cell<u64>,
}

/// The frame of entries.
#[derive(FromBytes)]
#[repr(C)]
pub struct IoEntries {
    /// They.
    pub entries: [IoEntry; MAX_ENTRIES],
}
