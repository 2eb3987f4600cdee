//! Operators, beyond what the main loop does itself.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};

use crate::error::{ErrorClass, NativeError};
use crate::native::NativeResult;
use crate::symbol::Symbol;
use crate::syntax::ast::BinaryOperator;
use crate::value::{ListObj, StrObj, Value, big as large};

use super::Core;

/// A call of a special method, if the instance has it.
pub(crate) fn method_call(receiver: &Value, name: Symbol, args: &[&Value]) -> Option<NativeError> {
    let Value::Instance(instance) = receiver else {
        return None;
    };
    if !instance.with_class(|class| class.has_special_methods()) {
        return None;
    }
    let callee = instance.class().method(name)?;
    let mut all = Vec::with_capacity(args.len() + 1);
    all.push(receiver.clone());
    all.extend(args.iter().map(|value| (*value).clone()));
    Some(NativeError::TailCall { callee, args: all })
}

fn dunder(
    left: &Value,
    right: &Value,
    name: Symbol,
    reversed: Option<Symbol>,
) -> Option<NativeError> {
    method_call(left, name, &[right]).or_else(|| method_call(right, reversed?, &[left]))
}

fn big(value: &Value) -> Option<BigInt> {
    match value {
        Value::Int(number) => Some(BigInt::from(*number)),
        Value::Big(number) => Some(number.number().clone()),
        _ => None,
    }
}

fn is_integer(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Big(_))
}

/// Both as floats, for mixed arithmetic.
fn floats(left: &Value, right: &Value) -> Option<Result<(f64, f64), NativeError>> {
    let is_mixed = matches!((left, right), (Value::Float(_), _) | (_, Value::Float(_)));
    if !is_mixed {
        return None;
    }
    match (left.as_float(), right.as_float()) {
        (Some(a), Some(b)) => {
            let overflowed =
                |value: &Value, float: f64| matches!(value, Value::Big(_)) && !float.is_finite();
            if overflowed(left, a) || overflowed(right, b) {
                return Some(Err(too_large()));
            }
            Some(Ok((a, b)))
        }
        _ => None,
    }
}

/// A count as near to this number as a count can be: more than any memory holds, or none.
fn clamped(count: &BigInt) -> i64 {
    if count.is_negative() { 0 } else { i64::MAX }
}

/// The steps that a product of numbers of so many bits counts for. Long ones are made by halves, which is less work than
/// word times word.
pub(crate) fn work_on(a: u64, b: u64) -> usize {
    let words = (a / 64).saturating_mul(b / 64);
    if words < 1 << 20 {
        return (words / 64) as usize;
    }
    libm::pow(words as f64, 0.8) as usize
}

fn too_large() -> NativeError {
    NativeError::new(ErrorClass::Arithmetic, "number too large")
}

pub(crate) fn division_by_zero() -> NativeError {
    NativeError::new(ErrorClass::ZeroDivision, "division by zero")
}

fn needs_numbers(symbol: &str) -> NativeError {
    NativeError::type_error(format!("'{symbol}' requires numeric operands"))
}

impl Core {
    /// `left + right`.
    #[inline(never)]
    pub(crate) fn add(&mut self, left: &Value, right: &Value) -> NativeResult {
        match (left, right) {
            (Value::Str(a), Value::Str(b)) => {
                self.charge_steps(1 + (a.as_str().len() + b.as_str().len()) / 64)?;
                Ok(Value::Str(Rc::new(StrObj::joined(&self.heap, a, b)?)))
            }
            (Value::List(a), Value::List(b)) => {
                self.charge_steps(1 + (a.len() + b.len()) / 8)?;
                let mut joined = ListObj::new(&self.heap)?;
                joined.reserve(a.len() + b.len())?;
                for item in a.iter().chain(b.iter()) {
                    joined.push(item.clone())?;
                }
                Ok(Value::List(Rc::new(joined)))
            }
            (Value::Tuple(a), Value::Tuple(b)) => {
                let mut joined = self.heap.values(a.len() + b.len())?;
                joined.extend(a.iter().chain(b.iter()).cloned());
                Ok(self.heap.tuple(joined)?)
            }
            (Value::Bytes(a), Value::Bytes(b)) => {
                self.heap.charge(a.len() + b.len())?;
                self.heap.credit(a.len() + b.len());
                let mut joined = Vec::from(a.as_slice());
                joined.extend_from_slice(b.as_slice());
                Ok(self.heap.bytes(joined)?)
            }
            _ => self.number_sum(left, right),
        }
    }

    fn number_sum(&mut self, left: &Value, right: &Value) -> NativeResult {
        if let (Value::Int(a), Value::Int(b)) = (left, right)
            && let Some(sum) = a.checked_add(*b)
        {
            return Ok(Value::Int(sum));
        }
        if let Some(both) = floats(left, right) {
            return both.map(|(a, b)| Value::float(a + b));
        }
        if let (Some(a), Some(b)) = (big(left), big(right)) {
            return Ok(self.heap.integer(a + b)?);
        }
        Err(
            dunder(left, right, Symbol::ADD, Some(Symbol::RADD)).unwrap_or_else(|| {
                NativeError::type_error("'+' requires numeric, string, or list operands")
            }),
        )
    }

    /// `left - right`.
    #[inline(never)]
    pub(crate) fn subtract(&mut self, left: &Value, right: &Value) -> NativeResult {
        if let Some(both) = floats(left, right) {
            return both.map(|(a, b)| Value::float(a - b));
        }
        if let (Value::Int(a), Value::Int(b)) = (left, right)
            && let Some(difference) = a.checked_sub(*b)
        {
            return Ok(Value::Int(difference));
        }
        if let (Some(a), Some(b)) = (big(left), big(right)) {
            return Ok(self.heap.integer(a - b)?);
        }
        if let (Value::Set(a), Value::Set(_)) = (left, right) {
            return self.set_of(a.iter().cloned(), |core, item| {
                Ok(!core.contains(right, item)?)
            });
        }
        Err(dunder(left, right, Symbol::SUB, Some(Symbol::RSUB))
            .unwrap_or_else(|| needs_numbers("-")))
    }

    /// `left * right`.
    #[inline(never)]
    pub(crate) fn multiply(&mut self, left: &Value, right: &Value) -> NativeResult {
        if let (Value::Int(a), Value::Int(b)) = (left, right)
            && let Some(product) = a.checked_mul(*b)
        {
            return Ok(Value::Int(product));
        }
        if let Some(both) = floats(left, right) {
            return both.map(|(a, b)| Value::float(a * b));
        }
        if is_integer(left)
            && is_integer(right)
            && let (Some(a), Some(b)) = (big(left), big(right))
        {
            self.check_bits(a.bits() + b.bits())?;
            self.charge_steps(work_on(a.bits(), b.bits()))?;
            let product = large::multiply(&self.heap, &a, &b)?;
            return Ok(self.heap.integer(product)?);
        }
        match (left, right) {
            (
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_),
                Value::Int(count),
            ) => self.repeat(left, *count),
            (
                Value::Int(count),
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_),
            ) => self.repeat(right, *count),
            (
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_),
                Value::Big(count),
            ) => self.repeat(left, clamped(count)),
            (
                Value::Big(count),
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_),
            ) => self.repeat(right, clamped(count)),
            _ => Err(dunder(left, right, Symbol::MUL, Some(Symbol::RMUL))
                .unwrap_or_else(|| needs_numbers("*"))),
        }
    }

    /// Refuses numbers of more bits than the program may hold bytes.
    fn check_bits(&self, bits: u64) -> Result<(), NativeError> {
        let bytes = usize::try_from(bits / 8).unwrap_or(usize::MAX);
        self.heap.charge(bytes)?;
        self.heap.credit(bytes);
        Ok(())
    }

    fn repeat(&mut self, value: &Value, count: i64) -> NativeResult {
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        let length = match value {
            Value::Str(text) => text.as_str().len(),
            Value::List(list) => list.len() * size_of::<Value>(),
            Value::Tuple(tuple) => tuple.len() * size_of::<Value>(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        // Nothing repeated is nothing, however often.
        let count = if length == 0 { 0 } else { count };
        let total = length.checked_mul(count).ok_or(crate::heap::OutOfMemory)?;
        self.heap.charge(total)?;
        self.heap.credit(total);
        self.charge_steps(1 + total / 256)?;
        match value {
            Value::Str(text) => {
                let mut repeated = String::new();
                repeated
                    .try_reserve_exact(total)
                    .map_err(|_| crate::heap::OutOfMemory)?;
                (0..count).for_each(|_| repeated.push_str(text.as_str()));
                Ok(self.heap.owned_string(repeated)?)
            }
            Value::Bytes(bytes) => Ok(self.heap.bytes(bytes.as_slice().repeat(count))?),
            Value::List(list) => self
                .repeat_items(list.as_slice(), count)
                .and_then(|items| Ok(self.heap.list(items)?)),
            Value::Tuple(tuple) => self
                .repeat_items(tuple.as_slice(), count)
                .and_then(|items| Ok(self.heap.tuple(items)?)),
            _ => Err(needs_numbers("*")),
        }
    }

    fn repeat_items(&mut self, items: &[Value], count: usize) -> Result<Vec<Value>, NativeError> {
        let mut repeated = self.heap.values(items.len().saturating_mul(count))?;
        for _ in 0..count {
            repeated.extend(items.iter().cloned());
        }
        Ok(repeated)
    }

    /// `left / right`.
    #[inline(never)]
    pub(crate) fn divide(&mut self, left: &Value, right: &Value) -> NativeResult {
        if let Some(both) = floats(left, right) {
            let (a, b) = both?;
            if b == 0.0 {
                return Err(division_by_zero());
            }
            return Ok(Value::float(a / b));
        }
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            const EXACT: u64 = 1 << 53;
            if *b == 0 {
                return Err(division_by_zero());
            }
            if a.unsigned_abs() <= EXACT && b.unsigned_abs() <= EXACT {
                return Ok(Value::float(*a as f64 / *b as f64));
            }
        }
        if let (Some(a), Some(b)) = (big(left), big(right)) {
            if b.is_zero() {
                return Err(division_by_zero());
            }
            let quotient = divide_exactly(&a, &b);
            return if quotient.is_finite() {
                Ok(Value::float(quotient))
            } else {
                Err(too_large())
            };
        }
        Err(dunder(left, right, Symbol::TRUEDIV, Some(Symbol::RTRUEDIV))
            .unwrap_or_else(|| needs_numbers("/")))
    }

    /// The operators that have no instruction of their own.
    pub(crate) fn binary(&mut self, operator: i32, left: &Value, right: &Value) -> NativeResult {
        const FLOOR: i32 = BinaryOperator::FloorDivide as i32;
        const REMAINDER: i32 = BinaryOperator::Remainder as i32;
        const POWER: i32 = BinaryOperator::Power as i32;
        const AND: i32 = BinaryOperator::BitAnd as i32;
        const OR: i32 = BinaryOperator::BitOr as i32;
        const XOR: i32 = BinaryOperator::BitXor as i32;
        const LEFT: i32 = BinaryOperator::ShiftLeft as i32;
        const RIGHT: i32 = BinaryOperator::ShiftRight as i32;
        match operator {
            FLOOR => self.floor_divide(left, right),
            REMAINDER => self.remainder(left, right),
            POWER => self.power(left, right),
            AND => self.bits("&", left, right, |a, b| a & b, |a, b| a & b),
            OR => self.bits("|", left, right, |a, b| a | b, |a, b| a | b),
            XOR => self.bits("^", left, right, |a, b| a ^ b, |a, b| a ^ b),
            LEFT => self.shift_left(left, right),
            RIGHT => self.shift_right(left, right),
            _ => Err(NativeError::type_error("unknown operator")),
        }
    }

    pub(crate) fn floor_divide(&mut self, left: &Value, right: &Value) -> NativeResult {
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            if *b == 0 {
                return Err(division_by_zero());
            }
            if let Some(quotient) = a.checked_div_euclid(*b) {
                let exact = quotient * b == *a;
                let adjusted = if *b < 0 && !exact {
                    a.div_euclid(*b) - 1
                } else {
                    quotient
                };
                return Ok(Value::Int(adjusted));
            }
        }
        if let Some(both) = floats(left, right) {
            let (a, b) = both?;
            if b == 0.0 {
                return Err(division_by_zero());
            }
            return Ok(Value::float(libm::floor(a / b)));
        }
        if let (Some(a), Some(b)) = (big(left), big(right)) {
            if b.is_zero() {
                return Err(division_by_zero());
            }
            self.charge_steps(work_on(a.bits().saturating_sub(b.bits()), b.bits()))?;
            let (quotient, _) = large::divide(&self.heap, &a, &b)?;
            return Ok(self.heap.integer(quotient)?);
        }
        Err(dunder(left, right, Symbol::FLOORDIV, None).unwrap_or_else(|| needs_numbers("//")))
    }

    pub(crate) fn remainder(&mut self, left: &Value, right: &Value) -> NativeResult {
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            if *b == 0 {
                return Err(division_by_zero());
            }
            let rest = a.wrapping_rem(*b);
            return Ok(Value::Int(if rest != 0 && (rest < 0) != (*b < 0) {
                rest + b
            } else {
                rest
            }));
        }
        if let Some(both) = floats(left, right) {
            let (a, b) = both?;
            if b == 0.0 {
                return Err(division_by_zero());
            }
            let rest = a % b;
            return Ok(Value::float(if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                rest + b
            } else {
                rest
            }));
        }
        if let (Some(a), Some(b)) = (big(left), big(right)) {
            if b.is_zero() {
                return Err(division_by_zero());
            }
            self.charge_steps(work_on(a.bits().saturating_sub(b.bits()), b.bits()))?;
            let (_, rest) = large::divide(&self.heap, &a, &b)?;
            return Ok(self.heap.integer(rest)?);
        }
        Err(dunder(left, right, Symbol::MOD, None).unwrap_or_else(|| needs_numbers("%")))
    }

    pub(crate) fn power(&mut self, left: &Value, right: &Value) -> NativeResult {
        if is_integer(left) && is_integer(right) {
            let exponent = match right {
                Value::Int(exponent) => *exponent,
                _ => i64::MAX,
            };
            if exponent < 0 {
                let base = left.as_float().unwrap_or(f64::NAN);
                if base == 0.0 {
                    return Err(division_by_zero());
                }
                return Ok(Value::float(libm::pow(base, exponent as f64)));
            }
            if let (Value::Int(base), Ok(exponent)) = (left, u32::try_from(exponent))
                && let Some(power) = base.checked_pow(exponent)
            {
                return Ok(Value::Int(power));
            }
            let Some(base) = big(left) else {
                return Err(needs_numbers("**"));
            };
            if base.abs() <= BigInt::from(1) {
                let is_odd = !matches!(right, Value::Int(exponent) if exponent % 2 == 0);
                return Ok(self.heap.integer(if base.is_negative() && !is_odd {
                    -base
                } else {
                    base
                })?);
            }
            self.check_bits(base.bits().saturating_mul(exponent as u64))?;
            let bits = base.bits().saturating_mul(exponent as u64);
            self.charge_steps(work_on(bits, bits))?;
            let power = large::power(&self.heap, &base, exponent as u64)?;
            return Ok(self.heap.integer(power)?);
        }
        match (left.as_float(), right.as_float()) {
            (Some(a), Some(b)) => {
                if a == 0.0 && b < 0.0 {
                    return Err(division_by_zero());
                }
                Ok(Value::float(libm::pow(a, b)))
            }
            _ => Err(dunder(left, right, Symbol::POW, None).unwrap_or_else(|| needs_numbers("**"))),
        }
    }

    fn bits(
        &mut self,
        symbol: &str,
        left: &Value,
        right: &Value,
        small: fn(i64, i64) -> i64,
        large: fn(BigInt, BigInt) -> BigInt,
    ) -> NativeResult {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => Ok(Value::Int(small(*a, *b))),
            (Value::Bool(a), Value::Bool(b)) => {
                Ok(Value::bool(small(i64::from(*a), i64::from(*b)) != 0))
            }
            (Value::Set(a), Value::Set(b)) => match symbol {
                "&" => self.set_of(a.iter().cloned(), |core, item| core.contains(right, item)),
                "|" => self.set_of(a.iter().chain(b.iter()).cloned(), |_, _| Ok(true)),
                _ => {
                    let all: Vec<Value> = a.iter().chain(b.iter()).cloned().collect();
                    self.set_of(all.into_iter(), |core, item| {
                        Ok(core.contains(left, item)? != core.contains(right, item)?)
                    })
                }
            },
            _ => match (big(left), big(right)) {
                (Some(a), Some(b)) => Ok(self.heap.integer(large(a, b))?),
                _ => Err(NativeError::type_error(format!(
                    "'{symbol}' requires integer operands"
                ))),
            },
        }
    }

    fn set_of(
        &mut self,
        items: impl Iterator<Item = Value>,
        mut keep: impl FnMut(&mut Core, &Value) -> Result<bool, NativeError>,
    ) -> NativeResult {
        let mut set = crate::value::SetObj::new(&self.heap)?;
        for item in items {
            self.charge_steps(1)?;
            if keep(self, &item)? {
                set.insert(item).map_err(|_| bad_element())??;
            }
        }
        Ok(Value::Set(Rc::new(set)))
    }

    fn shift_left(&mut self, left: &Value, right: &Value) -> NativeResult {
        let (Some(number), true) = (big(left), is_integer(right)) else {
            return Err(NativeError::type_error("'<<' requires integer operands"));
        };
        let Some(count) = right.as_int().filter(|count| *count >= 0) else {
            return if matches!(right, Value::Int(_)) {
                Err(NativeError::value_error("negative shift count"))
            } else {
                Err(crate::heap::OutOfMemory.into())
            };
        };
        if number.is_zero() {
            return Ok(Value::Int(0));
        }
        self.check_bits(number.bits().saturating_add(count as u64))?;
        self.charge_steps(1 + count as usize / 4096)?;
        Ok(self.heap.integer(number << count as u64)?)
    }

    fn shift_right(&mut self, left: &Value, right: &Value) -> NativeResult {
        let (Some(number), true) = (big(left), is_integer(right)) else {
            return Err(NativeError::type_error("'>>' requires integer operands"));
        };
        match right {
            Value::Int(count) if *count < 0 => {
                Err(NativeError::value_error("negative shift count"))
            }
            Value::Int(count) if (*count as u64) < number.bits() + 1 => {
                Ok(self.heap.integer(number >> *count as u64)?)
            }
            _ => Ok(Value::Int(if number.is_negative() { -1 } else { 0 })),
        }
    }

    /// `-value`.
    pub(crate) fn negate(&mut self, value: &Value) -> NativeResult {
        match value {
            Value::Int(number) => match number.checked_neg() {
                Some(negative) => Ok(Value::Int(negative)),
                None => Ok(self.heap.integer(-BigInt::from(*number))?),
            },
            Value::Float(number) => Ok(Value::float(-number.get())),
            Value::Big(number) => Ok(self.heap.integer(-number.number())?),
            _ => Err(method_call(value, Symbol::NEG, &[])
                .unwrap_or_else(|| NativeError::type_error("unsupported unary operator '-'"))),
        }
    }

    /// `+value` and `~value`.
    pub(crate) fn unary(&mut self, operator: i32, value: &Value) -> NativeResult {
        match (operator, value) {
            (0, Value::Int(_) | Value::Float(_) | Value::Big(_)) => Ok(value.clone()),
            (1, Value::Int(number)) => Ok(Value::Int(!number)),
            (1, Value::Big(number)) => {
                Ok(self.heap.integer(-(number.number() + BigInt::from(1)))?)
            }
            (0, _) => Err(NativeError::type_error("unsupported unary operator '+'")),
            _ => Err(NativeError::type_error("unsupported unary operator '~'")),
        }
    }
}

fn bad_element() -> NativeError {
    NativeError::type_error(
        "set elements must be strings, numbers, booleans, None, tuples, or instances",
    )
}

/// The quotient of two integers of any size, correctly rounded.
fn divide_exactly(numerator: &BigInt, denominator: &BigInt) -> f64 {
    if let (Some(a), Some(b)) = (numerator.to_i64(), denominator.to_i64()) {
        const EXACT: u64 = 1 << 53;
        if a.unsigned_abs() <= EXACT && b.unsigned_abs() <= EXACT {
            return a as f64 / b as f64;
        }
    }
    // Scale so that the integer quotient has at least 66 bits, and keep what is cut off as a sticky bit.
    let shift = 66 + denominator.bits() as i64 - numerator.bits() as i64;
    let (a, b) = (numerator.abs(), denominator.abs());
    let (a, b) = if shift >= 0 {
        (a << shift as u64, b)
    } else {
        (a, b << (-shift) as u64)
    };
    let (quotient, rest) = a.div_rem(&b);
    let sticky = if rest.is_zero() {
        BigInt::zero()
    } else {
        BigInt::from(1)
    };
    let scaled = (quotient << 1u32) + sticky;
    let float = scale(&scaled, -(shift + 1));
    if numerator.is_negative() != denominator.is_negative() {
        -float
    } else {
        float
    }
}

/// `number * 2^exponent`, rounded once, also where the result is subnormal.
fn scale(number: &BigInt, exponent: i64) -> f64 {
    let bits = number.bits() as i64;
    let top = bits + exponent;
    if top > 1100 {
        return f64::INFINITY;
    }
    // Bits that a double with this top bit has.
    let kept = if top < -1021 {
        (53 - (-1021 - top)).max(0)
    } else {
        53
    };
    let cut = bits - kept;
    let mantissa = if cut <= 0 {
        number.clone()
    } else {
        let half = BigInt::from(1) << (cut - 1) as u64;
        let low = number & ((BigInt::from(1) << cut as u64) - 1);
        let high: BigInt = number >> cut as u64;
        let round_up = low > half || (low == half && high.bit(0));
        if round_up { high + 1 } else { high }
    };
    let exponent = if cut <= 0 { exponent } else { exponent + cut };
    let float = mantissa.to_f64().unwrap_or(f64::INFINITY);
    libm::scalbn(float, exponent.clamp(-3000, 3000) as i32)
}
