//! Mapped memory, looked at without undefined behaviour although others write to it.

use crate::sys;
use abi::layout::PAGE_SIZE;
use abi::syscall::protection;
use core::ptr::NonNull;
#[cfg(not(target_arch = "x86_64"))]
use core::sync::atomic::{AtomicU8, Ordering};
use core::sync::atomic::{AtomicU32, AtomicU64};

/// What may be done through a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing.
    ReadExecute,
    /// Reading and writing; a page that is written becomes the mapping's own, and others don't see it. Needs only `READ` on the memory.
    Private,
}

impl Protection {
    /// The kernel's bits.
    pub const fn bits(self) -> u64 {
        match self {
            Self::Read => protection::READ,
            Self::ReadWrite => protection::READ | protection::WRITE,
            Self::ReadExecute => protection::READ | protection::EXECUTE,
            Self::Private => protection::READ | protection::WRITE | protection::PRIVATE,
        }
    }
}

/// A range of memory in this process, unmapped when the value goes.
///
/// Others may have it mapped too and write to it at any moment, so it is never lent as a slice: bytes are copied, and words are atomics.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    length: usize,
    protection: Protection,
}

// SAFETY: a mapping belongs to the process, not to a thread, and is only used through atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The mapping that was just made at this address. `None` for the null address.
    pub(super) fn new(address: *mut u8, length: usize, protection: Protection) -> Option<Self> {
        let base = NonNull::new(address)?;
        Some(Self {
            base,
            length,
            protection,
        })
    }

    /// The bytes of memory that the boot loader filled and nobody can write, for ever. Only for memory of that kind.
    pub(super) fn into_boot_bytes(self) -> &'static [u8] {
        let bytes = self.leak();
        // SAFETY: the mapping is readable and never undone. The only caller checked the kind of the memory; the kernel gives no handle with `WRITE` to
        // memory of that kind, so the bytes never change.
        unsafe { bytes.as_ref() }
    }

    /// Memory that somebody else mapped for us. `None` if the address is null or no page.
    ///
    /// # Safety
    /// The range is mapped readable and writable until the process ends, and is only used through atomics and shared copies.
    #[cfg_attr(
        not(target_os = "none"),
        allow(dead_code, reason = "used at process start")
    )]
    pub(crate) unsafe fn from_raw(address: *mut u8, length: usize) -> Option<Self> {
        let base =
            NonNull::new(address).filter(|base| base.as_ptr().addr().is_multiple_of(PAGE_SIZE))?;
        Some(Self {
            base,
            length,
            protection: Protection::ReadWrite,
        })
    }

    /// Memory of this process alone, zeroed, for tests of what is usually shared.
    #[cfg(not(target_os = "none"))]
    pub fn for_test(length: usize) -> Self {
        let layout = std::alloc::Layout::from_size_align(
            length.next_multiple_of(PAGE_SIZE).max(PAGE_SIZE),
            PAGE_SIZE,
        )
        .expect("tests ask for lengths that exist");
        // SAFETY: the size is not zero.
        let base =
            NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).expect("tests have memory");
        Self {
            base,
            length: layout.size(),
            protection: Protection::ReadWrite,
        }
    }

    /// Another view of the same memory, as the peer of a test has it. Both leak.
    #[cfg(not(target_os = "none"))]
    pub fn peer_for_test(&self) -> Self {
        Self {
            base: self.base,
            length: self.length,
            protection: self.protection,
        }
    }

    /// Length in bytes: whole pages.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes. The kernel does not make such mappings.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The first address.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn contains(&self, offset: usize, length: usize) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length)
    }

    /// A word, for atomic use. `None` outside of the mapping, unaligned, or if it is not writable.
    pub fn word(&self, offset: usize) -> Option<&AtomicU64> {
        if !offset.is_multiple_of(8)
            || !self.contains(offset, 8)
            || self.protection != Protection::ReadWrite
        {
            return None;
        }
        // SAFETY: aligned (the base is a page) and inside of the mapping, which lives as long as `self`; everyone uses atomics on shared memory.
        Some(unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() })
    }

    /// A half word, for atomic use. As [`word`](Self::word).
    pub fn half_word(&self, offset: usize) -> Option<&AtomicU32> {
        if !offset.is_multiple_of(4)
            || !self.contains(offset, 4)
            || self.protection != Protection::ReadWrite
        {
            return None;
        }
        // SAFETY: as in `word`.
        Some(unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU32>() })
    }

    /// Copies bytes out. Returns `false`, and copies nothing, if the range is not inside the mapping.
    #[must_use]
    pub fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        if !self.contains(offset, into.len()) {
            return false;
        }
        // SAFETY: the source is inside the mapping, the destination is ours alone.
        unsafe {
            copy_shared(
                self.base.as_ptr().add(offset),
                into.as_mut_ptr(),
                into.len(),
            )
        };
        true
    }

    /// Copies bytes in. Returns `false`, and copies nothing, if the range is not inside the mapping or it is not writable.
    #[must_use]
    pub fn write(&self, offset: usize, from: &[u8]) -> bool {
        if !self.contains(offset, from.len()) || self.protection != Protection::ReadWrite {
            return false;
        }
        // SAFETY: the destination is inside the writable mapping, the source is ours.
        unsafe { copy_shared(from.as_ptr(), self.base.as_ptr().add(offset), from.len()) };
        true
    }

    /// Keeps the memory mapped until the process ends.
    ///
    /// The bytes can be borrowed for as long as that.
    pub fn leak(self) -> NonNull<[u8]> {
        let slice = NonNull::slice_from_raw_parts(self.base, self.length);
        core::mem::forget(self);
        slice
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        sys::unmap(self.base.as_ptr(), self.length as u64);
    }
}

/// Copies between our memory and memory that others may be writing to.
///
/// # Safety
/// Both ranges are mapped for `length` bytes, the destination is writable, and they do not overlap.
#[inline]
pub(crate) unsafe fn copy_shared(from: *const u8, to: *mut u8, length: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        let words = length / 8;
        // SAFETY: the caller guarantees both ranges. The compiler can't see into the string instructions, so it can't assume that nobody else
        // writes meanwhile: at worst the copy is a mixture of old and new bytes, which is what shared memory is.
        unsafe {
            core::arch::asm!(
                "rep movsq",
                "mov rcx, {rest}",
                "rep movsb",
                rest = in(reg) length % 8,
                inout("rcx") words => _,
                inout("rsi") from => _,
                inout("rdi") to => _,
                options(nostack, preserves_flags),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for index in 0..length {
        // SAFETY: the caller guarantees both ranges; each byte is copied as an atomic, which shared memory may be used as.
        unsafe {
            let byte = (*from.add(index).cast::<AtomicU8>()).load(Ordering::Relaxed);
            (*to.add(index).cast::<AtomicU8>()).store(byte, Ordering::Relaxed);
        }
    }
}
