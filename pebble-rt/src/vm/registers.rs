//! Writing registers.
//!
//! A register that holds nothing counted is overwritten without a look at what dropping it would mean. A value is
//! written as a tag and a word, never copied whole: see [`Float`](crate::value::Float).

use crate::value::{Float, Value};

use super::thread::WINDOW;

/// The registers of a call.
pub(crate) type Window = [Value; WINDOW];

/// `place = number`
#[inline(always)]
pub(crate) fn set_int(place: &mut Value, number: i64) {
    match place {
        Value::Int(slot) => *slot = number,
        other => put(other, Value::Int(number)),
    }
}

/// `place = number`
#[inline(always)]
pub(crate) fn set_float(place: &mut Value, number: f64) {
    match place {
        Value::Float(slot) => *slot = Float::new(number),
        other => put(other, Value::float(number)),
    }
}

/// `place = value`
#[inline(always)]
pub(crate) fn put(place: &mut Value, value: Value) {
    if place.is_counted() {
        release(place);
    }
    core::mem::forget(core::mem::replace(place, value));
}

/// Forgets what is in `place`.
#[inline(always)]
pub(crate) fn clear(place: &mut Value) {
    if place.is_counted() {
        release(place);
    } else {
        core::mem::forget(core::mem::take(place));
    }
}

/// Forgets the first `count` registers.
#[inline(always)]
pub(crate) fn clear_all(registers: &mut Window, count: u8) {
    for register in &mut registers[..usize::from(count)] {
        clear(register);
    }
}

#[inline(never)]
fn release(place: &mut Value) {
    *place = Value::Undefined;
}

/// `place = value`, shared. They are apart.
#[inline(always)]
pub(crate) fn copy(place: &mut Value, value: &Value) {
    match value {
        Value::Int(number) => set_int(place, *number),
        other => put(place, share(other)),
    }
}

/// `registers[to] = registers[from]`
#[inline(always)]
pub(crate) fn copy_register(registers: &mut Window, to: u8, from: u8) {
    match &registers[usize::from(from)] {
        Value::Int(number) => {
            let number = *number;
            set_int(&mut registers[usize::from(to)], number);
        }
        other => {
            let value = share(other);
            put(&mut registers[usize::from(to)], value);
        }
    }
}

/// Another reference to a value; what programs hold most stands first.
#[inline(always)]
pub(crate) fn share(value: &Value) -> Value {
    match value {
        Value::Float(number) => Value::Float(*number),
        Value::Instance(object) => Value::Instance(object.clone()),
        Value::List(object) => Value::List(object.clone()),
        Value::Str(object) => Value::Str(object.clone()),
        Value::Func(object) => Value::Func(object.clone()),
        other => other.clone(),
    }
}

/// The content of a register whose value is not needed there any more if `is_last` is 1.
#[inline(always)]
pub(crate) fn take_or_share(register: &mut Value, is_last: bool) -> Value {
    match register {
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        other if is_last => core::mem::take(other),
        other => share(other),
    }
}
