//! Builtins that ask about values, types and attributes, and make handles and iterators.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::symbol::Symbol;
use crate::value::{IterState, Value, hash_key};
use crate::vm::is_callable;

/// The functions.
pub static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("type", 1, 1, type_builtin).takes_iterators(),
    NativeFunction::new("isinstance", 2, 2, isinstance).takes_iterators(),
    NativeFunction::new("issubclass", 2, 2, issubclass).takes_iterators(),
    NativeFunction::new("hasattr", 2, 2, hasattr).takes_iterators(),
    NativeFunction::new("getattr", 2, 3, getattr).takes_iterators(),
    NativeFunction::new("setattr", 3, 3, setattr).takes_iterators(),
    NativeFunction::new("callable", 1, 1, |_, args| {
        Ok(Value::bool(is_callable(&args[0])))
    })
    .takes_iterators(),
    NativeFunction::new("iter", 1, 1, iter).takes_iterators(),
    NativeFunction::new("next", 1, 2, next).takes_iterators(),
    NativeFunction::new("id", 1, 1, id).takes_iterators(),
    NativeFunction::new("hash", 1, 1, hash).takes_iterators(),
    NativeFunction::new("ref", 1, 1, |cx, args| {
        Ok(cx.heap().reference(args[0].clone()))
    }),
    NativeFunction::new("dir", 1, 1, dir).takes_iterators(),
];

/// Methods of `ref` handles.
pub static REF_METHODS: &[NativeFunction] = &[
    NativeFunction::new("get", 1, 1, |_, args| match &args[0] {
        Value::Ref(shared) => Ok(shared.get()),
        other => Ok(other.clone()),
    }),
    NativeFunction::new("set", 2, 2, |_, args| {
        let value = core::mem::take(&mut args[1]);
        if let Value::Ref(shared) = &args[0] {
            shared.set(value);
        }
        Ok(Value::None)
    }),
];

/// The builtin that stands for the type of a value, so that `type(x) == int` and printing both work.
fn type_builtin(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Instance(instance) => Ok(Value::Class(instance.class())),
        other => {
            let name = other.type_name();
            Ok(cx.heap().string(&name)?)
        }
    }
}

/// Whether a value is of a type: a class, the builtin that converts to the type, its name, or a tuple of those.
#[allow(
    clippy::only_used_in_recursion,
    reason = "the signature of its siblings"
)]
pub(crate) fn is_of_type(
    cx: &mut NativeContext<'_>,
    value: &Value,
    wanted: &Value,
) -> Result<bool, NativeError> {
    match wanted {
        Value::Class(class) => Ok(match value {
            Value::Instance(instance) => instance.with_class(|own| own.is_a(class)),
            _ => false,
        }),
        Value::Native(function) => Ok(*value.type_name() == *function.name),
        Value::Str(name) => Ok(*value.type_name() == *name.as_str()),
        Value::Tuple(types) => {
            for wanted in types.iter() {
                if is_of_type(cx, value, wanted)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(NativeError::type_error(
            "isinstance() expects a class, a builtin type, or a tuple of them",
        )),
    }
}

fn isinstance(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (value, wanted) = (args[0].clone(), args[1].clone());
    Ok(Value::bool(is_of_type(cx, &value, &wanted)?))
}

fn issubclass(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match (&args[0], &args[1]) {
        (Value::Class(class), Value::Class(base)) => Ok(Value::bool(class.is_a(base))),
        _ => Err(NativeError::type_error("issubclass() expects two classes")),
    }
}

fn attribute_name(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    function: &str,
) -> Result<Symbol, NativeError> {
    let Some(name) = args[1].as_str() else {
        return Err(NativeError::type_error(format!(
            "{function}() expects an attribute name"
        )));
    };
    let name = String::from(name);
    Ok(cx.core.interner.intern(&name)?)
}

fn is_missing(error: &NativeError) -> bool {
    matches!(
        error,
        NativeError::Raise {
            class: ErrorClass::Attribute,
            ..
        }
    )
}

fn hasattr(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = attribute_name(cx, args, "hasattr")?;
    match cx.core.attribute(&args[0], name) {
        Ok(_) => Ok(Value::bool(true)),
        Err(error) if is_missing(&error) => Ok(Value::bool(false)),
        Err(error) => Err(error),
    }
}

fn getattr(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = attribute_name(cx, args, "getattr")?;
    match (cx.core.attribute(&args[0], name), args.get(2)) {
        (Err(error), Some(default)) if is_missing(&error) && !default.is_undefined() => {
            Ok(default.clone())
        }
        (result, _) => result,
    }
}

fn setattr(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = attribute_name(cx, args, "setattr")?;
    let value = core::mem::take(&mut args[2]);
    cx.core.set_attribute(&args[0], name, value)?;
    Ok(Value::None)
}

fn iter(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mut value = core::mem::take(&mut args[0]);
    cx.core.prepare_iteration(&mut value)?;
    match value {
        ready @ (Value::Generator(_) | Value::Iter(_) | Value::Instance(_)) => Ok(ready),
        source => {
            cx.heap().charge(0)?;
            Ok(cx.heap().iterator(source))
        }
    }
}

fn next(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let default = args.get(1).filter(|value| !value.is_undefined()).cloned();
    match &args[0] {
        Value::Iter(iter) => {
            let state = core::mem::replace(&mut *iter.state.borrow_mut(), IterState::Done);
            if let IterState::Over { source, cursor } = state
                && let Some((item, after)) = cx.core.next_item(&source, cursor as i64)?
            {
                *iter.state.borrow_mut() = IterState::Over {
                    source,
                    cursor: after as usize,
                };
                return Ok(item);
            }
            default.ok_or_else(|| {
                NativeError::new(ErrorClass::StopIteration, "the iterator has ended")
            })
        }
        Value::Generator(generator) => Err(NativeError::Resume {
            generator: generator.clone(),
            default,
        }),
        value @ Value::Instance(_) => match default {
            None => Err(crate::vm::method_call(value, Symbol::NEXT, &[])
                .unwrap_or_else(|| NativeError::type_error("next() expects an iterator"))),
            Some(default) => {
                let value = value.clone();
                Err(cx.core.prelude_call("_next_or", [value, default].into()))
            }
        },
        _ => Err(NativeError::type_error("next() expects an iterator")),
    }
}

/// A number that no other living object has.
fn id(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let address = match &args[0] {
        Value::Instance(object) => Rc::as_ptr(object).addr(),
        Value::Class(object) => Rc::as_ptr(object).addr(),
        Value::Func(object) => Rc::as_ptr(object).addr(),
        Value::Module(object) => Rc::as_ptr(object).addr(),
        Value::List(object) => Rc::as_ptr(object).addr(),
        Value::Dict(object) => Rc::as_ptr(object).addr(),
        Value::Ref(object) => Rc::as_ptr(object).addr(),
        Value::Int(number) => *number as usize,
        other => return Ok(Value::Int(hash_key(other).map_or(0, i64::from))),
    };
    Ok(Value::Int(address as i64))
}

fn hash(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    if let Some(call) = crate::vm::method_call(&args[0], Symbol::HASH, &[]) {
        return Err(call);
    }
    match hash_key(&args[0]) {
        Ok(hash) => Ok(Value::Int(i64::from(hash))),
        Err(_) => Err(NativeError::type_error(
            "hash() expects a value that can be a dict key",
        )),
    }
}

/// The names of the attributes of a value, sorted.
fn dir(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let names = cx.core.attribute_names(&args[0]);
    let mut list = cx.heap().values(names.len())?;
    for name in names {
        list.push(cx.heap().string(&name)?);
    }
    Ok(cx.heap().list(list)?)
}
