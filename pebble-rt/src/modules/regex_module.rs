//! `regex`: compiled patterns for the library module `re`, which gives them their usual face in Pebble.

use alloc::format;
use alloc::string::ToString;

use super::arguments::{count, expects, integer, record, text};
use super::regex::{Anchor, Flags, Regex, escape};
use super::table::native_module;
use crate::error::NativeError;
use crate::native::{NativeContext, NativeResult};
use crate::system::Family;
use crate::value::{StrObj, Value};

native_module! {
    "regex", Family::Core;
    plain {}
    own {
        "compile" (1, 2) compile;
        "find" (4, 4) find;
        "group_count" (1, 1) |_, args| Ok(count(pattern(args, "group_count")?.group_count()));
        "group_names" (1, 1) group_names;
        "escape" (1, 1) escape_text;
    }
    constants {}
}

/// `compile(pattern, flags)`: flags is a text of the letters `i`, `m` and `s`.
fn compile(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let source = text(args, 0, "compile", "a string pattern")?.as_str();
    let letters = super::arguments::optional_text(args, 1, "compile", "a string of flags")?
        .map_or("", StrObj::as_str);
    let flags = Flags {
        ignore_case: letters.contains('i'),
        multi_line: letters.contains('m'),
        dot_all: letters.contains('s'),
    };
    cx.charge(1 + source.len())?;
    let regex = Regex::new(source, flags).map_err(|error| {
        NativeError::value_error(format!("invalid regular expression: {error}"))
    })?;
    cx.charge(regex.size())?;
    Ok(cx.heap().foreign("pattern", regex))
}

fn pattern<'a>(args: &'a [Value], name: &str) -> Result<&'a Regex, NativeError> {
    match args.first() {
        Some(Value::Foreign(foreign)) => foreign
            .get()
            .ok_or_else(|| expects(name, "a compiled pattern")),
        _ => Err(expects(name, "a compiled pattern")),
    }
}

/// `find(compiled, text, start, anchor)`: positions of the first match and its groups as `[start, end]`, each `None`
/// when the group took no part; `None` when nothing matches. The anchor is `""`, `"start"` or `"whole"`.
fn find(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let regex = pattern(args, "find")?;
    let subject = text(args, 1, "find", "a string")?;
    let start = usize::try_from(integer(args, 2, "find", "an integer position")?).unwrap_or(0);
    let anchor = match text(args, 3, "find", "an anchor")?.as_str() {
        "start" => Anchor::Start,
        "whole" => Anchor::Whole,
        _ => Anchor::Free,
    };
    if start > subject.char_count() {
        return Ok(Value::None);
    }
    let offset = subject.byte_offset(start);
    let found = regex.find(subject.as_str(), offset, anchor, &mut |work| {
        cx.charge(work)
    })?;
    let Some(spans) = found else {
        return Ok(Value::None);
    };
    let mut groups = cx.heap().values(spans.len())?;
    for span in spans {
        groups.push(match span {
            None => Value::None,
            Some((from, to)) => {
                let mut pair = cx.heap().values(2)?;
                pair.extend([position(subject, from), position(subject, to)]);
                cx.heap().list(pair)?
            }
        });
    }
    Ok(cx.heap().list(groups)?)
}

/// The number of the character that begins at a byte offset.
fn position(subject: &StrObj, offset: usize) -> Value {
    if subject.is_ascii() {
        return count(offset);
    }
    count(subject.as_str()[..offset].chars().count())
}

fn group_names(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let names = pattern(args, "group_names")?.group_names();
    let fields = names
        .iter()
        .map(|(name, number)| (name.as_str(), count(*number)))
        .collect();
    Ok(record(cx.heap(), fields)?)
}

fn escape_text(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let escaped = escape(text(args, 0, "escape", "a string")?.as_str());
    Ok(cx.heap().owned_string(escaped.to_string())?)
}
