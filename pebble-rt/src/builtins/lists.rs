//! Methods of lists and tuples. The list is argument 0, taken out of where it is stored while the method runs.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::{Equality, ListObj, Unordered, Value, equal, list_for_change, order};
use crate::vm::position;

/// Methods of lists.
pub static METHODS: &[NativeFunction] = &[
    NativeFunction::new("append", 2, 2, append).takes_iterators(),
    NativeFunction::new("pop", 1, 2, pop),
    NativeFunction::new("insert", 3, 3, insert).takes_iterators(),
    NativeFunction::new("remove", 2, 2, remove).takes_iterators(),
    NativeFunction::new("extend", 2, 2, extend),
    NativeFunction::new("index", 2, 2, index).takes_iterators(),
    NativeFunction::new("count", 2, 2, count).takes_iterators(),
    NativeFunction::new("sort", 1, 3, sort)
        .takes_iterators()
        .with_parameters(&["", "key", "reverse"]),
    NativeFunction::new("reverse", 1, 1, reverse),
    NativeFunction::new("clear", 1, 1, clear),
    NativeFunction::new("copy", 1, 1, |_, args| Ok(args[0].clone())),
];

/// Methods of tuples.
pub static TUPLE_METHODS: &[NativeFunction] = &[
    NativeFunction::new("index", 2, 2, index).takes_iterators(),
    NativeFunction::new("count", 2, 2, count).takes_iterators(),
];

fn list(args: &mut [Value]) -> Result<&mut ListObj, NativeError> {
    match args.first_mut() {
        Some(Value::List(list)) => Ok(list_for_change(list)?),
        _ => Err(NativeError::type_error("this method needs a list")),
    }
}

fn append(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let item = core::mem::take(&mut args[1]);
    list(args)?.push(item)?;
    Ok(Value::None)
}

fn pop(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let index = match args.get(1) {
        None | Some(Value::Undefined) => -1,
        Some(value) => value
            .as_index()
            .ok_or_else(|| NativeError::type_error("list index must be an integer"))?,
    };
    let list = list(args)?;
    if list.is_empty() {
        return Err(NativeError::new(
            ErrorClass::Index,
            "pop from an empty list",
        ));
    }
    let Some(at) = position(index, list.len()) else {
        return Err(NativeError::new(
            ErrorClass::Index,
            "list index out of range",
        ));
    };
    let moved = list.len() - at;
    let item = if moved == 1 {
        list.pop()
    } else {
        list.remove(at)
    };
    cx.charge(1 + moved / 64)?;
    Ok(item.unwrap_or(Value::None))
}

fn insert(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let index = args[1]
        .as_index()
        .ok_or_else(|| NativeError::type_error("list index must be an integer"))?;
    let item = core::mem::take(&mut args[2]);
    let list = list(args)?;
    let length = list.len() as i64;
    let at = if index < 0 {
        index.saturating_add(length).max(0)
    } else {
        index.min(length)
    } as usize;
    cx.charge(1 + (list.len() - at) / 64)?;
    list.insert(at, item)?;
    Ok(Value::None)
}

fn find(cx: &mut NativeContext<'_>, args: &[Value]) -> Result<Option<usize>, NativeError> {
    let items = match &args[0] {
        Value::List(list) => list.as_slice(),
        Value::Tuple(tuple) => tuple.as_slice(),
        _ => &[],
    };
    cx.charge(1 + items.len() / 8)?;
    for (at, item) in items.iter().enumerate() {
        match equal(item, &args[1]) {
            Equality::Equal => return Ok(Some(at)),
            Equality::Different => {}
            Equality::NeedsMethod => {
                if item.is_same(&args[1]) {
                    return Ok(Some(at));
                }
            }
        }
    }
    Ok(None)
}

fn remove(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match find(cx, args)? {
        Some(at) => {
            let list = list(args)?;
            cx.charge(1 + (list.len() - at) / 64)?;
            list.remove(at);
            Ok(Value::None)
        }
        None => Err(NativeError::value_error("list element not found")),
    }
}

fn index(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match find(cx, args)? {
        Some(at) => Ok(Value::Int(at as i64)),
        None => Err(NativeError::value_error("list element not found")),
    }
}

fn count(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = match &args[0] {
        Value::List(list) => list.as_slice(),
        Value::Tuple(tuple) => tuple.as_slice(),
        _ => &[],
    };
    cx.charge(1 + items.len() / 8)?;
    let found = items
        .iter()
        .filter(|item| equal(item, &args[1]) == Equality::Equal)
        .count();
    Ok(Value::Int(found as i64))
}

fn extend(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let source = core::mem::take(&mut args[1]);
    let Some(items) = cx.core.items(&source) else {
        return Err(NativeError::type_error(
            "extend() expects something to iterate over",
        ));
    };
    cx.charge(1 + items.len() / 8)?;
    let list = list(args)?;
    list.reserve_amortised(items.len())?;
    for item in items {
        list.push(item)?;
    }
    Ok(Value::None)
}

fn reverse(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let list = list(args)?;
    cx.charge(1 + list.len() / 16)?;
    list.as_mut_slice().reverse();
    Ok(Value::None)
}

fn clear(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    list(args)?.clear();
    Ok(Value::None)
}

/// Without a key, and with values that have an order of their own. The machine does the other cases in Pebble.
fn sort(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let is_reverse = args.get(2).is_some_and(Value::is_true);
    let list = list(args)?;
    sort_values(cx, list.as_mut_slice(), is_reverse)?;
    Ok(Value::None)
}

/// Sorts in place, stable; on failure the order is as far as the sort came.
pub(crate) fn sort_values(
    cx: &mut NativeContext<'_>,
    items: &mut [Value],
    is_reverse: bool,
) -> Result<(), NativeError> {
    if is_reverse {
        items.reverse();
    }
    merge_sort(cx, items)?;
    if is_reverse {
        items.reverse();
    }
    Ok(())
}

/// Whether two values stand in order; an error when they have none.
pub(crate) fn is_less(left: &Value, right: &Value) -> Result<bool, NativeError> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Str(a), Value::Str(b)) => Ok(a.as_str() < b.as_str()),
        _ => match order(left, right) {
            Ok(ordering) => Ok(ordering == Some(Ordering::Less)),
            Err(Unordered::NoOrder | Unordered::NeedsMethod) => Err(NativeError::type_error(
                "'<' requires two numbers, two strings, or two lists",
            )),
        },
    }
}

/// A bottom-up merge sort whose work is charged, so that it can be interrupted.
fn merge_sort(cx: &mut NativeContext<'_>, items: &mut [Value]) -> Result<(), NativeError> {
    const RUN: usize = 16;
    for run in items.chunks_mut(RUN) {
        cx.charge(run.len())?;
        for at in 1..run.len() {
            let mut hole = at;
            while hole > 0 && is_less(&run[hole], &run[hole - 1])? {
                run.swap(hole, hole - 1);
                hole -= 1;
            }
        }
    }
    let mut spare: Vec<Value> = cx.heap().values(items.len() / 2 + RUN)?;
    let mut width = RUN;
    while width < items.len() {
        for pair in items.chunks_mut(2 * width) {
            cx.charge(pair.len())?;
            if pair.len() > width {
                merge(pair, width, &mut spare)?;
            }
        }
        width *= 2;
    }
    Ok(())
}

/// Merges the sorted halves of `items`, the left of which is `middle` long.
fn merge(items: &mut [Value], middle: usize, spare: &mut Vec<Value>) -> Result<(), NativeError> {
    if !is_less(&items[middle], &items[middle - 1])? {
        return Ok(());
    }
    spare.clear();
    spare.extend(items[..middle].iter_mut().map(core::mem::take));
    let (mut left, mut right, mut to) = (0, middle, 0);
    let mut failed = None;
    while left < spare.len() {
        let take_right = right < items.len()
            && failed.is_none()
            && is_less(&items[right], &spare[left]).unwrap_or_else(|error| {
                failed = Some(error);
                false
            });
        if take_right {
            items.swap(to, right);
            right += 1;
        } else {
            items[to] = core::mem::take(&mut spare[left]);
            left += 1;
        }
        to += 1;
    }
    failed.map_or(Ok(()), Err)
}

/// A list of the elements of a list value, in a list of their own.
pub(crate) fn elements(value: &Value) -> Vec<Value> {
    match value {
        Value::List(list) => list.iter().cloned().collect(),
        Value::Tuple(tuple) => tuple.iter().cloned().collect(),
        _ => Vec::new(),
    }
}
