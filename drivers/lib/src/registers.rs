//! Registers in memory, by name and width.

use core::marker::PhantomData;

mod sealed {
    pub trait Width {}
    impl Width for u8 {}
    impl Width for u16 {}
    impl Width for u32 {}
    impl Width for u64 {}
}

/// A width that a register can have.
pub trait RegisterValue: Copy + sealed::Width + 'static {
    /// Bytes.
    const BYTES: usize;
    /// Widens to 64 bits.
    fn to_u64(self) -> u64;
    /// Takes the lowest bits.
    fn from_u64(value: u64) -> Self;
}

macro_rules! register_value {
    ($($t:ty),*) => {$(
        impl RegisterValue for $t {
            const BYTES: usize = size_of::<$t>();
            fn to_u64(self) -> u64 {
                self as u64
            }
            fn from_u64(value: u64) -> Self {
                value as $t
            }
        }
    )*};
}
register_value!(u8, u16, u32, u64);

/// A register: where it is in its block, and how wide.
#[derive(Debug)]
pub struct Register<T> {
    offset: usize,
    width: PhantomData<T>,
}

impl<T> Clone for Register<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Register<T> {}

impl<T: RegisterValue> Register<T> {
    /// The register `offset` bytes from the start of its block. Does not compile (in a constant) if it is not aligned.
    pub const fn at(offset: usize) -> Self {
        assert!(
            offset.is_multiple_of(T::BYTES),
            "a register is aligned to its width"
        );
        Self {
            offset,
            width: PhantomData,
        }
    }

    /// The `index`-th register of an array of them that starts here.
    pub const fn nth(self, index: usize, stride: usize) -> Self {
        Self::at(self.offset + index * stride)
    }

    /// Bytes from the start of the block.
    pub const fn offset(self) -> usize {
        self.offset
    }
}

/// A block of registers. Reads and writes have effects, happen in program order, and are never merged.
pub trait Mmio {
    /// Reads a register. One outside the block reads as all ones, as a bus does for what does not answer.
    fn read<T: RegisterValue>(&self, register: Register<T>) -> T;
    /// Writes a register. A write outside the block goes nowhere.
    fn write<T: RegisterValue>(&mut self, register: Register<T>, value: T);
}
