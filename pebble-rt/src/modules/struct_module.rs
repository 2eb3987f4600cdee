//! `struct`: numbers as bytes of a fixed layout, by formats like `<HI` (no alignment).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{count, expects, text};
use super::table::native_module;
use crate::error::NativeError;
use crate::native::{ANY_NUMBER, NativeContext, NativeResult};
use crate::system::Family;
use crate::value::Value;

native_module! {
    "struct", Family::Core;
    plain {}
    own {
        "pack" (1, ANY_NUMBER) pack;
        "unpack" (2, 2) unpack;
        "calcsize" (1, 1) size;
    }
    constants {}
}

/// The most fields of a format.
const MAX_FIELDS: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// One field of a format.
#[derive(Clone, Copy)]
enum Field {
    /// Bytes that are skipped.
    Padding,
    Bool,
    Integer {
        bytes: usize,
        is_signed: bool,
    },
    Float32,
    Float64,
    /// A byte string of this length.
    Bytes(usize),
}

impl Field {
    fn size(self) -> usize {
        match self {
            Self::Padding | Self::Bool => 1,
            Self::Integer { bytes, .. } => bytes,
            Self::Float32 => 4,
            Self::Float64 => 8,
            Self::Bytes(length) => length,
        }
    }
}

fn parse(layout: &str) -> Result<(Order, Vec<Field>), NativeError> {
    let invalid = || NativeError::value_error(format!("invalid struct format '{layout}'"));
    let (order, rest) = match layout.chars().next() {
        Some('<' | '=' | '@') => (Order::Little, &layout[1..]),
        Some('>' | '!') => (Order::Big, &layout[1..]),
        _ => (Order::Little, layout),
    };
    let mut fields = Vec::new();
    let mut repeat: Option<usize> = None;
    for letter in rest.chars() {
        if let Some(digit) = letter.to_digit(10) {
            let so_far = repeat.unwrap_or(0);
            repeat = Some(
                so_far
                    .checked_mul(10)
                    .and_then(|n| n.checked_add(digit as usize))
                    .ok_or_else(invalid)?,
            );
            continue;
        }
        let times = repeat.take().unwrap_or(1);
        let whole = |bytes, is_signed| Field::Integer { bytes, is_signed };
        let field = match letter {
            ' ' => continue,
            's' if times <= MAX_FIELDS => {
                fields.push(Field::Bytes(times));
                continue;
            }
            'x' => Field::Padding,
            '?' => Field::Bool,
            'b' => whole(1, true),
            'B' => whole(1, false),
            'h' => whole(2, true),
            'H' => whole(2, false),
            'i' | 'l' => whole(4, true),
            'I' | 'L' => whole(4, false),
            'q' => whole(8, true),
            'Q' => whole(8, false),
            'f' => Field::Float32,
            'd' => Field::Float64,
            _ => return Err(invalid()),
        };
        if fields.len().saturating_add(times) > MAX_FIELDS {
            return Err(invalid());
        }
        fields.extend(core::iter::repeat_n(field, times));
    }
    if repeat.is_some() {
        Err(invalid())
    } else {
        Ok((order, fields))
    }
}

fn layout(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
) -> Result<(Order, Vec<Field>), NativeError> {
    let layout = String::from(text(args, 0, name, "a string format")?.as_str());
    let parsed = parse(&layout)?;
    cx.charge(1 + parsed.1.len())?;
    Ok(parsed)
}

fn size(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (_, fields) = layout(cx, args, "calcsize")?;
    Ok(count(fields.iter().map(|field| field.size()).sum()))
}

fn put(out: &mut Vec<u8>, order: Order, little: &[u8]) {
    match order {
        Order::Little => out.extend_from_slice(little),
        Order::Big => out.extend(little.iter().rev()),
    }
}

fn pack(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (order, fields) = layout(cx, args, "pack")?;
    let mut values = args[1..].iter();
    let mut out = Vec::new();
    for field in &fields {
        if let Field::Padding = field {
            out.push(0);
            continue;
        }
        let value = values
            .next()
            .ok_or_else(|| expects("pack", "a value for each field"))?;
        pack_field(&mut out, order, *field, value)?;
    }
    if values.next().is_some() {
        return Err(expects("pack", "a value for each field"));
    }
    Ok(cx.heap().bytes(out)?)
}

fn pack_field(
    out: &mut Vec<u8>,
    order: Order,
    field: Field,
    value: &Value,
) -> Result<(), NativeError> {
    match field {
        Field::Padding => out.push(0),
        Field::Bool => out.push(u8::from(value.is_true())),
        Field::Integer { bytes, is_signed } => {
            let number = whole(value)?;
            let bits = bytes as u32 * 8;
            let range = if is_signed {
                -(1i128 << (bits - 1))..1i128 << (bits - 1)
            } else {
                0..1i128 << bits
            };
            if !range.contains(&number) {
                return Err(NativeError::value_error(format!(
                    "{number} does not fit {bytes} bytes"
                )));
            }
            put(out, order, &number.to_le_bytes()[..bytes]);
        }
        Field::Float32 => put(out, order, &(real(value)? as f32).to_le_bytes()),
        Field::Float64 => put(out, order, &real(value)?.to_le_bytes()),
        Field::Bytes(length) => {
            let content = match value {
                Value::Bytes(content) => content.as_slice(),
                Value::Str(content) => content.as_str().as_bytes(),
                _ => return Err(expects("pack", "bytes for 's'")),
            };
            let kept = content.len().min(length);
            out.extend_from_slice(&content[..kept]);
            out.resize(out.len() + length - kept, 0);
        }
    }
    Ok(())
}

fn whole(value: &Value) -> Result<i128, NativeError> {
    match value {
        Value::Int(number) => Ok(i128::from(*number)),
        Value::Bool(truth) => Ok(i128::from(*truth)),
        Value::Big(number) => num_traits::ToPrimitive::to_i128(number.number())
            .ok_or_else(|| expects("pack", "integers that fit their field")),
        _ => Err(expects("pack", "an integer")),
    }
}

fn real(value: &Value) -> Result<f64, NativeError> {
    value.as_float().ok_or_else(|| expects("pack", "a number"))
}

fn unpack(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (order, fields) = layout(cx, args, "unpack")?;
    let Value::Bytes(content) = &args[1] else {
        return Err(expects("unpack", "a string format and bytes"));
    };
    let mut rest = content.as_slice();
    if rest.len() != fields.iter().map(|field| field.size()).sum::<usize>() {
        return Err(NativeError::value_error(
            "unpack() requires as many bytes as the format has",
        ));
    }
    let mut values = cx.heap().values(fields.len())?;
    for field in &fields {
        let (part, after) = rest.split_at(field.size());
        rest = after;
        if let Field::Padding = field {
            continue;
        }
        values.push(unpack_field(cx, order, *field, part)?);
    }
    Ok(cx.heap().tuple(values)?)
}

fn unpack_field(
    cx: &mut NativeContext<'_>,
    order: Order,
    field: Field,
    part: &[u8],
) -> NativeResult {
    let mut little = [0; 16];
    for (index, byte) in part.iter().take(8).enumerate() {
        let place = if order == Order::Little {
            index
        } else {
            part.len() - 1 - index
        };
        if let Some(target) = little.get_mut(place) {
            *target = *byte;
        }
    }
    let low = u128::from_le_bytes(little) as u64;
    Ok(match field {
        Field::Padding => Value::None,
        Field::Bool => Value::bool(part.first() != Some(&0)),
        Field::Integer { bytes, is_signed } => {
            let shift = 64 - bytes as u32 * 8;
            if is_signed {
                Value::Int(((low << shift) as i64) >> shift)
            } else {
                cx.heap().integer(num_bigint::BigInt::from(low))?
            }
        }
        Field::Float32 => Value::float(f64::from(f32::from_bits(low as u32))),
        Field::Float64 => Value::float(f64::from_bits(low)),
        Field::Bytes(_) => cx.heap().bytes(part.to_vec())?,
    })
}
