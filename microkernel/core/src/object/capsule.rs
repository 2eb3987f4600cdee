//! Capsule: memory and handle slots that outlive their user.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::{Header, Memory, Name};
use crate::sync::Lock;

/// Handle slots in a capsule, at most.
pub const MAX_SLOTS: u64 = 256;

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Capsule {
    /// The header.
    pub header: Header,
    /// Guards the slots.
    pub lock: Lock,
    /// How many slots.
    pub slot_count: Cell<u32>,
    /// Number of the frame of slots, each a `Reference`; 0 if there are none.
    pub slots: Cell<u64>,
    /// Its memory; holds a reference that counts as an owner.
    pub memory: Cell<Name<Memory>>,
}
