//! Memory: making it, mapping it, looking at it without undefined behaviour although others write to it.

use super::{Capsule, MemoryObject};
use crate::error::SysError;
use crate::handle::Handle;
use crate::sys::{self, Arguments, operate};
use abi::layout::PAGE_SIZE;
use abi::syscall::{MemoryKind, protection};
use abi::{Operation, Outcome};
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
}

impl Protection {
    /// The kernel's bits.
    pub const fn bits(self) -> u64 {
        match self {
            Self::Read => protection::READ,
            Self::ReadWrite => protection::READ | protection::WRITE,
            Self::ReadExecute => protection::READ | protection::EXECUTE,
        }
    }
}

/// Figures of a MemoryObject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryFigures {
    /// Length in bytes.
    pub length: u64,
    /// Frames present.
    pub frames: u64,
    /// Mappings.
    pub mappings: u64,
}

impl Handle<MemoryObject> {
    /// Makes zeroed memory; frames come when they are first touched. The length is rounded up to pages.
    ///
    /// # Errors
    /// `BadArgument` for no length or too much, the quota's.
    pub fn create(length: u64) -> Result<Self, SysError> {
        Self::create_kind(length, MemoryKind::Anonymous)
    }

    /// Makes zeroed memory whose frames follow each other, for DMA.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `Unsupported` if there is no such run of frames.
    pub fn create_contiguous(length: u64) -> Result<Self, SysError> {
        Self::create_kind(length, MemoryKind::Contiguous)
    }

    fn create_kind(length: u64, kind: MemoryKind) -> Result<Self, SysError> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .ok_or(SysError(Outcome::BadArgument))?;
        let arguments = Arguments {
            words: [length, kind as u64, 0, 0, 0, 0, 0, 0],
            ..Arguments::default()
        };
        let made = operate(Operation::MemoryCreate, arguments)?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Changes the length. What is cut off disappears from every mapping.
    ///
    /// # Errors
    /// `NoRights` without `MANAGE`; the quota's.
    pub fn resize(&self, length: u64) -> Result<(), SysError> {
        operate(Operation::MemoryResize, self.arguments_with(&[length])).map(drop)
    }

    /// Reads figures.
    ///
    /// # Errors
    /// `NoRights` without `INSPECT`.
    pub fn figures(&self) -> Result<MemoryFigures, SysError> {
        let words = operate(Operation::MemoryInfo, self.arguments())?
            .words
            .to_words();
        Ok(MemoryFigures {
            length: words[0],
            frames: words[1],
            mappings: words[3],
        })
    }

    /// The bytes that the boot loader filled: the boot image, firmware tables. Nobody can write them, so they can be borrowed; they stay mapped until
    /// the process ends.
    ///
    /// # Errors
    /// `Unsupported` for memory of another kind; as [`figures`](Self::figures) and [`map`](Self::map).
    pub fn boot_bytes(&self) -> Result<&'static [u8], SysError> {
        let words = operate(Operation::MemoryInfo, self.arguments())?
            .words
            .to_words();
        let (length, kind) = (words[0], words[2]);
        if kind != MemoryKind::Boot as u64 {
            return Err(SysError(Outcome::Unsupported));
        }
        let length = usize::try_from(length).map_err(|_| SysError(Outcome::BadArgument))?;
        let bytes = self.map(0, length, Protection::Read)?.leak();
        // SAFETY: the mapping was just made, is readable, and is never undone. The kernel gives no handle with `WRITE` to memory of this kind, so the
        // bytes never change.
        let bytes: &'static [u8] = unsafe { bytes.as_ref() };
        Ok(&bytes[..length])
    }

    /// Maps a range into this process, at an address that the runtime chooses. `offset` is page-aligned; the length is rounded up to pages.
    ///
    /// # Errors
    /// `NoRights` without `MAP` and the rights of the protection; `BadArgument` for a range outside of it; the quota's.
    pub fn map(
        &self,
        offset: u64,
        length: usize,
        protection: Protection,
    ) -> Result<Mapping, SysError> {
        let rounded = length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(SysError(Outcome::BadArgument))?;
        let address = sys::map(self.raw(), offset, rounded as u64, protection.bits())?;
        let base = NonNull::new(address).ok_or(SysError(Outcome::BadAddress))?;
        Ok(Mapping {
            base,
            length: rounded,
            protection,
        })
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

impl Handle<Capsule> {
    /// Makes a capsule of so many bytes (whole pages) and handle slots (at most 256).
    ///
    /// # Errors
    /// `BadArgument`, the quota's.
    pub fn create(length: u64, slots: u16) -> Result<Self, SysError> {
        let arguments = Arguments {
            words: [length, u64::from(slots), 0, 0, 0, 0, 0, 0],
            ..Arguments::default()
        };
        let made = operate(Operation::CapsuleCreate, arguments)?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Its memory.
    ///
    /// # Errors
    /// `NoRights` without `READ`.
    pub fn memory(&self) -> Result<Handle<MemoryObject>, SysError> {
        let made = operate(Operation::CapsuleMemory, self.arguments())?;
        Ok(Handle::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Keeps a copy of a handle in a slot.
    ///
    /// # Errors
    /// `Busy` if the slot is taken, `NotFound` if there is none, `NoRights` if the handle may not be copied.
    pub fn keep<T: crate::handle::Object>(
        &self,
        slot: u16,
        handle: &Handle<T>,
    ) -> Result<(), SysError> {
        let mut arguments = self.arguments_with(&[u64::from(slot)]);
        arguments.b = handle.raw().0;
        operate(Operation::CapsuleKeep, arguments).map(drop)
    }

    /// A copy of the handle in a slot, which keeps its own.
    ///
    /// # Errors
    /// `NotFound` if the slot is empty or there is none; `WrongType` if what it has is no `T`.
    pub fn take<T: crate::handle::Object>(&self, slot: u16) -> Result<Handle<T>, SysError> {
        let made = operate(
            Operation::CapsuleTake,
            self.arguments_with(&[u64::from(slot)]),
        )?;
        let handle = Handle::<T>::from_raw(abi::Handle(made.rdi as u32));
        let kind = operate(Operation::HandleInfo, handle.arguments())?.rdi;
        if kind == T::TYPE as u64 {
            Ok(handle)
        } else {
            Err(SysError(Outcome::WrongType))
        }
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// `NotFound` if there is no such slot.
    pub fn clear(&self, slot: u16) -> Result<(), SysError> {
        operate(
            Operation::CapsuleClear,
            self.arguments_with(&[u64::from(slot)]),
        )
        .map(drop)
    }
}
