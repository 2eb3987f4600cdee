//! Equality, order and the hash of keys (5.3, 5.4, 9.1).

use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::symbol::Symbol;
use crate::value::{Instance, KeyError, Value};

/// What comparing two values came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equality {
    /// They are equal.
    Equal,
    /// They are not.
    Different,
    /// An instance has an `__eq__` of its own, which only the machine can call.
    NeedsMethod,
}

impl From<bool> for Equality {
    fn from(equal: bool) -> Equality {
        if equal {
            Equality::Equal
        } else {
            Equality::Different
        }
    }
}

/// Compares for equality. Nesting of any depth needs no deep stack, and instances that refer to each other in a circle
/// are equal when nothing else tells them apart.
pub fn equal(left: &Value, right: &Value) -> Equality {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => (a == b).into(),
        (Value::Str(a), Value::Str(b)) => (a.as_str() == b.as_str()).into(),
        _ => match shallow(left, right) {
            Some(answer) => answer,
            None => deep(left, right),
        },
    }
}

/// The answer, unless it depends on contents.
fn shallow(left: &Value, right: &Value) -> Option<Equality> {
    let same = match (left, right) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.get() == b.get(),
        (Value::Str(a), Value::Str(b)) => a.as_str() == b.as_str(),
        (Value::None, Value::None) => true,
        (Value::Bytes(a), Value::Bytes(b)) => a.as_slice() == b.as_slice(),
        (Value::List(a), Value::List(b)) => {
            if Rc::ptr_eq(a, b) && a.iter().all(is_scalar) {
                return Some(Equality::from(!a.iter().any(is_nan)));
            }
            return if a.len() == b.len() {
                None
            } else {
                Some(Equality::Different)
            };
        }
        (Value::Tuple(a), Value::Tuple(b)) => {
            return if a.len() == b.len() {
                None
            } else {
                Some(Equality::Different)
            };
        }
        (Value::Dict(a), Value::Dict(b)) => {
            return if a.len() == b.len() {
                None
            } else {
                Some(Equality::Different)
            };
        }
        (Value::Set(a), Value::Set(b)) => {
            a.len() == b.len() && a.iter().all(|item| b.contains(item) == Ok(true))
        }
        (Value::Instance(a), Value::Instance(b)) => {
            if a.has_method(Symbol::EQ) || b.has_method(Symbol::EQ) {
                return Some(Equality::NeedsMethod);
            }
            if Rc::ptr_eq(a, b) {
                true
            } else if Rc::ptr_eq(&a.class(), &b.class()) && !a.class().compares_by_identity() {
                return None;
            } else {
                false
            }
        }
        (Value::Instance(a), _) | (_, Value::Instance(a)) if a.has_method(Symbol::EQ) => {
            return Some(Equality::NeedsMethod);
        }
        (Value::Ref(a), Value::Ref(b)) => Rc::ptr_eq(a, b),
        _ => match number_order(left, right) {
            Some(ordering) => ordering == Some(Ordering::Equal),
            None => left.is_same(right),
        },
    };
    Some(same.into())
}

fn is_scalar(value: &Value) -> bool {
    matches!(
        value,
        Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Bool(_) | Value::None
    )
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Float(number) if number.get().is_nan())
}

fn deep(left: &Value, right: &Value) -> Equality {
    let mut pending: Vec<(Value, Value)> = Vec::new();
    let mut assumed: BTreeSet<(usize, usize)> = BTreeSet::new();
    pending.push((left.clone(), right.clone()));
    while let Some((left, right)) = pending.pop() {
        match shallow(&left, &right) {
            Some(Equality::Equal) => continue,
            Some(other) => return other,
            None => {}
        }
        if let Some(pair) = addresses(&left, &right)
            && !assumed.insert(pair)
        {
            continue;
        }
        if !push_contents(&left, &right, &mut pending) {
            return Equality::Different;
        }
    }
    Equality::Equal
}

/// Identifies a pair of objects that stay alive through their owner while the comparison lasts.
fn addresses(left: &Value, right: &Value) -> Option<(usize, usize)> {
    Some(match (left, right) {
        (Value::List(a), Value::List(b)) => (Rc::as_ptr(a).addr(), Rc::as_ptr(b).addr()),
        (Value::Tuple(a), Value::Tuple(b)) => (Rc::as_ptr(a).addr(), Rc::as_ptr(b).addr()),
        (Value::Dict(a), Value::Dict(b)) => (Rc::as_ptr(a).addr(), Rc::as_ptr(b).addr()),
        (Value::Instance(a), Value::Instance(b)) => (Rc::as_ptr(a).addr(), Rc::as_ptr(b).addr()),
        _ => return None,
    })
}

fn push_contents(left: &Value, right: &Value, pending: &mut Vec<(Value, Value)>) -> bool {
    match (left, right) {
        (Value::List(a), Value::List(b)) => {
            pending.extend(a.iter().cloned().zip(b.iter().cloned()).rev());
        }
        (Value::Tuple(a), Value::Tuple(b)) => {
            pending.extend(a.iter().cloned().zip(b.iter().cloned()).rev());
        }
        (Value::Dict(a), Value::Dict(b)) => {
            for (key, value) in a.iter() {
                match b.get(key) {
                    Ok(Some(other)) => pending.push((value.clone(), other.clone())),
                    _ => return false,
                }
            }
        }
        (Value::Instance(a), Value::Instance(b)) => return push_fields(a, b, pending),
        _ => return false,
    }
    true
}

fn push_fields(left: &Instance, right: &Instance, pending: &mut Vec<(Value, Value)>) -> bool {
    let fields = left.field_list();
    if fields.len() != right.field_list().len() {
        return false;
    }
    for (name, value) in fields {
        match right.field(name) {
            Some(other) => pending.push((value, other)),
            None => return false,
        }
    }
    true
}

/// How two numbers (booleans as 0 and 1) stand to each other: `None` if one is no number, `Some(None)` for NaN.
pub fn number_order(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    let as_number = |value: &Value| match value {
        Value::Bool(truth) => Some(Value::Int(i64::from(*truth))),
        Value::Int(_) | Value::Float(_) | Value::Big(_) => Some(value.clone()),
        _ => None,
    };
    Some(match (as_number(left)?, as_number(right)?) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        (Value::Float(a), Value::Float(b)) => a.get().partial_cmp(&b.get()),
        (Value::Big(a), Value::Big(b)) => Some(a.number().cmp(b.number())),
        (Value::Int(a), Value::Float(b)) => order_int_float(a, b.get()),
        (Value::Float(a), Value::Int(b)) => order_int_float(b, a.get()).map(Ordering::reverse),
        (Value::Big(a), Value::Int(b)) => Some(a.number().cmp(&BigInt::from(b))),
        (Value::Int(a), Value::Big(b)) => Some(BigInt::from(a).cmp(b.number())),
        (Value::Big(a), Value::Float(b)) => order_big_float(a.number(), b.get()),
        (Value::Float(a), Value::Big(b)) => {
            order_big_float(b.number(), a.get()).map(Ordering::reverse)
        }
        _ => return None,
    })
}

/// Exact, also where the integer has no float of its own.
fn order_int_float(integer: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = float as i64;
    Some(integer.cmp(&whole).then_with(|| {
        let fraction = float - whole as f64;
        0.0.partial_cmp(&fraction).unwrap_or(Ordering::Equal)
    }))
}

fn order_big_float(big: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let whole = <BigInt as num_traits::FromPrimitive>::from_f64(float)?;
    Some(big.cmp(&whole))
}

/// How two values stand to each other (5.4): numbers, strings, lists and tuples. `Err` when they have no order,
/// `Ok(None)` when one is NaN. Instances have none here: the machine asks their `__lt__`.
pub fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Unordered> {
    match (left, right) {
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.as_str().cmp(b.as_str()))),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Some(a.as_slice().cmp(b.as_slice()))),
        (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
            order_sequences(left, right)
        }
        (Value::Instance(a), _) | (_, Value::Instance(a)) if a.has_method(Symbol::LT) => {
            Err(Unordered::NeedsMethod)
        }
        _ => number_order(left, right).ok_or(Unordered::NoOrder),
    }
}

/// Why two values have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unordered {
    /// They are of kinds that have none.
    NoOrder,
    /// An instance has an `__lt__` of its own, which only the machine can call.
    NeedsMethod,
}

/// `left < right`; see [`order`].
pub fn less(left: &Value, right: &Value) -> Result<bool, Unordered> {
    Ok(order(left, right)? == Some(Ordering::Less))
}

/// Lexicographic, with a list of positions instead of the stack.
fn order_sequences(left: &Value, right: &Value) -> Result<Option<Ordering>, Unordered> {
    let mut levels: Vec<(Value, Value, usize)> = Vec::new();
    levels.push((left.clone(), right.clone(), 0));
    while let Some((left, right, at)) = levels.pop() {
        let (Some(a), Some(b)) = (elements(&left), elements(&right)) else {
            return Err(Unordered::NoOrder);
        };
        let (Some(x), Some(y)) = (a.get(at), b.get(at)) else {
            match a.len().cmp(&b.len()) {
                Ordering::Equal => continue,
                different => return Ok(Some(different)),
            }
        };
        let (x, y) = (x.clone(), y.clone());
        levels.push((left, right, at + 1));
        if elements(&x).is_some() && x.type_name() == y.type_name() {
            levels.push((x, y, 0));
            continue;
        }
        match equal(&x, &y) {
            Equality::Equal => {}
            Equality::NeedsMethod => return Err(Unordered::NeedsMethod),
            Equality::Different => return order(&x, &y),
        }
    }
    Ok(Some(Ordering::Equal))
}

fn elements(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(list) => Some(list.as_slice()),
        Value::Tuple(tuple) => Some(tuple.as_slice()),
        _ => None,
    }
}

/// How deep tuples may nest in a key.
const KEY_DEPTH: u32 = 100;

/// The hash of a key: equal for equal keys.
#[inline]
pub fn hash_key(key: &Value) -> Result<u32, KeyError> {
    match key {
        Value::Str(text) => Ok(text.hash()),
        Value::Int(number) => Ok(hash_integer(*number)),
        _ => hash_other(key, KEY_DEPTH),
    }
}

#[inline]
pub(super) fn hash_integer(number: i64) -> u32 {
    let mixed = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

fn hash_other(key: &Value, depth: u32) -> Result<u32, KeyError> {
    Ok(match key {
        Value::Str(text) => text.hash(),
        Value::Int(number) => hash_integer(*number),
        Value::Bool(truth) => hash_integer(i64::from(*truth)),
        Value::None => 0x6E6F_6E65,
        Value::Float(number) => match number.get().to_i64() {
            Some(whole) if whole as f64 == number.get() => hash_integer(whole),
            _ => hash_integer(number.get().to_bits() as i64),
        },
        Value::Big(number) => match number.to_f64() {
            Some(float) if float.is_finite() => hash_integer(float.to_bits() as i64),
            _ => number.iter_u64_digits().fold(0, |hash, digit| {
                hash.rotate_left(7) ^ hash_integer(digit as i64)
            }),
        },
        Value::Bytes(bytes) => super::string::hash_bytes(bytes.as_slice()),
        Value::Tuple(tuple) => {
            let depth = depth.checked_sub(1).ok_or(KeyError::NotAKey)?;
            let mut hash = 0x345_6789u32;
            for item in tuple.iter() {
                hash = (hash ^ hash_other(item, depth)?)
                    .wrapping_mul(0x0100_0193)
                    .rotate_left(5);
            }
            hash
        }
        Value::Instance(instance) => {
            if instance.has_method(Symbol::HASH) {
                return instance.known_hash().ok_or(KeyError::NeedsMethod);
            }
            if instance.has_method(Symbol::EQ) {
                return Ok(hash_integer(Rc::as_ptr(&instance.class()).addr() as i64));
            }
            hash_integer(Rc::as_ptr(instance).addr() as i64)
        }
        _ => return Err(KeyError::NotAKey),
    })
}

/// Whether two keys are the same key.
pub fn key_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a.as_str() == b.as_str(),
        (Value::Instance(a), Value::Instance(b)) => Rc::ptr_eq(a, b) || same_key(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(x, y)| key_equal(x, y))
        }
        (Value::None, Value::None) => true,
        (Value::Bytes(a), Value::Bytes(b)) => a.as_slice() == b.as_slice(),
        (Value::Float(a), Value::Float(b)) if a.get().is_nan() && b.get().is_nan() => {
            a.get().to_bits() == b.get().to_bits()
        }
        _ => number_order(left, right) == Some(Some(Ordering::Equal)),
    }
}

/// Whether two instances whose class says how they compare are one key: of one class, with equal fields.
fn same_key(left: &Rc<Instance>, right: &Rc<Instance>) -> bool {
    let compares = left.has_method(Symbol::HASH) || left.has_method(Symbol::EQ);
    if !compares || !Rc::ptr_eq(&left.class(), &right.class()) {
        return false;
    }
    let mut fields = Vec::new();
    push_fields(left, right, &mut fields)
        && fields.iter().all(|(a, b)| equal(a, b) == Equality::Equal)
}
