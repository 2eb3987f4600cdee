//! Methods of dicts. The dict is argument 0, taken out of where it is stored while the method runs.

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::{DictObj, Value, dict_for_change};
use crate::vm::bad_key;

/// The methods.
pub static METHODS: &[NativeFunction] = &[
    NativeFunction::new("get", 2, 3, get)
        .takes_iterators()
        .with_parameters(&["", "key", "default"]),
    NativeFunction::new("items", 1, 1, items),
    NativeFunction::new("keys", 1, 1, keys),
    NativeFunction::new("values", 1, 1, values),
    NativeFunction::new("pop", 2, 3, pop).takes_iterators(),
    NativeFunction::new("popitem", 1, 1, popitem),
    NativeFunction::new("setdefault", 2, 3, setdefault).takes_iterators(),
    NativeFunction::new("update", 2, 2, update),
    NativeFunction::new("clear", 1, 1, clear),
    NativeFunction::new("copy", 1, 1, |_, args| Ok(args[0].clone())),
];

fn dict(args: &[Value]) -> Result<&DictObj, NativeError> {
    match args.first() {
        Some(Value::Dict(dict)) => Ok(dict),
        _ => Err(NativeError::type_error("this method needs a dict")),
    }
}

fn changed(args: &mut [Value]) -> Result<&mut DictObj, NativeError> {
    match args.first_mut() {
        Some(Value::Dict(dict)) => Ok(dict_for_change(dict)?),
        _ => Err(NativeError::type_error("this method needs a dict")),
    }
}

fn default(args: &[Value]) -> Value {
    match args.get(2) {
        None | Some(Value::Undefined) => Value::None,
        Some(value) => value.clone(),
    }
}

fn get(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let found = dict(args)?.get(&args[1]).map_err(|_| bad_key())?.cloned();
    Ok(found.unwrap_or_else(|| default(args)))
}

fn items(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let dict = dict(args)?;
    let mut pairs = cx.heap().values(dict.len())?;
    for (key, value) in dict.iter() {
        let mut pair = cx.heap().values(2)?;
        pair.push(key.clone());
        pair.push(value.clone());
        pairs.push(cx.heap().tuple(pair)?);
    }
    cx.charge(1 + pairs.len() / 4)?;
    Ok(cx.heap().list(pairs)?)
}

fn keys(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let dict = dict(args)?;
    let mut keys = cx.heap().values(dict.len())?;
    keys.extend(dict.keys().cloned());
    cx.charge(1 + keys.len() / 16)?;
    Ok(cx.heap().list(keys)?)
}

fn values(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let dict = dict(args)?;
    let mut values = cx.heap().values(dict.len())?;
    values.extend(dict.values().cloned());
    cx.charge(1 + values.len() / 16)?;
    Ok(cx.heap().list(values)?)
}

fn pop(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let key = args[1].clone();
    match changed(args)?.remove(&key).map_err(|_| bad_key())? {
        Some(value) => Ok(value),
        None => match args.get(2) {
            Some(default) if !default.is_undefined() => Ok(default.clone()),
            _ => Err(NativeError::new(ErrorClass::Key, "dict key not found")),
        },
    }
}

fn popitem(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match changed(args)?.pop_last() {
        Some((key, value)) => {
            let mut pair = cx.heap().values(2)?;
            pair.push(key);
            pair.push(value);
            Ok(cx.heap().tuple(pair)?)
        }
        None => Err(NativeError::new(
            ErrorClass::Key,
            "popitem from an empty dict",
        )),
    }
}

fn setdefault(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let key = args[1].clone();
    let default = default(args);
    let dict = changed(args)?;
    if let Some(found) = dict.get(&key).map_err(|_| bad_key())? {
        return Ok(found.clone());
    }
    dict.insert(key, default.clone()).map_err(|_| bad_key())??;
    Ok(default)
}

fn update(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let source = core::mem::take(&mut args[1]);
    match &source {
        Value::Dict(source) => {
            cx.charge(1 + source.len() / 4)?;
            let dict = changed(args)?;
            for (key, value) in source.iter() {
                dict.insert(key.clone(), value.clone())
                    .map_err(|_| bad_key())??;
            }
        }
        Value::List(pairs) => {
            cx.charge(1 + pairs.len() / 4)?;
            for pair in pairs.iter() {
                let [key, value] =
                    <[Value; 2]>::try_from(super::lists::elements(pair)).map_err(|_| {
                        NativeError::type_error("update() expects a dict or a list of pairs")
                    })?;
                changed(args)?.insert(key, value).map_err(|_| bad_key())??;
            }
        }
        _ => {
            return Err(NativeError::type_error(
                "update() expects a dict or a list of pairs",
            ));
        }
    }
    Ok(Value::None)
}

fn clear(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    changed(args)?.clear();
    Ok(Value::None)
}
