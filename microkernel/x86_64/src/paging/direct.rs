//! The direct map: all memory at one offset, so that the kernel reaches any frame without mapping it.

use super::layout::{BOOT_LIMIT, DIRECT_BASE};
use core::sync::atomic::{AtomicU64, Ordering};
use zerocopy::{FromBytes, Immutable, KnownLayout};

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

/// A copy of a structure in such memory.
///
/// # Safety
/// As for [`bytes`].
pub unsafe fn read<T: FromBytes + KnownLayout + Immutable>(physical: u64) -> Option<T> {
    // SAFETY: passed on to the caller.
    let bytes = unsafe { bytes(physical, size_of::<T>() as u64) }?;
    T::read_from_bytes(bytes).ok()
}
