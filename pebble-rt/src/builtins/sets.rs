//! Methods of sets. The set is argument 0, taken out of where it is stored while the method runs.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::{KeyError, SetObj, Value, set_for_change};

/// The methods.
pub static METHODS: &[NativeFunction] = &[
    NativeFunction::new("add", 2, 2, add).takes_iterators(),
    NativeFunction::new("remove", 2, 2, remove).takes_iterators(),
    NativeFunction::new("discard", 2, 2, discard).takes_iterators(),
    NativeFunction::new("pop", 1, 1, pop),
    NativeFunction::new("clear", 1, 1, clear),
    NativeFunction::new("copy", 1, 1, |_, args| Ok(args[0].clone())),
    NativeFunction::new("update", 2, 2, update),
    NativeFunction::new("union", 2, 2, |cx, args| {
        combined(cx, args, |_, _| true, true)
    }),
    NativeFunction::new("intersection", 2, 2, |cx, args| {
        combined(
            cx,
            args,
            |item, other| other.contains(item) == Ok(true),
            false,
        )
    }),
    NativeFunction::new("difference", 2, 2, |cx, args| {
        combined(
            cx,
            args,
            |item, other| other.contains(item) != Ok(true),
            false,
        )
    }),
    NativeFunction::new("symmetric_difference", 2, 2, symmetric_difference),
    NativeFunction::new("issubset", 2, 2, |cx, args| {
        let other = other(cx, args)?;
        Ok(Value::bool(
            set(args)?
                .iter()
                .all(|item| other.contains(item) == Ok(true)),
        ))
    }),
    NativeFunction::new("issuperset", 2, 2, |cx, args| {
        let other = other(cx, args)?;
        let set = set(args)?;
        Ok(Value::bool(
            other.iter().all(|item| set.contains(item) == Ok(true)),
        ))
    }),
    NativeFunction::new("isdisjoint", 2, 2, |cx, args| {
        let other = other(cx, args)?;
        Ok(Value::bool(
            !set(args)?
                .iter()
                .any(|item| other.contains(item) == Ok(true)),
        ))
    }),
];

fn bad_element(_: KeyError) -> NativeError {
    NativeError::type_error(
        "set elements must be strings, numbers, booleans, None, tuples, or instances",
    )
}

fn set(args: &[Value]) -> Result<&SetObj, NativeError> {
    match args.first() {
        Some(Value::Set(set)) => Ok(set),
        _ => Err(NativeError::type_error("this method needs a set")),
    }
}

fn changed(args: &mut [Value]) -> Result<&mut SetObj, NativeError> {
    match args.first_mut() {
        Some(Value::Set(set)) => Ok(set_for_change(set)?),
        _ => Err(NativeError::type_error("this method needs a set")),
    }
}

/// The second operand as a set, whatever it is.
fn other(cx: &mut NativeContext<'_>, args: &[Value]) -> Result<SetObj, NativeError> {
    let Some(items) = cx.core.items(&args[1]) else {
        return Err(NativeError::type_error(
            "this method needs something to iterate over",
        ));
    };
    cx.charge(1 + items.len() / 4)?;
    let mut other = SetObj::new(cx.heap())?;
    for item in items {
        other.insert(item).map_err(bad_element)??;
    }
    Ok(other)
}

fn add(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let item = core::mem::take(&mut args[1]);
    changed(args)?.insert(item).map_err(bad_element)??;
    Ok(Value::None)
}

fn remove(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let item = args[1].clone();
    match changed(args)?.remove(&item).map_err(bad_element)? {
        true => Ok(Value::None),
        false => Err(NativeError::new(ErrorClass::Key, "set element not found")),
    }
}

fn discard(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let item = args[1].clone();
    changed(args)?.remove(&item).map_err(bad_element)?;
    Ok(Value::None)
}

fn pop(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let removed = changed(args)?.pop_last();
    removed.ok_or_else(|| NativeError::new(ErrorClass::Key, "pop from an empty set"))
}

fn clear(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    changed(args)?.clear();
    Ok(Value::None)
}

fn update(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let other = other(cx, args)?;
    let set = changed(args)?;
    for item in other.iter() {
        set.insert(item.clone()).map_err(bad_element)??;
    }
    Ok(Value::None)
}

/// The elements that `keep` keeps, and those of the second operand too if `with_other`.
fn combined(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    keep: fn(&Value, &SetObj) -> bool,
    with_other: bool,
) -> NativeResult {
    let other = other(cx, args)?;
    let mut result = SetObj::new(cx.heap())?;
    for item in set(args)?.iter().filter(|item| keep(item, &other)) {
        result.insert(item.clone()).map_err(bad_element)??;
    }
    if with_other {
        for item in other.iter() {
            result.insert(item.clone()).map_err(bad_element)??;
        }
    }
    Ok(Value::Set(Rc::new(result)))
}

fn symmetric_difference(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let other = other(cx, args)?;
    let set = set(args)?;
    let only_left = set.iter().filter(|item| other.contains(item) != Ok(true));
    let only_right = other.iter().filter(|item| set.contains(item) != Ok(true));
    let items: Vec<Value> = only_left.chain(only_right).cloned().collect();
    let mut result = SetObj::new(cx.heap())?;
    for item in items {
        result.insert(item).map_err(bad_element)??;
    }
    Ok(Value::Set(Rc::new(result)))
}
