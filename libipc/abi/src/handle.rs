//! What a process holds: a slot of its handle table, and the generation of that slot.

use core::fmt;

/// A handle as user space sees it: bits 0–13 the slot, bits 14–31 the generation. Zero is no handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// No handle.
    pub const NONE: Self = Self(0);
    /// How many bits of the number are the slot.
    pub const SLOT_BITS: u32 = 14;
    /// Slots in a process's table, at most.
    pub const MAX_SLOTS: usize = 1 << Self::SLOT_BITS;
    /// The highest generation; a slot that reached it is never used again.
    pub const MAX_GENERATION: u32 = (1 << (32 - Self::SLOT_BITS)) - 1;

    /// Packs a slot and a generation. Generations start at 1, so that no valid handle is zero.
    pub const fn new(slot: usize, generation: u32) -> Self {
        Self((slot as u32 & (Self::MAX_SLOTS as u32 - 1)) | (generation << Self::SLOT_BITS))
    }

    /// The slot in the table.
    pub const fn slot(self) -> usize {
        (self.0 & (Self::MAX_SLOTS as u32 - 1)) as usize
    }

    /// The generation that the slot must have for the handle to be valid.
    pub const fn generation(self) -> u32 {
        self.0 >> Self::SLOT_BITS
    }

    /// Whether this is [`Handle::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}.{}", self.slot(), self.generation())
    }
}

/// The kinds of kernel object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(
    missing_docs,
    reason = "the kinds are described in decision 0001, section 3"
)]
pub enum ObjectType {
    Process = 1,
    Thread = 2,
    Endpoint = 3,
    Connection = 4,
    Call = 5,
    Reply = 6,
    Notification = 7,
    Memory = 8,
    Capsule = 9,
    Interrupt = 10,
    IoSpace = 11,
    IoPorts = 12,
    Quota = 13,
    Hardware = 14,
}

impl ObjectType {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Process,
            2 => Self::Thread,
            3 => Self::Endpoint,
            4 => Self::Connection,
            5 => Self::Call,
            6 => Self::Reply,
            7 => Self::Notification,
            8 => Self::Memory,
            9 => Self::Capsule,
            10 => Self::Interrupt,
            11 => Self::IoSpace,
            12 => Self::IoPorts,
            13 => Self::Quota,
            14 => Self::Hardware,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_keeps_slot_and_generation_apart() {
        let handle = Handle::new(Handle::MAX_SLOTS - 1, Handle::MAX_GENERATION);
        assert_eq!(handle.slot(), Handle::MAX_SLOTS - 1);
        assert_eq!(handle.generation(), Handle::MAX_GENERATION);
        assert!(!Handle::new(0, 1).is_none());
    }
}
