//! The methods of bytes (language section 24). The bytes are argument 0.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{count, expects, optional_text};
use crate::error::NativeError;
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::{StrObj, Value};

/// All methods of bytes.
pub static METHODS: &[NativeFunction] = &[
    NativeFunction::new("decode", 1, 3, decode),
    NativeFunction::new("hex", 1, 1, hex),
    NativeFunction::new("find", 2, 2, find),
    NativeFunction::new("count", 2, 2, count_parts),
    NativeFunction::new("startswith", 2, 2, starts_with),
    NativeFunction::new("endswith", 2, 2, ends_with),
    NativeFunction::new("split", 2, 2, split),
    NativeFunction::new("join", 2, 2, join),
];

fn bytes<'a>(args: &'a [Value], index: usize, name: &str) -> Result<&'a [u8], NativeError> {
    match args.get(index) {
        Some(Value::Bytes(bytes)) => Ok(bytes.as_slice()),
        _ => Err(expects(name, "bytes")),
    }
}

fn decode(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = bytes(args, 0, "decode")?;
    let encoding = optional_text(args, 1, "decode", "the name of an encoding")?
        .map_or("utf-8", StrObj::as_str);
    let errors =
        optional_text(args, 2, "decode", "a way to treat errors")?.map_or("strict", StrObj::as_str);
    cx.charge(1 + subject.len() / 16)?;
    cx.heap().charge(subject.len() * 3)?;
    cx.heap().credit(subject.len() * 3);
    let text = match encoding.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "ascii" => match core::str::from_utf8(subject) {
            Ok(text) => String::from(text),
            Err(_) if errors == "replace" => String::from_utf8_lossy(subject).into_owned(),
            Err(_) if errors == "ignore" => {
                subject.utf8_chunks().map(|chunk| chunk.valid()).collect()
            }
            Err(error) => {
                let place = error.valid_up_to();
                return Err(NativeError::value_error(format!(
                    "decode() found invalid UTF-8 at byte {place}"
                )));
            }
        },
        "latin-1" | "latin1" => subject.iter().map(|byte| char::from(*byte)).collect(),
        _ => {
            return Err(NativeError::value_error(format!(
                "unknown encoding '{encoding}'"
            )));
        }
    };
    Ok(cx.heap().owned_string(text)?)
}

fn hex(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = bytes(args, 0, "hex")?;
    cx.charge(1 + subject.len() / 8)?;
    cx.heap().charge(subject.len() * 2)?;
    cx.heap().credit(subject.len() * 2);
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let text: String = subject
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect();
    Ok(cx.heap().owned_string(text)?)
}

fn places(subject: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    subject
        .windows(part.len())
        .position(|window| window == part)
}

fn find(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (subject, part) = (bytes(args, 0, "find")?, bytes(args, 1, "find")?);
    cx.charge(1 + subject.len())?;
    Ok(places(subject, part).map_or(Value::Int(-1), count))
}

fn count_parts(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (mut subject, part) = (bytes(args, 0, "count")?, bytes(args, 1, "count")?);
    cx.charge(1 + subject.len())?;
    if part.is_empty() {
        return Ok(count(subject.len() + 1));
    }
    let mut found = 0;
    while let Some(at) = places(subject, part) {
        found += 1;
        subject = &subject[at + part.len()..];
    }
    Ok(count(found))
}

fn starts_with(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::bool(
        bytes(args, 0, "startswith")?.starts_with(bytes(args, 1, "startswith")?),
    ))
}

fn ends_with(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::bool(
        bytes(args, 0, "endswith")?.ends_with(bytes(args, 1, "endswith")?),
    ))
}

fn split(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (mut subject, separator) = (bytes(args, 0, "split")?, bytes(args, 1, "split")?);
    if separator.is_empty() {
        return Err(NativeError::value_error("empty separator"));
    }
    cx.charge(1 + subject.len())?;
    let mut parts = Vec::new();
    while let Some(at) = places(subject, separator) {
        parts.push(cx.heap().bytes(subject[..at].to_vec())?);
        subject = &subject[at + separator.len()..];
    }
    parts.push(cx.heap().bytes(subject.to_vec())?);
    Ok(cx.heap().list(parts)?)
}

fn join(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let separator = bytes(args, 0, "join")?;
    let items = super::arguments::list(args, 1, "join", "a list of bytes")?;
    let mut length = separator.len().saturating_mul(items.len());
    for index in 0..items.len() {
        length = length.saturating_add(bytes(items, index, "join")?.len());
    }
    cx.charge(1 + length / 16)?;
    cx.heap().charge(length)?;
    cx.heap().credit(length);
    let mut joined = Vec::new();
    joined
        .try_reserve_exact(length)
        .map_err(|_| crate::heap::OutOfMemory)?;
    for index in 0..items.len() {
        if index > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(bytes(items, index, "join")?);
    }
    Ok(cx.heap().bytes(joined)?)
}
