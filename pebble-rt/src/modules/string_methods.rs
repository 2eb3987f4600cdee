//! The methods of strings (language section 24). The string is argument 0; positions count code points.

use alloc::string::String;

use super::arguments::{
    count, elements, expects, integer, optional_integer, optional_text, string_list, text,
};
use super::format_value;
use super::text_helpers::{
    LineEnds, Side, justify, split_blanks, split_blanks_from_right, split_line_ends, split_on,
    split_on_from_right, zero_fill,
};
use crate::error::NativeError;
use crate::heap::{Heap, OutOfMemory};
use crate::native::{ANY_NUMBER, NativeContext, NativeFunction, NativeResult};
use crate::value::{StrObj, Value};

/// All methods of strings.
pub static METHODS: &[NativeFunction] = &[
    NativeFunction::new("upper", 1, 1, upper),
    NativeFunction::new("lower", 1, 1, lower),
    NativeFunction::new("casefold", 1, 1, lower),
    NativeFunction::new("title", 1, 1, title),
    NativeFunction::new("capitalize", 1, 1, capitalize),
    NativeFunction::new("swapcase", 1, 1, swap_case),
    NativeFunction::new("strip", 1, 2, strip),
    NativeFunction::new("lstrip", 1, 2, strip_left),
    NativeFunction::new("rstrip", 1, 2, strip_right),
    NativeFunction::new("removeprefix", 2, 2, remove_prefix),
    NativeFunction::new("removesuffix", 2, 2, remove_suffix),
    NativeFunction::new("split", 1, 3, split).with_parameters(&["self", "sep", "maxsplit"]),
    NativeFunction::new("rsplit", 1, 3, split_from_right)
        .with_parameters(&["self", "sep", "maxsplit"]),
    NativeFunction::new("splitlines", 1, 2, split_lines).with_parameters(&["self", "keepends"]),
    NativeFunction::new("partition", 2, 2, partition),
    NativeFunction::new("rpartition", 2, 2, partition_from_right),
    NativeFunction::new("join", 2, 2, join),
    NativeFunction::new("replace", 3, 4, replace),
    NativeFunction::new("find", 2, 4, find),
    NativeFunction::new("rfind", 2, 4, find_from_right),
    NativeFunction::new("index", 2, 4, index),
    NativeFunction::new("rindex", 2, 4, index_from_right),
    NativeFunction::new("startswith", 2, 4, starts_with),
    NativeFunction::new("endswith", 2, 4, ends_with),
    NativeFunction::new("count", 2, 4, count_parts),
    NativeFunction::new("isdigit", 1, 1, |_, args| {
        all_characters(args, "isdigit", char::is_numeric)
    }),
    NativeFunction::new("isdecimal", 1, 1, |_, args| {
        all_characters(args, "isdecimal", |c| c.is_ascii_digit())
    }),
    NativeFunction::new("isnumeric", 1, 1, |_, args| {
        all_characters(args, "isnumeric", char::is_numeric)
    }),
    NativeFunction::new("isalpha", 1, 1, |_, args| {
        all_characters(args, "isalpha", char::is_alphabetic)
    }),
    NativeFunction::new("isalnum", 1, 1, |_, args| {
        all_characters(args, "isalnum", char::is_alphanumeric)
    }),
    NativeFunction::new("isspace", 1, 1, |_, args| {
        all_characters(args, "isspace", char::is_whitespace)
    }),
    NativeFunction::new("isascii", 1, 1, is_ascii),
    NativeFunction::new("isupper", 1, 1, |_, args| {
        has_one_case(args, "isupper", char::is_uppercase, char::is_lowercase)
    }),
    NativeFunction::new("islower", 1, 1, |_, args| {
        has_one_case(args, "islower", char::is_lowercase, char::is_uppercase)
    }),
    NativeFunction::new("isidentifier", 1, 1, is_identifier),
    NativeFunction::new("zfill", 2, 2, zfill),
    NativeFunction::new("ljust", 2, 3, |cx, args| {
        justified(cx, args, "ljust", Side::Left)
    }),
    NativeFunction::new("rjust", 2, 3, |cx, args| {
        justified(cx, args, "rjust", Side::Right)
    }),
    NativeFunction::new("center", 2, 3, |cx, args| {
        justified(cx, args, "center", Side::Center)
    }),
    NativeFunction::new("expandtabs", 1, 2, expand_tabs),
    NativeFunction::new("format", 1, ANY_NUMBER, format),
    NativeFunction::new("encode", 1, 2, encode),
];

/// The widest result of the methods that fill up.
const MAX_WIDTH: i64 = 1 << 32;

fn receiver<'a>(args: &'a [Value], name: &str) -> Result<&'a StrObj, NativeError> {
    text(args, 0, name, "a string")
}

/// Charges work in proportion to a text, and room for a result of up to `bytes`.
fn prepare(cx: &mut NativeContext<'_>, work: usize, bytes: usize) -> Result<(), NativeError> {
    cx.charge(1 + work / 16)?;
    reserve(cx.heap(), bytes)?;
    Ok(())
}

/// Refuses a result that the program may not hold, before it is built.
fn reserve(heap: &Heap, bytes: usize) -> Result<(), OutOfMemory> {
    heap.charge(bytes)?;
    heap.credit(bytes);
    Ok(())
}

fn mapped(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    map: fn(&str) -> String,
) -> NativeResult {
    let subject = receiver(args, name)?;
    // The case mapping of a character has at most three characters.
    prepare(
        cx,
        subject.as_str().len(),
        subject.as_str().len().saturating_mul(3),
    )?;
    Ok(cx.heap().owned_string(map(subject.as_str()))?)
}

fn upper(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    mapped(cx, args, "upper", str::to_uppercase)
}

fn lower(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    mapped(cx, args, "lower", str::to_lowercase)
}

fn title(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    mapped(cx, args, "title", |text| {
        let mut out = String::with_capacity(text.len());
        let mut inside_word = false;
        for c in text.chars() {
            if inside_word {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
            inside_word = c.is_alphabetic();
        }
        out
    })
}

fn capitalize(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    mapped(cx, args, "capitalize", |text| {
        let mut chars = text.chars();
        let first = chars.next().into_iter().flat_map(char::to_uppercase);
        first.chain(chars.as_str().to_lowercase().chars()).collect()
    })
}

fn swap_case(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    mapped(cx, args, "swapcase", |text| {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_uppercase() {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
        }
        out
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Both,
    Left,
    Right,
}

fn strip(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    stripped(cx, args, "strip", Ends::Both)
}

fn strip_left(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    stripped(cx, args, "lstrip", Ends::Left)
}

fn strip_right(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    stripped(cx, args, "rstrip", Ends::Right)
}

fn stripped(cx: &mut NativeContext<'_>, args: &[Value], name: &str, ends: Ends) -> NativeResult {
    let subject = receiver(args, name)?.as_str();
    let unwanted = optional_text(args, 1, name, "a string of characters")?;
    cx.charge(1 + subject.len() / 16)?;
    let drops = |c: char| match unwanted {
        None => c.is_whitespace(),
        Some(unwanted) => unwanted.as_str().contains(c),
    };
    let mut rest = subject;
    if ends != Ends::Right {
        rest = rest.trim_start_matches(drops);
    }
    if ends != Ends::Left {
        rest = rest.trim_end_matches(drops);
    }
    if rest.len() == subject.len() {
        return Ok(args[0].clone());
    }
    Ok(cx.heap().string(rest)?)
}

fn remove_prefix(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let prefix = text(args, 1, "removeprefix", "a string")?.as_str();
    match receiver(args, "removeprefix")?
        .as_str()
        .strip_prefix(prefix)
    {
        Some(rest) => Ok(cx.heap().string(rest)?),
        None => Ok(args[0].clone()),
    }
}

fn remove_suffix(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let suffix = text(args, 1, "removesuffix", "a string")?.as_str();
    match receiver(args, "removesuffix")?
        .as_str()
        .strip_suffix(suffix)
    {
        Some(rest) => Ok(cx.heap().string(rest)?),
        None => Ok(args[0].clone()),
    }
}

fn split(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    split_parts(cx, args, "split", Ends::Left)
}

fn split_from_right(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    split_parts(cx, args, "rsplit", Ends::Right)
}

fn split_parts(cx: &mut NativeContext<'_>, args: &[Value], name: &str, from: Ends) -> NativeResult {
    let subject = receiver(args, name)?.as_str();
    let separator = optional_text(args, 1, name, "a string separator")?;
    let limit = optional_integer(args, 2, name, "an integer limit")?;
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    // Each part costs an object; the shortest have one character and a separator.
    prepare(cx, subject.len() * 4, subject.len().saturating_mul(2))?;
    let parts = match (separator, from) {
        (Some(separator), _) if separator.is_empty() => {
            return Err(NativeError::value_error("empty separator"));
        }
        (Some(separator), Ends::Right) => split_on_from_right(subject, separator.as_str(), limit),
        (Some(separator), _) => split_on(subject, separator.as_str(), limit),
        (None, Ends::Right) => split_blanks_from_right(subject, limit),
        (None, _) => split_blanks(subject, limit),
    };
    Ok(string_list(cx.heap(), parts.iter().map(String::as_str))?)
}

fn split_lines(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = receiver(args, "splitlines")?.as_str();
    let ends = if args.get(1).is_some_and(Value::is_true) {
        LineEnds::Kept
    } else {
        LineEnds::Dropped
    };
    prepare(cx, subject.len() * 2, subject.len().saturating_mul(2))?;
    let lines = split_line_ends(subject, ends);
    Ok(string_list(cx.heap(), lines.iter().map(String::as_str))?)
}

fn partition(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = receiver(args, "partition")?.as_str();
    let separator = separator_of(args, "partition")?;
    let (head, middle, tail) = match subject.split_once(separator) {
        Some((head, tail)) => (head, separator, tail),
        None => (subject, "", ""),
    };
    three(cx.heap(), head, middle, tail)
}

fn partition_from_right(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = receiver(args, "rpartition")?.as_str();
    let separator = separator_of(args, "rpartition")?;
    let (head, middle, tail) = match subject.rsplit_once(separator) {
        Some((head, tail)) => (head, separator, tail),
        None => ("", "", subject),
    };
    three(cx.heap(), head, middle, tail)
}

fn separator_of<'a>(args: &'a [Value], name: &str) -> Result<&'a str, NativeError> {
    match text(args, 1, name, "a string separator")?.as_str() {
        "" => Err(NativeError::value_error("empty separator")),
        separator => Ok(separator),
    }
}

fn three(heap: &Heap, head: &str, middle: &str, tail: &str) -> NativeResult {
    let mut parts = heap.values(3)?;
    for part in [head, middle, tail] {
        parts.push(heap.string(part)?);
    }
    Ok(heap.tuple(parts)?)
}

fn join(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let separator = receiver(args, "join")?.as_str();
    let wanted = || expects("join", "a list of strings");
    let items = elements(cx.heap(), &args[1]).ok_or_else(wanted)??;
    let mut length = separator.len().saturating_mul(items.len());
    for item in &items {
        length = length.saturating_add(item.as_str().ok_or_else(wanted)?.len());
    }
    cx.charge(1 + items.len() + length / 16)?;
    reserve(cx.heap(), length)?;
    let mut joined = String::new();
    joined.try_reserve_exact(length).map_err(|_| OutOfMemory)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item.as_str().unwrap_or(""));
    }
    Ok(cx.heap().owned_string(joined)?)
}

fn replace(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = receiver(args, "replace")?.as_str();
    let old = text(args, 1, "replace", "strings")?.as_str();
    let new = text(args, 2, "replace", "strings")?.as_str();
    let limit = optional_integer(args, 3, "replace", "an integer limit")?;
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    cx.charge(1 + subject.len() / 8)?;
    let hits = subject.matches(old).take(limit).count();
    if hits == 0 {
        return Ok(args[0].clone());
    }
    let length = subject.len() - hits * old.len();
    let length = hits
        .checked_mul(new.len())
        .and_then(|added| length.checked_add(added))
        .ok_or(OutOfMemory)?;
    cx.charge(length / 16)?;
    reserve(cx.heap(), length)?;
    Ok(cx.heap().owned_string(subject.replacen(old, new, limit))?)
}

/// The part of the subject that the optional start and end arguments leave, and the number of its first character.
fn window<'a>(
    args: &'a [Value],
    name: &str,
    first: usize,
) -> Result<(&'a str, usize), NativeError> {
    let subject = receiver(args, name)?;
    let length = subject.char_count();
    let clamp = |position: i64| {
        let from_start = if position < 0 {
            position.saturating_add(length as i64).max(0)
        } else {
            position
        };
        usize::try_from(from_start)
            .unwrap_or(usize::MAX)
            .min(length)
    };
    let start = optional_integer(args, first, name, "integer positions")?.map_or(0, clamp);
    let end = optional_integer(args, first + 1, name, "integer positions")?.map_or(length, clamp);
    Ok((subject.slice(start, end), start))
}

fn search(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    from: Ends,
) -> Result<Option<usize>, NativeError> {
    let needle = text(args, 1, name, "a string")?.as_str();
    let (subject, start) = window(args, name, 2)?;
    cx.charge(1 + subject.len() / 16)?;
    let found = if from == Ends::Right {
        subject.rfind(needle)
    } else {
        subject.find(needle)
    };
    Ok(found.map(|offset| start + subject[..offset].chars().count()))
}

fn position(found: Option<usize>) -> Value {
    found.map_or(Value::Int(-1), count)
}

fn find(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(position(search(cx, args, "find", Ends::Left)?))
}

fn find_from_right(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(position(search(cx, args, "rfind", Ends::Right)?))
}

fn index(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    search(cx, args, "index", Ends::Left)?
        .map(count)
        .ok_or_else(|| NativeError::value_error("substring not found"))
}

fn index_from_right(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    search(cx, args, "rindex", Ends::Right)?
        .map(count)
        .ok_or_else(|| NativeError::value_error("substring not found"))
}

fn starts_with(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (subject, _) = window(args, "startswith", 2)?;
    any_affix(args, "startswith", |affix| subject.starts_with(affix))
}

fn ends_with(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (subject, _) = window(args, "endswith", 2)?;
    any_affix(args, "endswith", |affix| subject.ends_with(affix))
}

/// One affix, or a tuple or list of them of which one has to fit.
fn any_affix(args: &[Value], name: &str, fits: impl Fn(&str) -> bool) -> NativeResult {
    let wanted = || expects(name, "a string or a tuple of strings");
    let affixes = match &args[1] {
        Value::Str(affix) => return Ok(Value::bool(fits(affix.as_str()))),
        Value::Tuple(affixes) => affixes.as_slice(),
        Value::List(affixes) => affixes.as_slice(),
        _ => return Err(wanted()),
    };
    for affix in affixes {
        if fits(affix.as_str().ok_or_else(wanted)?) {
            return Ok(Value::bool(true));
        }
    }
    Ok(Value::bool(false))
}

fn count_parts(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let part = text(args, 1, "count", "a string")?.as_str();
    let (subject, _) = window(args, "count", 2)?;
    cx.charge(1 + subject.len() / 16)?;
    Ok(count(subject.matches(part).count()))
}

fn all_characters(args: &[Value], name: &str, is_fit: fn(char) -> bool) -> NativeResult {
    let subject = receiver(args, name)?.as_str();
    Ok(Value::bool(
        !subject.is_empty() && subject.chars().all(is_fit),
    ))
}

fn is_ascii(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::bool(receiver(args, "isascii")?.is_ascii()))
}

/// Whether at least one character has the wanted case and none the other.
fn has_one_case(
    args: &[Value],
    name: &str,
    wanted: fn(char) -> bool,
    other: fn(char) -> bool,
) -> NativeResult {
    let subject = receiver(args, name)?.as_str();
    Ok(Value::bool(
        subject.chars().any(wanted) && !subject.chars().any(other),
    ))
}

fn is_identifier(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mut chars = receiver(args, "isidentifier")?.as_str().chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    Ok(Value::bool(
        starts && chars.all(|c| c == '_' || c.is_alphanumeric()),
    ))
}

fn width(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    unit: usize,
) -> Result<usize, NativeError> {
    let width = integer(args, 1, name, "an integer width")?.clamp(0, MAX_WIDTH) as usize;
    let present = receiver(args, name)?.as_str().len();
    prepare(
        cx,
        width,
        width.saturating_mul(unit).saturating_add(present),
    )?;
    Ok(width)
}

fn zfill(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let width = width(cx, args, "zfill", 1)?;
    Ok(cx
        .heap()
        .owned_string(zero_fill(receiver(args, "zfill")?.as_str(), width))?)
}

fn justified(cx: &mut NativeContext<'_>, args: &[Value], name: &str, side: Side) -> NativeResult {
    let fill = match optional_text(args, 2, name, "a fill character")? {
        None => ' ',
        Some(fill) => match (fill.char_at(0), fill.char_count()) {
            (Some(c), 1) => c,
            _ => return Err(expects(name, "a fill character")),
        },
    };
    let width = width(cx, args, name, fill.len_utf8())?;
    Ok(cx
        .heap()
        .owned_string(justify(receiver(args, name)?.as_str(), width, fill, side))?)
}

fn expand_tabs(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let size = optional_integer(args, 1, "expandtabs", "an integer")?
        .unwrap_or(8)
        .clamp(0, 1024) as usize;
    let subject = receiver(args, "expandtabs")?.as_str();
    let tabs = subject.matches('\t').count();
    prepare(
        cx,
        subject.len(),
        subject.len().saturating_add(tabs.saturating_mul(size)),
    )?;
    let mut out = String::with_capacity(subject.len());
    let mut column = 0;
    for c in subject.chars() {
        if c == '\t' {
            let blanks = if size == 0 { 0 } else { size - column % size };
            out.extend(core::iter::repeat_n(' ', blanks));
            column += blanks;
            continue;
        }
        column = if c == '\n' { 0 } else { column + 1 };
        out.push(c);
    }
    Ok(cx.heap().owned_string(out)?)
}

fn format(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let pattern = String::from(receiver(args, "format")?.as_str());
    let formatted = format_value::format_pattern(cx, args, &pattern)?;
    Ok(cx.heap().owned_string(formatted)?)
}

fn encode(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let subject = receiver(args, "encode")?;
    let encoding = optional_text(args, 1, "encode", "the name of an encoding")?
        .map_or("utf-8", StrObj::as_str);
    prepare(cx, subject.as_str().len(), subject.as_str().len())?;
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => subject.as_str().as_bytes().to_vec(),
        "ascii" if subject.is_ascii() => subject.as_str().as_bytes().to_vec(),
        "latin-1" | "latin1" if subject.as_str().chars().all(|c| u32::from(c) < 256) => {
            subject.as_str().chars().map(|c| c as u8).collect()
        }
        "ascii" | "latin-1" | "latin1" => {
            return Err(NativeError::value_error(alloc::format!(
                "encode() cannot express the text in '{encoding}'"
            )));
        }
        _ => {
            return Err(NativeError::value_error(alloc::format!(
                "unknown encoding '{encoding}'"
            )));
        }
    };
    Ok(cx.heap().bytes(bytes)?)
}
