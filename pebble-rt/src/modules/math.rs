//! `math` (language section 18.1): whole degrees and whole results under the old names, floats under new ones.

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{FromPrimitive, Signed, ToPrimitive};

use super::arguments::{expects, float};
use super::table::native_module;
use super::trigonometry;
use crate::error::{ErrorClass, NativeError};
use crate::heap::OutOfMemory;
use crate::native::{NativeContext, NativeResult};
use crate::system::Family;
use crate::value::{Value, big};
use crate::vm::work_on;

native_module! {
    "math", Family::Core;
    plain {
        "abs" as "abs" (1, 1) abs;
        "pow" as "pow" (2, 2) pow;
        "sqrt" as "sqrt" (1, 1) integer_sqrt;
        "sin" as "sin" (1, 1) sine;
        "cos" as "cos" (1, 1) cosine;
        "tan" as "tan" (1, 1) tangent;
    }
    own {
        "fsin" (1, 1) |_, args| real(args, "fsin", libm::sin);
        "fcos" (1, 1) |_, args| real(args, "fcos", libm::cos);
        "ftan" (1, 1) |_, args| real(args, "ftan", libm::tan);
        "asin" (1, 1) |_, args| real(args, "asin", libm::asin);
        "acos" (1, 1) |_, args| real(args, "acos", libm::acos);
        "atan" (1, 1) |_, args| real(args, "atan", libm::atan);
        "sinh" (1, 1) |_, args| real(args, "sinh", libm::sinh);
        "cosh" (1, 1) |_, args| real(args, "cosh", libm::cosh);
        "tanh" (1, 1) |_, args| real(args, "tanh", libm::tanh);
        "atan2" (2, 2) |_, args| Ok(Value::float(libm::atan2(float(args, 0, "atan2")?, float(args, 1, "atan2")?)));
        "hypot" (2, 2) |_, args| Ok(Value::float(libm::hypot(float(args, 0, "hypot")?, float(args, 1, "hypot")?)));
        "fpow" (2, 2) |_, args| Ok(Value::float(libm::pow(float(args, 0, "fpow")?, float(args, 1, "fpow")?)));
        "fmod" (2, 2) float_remainder;
        "fsqrt" (1, 1) float_sqrt;
        "exp" (1, 1) |_, args| real(args, "exp", libm::exp);
        "log" (1, 2) logarithm;
        "log2" (1, 1) |_, args| positive(args, "log2", libm::log2);
        "log10" (1, 1) |_, args| positive(args, "log10", libm::log10);
        "floor" (1, 1) |cx, args| whole(cx, args, "floor", libm::floor);
        "ceil" (1, 1) |cx, args| whole(cx, args, "ceil", libm::ceil);
        "trunc" (1, 1) |cx, args| whole(cx, args, "trunc", libm::trunc);
        "radians" (1, 1) |_, args| real(args, "radians", f64::to_radians);
        "degrees" (1, 1) |_, args| real(args, "degrees", f64::to_degrees);
        "isnan" (1, 1) |_, args| Ok(Value::bool(float(args, 0, "isnan")?.is_nan()));
        "isinf" (1, 1) |_, args| Ok(Value::bool(float(args, 0, "isinf")?.is_infinite()));
        "gcd" (2, 2) greatest_divisor;
    }
    constants {
        "pi" = |_| Ok(Value::float(core::f64::consts::PI));
        "e" = |_| Ok(Value::float(core::f64::consts::E));
        "tau" = |_| Ok(Value::float(core::f64::consts::TAU));
        "inf" = |_| Ok(Value::float(f64::INFINITY));
        "nan" = |_| Ok(Value::float(f64::NAN));
    }
}

/// Steps between two reports of a long multiplication.
const ROUNDS_PER_CHARGE: u64 = 1 << 16;

fn abs(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Int(number) => match number.checked_abs() {
            Some(magnitude) => Ok(Value::Int(magnitude)),
            None => Ok(cx.heap().integer(BigInt::from(*number).abs())?),
        },
        Value::Big(number) => Ok(cx.heap().integer(number.abs())?),
        Value::Float(number) => Ok(Value::float(libm::fabs(number.get()))),
        _ => Err(expects("abs", "a number")),
    }
}

fn pow(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let refused = || NativeError::value_error("pow() only supports non-negative integer exponents");
    let exponent = match &args[1] {
        Value::Int(exponent) => u64::try_from(*exponent).map_err(|_| refused())?,
        Value::Big(exponent) if exponent.sign() == Sign::Minus => return Err(refused()),
        Value::Big(_) => u64::MAX,
        _ => return Err(refused()),
    };
    match &args[0] {
        Value::Int(base) => integer_power(cx, &BigInt::from(*base), exponent),
        Value::Big(base) => integer_power(cx, base, exponent),
        Value::Float(base) => float_power(cx, base.get(), exponent),
        _ => Err(expects("pow", "two numbers")),
    }
}

fn integer_power(cx: &mut NativeContext<'_>, base: &BigInt, exponent: u64) -> NativeResult {
    if exponent > 1 && base.bits() > 1 {
        let bits = base.bits().checked_mul(exponent).ok_or(OutOfMemory)?;
        let bytes = usize::try_from(bits / 8).map_err(|_| OutOfMemory)?;
        // Squaring needs the result and the numbers it is made of at the same time.
        cx.heap().charge(bytes.saturating_mul(3))?;
        cx.heap().credit(bytes.saturating_mul(3));
        cx.charge(work_on(bits, bits))?;
    }
    let power = big::power(cx.heap(), base, exponent)?;
    Ok(cx.heap().integer(power)?)
}

/// Multiplies one by one, so that rounding is that of a program's own loop.
fn float_power(cx: &mut NativeContext<'_>, base: f64, exponent: u64) -> NativeResult {
    if exponent == 0 {
        return Ok(Value::Int(1));
    }
    let mut product = 1.0;
    let mut round = 0;
    while round < exponent {
        let next = product * base;
        if next.to_bits() == f64::to_bits(product) {
            break;
        }
        product = next;
        round += 1;
        if round % ROUNDS_PER_CHARGE == 0 {
            cx.charge(ROUNDS_PER_CHARGE as usize / 16)?;
        }
    }
    Ok(Value::float(product))
}

fn integer_sqrt(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let refused = || NativeError::value_error("sqrt() requires a non-negative integer");
    let number = match &args[0] {
        Value::Int(number) if *number < 0 => return Err(refused()),
        Value::Int(number) => return Ok(Value::Int(number.isqrt())),
        Value::Big(number) if number.sign() == Sign::Minus => return Err(refused()),
        Value::Big(number) => BigInt::clone(number),
        Value::Float(number) if number.get() < 0.0 => return Err(refused()),
        Value::Float(number) => BigInt::from_f64(libm::floor(number.get())).ok_or_else(refused)?,
        _ => return Err(expects("sqrt", "a number")),
    };
    let words = number.bits() as usize / 64;
    cx.charge(words.saturating_mul(words / 8 + 1))?;
    Ok(cx.heap().integer(number.sqrt())?)
}

fn angle(args: &[Value]) -> Result<i64, NativeError> {
    let degrees = match &args[0] {
        Value::Int(degrees) => Some(*degrees),
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Big(degrees) => degrees.mod_floor(&BigInt::from(360)).to_i64(),
        _ => None,
    };
    degrees.ok_or_else(|| NativeError::type_error("index must be an integer"))
}

fn sine(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::Int(trigonometry::sine(angle(args)?)))
}

fn cosine(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(Value::Int(trigonometry::cosine(angle(args)?)))
}

fn tangent(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let tangent = trigonometry::tangent(angle(args)?);
    tangent
        .map(Value::Int)
        .ok_or_else(|| NativeError::value_error("tan() is undefined for this angle"))
}

fn real(args: &[Value], name: &str, function: fn(f64) -> f64) -> NativeResult {
    Ok(Value::float(function(float(args, 0, name)?)))
}

fn positive(args: &[Value], name: &str, function: fn(f64) -> f64) -> NativeResult {
    let number = float(args, 0, name)?;
    if number <= 0.0 {
        return Err(NativeError::value_error(alloc::format!(
            "{name}() requires a positive number"
        )));
    }
    Ok(Value::float(function(number)))
}

fn logarithm(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let natural = positive(args, "log", libm::log)?;
    let (Value::Float(natural), Some(base)) =
        (&natural, args.get(1).filter(|base| !base.is_undefined()))
    else {
        return Ok(natural);
    };
    match positive(core::slice::from_ref(base), "log", libm::log)? {
        Value::Float(base) if base.get() != 0.0 => Ok(Value::float(natural.get() / base.get())),
        _ => Err(NativeError::new(
            ErrorClass::ZeroDivision,
            "division by zero",
        )),
    }
}

fn float_sqrt(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let number = float(args, 0, "fsqrt")?;
    if number < 0.0 {
        return Err(NativeError::value_error(
            "fsqrt() requires a non-negative number",
        ));
    }
    Ok(Value::float(libm::sqrt(number)))
}

fn float_remainder(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let divisor = float(args, 1, "fmod")?;
    if divisor == 0.0 {
        return Err(NativeError::new(
            ErrorClass::ZeroDivision,
            "division by zero",
        ));
    }
    Ok(Value::float(libm::fmod(float(args, 0, "fmod")?, divisor)))
}

fn whole(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    round: fn(f64) -> f64,
) -> NativeResult {
    match &args[0] {
        integer @ (Value::Int(_) | Value::Big(_)) => Ok(integer.clone()),
        _ => {
            let number = round(float(args, 0, name)?);
            let number = BigInt::from_f64(number).ok_or_else(|| {
                NativeError::value_error(alloc::format!("{name}() requires a finite number"))
            })?;
            Ok(cx.heap().integer(number)?)
        }
    }
}

fn greatest_divisor(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let big = |value: &Value| match value {
        Value::Int(number) => Ok(BigInt::from(*number)),
        Value::Big(number) => Ok(BigInt::clone(number)),
        _ => Err(expects("gcd", "two integers")),
    };
    let (a, b) = (big(&args[0])?, big(&args[1])?);
    let words = (a.bits().max(b.bits()) / 64) as usize;
    cx.charge(words.saturating_mul(words))?;
    Ok(cx.heap().integer(a.gcd(&b))?)
}
