//! Builtins of language section 24 that compute with plain values. Those that call functions (`map`, `key=`) are
//! written in Pebble on top of these.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{FromPrimitive, Signed, ToPrimitive};

use super::arguments::{elements, expects, integer, quoted_form};
use super::format_value::format_argument;
use crate::error::{ErrorClass, NativeError, Want};
use crate::native::{ANY_NUMBER, NativeContext, NativeFunction, NativeResult};
use crate::value::{DictObj, KeyError, SetObj, Value, big as large, order};
use crate::vm::work_on;

/// The functions.
pub static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("sum", 1, 2, sum),
    NativeFunction::new("round", 1, 2, round),
    NativeFunction::new("divmod", 2, 2, divmod),
    NativeFunction::new("reversed", 1, 1, reversed),
    NativeFunction::new("enumerate", 1, 2, enumerate).with_parameters(&["iterable", "start"]),
    NativeFunction::new("zip", 0, ANY_NUMBER, zip),
    NativeFunction::new("any", 1, 1, any),
    NativeFunction::new("all", 1, 1, all),
    NativeFunction::new("chr", 1, 1, chr),
    NativeFunction::new("ord", 1, 1, ord),
    NativeFunction::new("hex", 1, 1, |cx, args| in_radix(cx, args, "hex", 16, "0x")),
    NativeFunction::new("oct", 1, 1, |cx, args| in_radix(cx, args, "oct", 8, "0o")),
    NativeFunction::new("bin", 1, 1, |cx, args| in_radix(cx, args, "bin", 2, "0b")),
    NativeFunction::new("repr", 1, 1, repr),
    NativeFunction::new("format", 1, 2, format_builtin),
    NativeFunction::new("exit", 0, 1, exit),
    NativeFunction::new("list", 0, 1, list),
    NativeFunction::new("tuple", 0, 1, tuple),
    NativeFunction::new("set", 0, 1, set),
    NativeFunction::new("dict", 0, 1, dict),
    NativeFunction::new("bytes", 0, 1, bytes),
    NativeFunction::new("min_of", 1, 1, |cx, args| {
        extreme(cx, args, "min", Ordering::Less)
    }),
    NativeFunction::new("max_of", 1, 1, |cx, args| {
        extreme(cx, args, "max", Ordering::Greater)
    }),
    NativeFunction::new("sort_with_keys", 3, 3, sort_with_keys),
];

fn items(cx: &mut NativeContext<'_>, value: &Value, name: &str) -> Result<Vec<Value>, NativeError> {
    let items = elements(cx.heap(), value).ok_or_else(|| expects(name, "a sequence"))??;
    cx.charge(1 + items.len())?;
    Ok(items)
}

fn sum(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mut total = match args.get(1) {
        None | Some(Value::Undefined) => Value::Int(0),
        Some(start) => start.clone(),
    };
    for item in items(cx, &args[0], "sum")? {
        total = added(cx, &total, &item)?;
    }
    Ok(total)
}

fn added(cx: &mut NativeContext<'_>, left: &Value, right: &Value) -> NativeResult {
    if let (Value::Int(a), Value::Int(b)) = (left, right)
        && let Some(total) = a.checked_add(*b)
    {
        return Ok(Value::Int(total));
    }
    if let (Value::List(a), Value::List(b)) = (left, right) {
        let mut joined = cx.heap().values(a.len() + b.len())?;
        cx.charge(a.len() + b.len())?;
        joined.extend(a.iter().chain(b.iter()).cloned());
        return Ok(cx.heap().list(joined)?);
    }
    if matches!(left, Value::Float(_)) || matches!(right, Value::Float(_)) {
        let pair = [left.clone(), right.clone()];
        let a = super::arguments::float(&pair, 0, "sum")?;
        let b = super::arguments::float(&pair, 1, "sum")?;
        return Ok(Value::float(a + b));
    }
    match (big(left), big(right)) {
        (Some(a), Some(b)) => Ok(cx.heap().integer(a + b)?),
        _ => Err(expects("sum", "numbers")),
    }
}

fn big(value: &Value) -> Option<BigInt> {
    match value {
        Value::Int(number) => Some(BigInt::from(*number)),
        Value::Big(number) => Some(BigInt::clone(number)),
        _ => None,
    }
}

/// `round(x)` gives an integer, `round(x, digits)` a number of the same kind; halves go to the even neighbour.
fn round(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let digits = super::arguments::optional_integer(args, 1, "round", "a number and an integer")?;
    match (&args[0], digits) {
        (Value::Float(number), None) => {
            let rounded = BigInt::from_f64(libm::rint(number.get()))
                .ok_or_else(|| NativeError::value_error("round() requires a finite number"))?;
            Ok(cx.heap().integer(rounded)?)
        }
        (Value::Float(number), Some(digits)) => Ok(Value::float(round_to(number.get(), digits))),
        (Value::Int(_) | Value::Big(_), None | Some(0..)) => Ok(args[0].clone()),
        (Value::Int(_) | Value::Big(_), Some(digits)) => {
            let number = big(&args[0]).unwrap_or_default();
            if digits.unsigned_abs() > number.bits() {
                return Ok(Value::Int(0));
            }
            let unit =
                BigInt::from(10).pow(u32::try_from(digits.unsigned_abs()).unwrap_or(u32::MAX));
            Ok(cx.heap().integer(round_to_multiple(&number, &unit))?)
        }
        _ => Err(expects("round", "a number")),
    }
}

/// Exact decimal rounding: the digits come from the double's exact value.
fn round_to(number: f64, digits: i64) -> f64 {
    if !number.is_finite() || digits > 323 {
        return number;
    }
    if digits >= 0 {
        return format!("{number:.*}", digits as usize)
            .parse()
            .unwrap_or(number);
    }
    if digits < -308 {
        return 0.0 * number;
    }
    let unit = libm::pow(10.0, -digits as f64);
    libm::rint(number / unit) * unit
}

fn round_to_multiple(number: &BigInt, unit: &BigInt) -> BigInt {
    let (quotient, remainder) = number.div_mod_floor(unit);
    let twice: BigInt = remainder * 2;
    let up = match twice.cmp(unit) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => quotient.is_odd(),
    };
    (quotient + i32::from(up)) * unit
}

fn divmod(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let zero = || NativeError::new(ErrorClass::ZeroDivision, "division by zero");
    let (quotient, remainder) = match (big(&args[0]), big(&args[1])) {
        (Some(_), Some(b)) if b == BigInt::ZERO => return Err(zero()),
        (Some(a), Some(b)) => {
            cx.charge(work_on(a.bits().saturating_sub(b.bits()), b.bits()))?;
            let (quotient, remainder) = large::divide(cx.heap(), &a, &b)?;
            (cx.heap().integer(quotient)?, cx.heap().integer(remainder)?)
        }
        _ => {
            let a = super::arguments::float(args, 0, "divmod")?;
            let b = super::arguments::float(args, 1, "divmod")?;
            if b == 0.0 {
                return Err(zero());
            }
            let remainder = libm::fmod(a, b);
            let remainder = if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) {
                remainder + b
            } else {
                remainder
            };
            (
                Value::float(libm::rint((a - remainder) / b)),
                Value::float(remainder),
            )
        }
    };
    let mut pair = cx.heap().values(2)?;
    pair.extend([quotient, remainder]);
    Ok(cx.heap().tuple(pair)?)
}

fn reversed(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mut values = items(cx, &args[0], "reversed")?;
    values.reverse();
    Ok(cx.heap().list(values)?)
}

fn enumerate(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let start =
        super::arguments::optional_integer(args, 1, "enumerate", "a sequence and an integer")?
            .unwrap_or(0);
    let values = items(cx, &args[0], "enumerate")?;
    let mut pairs = cx.heap().values(values.len())?;
    for (value, number) in values.into_iter().zip(start..) {
        let mut pair = cx.heap().values(2)?;
        pair.extend([Value::Int(number), value]);
        pairs.push(cx.heap().tuple(pair)?);
    }
    Ok(cx.heap().list(pairs)?)
}

fn zip(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mut columns = Vec::with_capacity(args.len());
    for value in args.iter() {
        columns.push(items(cx, value, "zip")?);
    }
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    let mut rows = cx.heap().values(length)?;
    for index in 0..length {
        cx.charge(columns.len())?;
        let mut row = cx.heap().values(columns.len())?;
        row.extend(columns.iter().map(|column| column[index].clone()));
        rows.push(cx.heap().tuple(row)?);
    }
    Ok(cx.heap().list(rows)?)
}

fn any(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::bool(
        items(cx, &args[0], "any")?.iter().any(Value::is_true),
    ))
}

fn all(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::bool(
        items(cx, &args[0], "all")?.iter().all(Value::is_true),
    ))
}

fn chr(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let code = integer(args, 0, "chr", "an integer")?;
    let character = u32::try_from(code).ok().and_then(char::from_u32);
    let character =
        character.ok_or_else(|| NativeError::value_error("chr() expects a code point"))?;
    Ok(cx.heap().char_string(character)?)
}

fn ord(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Str(text) if text.char_count() == 1 => {
            Ok(text.char_at(0).map_or(Value::None, |character| {
                Value::Int(i64::from(u32::from(character)))
            }))
        }
        _ => Err(expects("ord", "a string of one character")),
    }
}

fn in_radix(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    radix: u32,
    prefix: &str,
) -> NativeResult {
    let number = match &args[0] {
        Value::Bool(truth) => BigInt::from(u8::from(*truth)),
        value => big(value).ok_or_else(|| expects(name, "an integer"))?,
    };
    cx.charge(1 + number.bits() as usize / 16)?;
    cx.heap().charge(number.bits() as usize + 8)?;
    cx.heap().credit(number.bits() as usize + 8);
    let sign = if number.is_negative() { "-" } else { "" };
    Ok(cx.heap().owned_string(format!(
        "{sign}{prefix}{}",
        number.magnitude().to_str_radix(radix)
    ))?)
}

fn repr(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let text = quoted_form(cx, args, 0)?;
    Ok(cx.heap().owned_string(text)?)
}

fn format_builtin(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let specification = match args.get(1) {
        None | Some(Value::Undefined) => String::new(),
        Some(Value::Str(specification)) => String::from(specification.as_str()),
        Some(_) => return Err(expects("format", "a value and a string")),
    };
    let text = format_argument(cx, args, 0, &specification)?;
    Ok(cx.heap().owned_string(text)?)
}

fn exit(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let status = match args.first() {
        None | Some(Value::Undefined | Value::None) => 0,
        Some(Value::Bool(failed)) => i32::from(*failed),
        Some(Value::Int(status)) => status.to_i32().unwrap_or(1),
        Some(_) => return Err(expects("exit", "an integer status")),
    };
    Err(NativeError::Exit(status))
}

fn given(args: &[Value]) -> Option<&Value> {
    args.first().filter(|value| !value.is_undefined())
}

fn list(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let values = match given(args) {
        None => Vec::new(),
        Some(value) => items(cx, value, "list")?,
    };
    Ok(cx.heap().list(values)?)
}

fn tuple(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let values = match given(args) {
        None => Vec::new(),
        Some(Value::Tuple(_)) => return Ok(args[0].clone()),
        Some(value) => items(cx, value, "tuple")?,
    };
    Ok(cx.heap().tuple(values)?)
}

/// The error for a value that cannot be a key.
fn no_key(error: KeyError) -> NativeError {
    match error {
        KeyError::NotAKey => {
            NativeError::type_error("dict keys must be strings, numbers, booleans, or None")
        }
        KeyError::NeedsMethod => NativeError::NeedsMethod {
            index: 0,
            want: Want::List,
        },
    }
}

fn set(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let values = match given(args) {
        None => Vec::new(),
        Some(value) => items(cx, value, "set")?,
    };
    let mut set = SetObj::new(cx.heap())?;
    for value in values {
        set.insert(value).map_err(no_key)??;
    }
    Ok(Value::Set(alloc::rc::Rc::new(set)))
}

fn dict(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let pairs = match given(args) {
        None => return Ok(cx.heap().dict_value(DictObj::new(cx.heap())?)),
        Some(value @ Value::Dict(_)) => return Ok(value.clone()),
        Some(value) => items(cx, value, "dict")?,
    };
    let mut dict = DictObj::new(cx.heap())?;
    for pair in &pairs {
        let wanted = || expects("dict", "a dict or a list of pairs");
        let pair = elements(cx.heap(), pair).ok_or_else(wanted)??;
        let [key, value] = <[Value; 2]>::try_from(pair).map_err(|_| wanted())?;
        dict.insert(key, value).map_err(no_key)??;
    }
    Ok(cx.heap().dict_value(dict))
}

fn bytes(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let wanted = || {
        expects(
            "bytes",
            "a string, a size or a list of numbers from 0 to 255",
        )
    };
    let content = match given(args) {
        None => Vec::new(),
        Some(Value::Bytes(_)) => return Ok(args[0].clone()),
        Some(Value::Str(text)) => text.as_str().as_bytes().to_vec(),
        Some(Value::Int(size)) => {
            let size = usize::try_from(*size).map_err(|_| wanted())?;
            cx.heap().charge(size)?;
            cx.heap().credit(size);
            cx.charge(size / 64)?;
            let mut zeros = Vec::new();
            zeros
                .try_reserve_exact(size)
                .map_err(|_| crate::heap::OutOfMemory)?;
            zeros.resize(size, 0);
            zeros
        }
        Some(value) => {
            let numbers = items(cx, value, "bytes")?;
            let bytes = numbers
                .iter()
                .map(|number| number.as_int().and_then(|number| u8::try_from(number).ok()));
            bytes.collect::<Option<Vec<u8>>>().ok_or_else(wanted)?
        }
    };
    Ok(cx.heap().bytes(content)?)
}

/// The smallest or largest element of a sequence.
fn extreme(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    wanted: Ordering,
) -> NativeResult {
    let values = items(cx, &args[0], name)?;
    let mut values = values.into_iter();
    let mut best = values
        .next()
        .ok_or_else(|| NativeError::value_error(format!("{name}() of nothing")))?;
    for value in values {
        let ordering =
            order(&value, &best).map_err(|_| expects(name, "values that have an order"))?;
        if ordering == Some(wanted) {
            best = value;
        }
    }
    Ok(best)
}

/// `sort_with_keys(items, keys, is_reverse)`: the items in the order of their keys; equal ones keep their order.
fn sort_with_keys(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let values = items(cx, &args[0], "sorted")?;
    let keys = items(cx, &args[1], "sorted")?;
    if keys.len() != values.len() {
        return Err(expects("sorted", "one key for each element"));
    }
    let is_reverse = args[2].is_true();
    let mut pairs: Vec<(Value, Value)> = keys.into_iter().zip(values).collect();
    let mut failure = None;
    let rounds = usize::BITS - pairs.len().leading_zeros();
    cx.charge(pairs.len().saturating_mul(rounds as usize))?;
    pairs.sort_by(|a, b| {
        let (left, right) = if is_reverse {
            (&b.0, &a.0)
        } else {
            (&a.0, &b.0)
        };
        match order(left, right) {
            Ok(ordering) => ordering.unwrap_or(Ordering::Equal),
            Err(_) => {
                failure = Some(expects("sorted", "values that have an order"));
                Ordering::Equal
            }
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut sorted = cx.heap().values(pairs.len())?;
    sorted.extend(pairs.into_iter().map(|(_, value)| value));
    Ok(cx.heap().list(sorted)?)
}
