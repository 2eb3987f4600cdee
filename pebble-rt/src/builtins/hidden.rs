//! Functions that programs cannot name: compiled code and the prelude call them.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::objects::is_of_type;
use crate::native::{ANY_NUMBER, NativeContext, NativeFunction, NativeResult};
use crate::symbol::Symbol;
use crate::value::{Value, dict_for_change};

/// The functions.
pub static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("#step", 0, 0, |cx, _| {
        cx.charge(1)?;
        Ok(Value::None)
    }),
    NativeFunction::new("#format", 2, 2, format_value).takes_iterators(),
    NativeFunction::new("#class", 1, 1, class_of).takes_iterators(),
    NativeFunction::new("#record", 2, 2, record),
    NativeFunction::new("#enum", 2, 2, enumeration),
    NativeFunction::new("#match_sequence", 3, 3, match_sequence).takes_iterators(),
    NativeFunction::new("#match_mapping", 1, 1, |_, args| {
        Ok(Value::bool(matches!(args[0], Value::Dict(_))))
    })
    .takes_iterators(),
    NativeFunction::new("#match_class", 2, 2, match_class).takes_iterators(),
    NativeFunction::new("#match_position", 3, 3, match_position).takes_iterators(),
    NativeFunction::new("#match_field", 2, 2, match_field).takes_iterators(),
    NativeFunction::new("#match_key", 2, 2, match_key).takes_iterators(),
    NativeFunction::new("#without_key", 2, 2, without_key).takes_iterators(),
    NativeFunction::new("#error_init", 1, ANY_NUMBER, error_init).takes_iterators(),
    NativeFunction::new("_native_less", 2, 2, |_, args| {
        Ok(Value::bool(super::lists::is_less(&args[0], &args[1])?))
    })
    .takes_iterators(),
    NativeFunction::new("_has_order", 1, 1, has_order).takes_iterators(),
    NativeFunction::new("_sort_plain", 2, 2, sort_plain),
    NativeFunction::new("_is_instance_value", 1, 1, |_, args| {
        Ok(Value::bool(matches!(args[0], Value::Instance(_))))
    })
    .takes_iterators(),
    NativeFunction::new("_remember_hash", 2, 2, |_, args| {
        if let (Value::Instance(instance), Value::Int(hash)) = (&args[0], &args[1]) {
            instance.remember_hash((*hash ^ *hash >> 32) as u32);
        }
        Ok(Value::None)
    })
    .takes_iterators(),
    NativeFunction::new("_kind", 1, 1, kind).takes_iterators(),
];

fn format_value(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let specification = String::from(args[1].as_str().unwrap_or_default());
    let text = crate::modules::format_argument(cx, args, 0, &specification)?;
    Ok(cx.heap().owned_string(text)?)
}

fn class_of(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Instance(instance) => Ok(Value::Class(instance.class())),
        other => Ok(cx.heap().string(&other.type_name())?),
    }
}

/// Makes a class with an `__init__` a record: the names of its fields, text and equality by fields.
fn record(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    if let Value::Class(class) = &args[0] {
        class.set_attribute(Symbol::FIELDS, args[1].clone())?;
        if class.method(Symbol::STR).is_none() && class.method(Symbol::REPR).is_none() {
            class.set_method(Symbol::STR, true, cx.core.prelude_value("_record_text"))?;
            class.set_method(Symbol::REPR, true, cx.core.prelude_value("_record_quoted"))?;
        }
    }
    Ok(args[0].clone())
}

/// Turns the attributes of a class that a tuple names into members of an enumeration.
fn enumeration(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let Value::Class(class) = args[0].clone() else {
        return Ok(args[0].clone());
    };
    class.compare_by_identity();
    if class.method(Symbol::STR).is_none() {
        class.set_method(Symbol::STR, true, cx.core.prelude_value("_enum_text"))?;
        class.set_method(Symbol::REPR, true, cx.core.prelude_value("_enum_text"))?;
    }
    class.set_method(Symbol::INIT, false, cx.core.prelude_value("_enum_init"))?;
    let mut members = Vec::new();
    for name in super::lists::elements(&args[1]) {
        let Some(symbol) = name
            .as_str()
            .map(String::from)
            .map(|text| cx.core.interner.intern(&text))
        else {
            continue;
        };
        let symbol = symbol?;
        let value = class.attribute(symbol).unwrap_or(Value::None);
        let member = cx.core.new_instance(&class)?;
        member.set_field(Symbol::MEMBER_NAME, name)?;
        member.set_field(Symbol::VALUE, value)?;
        class.set_attribute(symbol, Value::Instance(member.clone()))?;
        members.push(Value::Instance(member));
    }
    let members = cx.heap().list(members)?;
    class.set_attribute(Symbol::MEMBERS, members)?;
    Ok(args[0].clone())
}

fn match_sequence(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let length = match &args[0] {
        Value::List(list) => list.len(),
        Value::Tuple(tuple) => tuple.len(),
        _ => return Ok(Value::bool(false)),
    };
    let wanted = args[1].as_int().unwrap_or(0) as usize;
    Ok(Value::bool(if args[2].is_true() {
        length >= wanted
    } else {
        length == wanted
    }))
}

fn match_class(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (value, class) = (args[0].clone(), args[1].clone());
    Ok(Value::bool(is_of_type(cx, &value, &class)?))
}

fn one(cx: &mut NativeContext<'_>, value: Option<Value>) -> NativeResult {
    let mut list = cx.heap().values(1)?;
    list.extend(value);
    Ok(cx.heap().list(list)?)
}

/// The value of the field at a position of a class pattern, in a list, or an empty one.
fn match_position(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let Value::Instance(instance) = &args[0] else {
        let is_first = args[2].as_int() == Some(0);
        let value = args[0].clone();
        return one(cx, is_first.then_some(value));
    };
    let names = instance
        .class()
        .attribute(Symbol::FIELDS)
        .map(|names| super::lists::elements(&names));
    let at = args[2].as_int().unwrap_or(0) as usize;
    let name = names.and_then(|names| {
        names
            .get(at)
            .and_then(|name| name.as_str().map(String::from))
    });
    let symbol = name.and_then(|name| cx.core.interner.find(&name));
    let field = symbol.and_then(|symbol| instance.field(symbol));
    one(cx, field)
}

fn match_field(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = args[1]
        .as_str()
        .and_then(|name| cx.core.interner.find(name));
    let found = match (&args[0], name) {
        (Value::Instance(_) | Value::Class(_) | Value::Module(_), Some(name)) => {
            cx.core.attribute(&args[0], name).ok()
        }
        _ => None,
    };
    one(cx, found)
}

fn match_key(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let found = match &args[0] {
        Value::Dict(dict) => dict.get(&args[1]).ok().flatten().cloned(),
        _ => None,
    };
    one(cx, found)
}

fn without_key(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let key = core::mem::take(&mut args[1]);
    let mut value = core::mem::take(&mut args[0]);
    if let Value::Dict(dict) = &mut value {
        let _ = dict_for_change(dict)?.remove(&key);
    }
    Ok(value)
}

/// `super().__init__(message)` of a class that inherits from an error class.
fn error_init(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let instance = args[0].clone();
    cx.core.fill_error(&instance, &args[1..])?;
    Ok(Value::None)
}

/// Whether values have an order that needs no method of the program's.
fn has_order(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = super::lists::elements(&args[0]);
    cx.charge(1 + items.len() / 8)?;
    let is_plain = items.iter().all(|item| {
        !matches!(item, Value::Instance(_) | Value::List(_) | Value::Tuple(_))
            || crate::value::order(item, item) != Err(crate::value::Unordered::NeedsMethod)
    });
    Ok(Value::bool(is_plain))
}

fn sort_plain(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let is_reverse = args[1].is_true();
    let mut list = core::mem::take(&mut args[0]);
    if let Value::List(list) = &mut list {
        let list = crate::value::list_for_change(list)?;
        super::lists::sort_values(cx, list.as_mut_slice(), is_reverse)?;
    }
    Ok(list)
}

fn kind(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = match &args[0] {
        Value::Instance(_) => Rc::from("instance"),
        other => other.type_name(),
    };
    Ok(cx.heap().string(&name)?)
}
