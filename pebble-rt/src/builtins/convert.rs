//! Section 17, and conversions.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};

use crate::error::{ErrorClass, NativeError};
use crate::native::{ANY_NUMBER, BlockReason, NativeContext, NativeFunction, NativeResult};
use crate::system::{Answer, Data, Started};
use crate::value::{
    BigInt, CalledOff, TextError, Value, parse_float, parse_integer, quoted_text, text_of,
};
use crate::vm::Core;

/// The functions.
pub static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("len", 1, 1, |cx, args| cx.core.length(&args[0])).takes_iterators(),
    NativeFunction::new("append", 2, 2, append),
    NativeFunction::new("range", 0, ANY_NUMBER, |cx, args| cx.core.range(args)),
    NativeFunction::new("str", 1, 1, str_builtin).takes_iterators(),
    NativeFunction::new("int", 1, 1, int).takes_iterators(),
    NativeFunction::new("float", 1, 1, float).takes_iterators(),
    NativeFunction::new("bool", 0, 1, bool_builtin).takes_iterators(),
    NativeFunction::new("keys", 1, 1, keys),
    NativeFunction::new("argv", 1, 1, argv),
    NativeFunction::new("input", 1, 1, input),
    NativeFunction::new("repr", 1, 1, quoted).takes_iterators(),
    NativeFunction::new("#text", 1, 1, str_builtin).takes_iterators(),
    NativeFunction::new("#quoted", 1, 1, quoted).takes_iterators(),
];

fn append(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let item = core::mem::take(&mut args[1]);
    let mut list = core::mem::take(&mut args[0]);
    cx.core.append(&mut list, item)?;
    Ok(list)
}

impl Core {
    /// `range(...)` as a list.
    pub(crate) fn range(&mut self, args: &[Value]) -> NativeResult {
        if (1..=3).contains(&args.len()) && args.iter().any(|bound| matches!(bound, Value::Big(_)))
        {
            let one = Value::Int(1);
            let (start, stop, step) = match args {
                [stop] => (&Value::Int(0), stop, &one),
                [start, stop] => (start, stop, &one),
                _ => (&args[0], &args[1], &args[2]),
            };
            return self.range_list(&mut [start.clone(), stop.clone(), step.clone()]);
        }
        let number = |value: &Value| value.as_int().ok_or_else(range_error);
        let (start, stop, step) = match args {
            [stop] => (0, number(stop)?, 1),
            [start, stop] => (number(start)?, number(stop)?, 1),
            [start, stop, step] => (number(start)?, number(stop)?, number(step)?),
            _ => return Err(range_error()),
        };
        if step == 0 {
            return Err(NativeError::value_error("range() step cannot be zero"));
        }
        let distance = if step > 0 {
            stop as i128 - start as i128
        } else {
            start as i128 - stop as i128
        };
        let stride = i128::from(step).abs();
        let count = if distance <= 0 {
            0
        } else {
            (distance + stride - 1) / stride
        };
        let count = usize::try_from(count).map_err(|_| crate::heap::OutOfMemory)?;
        let mut numbers = self.heap.values(count)?;
        self.charge_steps(count / 16)?;
        let mut current = start;
        for _ in 0..count {
            numbers.push(Value::Int(current));
            current = current.wrapping_add(step);
        }
        Ok(self.heap.list(numbers)?)
    }

    /// The numbers of a range whose bounds are not all small.
    pub(crate) fn range_list(&mut self, bounds: &mut [Value; 3]) -> NativeResult {
        if bounds
            .iter()
            .any(|bound| !matches!(bound, Value::Int(_) | Value::Big(_)))
        {
            return Err(range_error());
        }
        if matches!(bounds[2], Value::Int(0)) {
            return Err(NativeError::value_error("range() step cannot be zero"));
        }
        let big = |value: &Value| match value {
            Value::Int(number) => BigInt::from(*number),
            Value::Big(number) => number.number().clone(),
            _ => BigInt::default(),
        };
        let (mut current, stop, step) = (big(&bounds[0]), big(&bounds[1]), big(&bounds[2]));
        let distance = &stop - &current;
        let has_some = !distance.is_zero() && distance.is_negative() == step.is_negative();
        let count = if has_some {
            (distance.abs() + step.abs() - 1u32) / step.abs()
        } else {
            BigInt::default()
        };
        let count = count.to_usize().ok_or(crate::heap::OutOfMemory)?;
        let mut numbers = self.heap.values(count)?;
        for _ in 0..count {
            self.charge_steps(1)?;
            numbers.push(self.heap.integer(current.clone())?);
            current += &step;
        }
        Ok(self.heap.list(numbers)?)
    }
}

fn range_error() -> NativeError {
    NativeError::type_error("range() expects 1, 2, or 3 integer arguments")
}

fn text_error(error: TextError) -> NativeError {
    match error {
        TextError::OutOfMemory => crate::heap::OutOfMemory.into(),
        TextError::CalledOff => CalledOff.into(),
        TextError::NeedsMethod => NativeError::NeedsMethod {
            index: 0,
            want: crate::error::Want::Text,
        },
    }
}

fn str_builtin(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match args.first() {
        None => Ok(Value::Str(cx.core.empty_string.clone())),
        Some(text @ Value::Str(_)) => Ok(text.clone()),
        Some(value) => {
            let text = text_of(cx.heap(), value).map_err(text_error)?;
            cx.charge(1 + text.len() / 64)?;
            Ok(cx.heap().owned_string(text)?)
        }
    }
}

fn quoted(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match quoted_text(cx.heap(), &args[0]) {
        Ok(text) => Ok(cx.heap().owned_string(text)?),
        Err(TextError::OutOfMemory) => Err(crate::heap::OutOfMemory.into()),
        Err(TextError::CalledOff) => Err(CalledOff.into()),
        Err(TextError::NeedsMethod) => {
            Err(cx.core.wanted_call(crate::error::Want::Quoted, &args[0]))
        }
    }
}

fn unparsed(name: &str, text: &str) -> NativeError {
    let shown: String = text.chars().take(200).collect();
    NativeError::value_error(format!("{name}() could not parse '{shown}'"))
}

fn int(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Int(_) | Value::Bool(_) | Value::Big(_) => Ok(args[0].clone()),
        Value::Float(number) => match number.get().to_i64() {
            Some(whole) => Ok(Value::Int(whole)),
            None => match BigInt::from_f64(number.get()) {
                Some(whole) => Ok(cx.heap().integer(whole)?),
                None => Err(unparsed("int", &crate::value::float_text(number.get()))),
            },
        },
        Value::Str(text) => {
            let words = text.as_str().len() / 16;
            cx.charge(1 + words.saturating_mul(words) / 16)?;
            match parse_integer(cx.heap(), text.as_str()) {
                Some(number) => Ok(number?),
                None => Err(unparsed("int", text.as_str())),
            }
        }
        _ => Err(NativeError::type_error(
            "int() expects a string, integer, or float",
        )),
    }
}

fn float(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    match &args[0] {
        Value::Float(_) => Ok(args[0].clone()),
        Value::Bool(truth) => Ok(Value::float(f64::from(u8::from(*truth)))),
        Value::Str(text) => match parse_float(text.as_str()) {
            Some(number) => Ok(Value::float(number)),
            None => Err(unparsed("float", text.as_str())),
        },
        value => match value.as_float() {
            Some(number) if number.is_finite() => Ok(Value::float(number)),
            Some(_) => Err(NativeError::new(ErrorClass::Arithmetic, "number too large")),
            None => Err(NativeError::type_error(
                "float() expects a string, integer, or float",
            )),
        },
    }
}

fn bool_builtin(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let Some(value) = args.first() else {
        return Ok(Value::bool(false));
    };
    match cx.core.truth(value) {
        Ok(truth) => Ok(Value::bool(truth)),
        Err(_) => Err(cx.core.prelude_call("_truth", Vec::from([value.clone()]))),
    }
}

fn keys(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let content = match &args[0] {
        Value::Ref(shared) => shared.get(),
        other => other.clone(),
    };
    let Value::Dict(dict) = &content else {
        return Err(NativeError::type_error("keys() expects a dict"));
    };
    let mut keys = cx.heap().values(dict.len())?;
    keys.extend(dict.keys().cloned());
    cx.charge(1 + keys.len() / 16)?;
    Ok(cx.heap().list(keys)?)
}

fn argv(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let Some(index) = args[0].as_index() else {
        return Err(NativeError::type_error("argv() expects an integer index"));
    };
    let found =
        crate::vm::position(index, cx.arguments().len()).and_then(|at| cx.arguments().get(at));
    match found {
        Some(text) => Ok(cx.heap().string(text)?),
        None => Err(NativeError::new(
            ErrorClass::Index,
            "argv index out of range",
        )),
    }
}

fn input(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let prompt = match args.first() {
        Some(Value::Str(prompt)) => String::from(prompt.as_str()),
        _ => return Err(NativeError::type_error("input() expects a string prompt")),
    };
    match cx.start_input(&prompt) {
        Started::Ready(answer) => line_of_input(cx, args, answer),
        Started::Pending(token) => Err(cx.block(token, BlockReason::Input, line_of_input)),
    }
}

fn line_of_input(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    match answer? {
        Data::Text(line) => Ok(cx.heap().owned_string(line)?),
        _ => Ok(Value::Str(cx.core.empty_string.clone())),
    }
}
