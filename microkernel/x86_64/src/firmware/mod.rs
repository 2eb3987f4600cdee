//! What firmware and loader tell of the machine, read from physical memory and believed only as far as it makes sense.

pub mod acpi;
pub mod memory_map;
pub mod start_info;

use zerocopy::FromBytes;

/// Physical memory that holds such tables.
pub trait PhysicalMemory {
    /// The `length` bytes at `address`, if they can be reached.
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]>;

    /// A copy of a structure.
    fn read<T: FromBytes>(&self, address: u64) -> Option<T> {
        T::read_from_bytes(self.bytes(address, size_of::<T>() as u64)?).ok()
    }
}

/// Memory for tests: bytes from an address on.
#[cfg(test)]
struct Fake {
    base: u64,
    bytes: std::vec::Vec<u8>,
}

#[cfg(test)]
impl PhysicalMemory for Fake {
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.base)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }
}
