//! Calls of a protocol that was learned at run time, from its schema: arguments and answers are bytes in postcard, with handles of any type beside them.
//!
//! They go the way of all others: [`Calls::start`](crate::Calls::start) takes [`Arguments`], and with [`decode_answer`] what comes of it is an [`Answer`].

use crate::error::{CallError, Failure};
use crate::handle::{Handle, Object};
use crate::reply::{STATUS_ERROR, STATUS_OK};
use crate::transfer;
use abi::{ObjectType, Rights};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::mem::ManuallyDrop;
use serde::Serialize;
use serde::ser::{Error, SerializeTuple, Serializer};

/// A handle whose type is known only by the kernel's number. Closed when the value goes.
#[derive(Debug, PartialEq, Eq)]
pub struct AnyHandle {
    raw: abi::Handle,
    kind: u8,
}

impl AnyHandle {
    /// Whether it leads to an object of this type.
    pub const fn is(&self, object: ObjectType) -> bool {
        self.kind == object as u8
    }

    /// Lends it as what it is. `None`: it is something else than a `T`.
    pub fn with<T: Object, R>(&self, job: impl FnOnce(&Handle<T>) -> R) -> Option<R> {
        let typed = self.is(T::TYPE).then(|| Handle::from_raw(self.raw))?;
        // Only lent: it stays ours to close.
        let typed = ManuallyDrop::new(typed);
        Some(job(&typed))
    }
}

impl<T: Object> From<Handle<T>> for AnyHandle {
    fn from(handle: Handle<T>) -> Self {
        Self {
            raw: handle.into_raw(),
            kind: T::TYPE as u8,
        }
    }
}

impl Drop for AnyHandle {
    fn drop(&mut self) {
        transfer::close(self.raw);
    }
}

/// Arguments of a method: the postcards of its parameters one after the other, and the handles that stand in them by their places.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// The postcards.
    pub bytes: &'a [u8],
    /// The handles, in the order of their places. They are copied.
    pub handles: &'a [&'a AnyHandle],
}

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        for handle in self.handles {
            if transfer::push(handle.raw, Rights::all()).is_none() {
                return Err(S::Error::custom("too many handles"));
            }
        }
        // A tuple, as it says nothing about its length.
        let mut bytes = serializer.serialize_tuple(self.bytes.len())?;
        for byte in self.bytes {
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}

/// What a method answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is the method's own error.
    pub is_error: bool,
    /// The postcard of result or error.
    pub bytes: Vec<u8>,
    /// The handles, by their places.
    pub handles: Vec<AnyHandle>,
}

/// Reads an answer, for [`Calls::start`](crate::Calls::start).
///
/// # Errors
/// What the server refused, or `BadReply`.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, CallError<Infallible>> {
    match bytes.split_first() {
        Some((&status @ (STATUS_OK | STATUS_ERROR), rest)) => Ok(Answer {
            is_error: status == STATUS_ERROR,
            bytes: rest.to_vec(),
            handles: transfer::take_all()
                .map(|(raw, kind)| AnyHandle { raw, kind })
                .collect(),
        }),
        // Anything but a refusal is no answer.
        _ => match crate::calls::decode_answer::<(), ()>(bytes) {
            Err(CallError::Failed(failure)) => Err(CallError::Failed(failure)),
            _ => Err(CallError::Failed(Failure::BadReply)),
        },
    }
}
