//! Floats and truth values as a [`Value`](crate::value::Value) holds them.
//!
//! Both are whole 64-bit integers to the compiler, as everything else in a value is. That makes a value a pair of a
//! tag and a word that travels in two processor registers and is written and read in the same two parts. With an
//! `f64` or a `bool` inside, values would be built in memory and copied as 16 bytes at once soon after they were
//! written in parts, which makes the processor wait each time.

/// A float.
#[derive(Clone, Copy)]
pub struct Float(u64);

impl Float {
    /// This float.
    #[inline(always)]
    pub fn new(number: f64) -> Float {
        Float(number.to_bits())
    }

    /// The number.
    #[inline(always)]
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl core::fmt::Debug for Float {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(formatter)
    }
}

/// `True` or `False`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Truth {
    /// `False`
    False = 0,
    /// `True`
    True = 1,
}

impl Truth {
    /// This truth value.
    #[inline(always)]
    pub fn new(truth: bool) -> Truth {
        if truth { Truth::True } else { Truth::False }
    }

    /// Whether it is `True`.
    #[inline(always)]
    pub fn get(self) -> bool {
        self == Truth::True
    }
}

macro_rules! numbers_from_truth {
    ($($number:ty)*) => {
        $(impl From<Truth> for $number {
            fn from(truth: Truth) -> $number {
                <$number>::from(truth.get())
            }
        })*
    };
}

numbers_from_truth! { u8 u16 i32 i64 i128 }
