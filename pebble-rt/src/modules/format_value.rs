//! Values under format specifications: `format(v, spec)`, f-strings and `"…".format(…)`.

use alloc::format;
use alloc::string::{String, ToString};

use num_bigint::{BigInt, Sign};
use num_traits::ToPrimitive;

use super::arguments::{quoted_form, text_form};
use super::format_spec::{FormatError, FormatInteger, FormatSpec};
use crate::error::{ErrorClass, NativeError};
use crate::native::NativeContext;
use crate::value::{Value, big};

/// A large integer with its decimal digits, which take the longest to make.
struct LargeInteger<'a> {
    number: &'a BigInt,
    decimal: String,
}

impl FormatInteger for LargeInteger<'_> {
    fn is_negative(&self) -> bool {
        self.number.sign() == Sign::Minus
    }

    fn magnitude(&self, radix: u32) -> String {
        match radix {
            10 => self.decimal.clone(),
            _ => self.number.magnitude().to_str_radix(radix),
        }
    }

    fn to_float(&self) -> Option<f64> {
        self.number.to_f64().filter(|number| number.is_finite())
    }
}

impl From<FormatError> for NativeError {
    fn from(error: FormatError) -> NativeError {
        let class = if error == FormatError::NumberTooLarge {
            ErrorClass::Arithmetic
        } else {
            ErrorClass::Value
        };
        NativeError::new(class, error.to_string())
    }
}

/// Formats argument `index` under a specification, the text between `:` and `}` of an f-string.
pub fn format_argument(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    index: usize,
    specification: &str,
) -> Result<String, NativeError> {
    if specification.is_empty() {
        return text_form(cx, args, index);
    }
    let spec = FormatSpec::parse(specification)?;
    let reserve = |length: usize| -> Result<(), NativeError> {
        let bytes = spec.output_bound(length);
        cx.heap().charge(bytes)?;
        cx.heap().credit(bytes);
        Ok(())
    };
    match &args[index] {
        Value::Int(number) => {
            reserve(80)?;
            Ok(spec.format_integer(number)?)
        }
        Value::Big(number) => {
            // Binary digits are the most that a specification can ask for.
            reserve(number.bits() as usize)?;
            let text = big::to_decimal(cx.heap(), number)?;
            let decimal = String::from(text.trim_start_matches('-'));
            Ok(spec.format_integer(&LargeInteger { number, decimal })?)
        }
        Value::Float(number) => {
            reserve(0)?;
            Ok(spec.format_float(number.get())?)
        }
        Value::Bool(truth) if spec.is_for_numbers() => Ok(spec.format_integer(&i64::from(*truth))?),
        _ => {
            let text = text_form(cx, args, index)?;
            reserve(text.len())?;
            Ok(spec.format_text(&text)?)
        }
    }
}

/// A replacement field of a pattern: `{0!r:>8}`.
struct Field<'a> {
    name: &'a str,
    conversion: Option<&'a str>,
    specification: &'a str,
}

/// `"…".format(…)`: the pattern is argument 0, what it names are the arguments after it.
pub fn format_pattern(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    pattern: &str,
) -> Result<String, NativeError> {
    let mut out = String::new();
    let mut rest = pattern;
    let mut next_argument = 0;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let end = end.ok_or_else(|| {
            NativeError::value_error(format!("single '{brace}' in format string"))
        })?;
        let field = parse_field(&rest[..end]);
        rest = &rest[end + 1..];
        let index = argument_index(&field, &mut next_argument, args.len())?;
        let formatted = match field.conversion {
            None => format_argument(cx, args, index, field.specification)?,
            Some("r") => padded(&quoted_form(cx, args, index)?, field.specification)?,
            Some("s") => padded(&text_form(cx, args, index)?, field.specification)?,
            Some(other) => {
                return Err(NativeError::value_error(format!(
                    "unknown conversion '{other}'"
                )));
            }
        };
        cx.charge(1 + formatted.len() / 16)?;
        cx.heap().charge(out.len() + formatted.len())?;
        cx.heap().credit(out.len() + formatted.len());
        out.push_str(&formatted);
    }
    out.push_str(rest);
    Ok(out)
}

fn padded(text: &str, specification: &str) -> Result<String, NativeError> {
    Ok(FormatSpec::parse(specification)?.format_text(text)?)
}

fn parse_field(text: &str) -> Field<'_> {
    let (head, specification) = text.split_once(':').unwrap_or((text, ""));
    match head.split_once('!') {
        Some((name, conversion)) => Field {
            name,
            conversion: Some(conversion),
            specification,
        },
        None => Field {
            name: head,
            conversion: None,
            specification,
        },
    }
}

fn argument_index(field: &Field<'_>, next: &mut usize, count: usize) -> Result<usize, NativeError> {
    let number = if field.name.is_empty() {
        *next += 1;
        *next
    } else {
        let number: usize = field.name.parse().map_err(|_| {
            NativeError::value_error(format!("format() has no argument named '{}'", field.name))
        })?;
        number.saturating_add(1)
    };
    if number < count {
        return Ok(number);
    }
    Err(NativeError::new(
        ErrorClass::Index,
        format!("format() has no argument {}", number - 1),
    ))
}
