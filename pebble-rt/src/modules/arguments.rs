//! What builtins do with their arguments: reading them by type, with the error texts, and making values.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{ErrorClass, NativeError, Want};
use crate::heap::{Heap, OutOfMemory};
use crate::native::NativeContext;
use crate::value::TextError;
use crate::value::{CalledOff, DictObj, StrObj, Value, quoted_text, text_of};

/// `NAME() expects WHAT`, as a type error.
pub fn expects(name: &str, what: &str) -> NativeError {
    NativeError::type_error(format!("{name}() expects {what}"))
}

/// A string argument.
pub fn text<'a>(
    args: &'a [Value],
    index: usize,
    name: &str,
    what: &str,
) -> Result<&'a StrObj, NativeError> {
    match args.get(index) {
        Some(Value::Str(text)) => Ok(text),
        _ => Err(expects(name, what)),
    }
}

/// An integer argument that fits 64 bits; a boolean counts as 0 or 1, a larger integer as the nearest that fits.
pub fn integer(args: &[Value], index: usize, name: &str, what: &str) -> Result<i64, NativeError> {
    match args.get(index) {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::Bool(truth)) => Ok(i64::from(*truth)),
        Some(Value::Big(number)) => Ok(if number.sign() == num_bigint::Sign::Minus {
            i64::MIN
        } else {
            i64::MAX
        }),
        _ => Err(expects(name, what)),
    }
}

/// An optional integer argument.
pub fn optional_integer(
    args: &[Value],
    index: usize,
    name: &str,
    what: &str,
) -> Result<Option<i64>, NativeError> {
    match args.get(index) {
        None | Some(Value::Undefined | Value::None) => Ok(None),
        Some(_) => integer(args, index, name, what).map(Some),
    }
}

/// An optional string argument.
pub fn optional_text<'a>(
    args: &'a [Value],
    index: usize,
    name: &str,
    what: &str,
) -> Result<Option<&'a StrObj>, NativeError> {
    match args.get(index) {
        None | Some(Value::Undefined | Value::None) => Ok(None),
        Some(_) => text(args, index, name, what).map(Some),
    }
}

/// A float argument, from any number that is not a boolean.
pub fn float(args: &[Value], index: usize, name: &str) -> Result<f64, NativeError> {
    match args.get(index) {
        Some(Value::Int(number)) => Ok(*number as f64),
        Some(Value::Float(number)) => Ok(number.get()),
        Some(big @ Value::Big(_)) => match big.as_float() {
            Some(number) if number.is_finite() => Ok(number),
            _ => Err(NativeError::new(ErrorClass::Arithmetic, "number too large")),
        },
        _ => Err(expects(name, "a number")),
    }
}

/// The elements of a list or tuple, the characters of a string, the keys of a dict or the elements of a set.
pub fn elements(heap: &Heap, value: &Value) -> Option<Result<Vec<Value>, OutOfMemory>> {
    match value {
        Value::List(list) => Some(collect(heap, list.len(), list.iter().cloned())),
        Value::Tuple(tuple) => Some(collect(heap, tuple.len(), tuple.iter().cloned())),
        Value::Set(set) => Some(collect(heap, set.len(), set.iter().cloned())),
        Value::Dict(dict) => Some(collect(heap, dict.len(), dict.keys().cloned())),
        Value::Bytes(bytes) => Some(collect(
            heap,
            bytes.len(),
            bytes
                .as_slice()
                .iter()
                .map(|byte| Value::Int(i64::from(*byte))),
        )),
        Value::Str(text) => Some(characters(heap, text)),
        Value::Ref(shared) => elements(heap, &shared.get()),
        _ => None,
    }
}

fn collect(
    heap: &Heap,
    count: usize,
    items: impl Iterator<Item = Value>,
) -> Result<Vec<Value>, OutOfMemory> {
    let mut values = heap.values(count)?;
    values.extend(items);
    Ok(values)
}

fn characters(heap: &Heap, text: &StrObj) -> Result<Vec<Value>, OutOfMemory> {
    let mut values = heap.values(text.char_count())?;
    for character in text.as_str().chars() {
        values.push(heap.char_string(character)?);
    }
    Ok(values)
}

/// The list argument of a builtin, as values.
pub fn list<'a>(
    args: &'a [Value],
    index: usize,
    name: &str,
    what: &str,
) -> Result<&'a [Value], NativeError> {
    match args.get(index) {
        Some(Value::List(list)) => Ok(list.as_slice()),
        Some(Value::Tuple(tuple)) => Ok(tuple.as_slice()),
        _ => Err(expects(name, what)),
    }
}

/// A list of strings.
pub fn strings(
    args: &[Value],
    index: usize,
    name: &str,
    what: &str,
) -> Result<Vec<String>, NativeError> {
    let items = list(args, index, name, what)?;
    items
        .iter()
        .map(|item| {
            item.as_str()
                .map(String::from)
                .ok_or_else(|| expects(name, what))
        })
        .collect()
}

/// The text form of argument `index`; an instance with `__str__` is asked by the machine first.
pub fn text_form(
    cx: &NativeContext<'_>,
    args: &[Value],
    index: usize,
) -> Result<String, NativeError> {
    match args.get(index) {
        None => Ok(String::new()),
        Some(value) => text_of(cx.heap(), value).map_err(|error| no_text(error, index, Want::Text)),
    }
}

/// The quoted form of argument `index`.
pub fn quoted_form(
    cx: &NativeContext<'_>,
    args: &[Value],
    index: usize,
) -> Result<String, NativeError> {
    match args.get(index) {
        None => Ok(String::new()),
        Some(value) => {
            quoted_text(cx.heap(), value).map_err(|error| no_text(error, index, Want::Quoted))
        }
    }
}

fn no_text(error: TextError, index: usize, want: Want) -> NativeError {
    match error {
        TextError::OutOfMemory => OutOfMemory.into(),
        TextError::CalledOff => CalledOff.into(),
        TextError::NeedsMethod => NativeError::NeedsMethod { index, want },
    }
}

/// 1 or 0: what the system's own questions answer.
pub fn one_or_zero(truth: bool) -> Value {
    Value::Int(i64::from(truth))
}

/// A length or count as a value.
pub fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A list of strings as a value.
pub fn string_list<'a>(
    heap: &Heap,
    items: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Value, OutOfMemory> {
    let mut values = heap.values(items.len())?;
    for item in items {
        values.push(heap.string(item)?);
    }
    heap.list(values)
}

/// A dict with string keys, in order.
pub fn record(heap: &Heap, fields: Vec<(&str, Value)>) -> Result<Value, OutOfMemory> {
    let mut dict = DictObj::new(heap)?;
    for (name, value) in fields {
        insert_text_key(&mut dict, heap.string(name)?, value)?;
    }
    Ok(heap.dict_value(dict))
}

/// Adds an entry whose key is a string and therefore always a key.
pub fn insert_text_key(dict: &mut DictObj, key: Value, value: Value) -> Result<(), OutOfMemory> {
    match dict.insert(key, value) {
        Ok(inserted) => inserted.map(|_| ()),
        Err(_) => Ok(()),
    }
}
