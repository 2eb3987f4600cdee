//! The shape of a message: the word that describes it, and the descriptors of what travels beside its bytes.

use crate::handle::Handle;

/// Bytes that travel in registers.
pub const REGISTER_BYTES: usize = 64;
/// Words that travel in registers.
pub const REGISTER_WORDS: usize = 8;
/// Bytes of a message, at most.
pub const MAX_MESSAGE_BYTES: usize = 4096;
/// Handles in a message, at most.
pub const MAX_HANDLES: usize = 4;
/// Leases in a message, at most.
pub const MAX_LEASES: usize = 4;
/// Where the [`TransferArea`] lies in a message page.
pub const TRANSFER_OFFSET: usize = 4096 - core::mem::size_of::<TransferArea>();
/// Bytes of a message that carries handles or leases, at most.
pub const MAX_BYTES_WITH_TRANSFERS: usize = TRANSFER_OFFSET;

/// The low half of `rax`, in both directions: operation or outcome, and the shape of the message.
///
/// Bits 0–7 operation or outcome, 8–20 length in bytes, 21–23 handles, 24–26 leases, 27–31 flags (out: the kind of wake).
/// A value from user space is a claim: use [`MessageInfo::is_valid`] before the counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct MessageInfo(pub u32);

impl MessageInfo {
    /// Describes a message of `length` bytes without handles or leases.
    pub const fn new(code: u8, length: usize) -> Self {
        Self(code as u32 | ((length as u32 & 0x1fff) << 8))
    }

    /// The same with so many handles.
    pub const fn with_handles(self, count: usize) -> Self {
        Self(self.0 & !(7 << 21) | ((count as u32 & 7) << 21))
    }

    /// The same with so many leases.
    pub const fn with_leases(self, count: usize) -> Self {
        Self(self.0 & !(7 << 24) | ((count as u32 & 7) << 24))
    }

    /// The same with another operation or outcome.
    pub const fn with_code(self, code: u8) -> Self {
        Self(self.0 & !0xff | code as u32)
    }

    /// The same with these flags.
    pub const fn with_flags(self, flags: u8) -> Self {
        Self(self.0 & !(0x1f << 27) | ((flags as u32 & 0x1f) << 27))
    }

    /// The operation (in) or outcome (out).
    pub const fn code(self) -> u8 {
        self.0 as u8
    }

    /// Bytes in the message.
    pub const fn length(self) -> usize {
        ((self.0 >> 8) & 0x1fff) as usize
    }

    /// Handles in the message.
    pub const fn handles(self) -> usize {
        ((self.0 >> 21) & 7) as usize
    }

    /// Leases in the message.
    pub const fn leases(self) -> usize {
        ((self.0 >> 24) & 7) as usize
    }

    /// Flags (in), kind of wake (out).
    pub const fn flags(self) -> u8 {
        (self.0 >> 27) as u8
    }

    /// Whether the message is in registers alone: at most 64 bytes, no handles, no leases.
    pub const fn is_registers_only(self) -> bool {
        self.0 & ((7 << 21) | (7 << 24)) == 0 && self.length() <= REGISTER_BYTES
    }

    /// Whether counts and length are within their limits.
    pub const fn is_valid(self) -> bool {
        let limit = if self.handles() + self.leases() == 0 {
            MAX_MESSAGE_BYTES
        } else {
            MAX_BYTES_WITH_TRANSFERS
        };
        self.handles() <= MAX_HANDLES && self.leases() <= MAX_LEASES && self.length() <= limit
    }
}

/// How a handle in a message passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum TransferMode {
    /// The sender keeps its handle; needs `DUPLICATE`.
    Copy = 0,
    /// The sender's handle is closed.
    Move = 1,
}

/// One handle of a message. On the receiver's side `handle` is its own number for it, `rights` what it has, `kind` the
/// [`ObjectType`](crate::ObjectType).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct HandleTransfer {
    /// The handle, in the table of whoever reads this.
    pub handle: u32,
    /// Rights that the copy gets (sender: at most its own).
    pub rights: u16,
    /// [`TransferMode`], from the sender; 0 for the receiver.
    pub mode: u8,
    /// Number of the [`ObjectType`](crate::ObjectType), for the receiver; 0 from the sender.
    pub kind: u8,
}

impl HandleTransfer {
    /// The handle as a type.
    pub const fn handle(self) -> Handle {
        Handle(self.handle)
    }
}

/// A window into a MemoryObject that ends with the call. On the receiver's side `handle` is the lease's number, and `offset` is zero: its bytes are counted
/// from where it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct LeaseTransfer {
    /// The MemoryObject; the number, for the receiver.
    pub handle: u32,
    /// `READ`, `WRITE`, or both.
    pub rights: u16,
    /// Zero.
    pub reserved: u16,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// The last 192 bytes of a message page, when the message carries handles or leases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct TransferArea {
    /// The handles; as many as [`MessageInfo::handles`] says.
    pub handles: [HandleTransfer; MAX_HANDLES],
    /// The leases; as many as [`MessageInfo::leases`] says.
    pub leases: [LeaseTransfer; MAX_LEASES],
    /// Zero.
    pub reserved: [u64; 8],
}

const _: () = assert!(core::mem::size_of::<TransferArea>() == 192);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_the_info_word_is_apart() {
        let info = MessageInfo::new(0xab, 4096)
            .with_handles(4)
            .with_leases(3)
            .with_flags(0x1f);
        assert_eq!(
            (
                info.code(),
                info.length(),
                info.handles(),
                info.leases(),
                info.flags()
            ),
            (0xab, 4096, 4, 3, 0x1f)
        );
        assert_eq!(
            info.with_code(1)
                .with_handles(0)
                .with_leases(0)
                .with_flags(0),
            MessageInfo::new(1, 4096)
        );
    }

    #[test]
    fn a_message_with_handles_leaves_room_for_their_descriptors() {
        assert!(MessageInfo::new(1, 4096).is_valid());
        assert!(!MessageInfo::new(1, 4096).with_handles(1).is_valid());
        assert!(MessageInfo::new(1, 3904).with_handles(1).is_valid());
        assert!(!MessageInfo::new(1, 0).with_handles(5).is_valid());
        assert!(!MessageInfo(u32::MAX).is_valid());
    }
}
