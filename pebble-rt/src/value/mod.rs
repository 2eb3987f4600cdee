//! What programs compute with.
//!
//! A [`Value`] is 16 bytes: scalars in place, the rest by reference count. Lists, dicts, sets and bytes are values in
//! the language, not objects: binding one copies it. The count is what makes that cheap: a copy shares the object, and
//! whoever changes a shared object first makes one of its own (`Rc::get_mut` is the licence to change in place).

pub mod big;
mod bytes;
mod cells;
mod compare;
mod dict;
mod instance;
mod list;
mod number;
mod object;
mod scalar;
mod string;
mod text;

use alloc::rc::Rc;

pub use big::CalledOff;
pub use bytes::BytesObj;
pub use cells::ValueCell;
pub use compare::{Equality, Unordered, equal, hash_key, key_equal, less, number_order, order};
pub use dict::{DictObj, KeyError, SetObj, dict_for_change, set_for_change};
pub use instance::{CellObj, Instance, Slot};
pub use list::{ListObj, TupleObj, list_for_change, tuple_for_change};
pub use number::{BigObj, float_text, parse_float, parse_integer, write_float};
pub use object::{
    BoundMethod, Class, Foreign, Function, Generator, GeneratorState, Iter, IterState, Member,
    Module, ModuleKind, Raised, RefObj,
};
pub use scalar::{Float, Truth};
pub use string::StrObj;
pub use text::{TextError, quoted_text, text_of, write_quoted, write_text};

pub use num_bigint::BigInt;

/// A Pebble value.
///
/// To make one that lives in memory use the methods of [`Heap`](crate::heap::Heap) (`heap.string("...")`,
/// `heap.list(...)`), which charge the program's account.
#[derive(Debug, Default)]
pub enum Value {
    /// Not a value: a variable not yet assigned, an argument not given. Programs never see it.
    #[default]
    Undefined,
    /// `None`.
    None,
    /// `True` and `False`.
    Bool(Truth),
    /// An integer that fits 64 bits. Every integer that fits is held so.
    Int(i64),
    /// A float.
    Float(Float),
    /// A function of this crate. What stands up to here is not counted.
    Native(&'static crate::native::NativeFunction),
    /// An integer that does not fit 64 bits.
    Big(Rc<BigObj>),
    /// Text.
    Str(Rc<StrObj>),
    /// A list.
    List(Rc<ListObj>),
    /// A dict.
    Dict(Rc<DictObj>),
    /// A tuple.
    Tuple(Rc<TupleObj>),
    /// A set.
    Set(Rc<SetObj>),
    /// Bytes.
    Bytes(Rc<BytesObj>),
    /// An instance of a class: shared, never copied.
    Instance(Rc<Instance>),
    /// A function written in Pebble.
    Func(Rc<Function>),
    /// A method together with its instance, or a method of a built-in type together with its value.
    Bound(Rc<BoundMethod>),
    /// A class.
    Class(Rc<Class>),
    /// A module.
    Module(Rc<Module>),
    /// A generator: a call that is paused between two `yield`s.
    Generator(Rc<Generator>),
    /// An iterator over a built-in type.
    Iter(Rc<Iter>),
    /// `ref(x)`: a handle on a shared list or dict.
    Ref(Rc<RefObj>),
    /// The shared home of a variable that closures capture. Programs never see it.
    Cell(Rc<CellObj>),
    /// Something a native module keeps for the program: a compiled pattern, an open socket.
    Foreign(Rc<Foreign>),
    /// An error on its way. Programs see its text or its object.
    Error(Rc<Raised>),
}

impl Clone for Value {
    #[inline(always)]
    fn clone(&self) -> Value {
        match self {
            Value::Int(number) => Value::Int(*number),
            Value::Float(number) => Value::Float(*number),
            Value::Bool(truth) => Value::Bool(*truth),
            Value::None => Value::None,
            Value::Undefined => Value::Undefined,
            Value::Native(function) => Value::Native(function),
            shared => shared.clone_shared(),
        }
    }
}

impl Value {
    /// A float.
    #[inline(always)]
    pub fn float(number: f64) -> Value {
        Value::Float(Float::new(number))
    }

    /// `True` or `False`.
    #[inline(always)]
    pub fn bool(truth: bool) -> Value {
        Value::Bool(Truth::new(truth))
    }

    fn clone_shared(&self) -> Value {
        match self {
            Value::Str(object) => Value::Str(object.clone()),
            Value::List(object) => Value::List(object.clone()),
            Value::Instance(object) => Value::Instance(object.clone()),
            Value::Dict(object) => Value::Dict(object.clone()),
            Value::Func(object) => Value::Func(object.clone()),
            Value::Big(object) => Value::Big(object.clone()),
            Value::Tuple(object) => Value::Tuple(object.clone()),
            Value::Set(object) => Value::Set(object.clone()),
            Value::Bytes(object) => Value::Bytes(object.clone()),
            Value::Native(function) => Value::Native(function),
            Value::Bound(object) => Value::Bound(object.clone()),
            Value::Class(object) => Value::Class(object.clone()),
            Value::Module(object) => Value::Module(object.clone()),
            Value::Generator(object) => Value::Generator(object.clone()),
            Value::Iter(object) => Value::Iter(object.clone()),
            Value::Ref(object) => Value::Ref(object.clone()),
            Value::Cell(object) => Value::Cell(object.clone()),
            Value::Foreign(object) => Value::Foreign(object.clone()),
            Value::Error(object) => Value::Error(object.clone()),
            Value::Undefined | Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                Value::None
            }
        }
    }

    /// Whether dropping this does something.
    #[inline(always)]
    pub fn is_counted(&self) -> bool {
        !matches!(
            self,
            Value::Undefined
                | Value::None
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Native(_)
        )
    }

    /// Whether this is no value at all.
    #[inline(always)]
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// Truth (5.1), except for instances with `__bool__` or `__len__`, which the machine asks itself.
    #[inline]
    pub fn is_true(&self) -> bool {
        match self {
            Value::Bool(truth) => truth.get(),
            Value::Int(number) => *number != 0,
            Value::Undefined | Value::None => false,
            Value::Float(number) => number.get() != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Dict(dict) => !dict.is_empty(),
            Value::Tuple(tuple) => !tuple.is_empty(),
            Value::Set(set) => !set.is_empty(),
            Value::Bytes(bytes) => !bytes.is_empty(),
            Value::Ref(shared) => shared.get().is_true(),
            _ => true,
        }
    }

    /// The name `type(v)` gives.
    pub fn type_name(&self) -> Rc<str> {
        Rc::from(match self {
            Value::Undefined => "undefined",
            Value::None => "none",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Big(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::List(_) => "list",
            Value::Dict(_) => "dict",
            Value::Tuple(_) => "tuple",
            Value::Set(_) => "set",
            Value::Bytes(_) => "bytes",
            Value::Instance(instance) => return instance.class().shared_name(),
            Value::Func(_) => "function",
            Value::Native(_) => "builtin",
            Value::Bound(_) => "method",
            Value::Class(_) => "class",
            Value::Module(_) => "module",
            Value::Generator(_) => "generator",
            Value::Iter(_) => "iterator",
            Value::Ref(_) => "ref",
            Value::Cell(_) => "cell",
            Value::Foreign(foreign) => foreign.type_name(),
            Value::Error(_) => "error",
        })
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// An integer that fits 64 bits; booleans do not count.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// What may stand as an index or a count: an integer, or a boolean as 0 or 1 (section 8).
    pub fn as_index(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }

    /// A float from any number that is not a boolean; too large an integer gives infinity.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(number.get()),
            Value::Big(number) => num_traits::ToPrimitive::to_f64(number.number()),
            _ => None,
        }
    }

    /// Whether this is a list, dict or set: what binding copies.
    #[inline]
    pub fn is_copied_on_binding(&self) -> bool {
        matches!(self, Value::List(_) | Value::Dict(_) | Value::Set(_))
    }

    /// Whether both are the same object, or equal scalars (`is`).
    pub fn is_same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.get().to_bits() == b.get().to_bits(),
            (Value::Big(a), Value::Big(b)) => a.number() == b.number(),
            (Value::Str(a), Value::Str(b)) => a.as_str() == b.as_str(),
            (Value::List(a), Value::List(b)) => Rc::ptr_eq(a, b),
            (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
            (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
            (Value::Set(a), Value::Set(b)) => Rc::ptr_eq(a, b),
            (Value::Bytes(a), Value::Bytes(b)) => Rc::ptr_eq(a, b),
            (Value::Instance(a), Value::Instance(b)) => Rc::ptr_eq(a, b),
            (Value::Func(a), Value::Func(b)) => Rc::ptr_eq(a, b),
            (Value::Native(a), Value::Native(b)) => core::ptr::eq(*a, *b),
            (Value::Bound(a), Value::Bound(b)) => Rc::ptr_eq(a, b) || a.is_same(b),
            (Value::Class(a), Value::Class(b)) => Rc::ptr_eq(a, b),
            (Value::Module(a), Value::Module(b)) => Rc::ptr_eq(a, b),
            (Value::Generator(a), Value::Generator(b)) => Rc::ptr_eq(a, b),
            (Value::Iter(a), Value::Iter(b)) => Rc::ptr_eq(a, b),
            (Value::Ref(a), Value::Ref(b)) => Rc::ptr_eq(a, b),
            (Value::Foreign(a), Value::Foreign(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn a_value_is_sixteen_bytes() {
        assert_eq!(size_of::<Value>(), 16);
    }
}
