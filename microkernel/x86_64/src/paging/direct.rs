//! The direct map: all memory at one offset, so that the kernel reaches any frame without mapping it.

use super::layout::{BOOT_LIMIT, DIRECT_BASE};
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_x86_64::firmware::PhysicalMemory;

/// The first physical address that the direct map does not reach.
static LIMIT: AtomicU64 = AtomicU64::new(BOOT_LIMIT);

/// Announces that the direct map reaches up to `limit`.
///
/// # Safety
/// All memory below `limit` that anybody passes to [`pointer`] is mapped.
pub unsafe fn set_limit(limit: u64) {
    LIMIT.store(limit, Ordering::Relaxed);
}

/// Where the `length` bytes at `physical` are; `None` if the direct map does not reach them.
pub fn pointer(physical: u64, length: u64) -> Option<*mut u8> {
    let end = physical.checked_add(length)?;
    (end <= LIMIT.load(Ordering::Relaxed)).then_some((DIRECT_BASE + physical) as *mut u8)
}

/// Bytes of memory that nobody writes: firmware tables, the loader's structures, the boot image.
///
/// # Safety
/// The range is memory (not a device), and nobody writes it while the slice lives.
pub unsafe fn bytes(physical: u64, length: u64) -> Option<&'static [u8]> {
    let start = pointer(physical, length)?;
    // SAFETY: the direct map reaches the range; the caller says that it is memory and does not change.
    Some(unsafe { core::slice::from_raw_parts(start, length as usize) })
}

/// The firmware's tables and the loader's structures, as long as nobody writes them.
pub struct FirmwareMemory(());

impl FirmwareMemory {
    /// Access to what firmware and loader left in memory.
    ///
    /// # Safety
    /// Nobody writes the memory that is read through the value, or through what is read through it.
    pub unsafe fn new() -> Self {
        Self(())
    }
}

impl PhysicalMemory for FirmwareMemory {
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        // SAFETY: `new`'s caller vouches for it.
        unsafe { bytes(address, length) }
    }
}
