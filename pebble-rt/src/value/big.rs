//! Arithmetic on integers of many thousand bits, in pieces, so that it can be called off.
//!
//! `num-bigint` does the small pieces. Above them the usual divide-and-conquer methods keep the time below the square of the
//! length: Karatsuba for products, Burnikel and Ziegler's recursive division, and halves for the decimal form.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Signed, Zero};

use crate::heap::Heap;

/// Somebody wants the program to stop, and there was more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledOff;

type Result<T> = core::result::Result<T, CalledOff>;

/// Bits of a factor that is multiplied in one go, at most.
const PIECE_BITS: u64 = 1 << 17;
/// The words of divisor times those of quotient that are divided in one go, at most.
const DIVISION_WORDS: u64 = 1 << 22;
/// Digits that are converted in one go, at most.
const PIECE_DIGITS: usize = 2_000;

fn go_on(heap: &Heap) -> Result<()> {
    if heap.is_called_off() {
        return Err(CalledOff);
    }
    Ok(())
}

/// `a * b`.
pub fn multiply(heap: &Heap, a: &BigInt, b: &BigInt) -> Result<BigInt> {
    let (small, large) = if a.bits() <= b.bits() { (a, b) } else { (b, a) };
    if large.bits() <= PIECE_BITS || small.bits() <= 64 {
        return Ok(a * b);
    }
    let negative = a.is_negative() != b.is_negative();
    let product = multiply_sizes(heap, &small.abs(), &large.abs())?;
    Ok(if negative { -product } else { product })
}

fn multiply_sizes(heap: &Heap, small: &BigInt, large: &BigInt) -> Result<BigInt> {
    if small.bits() > large.bits() {
        return multiply_sizes(heap, large, small);
    }
    if large.bits() <= PIECE_BITS || small.bits() <= 64 {
        go_on(heap)?;
        return Ok(small * large);
    }
    let half = (large.bits() / 2).next_multiple_of(64);
    let (high, low) = split(large, half);
    if small.bits() <= half {
        let (high, low) = (
            multiply_sizes(heap, small, &high)?,
            multiply_sizes(heap, small, &low)?,
        );
        return Ok((high << half) + low);
    }
    let (small_high, small_low) = split(small, half);
    let top = multiply_sizes(heap, &small_high, &high)?;
    let bottom = multiply_sizes(heap, &small_low, &low)?;
    let both = multiply_sizes(heap, &(small_high + small_low), &(high + low))?;
    let middle = both - &top - &bottom;
    Ok((((top << half) + middle) << half) + bottom)
}

/// What is above and what is below the lowest `bits` bits of a number that is not negative.
fn split(number: &BigInt, bits: u64) -> (BigInt, BigInt) {
    let high: BigInt = number >> bits;
    let low = number - (&high << bits);
    (high, low)
}

/// `base ** exponent`.
pub fn power(heap: &Heap, base: &BigInt, exponent: u64) -> Result<BigInt> {
    let mut result = BigInt::one();
    for at in (0..u64::BITS - exponent.leading_zeros()).rev() {
        result = multiply(heap, &result, &result)?;
        if exponent >> at & 1 == 1 {
            result = multiply(heap, &result, base)?;
        }
    }
    Ok(result)
}

/// The quotient rounded down, and the remainder with the divisor's sign. The divisor is not 0.
pub fn divide(heap: &Heap, a: &BigInt, b: &BigInt) -> Result<(BigInt, BigInt)> {
    if fits_one_division(a, b) {
        return Ok(a.div_mod_floor(b));
    }
    let (quotient, rest) = divide_sizes(heap, &a.abs(), &b.abs())?;
    let (mut quotient, mut rest) = match (a.is_negative(), b.is_negative()) {
        (false, false) => (quotient, rest),
        (true, true) => (quotient, -rest),
        (true, false) => (-quotient, -rest),
        (false, true) => (-quotient, rest),
    };
    if !rest.is_zero() && rest.is_negative() != b.is_negative() {
        quotient -= 1;
        rest += b;
    }
    Ok((quotient, rest))
}

fn fits_one_division(a: &BigInt, b: &BigInt) -> bool {
    let quotient_words = a.bits().saturating_sub(b.bits()) / 64 + 1;
    quotient_words.saturating_mul(b.bits() / 64 + 1) <= DIVISION_WORDS
}

/// Both are positive. The dividend is taken in digits as long as the divisor, from the top.
fn divide_sizes(heap: &Heap, a: &BigInt, b: &BigInt) -> Result<(BigInt, BigInt)> {
    let length = b.bits();
    let mut digits = Vec::new();
    cut(a, length, a.bits().div_ceil(length).max(1), &mut digits);
    let (mut quotient_digits, mut rest) = (Vec::with_capacity(digits.len()), BigInt::zero());
    for digit in digits.iter().rev() {
        let (quotient, left) = divide_two_by_one(heap, &((rest << length) + digit), b, length)?;
        quotient_digits.push(quotient);
        rest = left;
    }
    quotient_digits.reverse();
    Ok((joined(&quotient_digits, length), rest))
}

/// The digits of `number` in base `2**length`, lowest first.
fn cut(number: &BigInt, length: u64, count: u64, digits: &mut Vec<BigInt>) {
    if count <= 1 {
        return digits.push(number.clone());
    }
    let lower = count / 2;
    let (high, low) = split(number, lower * length);
    cut(&low, length, lower, digits);
    cut(&high, length, count - lower, digits);
}

fn joined(digits: &[BigInt], length: u64) -> BigInt {
    match digits {
        [] => BigInt::zero(),
        [digit] => digit.clone(),
        _ => {
            let (low, high) = digits.split_at(digits.len() / 2);
            (joined(high, length) << (low.len() as u64 * length)) + joined(low, length)
        }
    }
}

/// Divides `a < 2**length * b`, where `b` has `length` bits.
fn divide_two_by_one(heap: &Heap, a: &BigInt, b: &BigInt, length: u64) -> Result<(BigInt, BigInt)> {
    go_on(heap)?;
    if fits_one_division(a, b) {
        return Ok(a.div_rem(b));
    }
    if length % 2 == 1 {
        let (quotient, rest) = divide_two_by_one(heap, &(a << 1u32), &(b << 1u32), length + 1)?;
        return Ok((quotient, rest >> 1u32));
    }
    let half = length / 2;
    let (b_high, b_low) = split(b, half);
    let (a_high, a_low) = split(a, length);
    let (a_third, a_fourth) = split(&a_low, half);
    let (first, rest) = divide_three_by_two(heap, &a_high, &a_third, b, (&b_high, &b_low), half)?;
    let (second, rest) = divide_three_by_two(heap, &rest, &a_fourth, b, (&b_high, &b_low), half)?;
    Ok(((first << half) + second, rest))
}

fn divide_three_by_two(
    heap: &Heap,
    a_high: &BigInt,
    a_low: &BigInt,
    b: &BigInt,
    (b_high, b_low): (&BigInt, &BigInt),
    half: u64,
) -> Result<(BigInt, BigInt)> {
    let (mut quotient, rest) = if &(a_high >> half) == b_high {
        let all_ones = (BigInt::one() << half) - 1;
        (all_ones, a_high - (b_high << half) + b_high)
    } else {
        divide_two_by_one(heap, a_high, b_high, half)?
    };
    let mut rest = (rest << half) + a_low - multiply(heap, &quotient, b_low)?;
    while rest.is_negative() {
        quotient -= 1;
        rest += b;
    }
    Ok((quotient, rest))
}

/// The decimal form.
pub fn to_decimal(heap: &Heap, number: &BigInt) -> Result<String> {
    // Ten bits are a little more than three digits.
    let digits = (number.bits() / 10 * 3 + 10) as usize;
    if digits <= PIECE_DIGITS {
        return Ok(number.to_str_radix(10));
    }
    let powers = powers_of_ten(heap, number.bits())?;
    let mut text = String::with_capacity(digits + digits / 32);
    if number.sign() == Sign::Minus {
        text.push('-');
    }
    write_digits(heap, &number.abs(), &powers, false, &mut text)?;
    Ok(text)
}

/// `10 ** (PIECE_DIGITS * 2**n)` for each `n`, up to the first whose square has more than so many bits.
fn powers_of_ten(heap: &Heap, bits: u64) -> Result<Vec<BigInt>> {
    let mut powers = Vec::new();
    let mut next = power(heap, &BigInt::from(10), PIECE_DIGITS as u64)?;
    while next.bits() <= bits {
        let square = multiply(heap, &next, &next)?;
        powers.push(core::mem::replace(&mut next, square));
    }
    Ok(powers)
}

/// Writes a number below the square of the last of `powers`, with zeros in front if it is a lower part.
fn write_digits(
    heap: &Heap,
    number: &BigInt,
    powers: &[BigInt],
    is_lower: bool,
    text: &mut String,
) -> Result<()> {
    go_on(heap)?;
    let Some((power, smaller)) = powers.split_last() else {
        let digits = number.to_str_radix(10);
        if is_lower {
            text.push_str(&format!("{digits:0>PIECE_DIGITS$}"));
        } else {
            text.push_str(&digits);
        }
        return Ok(());
    };
    if !is_lower && number < power {
        return write_digits(heap, number, smaller, false, text);
    }
    let (high, low) = divide(heap, number, power)?;
    write_digits(heap, &high, smaller, is_lower, text)?;
    write_digits(heap, &low, smaller, true, text)
}

/// The number that decimal digits write. `None` if something else is among them.
pub fn from_decimal(heap: &Heap, digits: &str) -> Result<Option<BigInt>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.is_empty() {
        return Ok(None);
    }
    if digits.len() <= PIECE_DIGITS {
        return Ok(digits.parse().ok());
    }
    // Ten digits are less than 34 bits.
    let powers = powers_of_ten(heap, digits.len() as u64 / 10 * 34 + 34)?;
    read_digits(heap, digits, &powers).map(Some)
}

fn read_digits(heap: &Heap, digits: &str, powers: &[BigInt]) -> Result<BigInt> {
    go_on(heap)?;
    if digits.len() <= PIECE_DIGITS {
        return Ok(digits.parse().unwrap_or_default());
    }
    // The longest power of ten with fewer digits than there are.
    let level = (digits.len() - 1).div_euclid(PIECE_DIGITS).ilog2() as usize;
    let level = level.min(powers.len().saturating_sub(1));
    let (high, low) = digits.split_at(digits.len() - (PIECE_DIGITS << level));
    let (high, low) = (
        read_digits(heap, high, powers)?,
        read_digits(heap, low, powers)?,
    );
    Ok(multiply(heap, &high, &powers[level])? + low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A number of about so many bits.
    fn number(bits: u64, seed: u64) -> BigInt {
        let mut state = seed | 1;
        let words = (0..bits / 32 + 1).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        });
        let number = BigInt::new(Sign::Plus, words.collect());
        if seed.is_multiple_of(3) {
            -number
        } else {
            number
        }
    }

    fn heap() -> Heap {
        Heap::new(1 << 30)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn products_are_those_of_the_library(a in 1u64..600_000, b in 1u64..600_000, seed: u32) {
            let (a, b) = (number(a, seed.into()), number(b, u64::from(seed) + 1));
            prop_assert_eq!(multiply(&heap(), &a, &b), Ok(&a * &b));
        }

        #[test]
        fn quotient_and_remainder_make_the_dividend(a in 1u64..2_000_000, b in 1u64..1_000_000, seed: u32) {
            let a = number(a, seed.into());
            let b: BigInt = number(b, u64::from(seed) + 1) + 1;
            prop_assume!(!b.is_zero());
            let (quotient, rest) = divide(&heap(), &a, &b).expect("nobody calls it off");
            prop_assert_eq!(&quotient * &b + &rest, a);
            prop_assert!(rest.is_zero() || rest.is_negative() == b.is_negative());
            prop_assert!(rest.abs() < b.abs());
        }

        #[test]
        fn digits_are_those_of_the_library(bits in 1u64..100_000, seed: u32) {
            let number = number(bits, seed.into());
            let text = to_decimal(&heap(), &number).expect("nobody calls it off");
            prop_assert_eq!(&text, &number.to_str_radix(10));
            let digits = text.trim_start_matches('-');
            prop_assert_eq!(from_decimal(&heap(), digits), Ok(Some(number.abs())));
        }
    }

    #[test]
    fn powers_are_those_of_the_library() {
        for (base, exponent) in [(3, 0), (3, 1), (-7, 5), (10, 50_000), (2, 400_000)] {
            let base = BigInt::from(base);
            let expected = num_traits::pow::Pow::pow(&base, exponent as u32);
            assert_eq!(power(&heap(), &base, exponent), Ok(expected));
        }
    }

    #[test]
    fn work_is_called_off() {
        let heap = heap();
        let flag = alloc::sync::Arc::new(core::sync::atomic::AtomicBool::new(true));
        heap.call_off_with(flag);
        let large = number(1_000_000, 5);
        assert_eq!(multiply(&heap, &large, &large), Err(CalledOff));
        assert_eq!(divide(&heap, &large, &number(500_000, 7)), Err(CalledOff));
        assert_eq!(to_decimal(&heap, &large), Err(CalledOff));
        assert_eq!(from_decimal(&heap, &"7".repeat(100_000)), Err(CalledOff));
    }
}
