//! Names of objects: where one lies, and which of those that lay there it is.
//!
//! A name is the location (bits 0–39, in units of 64 bytes) and a generation (bits 40–63). The object's first word holds its
//! own name while it lives, so a stale name is refused with one compare. Objects are linked by such names, never by pointers.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::FromBytes;

use crate::mem::frame::{LOCATION_ALIGNMENT, Location};

const LOCATION_BITS: u32 = 40;
const LOCATION_MASK: u64 = (1 << LOCATION_BITS) - 1;
/// Generations are counted modulo this.
pub const GENERATIONS: u64 = 1 << (64 - LOCATION_BITS);

/// The name of an object of type `T`; zero is no object.
#[derive(FromBytes)]
#[repr(transparent)]
pub struct Name<T>(u64, PhantomData<fn() -> T>);

impl<T> Name<T> {
    /// No object.
    pub const NONE: Self = Self(0, PhantomData);

    /// The name of what lies at `location` in this generation.
    pub const fn new(location: Location, generation: u64) -> Self {
        Self::from_bits(
            (location.address() / LOCATION_ALIGNMENT)
                | ((generation % GENERATIONS) << LOCATION_BITS),
        )
    }

    /// A name from its number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits, PhantomData)
    }

    /// Its number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Where the object lies.
    pub const fn location(self) -> Location {
        Location::from_address((self.0 & LOCATION_MASK) * LOCATION_ALIGNMENT)
    }

    /// Whether it names nothing.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether it names something.
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The same object seen as another type: a common prefix, or what its kind says it is.
    pub const fn cast<U>(self) -> Name<U> {
        Name::from_bits(self.0)
    }
}

impl<T> Clone for Name<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Name<T> {}
impl<T> PartialEq for Name<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Name<T> {}
impl<T> fmt::Debug for Name<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:#x}#{}",
            self.location().address(),
            self.0 >> LOCATION_BITS
        )
    }
}
