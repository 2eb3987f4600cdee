//! Memory and capsules: making them, mapping them, keeping handles in them.

use super::mapping::{Mapping, Protection};
use super::{Capsule, MemoryObject, Quota};
use crate::error::SysError;
use crate::handle::Handle;
use crate::sys::{self, Arguments, operate};
use abi::layout::PAGE_SIZE;
use abi::syscall::MemoryKind;
use abi::{Operation, Outcome};

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
        Self::create_kind(length, MemoryKind::Anonymous, abi::Handle::NONE)
    }

    /// Makes zeroed memory whose frames follow each other, for DMA.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `Unsupported` if there is no such run of frames.
    pub fn create_contiguous(length: u64) -> Result<Self, SysError> {
        Self::create_kind(length, MemoryKind::Contiguous, abi::Handle::NONE)
    }

    /// As [`create`](Self::create), charged to a quota that was lent to us.
    ///
    /// # Errors
    /// The quota's; `InvalidState` when it was closed.
    pub fn create_on(quota: &Handle<Quota>, length: u64) -> Result<Self, SysError> {
        Self::create_kind(length, MemoryKind::Anonymous, quota.raw())
    }

    fn create_kind(length: u64, kind: MemoryKind, payer: abi::Handle) -> Result<Self, SysError> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .ok_or(SysError(Outcome::BadArgument))?;
        let arguments = Arguments {
            a: payer.0,
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
        let bytes = self.map(0, length, Protection::Read)?.into_boot_bytes();
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
        Mapping::new(address, rounded, protection).ok_or(SysError(Outcome::BadAddress))
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
