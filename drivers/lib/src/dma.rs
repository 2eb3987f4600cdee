//! Memory that a device reads and writes by itself.
//!
//! Whatever is read from it may have been written by the device a moment ago: it is a claim, to be checked, and never read twice
//! where the two must agree.

/// An address as a device sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct DmaAddr(pub u64);

impl DmaAddr {
    /// The address `bytes` further on; wraps, as the device's own arithmetic does.
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

/// Zeroed memory shared with a device: little endian, contiguous in the device's eyes.
///
/// Accesses are volatile and aligned to their width. One beyond the end is a mistake of the driver's, not of the device's, and panics.
pub trait DmaMemory {
    /// Bytes.
    fn len(&self) -> usize;
    /// Whether there is nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Where the device finds the first byte.
    fn device_address(&self) -> DmaAddr;
    /// Reads two bytes.
    fn read_u16(&self, offset: usize) -> u16;
    /// Reads four bytes.
    fn read_u32(&self, offset: usize) -> u32;
    /// Reads eight bytes.
    fn read_u64(&self, offset: usize) -> u64;
    /// Writes two bytes.
    fn write_u16(&mut self, offset: usize, value: u16);
    /// Writes four bytes.
    fn write_u32(&mut self, offset: usize, value: u32);
    /// Writes eight bytes.
    fn write_u64(&mut self, offset: usize, value: u64);
    /// Everything written before is seen by the device before anything written afterwards; everything read afterwards was read after what was read before.
    fn fence(&self);
}
