//! `text` (language section 18.2) and the text, list and number helpers of section 19.

use alloc::string::String;
use alloc::vec::Vec;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::Signed;

use super::arguments::{count, expects, integer, list, one_or_zero, string_list, strings, text};
use super::table::native_module;
use super::text_helpers;
use crate::error::{ErrorClass, NativeError};
use crate::heap::OutOfMemory;
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::system::Family;
use crate::value::{Value, big, order};
use crate::vm::work_on;

native_module! {
    "text", Family::Core;
    plain {
        "len" as "text_len" (1, 1) length;
        "repeat" as "text_repeat" (2, 2) |cx, args| repeat(cx, args, "text_repeat");
        "lines" as "text_lines" (1, 1) |cx, args| lines(cx, args, "text_lines");
        "join" as "text_join" (1, 1) |cx, args| join(cx, args, "text_join");
        "first_line" as "text_first_line" (1, 1) |cx, args| first_line(cx, args, "text_first_line");
    }
    own {}
    constants {}
}

/// The helpers of section 19.
pub static HELPERS: &[NativeFunction] = &[
    NativeFunction::new("count_lines", 1, 1, count_lines),
    NativeFunction::new("first_line", 1, 1, |cx, args| {
        first_line(cx, args, "first_line")
    }),
    NativeFunction::new("split_lines", 1, 1, |cx, args| {
        lines(cx, args, "split_lines")
    }),
    NativeFunction::new("join_lines", 1, 1, |cx, args| join(cx, args, "join_lines")),
    NativeFunction::new("slice_text", 3, 3, slice_text),
    NativeFunction::new("repeat_text", 2, 2, |cx, args| {
        repeat(cx, args, "repeat_text")
    }),
    NativeFunction::new("pad_right", 2, 2, pad_right),
    NativeFunction::new("starts_with", 2, 2, |_, args| {
        has_prefix(args, "starts_with")
    }),
    NativeFunction::new("has_prefix", 2, 2, |_, args| has_prefix(args, "has_prefix")),
    NativeFunction::new("strip_prefix", 2, 2, strip_prefix),
    NativeFunction::new("find_char", 3, 3, find_char),
    NativeFunction::new("escape_text", 1, 1, |cx, args| {
        rewritten(cx, args, "escape_text", text_helpers::escape_text)
    }),
    NativeFunction::new("unescape_text", 1, 1, |cx, args| {
        rewritten(cx, args, "unescape_text", text_helpers::unescape_text)
    }),
    NativeFunction::new("format_bytes", 1, 1, format_bytes),
    NativeFunction::new("rest", 1, 1, rest),
    NativeFunction::new("slice_list", 3, 3, slice_list),
    NativeFunction::new("replace_line", 3, 3, replace_line),
    NativeFunction::new("insert_line", 3, 3, insert_line),
    NativeFunction::new("delete_line", 2, 2, delete_line),
    NativeFunction::new("sort_strings", 1, 1, sort_strings),
    NativeFunction::new("dict_has_key", 2, 2, dict_has_key),
    NativeFunction::new("append_missing_name", 2, 2, append_missing_name),
    NativeFunction::new("clamp", 3, 3, clamp),
    NativeFunction::new("max_value", 2, 2, |cx, args| {
        extreme(cx, args, "max_value", core::cmp::Ordering::Greater)
    }),
    NativeFunction::new("min_value", 2, 2, |cx, args| {
        extreme(cx, args, "min_value", core::cmp::Ordering::Less)
    }),
    NativeFunction::new("int_div", 2, 2, |cx, args| truncated(cx, args, "int_div")),
    NativeFunction::new("int_mod", 2, 2, |cx, args| truncated(cx, args, "int_mod")),
    NativeFunction::new("normalize_degrees", 1, 1, normalize_degrees),
    NativeFunction::new("runtime_fail", 1, 1, runtime_fail),
    NativeFunction::new("runtime_error", 1, 1, runtime_fail),
];

fn reserve(cx: &mut NativeContext<'_>, work: usize, bytes: usize) -> Result<(), NativeError> {
    cx.charge(1 + work / 16)?;
    cx.heap().charge(bytes)?;
    cx.heap().credit(bytes);
    Ok(())
}

fn length(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(count(text(args, 0, "text_len", "a string")?.char_count()))
}

fn repeat(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let what = "a string and an integer";
    let subject = text(args, 0, name, what)?.as_str();
    let times = usize::try_from(integer(args, 1, name, what)?).unwrap_or(0);
    let length = subject.len().checked_mul(times).ok_or(OutOfMemory)?;
    reserve(cx, length, length)?;
    let mut repeated = String::new();
    repeated
        .try_reserve_exact(length)
        .map_err(|_| OutOfMemory)?;
    repeated.push_str(&subject.repeat(times));
    Ok(cx.heap().owned_string(repeated)?)
}

fn lines(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let subject = text(args, 0, name, "a string")?.as_str();
    reserve(cx, subject.len() * 4, subject.len() * 2)?;
    let lines: Vec<&str> = subject.split('\n').collect();
    Ok(string_list(cx.heap(), lines.into_iter())?)
}

fn join(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let items = list(args, 0, name, "a list of strings")?;
    let lengths = items
        .iter()
        .map(|item| item.as_str().map(|text| text.len() + 1));
    let length = lengths
        .sum::<Option<usize>>()
        .ok_or_else(|| expects(name, "a list of strings"))?;
    reserve(cx, length + items.len() * 16, length)?;
    let mut joined = String::new();
    joined.try_reserve_exact(length).map_err(|_| OutOfMemory)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push('\n');
        }
        joined.push_str(item.as_str().unwrap_or(""));
    }
    Ok(cx.heap().owned_string(joined)?)
}

fn first_line(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    Ok(cx.heap().string(text_helpers::first_line(
        text(args, 0, name, "a string")?.as_str(),
    ))?)
}

fn count_lines(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = text(args, 0, "count_lines", "a string")?.as_str();
    cx.charge(1 + subject.len() / 64)?;
    Ok(count(text_helpers::count_lines(subject)))
}

fn slice_text(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "a string and two integers";
    let subject = text(args, 0, "slice_text", what)?;
    let start = usize::try_from(integer(args, 1, "slice_text", what)?).unwrap_or(0);
    let end = usize::try_from(integer(args, 2, "slice_text", what)?).unwrap_or(0);
    let slice = subject.slice(start, end);
    cx.charge(1 + slice.len() / 16)?;
    Ok(cx.heap().string(slice)?)
}

fn pad_right(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "a string and an integer";
    let subject = text(args, 0, "pad_right", what)?.as_str();
    let width = integer(args, 1, "pad_right", what)?;
    let room = usize::try_from(width).unwrap_or(0);
    reserve(cx, room, room.saturating_add(subject.len()))?;
    Ok(cx
        .heap()
        .owned_string(text_helpers::pad_right(subject, width))?)
}

fn has_prefix(args: &[Value], name: &str) -> NativeResult {
    let prefix = text(args, 1, name, "two strings")?.as_str();
    Ok(one_or_zero(
        text(args, 0, name, "two strings")?
            .as_str()
            .starts_with(prefix),
    ))
}

fn strip_prefix(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = text(args, 0, "strip_prefix", "two strings")?;
    let drop = text(args, 1, "strip_prefix", "two strings")?.char_count();
    Ok(cx
        .heap()
        .string(subject.slice(drop, subject.char_count()))?)
}

fn find_char(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "two strings and an integer";
    let subject = text(args, 0, "find_char", what)?.as_str();
    let needle = text(args, 1, "find_char", what)?.as_str();
    cx.charge(1 + subject.len() / 16)?;
    let found = text_helpers::find_character(subject, needle, integer(args, 2, "find_char", what)?);
    Ok(found.map_or(Value::Int(-1), count))
}

fn rewritten(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    rewrite: fn(&str) -> String,
) -> NativeResult {
    let subject = text(args, 0, name, "a string")?.as_str();
    reserve(cx, subject.len(), subject.len() * 2)?;
    Ok(cx.heap().owned_string(rewrite(subject))?)
}

fn format_bytes(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let size = match &args[0] {
        Value::Float(size) => size.get() as i64,
        _ => integer(args, 0, "format_bytes", "an integer")?,
    };
    Ok(cx.heap().owned_string(text_helpers::format_bytes(size))?)
}

fn copied(
    cx: &mut NativeContext<'_>,
    items: &[Value],
    extra: usize,
) -> Result<Vec<Value>, NativeError> {
    cx.charge(1 + items.len() / 4)?;
    let mut copy = cx.heap().values(items.len() + extra)?;
    copy.extend(items.iter().cloned());
    Ok(copy)
}

fn rest(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = list(args, 0, "rest", "a list")?;
    let tail = copied(cx, items.get(1..).unwrap_or(&[]), 0)?;
    Ok(cx.heap().list(tail)?)
}

fn slice_list(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "a list and two integers";
    let items = list(args, 0, "slice_list", what)?;
    let start = usize::try_from(integer(args, 1, "slice_list", what)?).unwrap_or(0);
    let end = usize::try_from(integer(args, 2, "slice_list", what)?)
        .unwrap_or(0)
        .min(items.len());
    let slice = copied(cx, items.get(start..end).unwrap_or(&[]), 0)?;
    Ok(cx.heap().list(slice)?)
}

fn replace_line(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "a list, an integer and a string";
    let index = integer(args, 1, "replace_line", what)?;
    let mut lines = copied(cx, list(args, 0, "replace_line", what)?, 0)?;
    if let Some(line) = usize::try_from(index)
        .ok()
        .and_then(|index| lines.get_mut(index))
    {
        *line = args[2].clone();
    }
    Ok(cx.heap().list(lines)?)
}

fn insert_line(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "a list, an integer and a string";
    let index = usize::try_from(integer(args, 1, "insert_line", what)?).unwrap_or(0);
    let mut lines = copied(cx, list(args, 0, "insert_line", what)?, 1)?;
    lines.insert(index.min(lines.len()), args[2].clone());
    Ok(cx.heap().list(lines)?)
}

fn delete_line(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let what = "a list and an integer";
    let index = integer(args, 1, "delete_line", what)?;
    let mut lines = copied(cx, list(args, 0, "delete_line", what)?, 1)?;
    if let Some(index) = usize::try_from(index)
        .ok()
        .filter(|index| *index < lines.len())
    {
        lines.remove(index);
    }
    if lines.is_empty() {
        lines.push(cx.heap().string("")?);
    }
    Ok(cx.heap().list(lines)?)
}

fn sort_strings(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = list(args, 0, "sort_strings", "a list of strings")?;
    if items.iter().any(|item| item.as_str().is_none()) {
        return Err(expects("sort_strings", "a list of strings"));
    }
    let mut sorted = copied(cx, items, 0)?;
    cx.charge(sorted.len() * 8)?;
    sorted.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    Ok(cx.heap().list(sorted)?)
}

fn dict_has_key(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Dict(dict) => Ok(one_or_zero(dict.contains(&args[1]).unwrap_or(false))),
        _ => Err(expects("dict_has_key", "a dict")),
    }
}

fn append_missing_name(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = list(args, 0, "append_missing_name", "a list")?;
    let wanted = text(args, 1, "append_missing_name", "a list and a string")?.as_str();
    let is_there = items.iter().any(|item| item.as_str() == Some(wanted));
    let mut names = copied(cx, items, 1)?;
    if !is_there {
        names.push(args[1].clone());
    }
    Ok(cx.heap().list(names)?)
}

fn is_before(left: &Value, right: &Value, name: &str) -> Result<core::cmp::Ordering, NativeError> {
    let ordering =
        order(left, right).map_err(|_| expects(name, "values of one kind that have an order"))?;
    Ok(ordering.unwrap_or(core::cmp::Ordering::Equal))
}

fn clamp(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    use core::cmp::Ordering;
    if is_before(&args[0], &args[1], "clamp")? == Ordering::Less {
        return Ok(args[1].clone());
    }
    if is_before(&args[0], &args[2], "clamp")? == Ordering::Greater {
        return Ok(args[2].clone());
    }
    Ok(args[0].clone())
}

/// The first argument if it stands to the second as wanted, else the second.
fn extreme(
    _: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    wanted: core::cmp::Ordering,
) -> NativeResult {
    let index = usize::from(is_before(&args[0], &args[1], name)? != wanted);
    Ok(args[index].clone())
}

fn truncated(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let zero = || NativeError::new(ErrorClass::ZeroDivision, "division by zero");
    if let (Value::Int(a), Value::Int(b)) = (&args[0], &args[1]) {
        let (quotient, remainder) = text_helpers::truncating_division(*a, *b).ok_or_else(zero)?;
        let wanted = if name == "int_div" {
            quotient
        } else {
            remainder
        };
        return Ok(cx.heap().integer(BigInt::from(wanted))?);
    }
    let large = |value: &Value| match value {
        Value::Int(number) => Ok(BigInt::from(*number)),
        Value::Big(number) => Ok(BigInt::clone(number)),
        Value::Float(number) => num_traits::FromPrimitive::from_f64(libm::trunc(number.get()))
            .ok_or_else(|| expects(name, "two integers")),
        _ => Err(expects(name, "two integers")),
    };
    let (a, b): (BigInt, BigInt) = (large(&args[0])?, large(&args[1])?);
    if b == BigInt::ZERO {
        return Err(zero());
    }
    cx.charge(work_on(a.bits().saturating_sub(b.bits()), b.bits()))?;
    let (quotient, remainder) = big::divide(cx.heap(), &a.abs(), &b.abs())?;
    let (wanted, is_negative) = if name == "int_div" {
        (quotient, a.is_negative() != b.is_negative())
    } else {
        (remainder, a.is_negative())
    };
    Ok(cx
        .heap()
        .integer(if is_negative { -wanted } else { wanted })?)
}

fn normalize_degrees(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Int(degrees) => Ok(Value::Int(degrees.rem_euclid(360))),
        Value::Big(degrees) => Ok(cx.heap().integer(degrees.mod_floor(&BigInt::from(360)))?),
        Value::Float(degrees) if degrees.get().is_finite() => {
            let rest = libm::fmod(degrees.get(), 360.0);
            Ok(Value::float(if rest < 0.0 { rest + 360.0 } else { rest }))
        }
        _ => Err(expects("normalize_degrees", "an integer")),
    }
}

fn runtime_fail(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let message = super::arguments::text_form(cx, args, 0)?;
    Err(NativeError::new(ErrorClass::Error, message))
}

/// What several modules need to read a list of program arguments.
pub(super) fn argument_list(
    args: &[Value],
    index: usize,
    name: &str,
) -> Result<Vec<String>, NativeError> {
    strings(args, index, name, "a list of strings")
}
