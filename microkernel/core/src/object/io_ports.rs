//! IoPorts: a range of x86 ports.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::Header;
use crate::machine::PortRange;

/// The object; never changes.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct IoPorts {
    /// The header.
    pub header: Header,
    /// First port.
    pub first: Cell<u32>,
    /// How many.
    pub count: Cell<u32>,
}

impl IoPorts {
    /// The range.
    pub fn range(&self) -> PortRange {
        PortRange { first: self.first.get() as u16, count: self.count.get() as u16 }
    }
}
