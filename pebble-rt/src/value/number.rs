//! Numbers: integers of any size, floats and their decimal forms (6, 17).

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::error::NativeError;
use crate::heap::{Heap, OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::value::{Value, big};

/// An integer that does not fit 64 bits.
#[derive(Debug)]
pub struct BigObj {
    number: BigInt,
    heap: Heap,
}

impl BigObj {
    /// The number.
    pub fn number(&self) -> &BigInt {
        &self.number
    }
}

impl core::ops::Deref for BigObj {
    type Target = BigInt;

    fn deref(&self) -> &BigInt {
        &self.number
    }
}

impl Drop for BigObj {
    fn drop(&mut self) {
        self.heap.credit(size_of_number(&self.number));
    }
}

fn size_of_number(number: &BigInt) -> usize {
    (number.bits() / 8) as usize + OBJECT_OVERHEAD_BYTES
}

impl Heap {
    /// The value of an integer of any size: in place when it fits 64 bits, charged when it does not.
    pub fn integer(&self, number: BigInt) -> Result<Value, OutOfMemory> {
        if let Some(small) = number.to_i64() {
            return Ok(Value::Int(small));
        }
        self.charge(size_of_number(&number))?;
        Ok(Value::Big(Rc::new(BigObj {
            number,
            heap: self.clone(),
        })))
    }
}

/// The text of a float (6.4): the shortest that reads back the same.
pub fn float_text(number: f64) -> String {
    let mut text = String::new();
    let _ = write_float(&mut text, number);
    text
}

/// Writes the text of a float.
pub fn write_float(out: &mut dyn Write, number: f64) -> fmt::Result {
    if number.is_nan() {
        return out.write_str("nan");
    }
    if number.is_infinite() {
        return out.write_str(if number > 0.0 { "inf" } else { "-inf" });
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        out.write_str(&plain)?;
        return if plain.contains('.') {
            Ok(())
        } else {
            out.write_str(".0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Reads what `int("...")` accepts: blanks around, a sign, decimal digits with single `_` between.
pub fn parse_integer(heap: &Heap, text: &str) -> Option<Result<Value, NativeError>> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = without_separators(digits)?;
    if plain.len() < 19 {
        let number: i64 = plain.parse().ok()?;
        return Some(Ok(Value::Int(if negative { -number } else { number })));
    }
    let number = match big::from_decimal(heap, &plain) {
        Ok(number) => number?,
        Err(called_off) => return Some(Err(called_off.into())),
    };
    let value = heap.integer(if negative { -number } else { number });
    Some(value.map_err(NativeError::from))
}

/// The digits without `_`, if each `_` stands between two digits.
fn without_separators(digits: &str) -> Option<String> {
    let mut plain = String::with_capacity(digits.len());
    let mut previous_is_digit = false;
    for character in digits.chars() {
        match character {
            '0'..='9' => plain.push(character),
            '_' if previous_is_digit => {}
            _ => return None,
        }
        previous_is_digit = character != '_';
    }
    (previous_is_digit && !plain.is_empty()).then_some(plain)
}

/// Reads what `float("...")` accepts.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.trim_start_matches(['+', '-']);
    let known = matches!(unsigned, "inf" | "infinity" | "nan");
    if known && lower.len() - unsigned.len() <= 1 {
        let number = if unsigned == "nan" {
            f64::NAN
        } else {
            f64::INFINITY
        };
        return Some(if lower.starts_with('-') {
            -number
        } else {
            number
        });
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if lower.contains('_') {
        return parse_float_with_separators(&lower);
    }
    lower.parse().ok()
}

fn parse_float_with_separators(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let between = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    if !bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || between(at))
    {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_specified() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (100000.0, "100000.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1.5e-7, "1.5e-07"),
            (1.5e-10, "1.5e-10"),
            (2.5e20, "2.5e+20"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "inf"),
            (1e300, "1e+300"),
        ];
        for (number, text) in cases {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn integers_are_read_as_specified() {
        let heap = Heap::new(1 << 20);
        let read = |text| parse_integer(&heap, text).map(Result::unwrap);
        assert!(matches!(read(" -1_000 "), Some(Value::Int(-1000))));
        assert!(read("1__0").is_none());
        assert!(read("0x10").is_none());
        assert!(read("3.5").is_none());
        assert!(read("").is_none());
        assert!(matches!(read("9223372036854775808"), Some(Value::Big(_))));
        assert!(matches!(
            read("-9223372036854775808"),
            Some(Value::Int(i64::MIN))
        ));
    }
}
