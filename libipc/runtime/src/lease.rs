//! Leases: memory that a caller lends to a server while it waits.
//!
//! A [`Lease`] stands anywhere in a request, as a handle does, and travels beside the bytes. The client makes one of its memory; the server gets it in its
//! arguments and copies with it as long as it has not answered. What a server does with a lease afterwards is refused by the kernel, so it can't
//! be misused, only kept for nothing.

use crate::endpoint::flush;
use crate::error::SysError;
use crate::handle::Handle;
use crate::incoming::Caller;
use crate::object::MemoryObject;
use crate::sys::{self, Arguments, operate};
use crate::transfer;
use abi::message::{LeaseTransfer, MAX_MESSAGE_BYTES};
use abi::syscall::LeaseDirection;
use abi::{Operation, Outcome, Rights};
use core::fmt;
use postcard_schema::Schema;
use postcard_schema::schema::{DataModelType, NamedType};
use serde::de::Deserializer;
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};

/// What the server may do with what it is lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lent {
    /// Look at it.
    Read,
    /// Write to it.
    Write,
    /// Both.
    ReadWrite,
}

/// A window of memory, lent for the length of one call.
///
/// Its length is the client's word; that nothing beyond the window is reached is the kernel's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    transfer: LeaseTransfer,
    place: u8,
}

impl Lease {
    /// Lends `length` bytes of `memory` from `offset` on. The handle needs the rights that are lent.
    pub fn new(memory: &Handle<MemoryObject>, lent: Lent, offset: u64, length: u64) -> Self {
        let rights = match lent {
            Lent::Read => Rights::READ,
            Lent::Write => Rights::WRITE,
            Lent::ReadWrite => Rights::READ | Rights::WRITE,
        };
        let transfer = LeaseTransfer {
            handle: memory.raw().0,
            rights: rights.bits(),
            reserved: 0,
            offset,
            length,
        };
        Self { transfer, place: 0 }
    }

    /// Bytes in it.
    pub fn length(&self) -> u64 {
        self.transfer.length
    }

    /// Copies bytes from the lease, from `offset` on.
    ///
    /// # Errors
    /// `InvalidState` when the caller waits no more, `NoRights` for a lease that may not be read, `BadArgument` beyond its end.
    pub fn read(&self, caller: &Caller, offset: u64, into: &mut [u8]) -> Result<(), SysError> {
        sys::block().before_receiving();
        for (index, chunk) in into.chunks_mut(MAX_MESSAGE_BYTES).enumerate() {
            let at = place_of(offset, index)?;
            let length = chunk.len();
            self.copy(caller, LeaseDirection::FromLease, 0, at, 0, length as u64)?;
            sys::block().with_received(length, |bytes| chunk.copy_from_slice(bytes));
        }
        Ok(())
    }

    /// Copies bytes to the lease, from `offset` on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, caller: &Caller, offset: u64, from: &[u8]) -> Result<(), SysError> {
        flush();
        for (index, chunk) in from.chunks(MAX_MESSAGE_BYTES).enumerate() {
            let at = place_of(offset, index)?;
            let is_filled = sys::block().with_send_page(|page| match page.get_mut(..chunk.len()) {
                Some(place) => {
                    place.copy_from_slice(chunk);
                    true
                }
                None => false,
            });
            if is_filled != Some(true) {
                return Err(SysError(Outcome::Busy));
            }
            self.copy(
                caller,
                LeaseDirection::ToLease,
                0,
                at,
                0,
                chunk.len() as u64,
            )?;
        }
        Ok(())
    }

    /// Copies from the lease straight to memory of the server's, however much that is.
    ///
    /// # Errors
    /// As [`read`](Self::read); `NoRights` for memory that may not be written.
    pub fn copy_to(
        &self,
        caller: &Caller,
        offset: u64,
        memory: &Handle<MemoryObject>,
        at: u64,
        length: u64,
    ) -> Result<(), SysError> {
        let memory = memory.raw().0;
        self.copy(
            caller,
            LeaseDirection::FromLease,
            memory,
            offset,
            at,
            length,
        )
    }

    /// Copies from memory of the server's to the lease.
    ///
    /// # Errors
    /// As [`read`](Self::read); `NoRights` for memory that may not be read.
    pub fn copy_from(
        &self,
        caller: &Caller,
        offset: u64,
        memory: &Handle<MemoryObject>,
        at: u64,
        length: u64,
    ) -> Result<(), SysError> {
        let memory = memory.raw().0;
        self.copy(caller, LeaseDirection::ToLease, memory, offset, at, length)
    }

    fn copy(
        &self,
        caller: &Caller,
        direction: LeaseDirection,
        memory: u32,
        offset: u64,
        at: u64,
        length: u64,
    ) -> Result<(), SysError> {
        let arguments = Arguments {
            a: memory,
            b: caller.reply_handle().0,
            s: self.place.into(),
            words: [direction as u64, offset, at, length, 0, 0, 0, 0],
            ..Arguments::default()
        };
        operate(Operation::LeaseCopy, arguments).map(drop)
    }
}

/// Where the chunk with this number begins.
fn place_of(offset: u64, chunk: usize) -> Result<u64, SysError> {
    offset
        .checked_add((chunk * MAX_MESSAGE_BYTES) as u64)
        .ok_or(SysError(Outcome::BadArgument))
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease of {} bytes", self.transfer.length)
    }
}

/// In the bytes a lease is its place among the leases of the message, and its length.
impl Serialize for Lease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match transfer::push_lease(self.transfer) {
            Some(place) => (place, self.transfer.length).serialize(serializer),
            None => Err(ser::Error::custom("too many leases")),
        }
    }
}

impl<'de> Deserialize<'de> for Lease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (place, length) = <(u8, u64)>::deserialize(deserializer)?;
        let transfer = LeaseTransfer {
            length,
            ..LeaseTransfer::default()
        };
        Ok(Self { transfer, place })
    }
}

impl Schema for Lease {
    const SCHEMA: &'static NamedType = &NamedType {
        name: "Lease",
        ty: &DataModelType::Tuple(&[u8::SCHEMA, u64::SCHEMA]),
    };
}
