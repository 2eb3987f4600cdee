//! Names of objects: where one lies, and which of those that lay there it is.
//!
//! A name is the object's address, a multiple of 64, with the generation in the six bits that are free: one instruction takes the
//! address out, which matters where a call follows ten names. The object's first word holds its own name while it lives, so a
//! stale name is refused with one compare. Objects are linked by such names, never by pointers.
//!
//! Six bits are few, and enough: user space never sees a name (its handles have generations of their own, of 18 bits), and the kernel
//! takes an object out of every list before it goes. The generation is there to catch a mistake in that, not an attack.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::FromBytes;

use crate::mem::frame::{LOCATION_ALIGNMENT, Location};

/// Generations are counted modulo this.
pub const GENERATIONS: u64 = LOCATION_ALIGNMENT;

/// The name of an object of type `T`; zero is no object.
#[derive(FromBytes)]
#[repr(transparent)]
pub struct Name<T>(u64, PhantomData<fn() -> T>);

impl<T> Name<T> {
    /// No object.
    pub const NONE: Self = Self(0, PhantomData);

    /// The name of what lies at `location` in this generation.
    pub const fn new(location: Location, generation: u64) -> Self {
        Self::from_bits(location.address() | (generation % GENERATIONS))
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
        Location::from_address(self.0)
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
        write!(f, "{:#x}#{}", self.location().address(), self.0 % GENERATIONS)
    }
}
