//! Typed handles: what a process may use, closed when the value goes.

use crate::error::SysError;
use crate::sys::{Arguments, operate};
use crate::transfer;
use abi::{Operation, Rights};
use core::fmt;
use core::marker::PhantomData;
use postcard_schema::Schema;
use postcard_schema::schema::{DataModelType, NamedType};
use serde::de::{self, Deserializer};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};

/// A kind of kernel object, as a type.
pub trait Object: 'static {
    /// The kernel's number for it.
    const TYPE: abi::ObjectType;
    /// What a handle to it is called in schemas.
    const NAME: &'static str;
}

/// A handle to a `T` that this process owns.
///
/// A handle can stand anywhere in a message: it travels beside the bytes. A request copies it (the handle needs `DUPLICATE` and `TRANSFER`), so the
/// client still has its own afterwards; a reply moves it.
pub struct Handle<T: Object> {
    raw: abi::Handle,
    passes: Rights,
    object: PhantomData<fn() -> T>,
}

impl<T: Object> Handle<T> {
    /// Takes charge of a handle of this process. If it is not one, or not of a `T`, operations on it are refused by the kernel.
    pub const fn from_raw(raw: abi::Handle) -> Self {
        Self {
            raw,
            passes: Rights::all(),
            object: PhantomData,
        }
    }

    /// The number.
    pub const fn raw(&self) -> abi::Handle {
        self.raw
    }

    /// Gives up charge of the handle without closing it.
    pub const fn into_raw(self) -> abi::Handle {
        let raw = self.raw;
        core::mem::forget(self);
        raw
    }

    /// The same handle, which passes at most these rights on when it is sent.
    #[must_use]
    pub fn passing(mut self, rights: Rights) -> Self {
        self.passes = rights;
        self
    }

    /// A copy with the same rights.
    ///
    /// # Errors
    /// `NoRights` without `DUPLICATE`, `QuotaHandles`.
    pub fn duplicate(&self) -> Result<Self, SysError> {
        self.restricted(Rights::all())
    }

    /// A copy with at most these rights.
    ///
    /// # Errors
    /// `NoRights` without `DUPLICATE`, `QuotaHandles`.
    pub fn restricted(&self, rights: Rights) -> Result<Self, SysError> {
        let arguments = Arguments {
            a: self.raw.0,
            words: [u64::from(rights.bits()), 0, 0, 0, 0, 0, 0, 0],
            ..Arguments::default()
        };
        let made = operate(Operation::HandleDuplicate, arguments)?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// The rights, and a number that is the same for all handles of the same object.
    ///
    /// # Errors
    /// `BadHandle`.
    pub fn identify(&self) -> Result<(Rights, u64), SysError> {
        let answer = operate(Operation::HandleInfo, self.arguments())?;
        Ok((
            Rights::from_bits_truncate(answer.rsi as u16),
            answer.words.to_words()[0],
        ))
    }

    /// Arguments of an operation on this handle.
    pub(crate) fn arguments(&self) -> Arguments {
        Arguments {
            a: self.raw.0,
            ..Arguments::default()
        }
    }

    /// The same with one word.
    pub(crate) fn arguments_with(&self, words: &[u64]) -> Arguments {
        let mut arguments = self.arguments();
        for (slot, word) in arguments.words.iter_mut().zip(words) {
            *slot = *word;
        }
        arguments
    }
}

impl<T: Object> Drop for Handle<T> {
    fn drop(&mut self) {
        transfer::close(self.raw);
    }
}

impl<T: Object> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", T::NAME, self.raw)
    }
}

impl<T: Object> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<T: Object> Eq for Handle<T> {}

impl<T: Object> Serialize for Handle<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match transfer::push(self.raw, self.passes) {
            Some(place) => serializer.serialize_u8(place),
            None => Err(ser::Error::custom("too many handles")),
        }
    }
}

impl<'de, T: Object> Deserialize<'de> for Handle<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let place = u8::deserialize(deserializer)?;
        match transfer::take(place, T::TYPE) {
            Some(raw) => Ok(Self::from_raw(raw)),
            None => Err(de::Error::custom("no such handle in the message")),
        }
    }
}

impl<T: Object> Schema for Handle<T> {
    const SCHEMA: &'static NamedType = &NamedType {
        name: T::NAME,
        ty: &DataModelType::NewtypeStruct(u8::SCHEMA),
    };
}
