//! Numbers as text: how floats print (language section 6.4), and what `int("…")` and `float("…")` accept (section 17).

use alloc::format;
use alloc::string::{String, ToString};

/// Prints a float as the language does: the shortest decimal that reads back as the same double.
///
/// The form is positional when the decimal exponent is in −4..=15 and always shows a digit after the point; otherwise
/// it has a signed exponent of at least two digits.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let Decimal {
        negative,
        digits,
        exponent,
    } = Decimal::shortest(value);
    let mut text = String::with_capacity(digits.len() + 8);
    if negative {
        text.push('-');
    }
    if (-4..16).contains(&exponent) {
        push_positional(&mut text, &digits, exponent);
    } else {
        push_scientific(&mut text, &digits, exponent);
    }
    text
}

/// The digits of a finite double: `d.ddd × 10^exponent`, without trailing zeros beyond the first digit.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Decimal {
    fn shortest(value: f64) -> Self {
        let text = format!("{:e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Self {
            negative: value.is_sign_negative(),
            digits: mantissa.chars().filter(|c| *c != '.').collect(),
            exponent: exponent.parse().unwrap_or(0),
        }
    }
}

fn push_positional(text: &mut String, digits: &str, exponent: i32) {
    if exponent < 0 {
        text.push_str("0.");
        for _ in 1..-exponent {
            text.push('0');
        }
        text.push_str(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        text.push_str(digits);
        for _ in digits.len()..whole {
            text.push('0');
        }
        text.push_str(".0");
    } else {
        text.push_str(&digits[..whole]);
        text.push('.');
        text.push_str(&digits[whole..]);
    }
}

fn push_scientific(text: &mut String, digits: &str, exponent: i32) {
    text.push_str(&digits[..1]);
    if digits.len() > 1 {
        text.push('.');
        text.push_str(&digits[1..]);
    }
    text.push_str(&format_exponent('e', exponent));
}

/// `e+05`: the exponent with its sign and at least two digits.
pub(super) fn format_exponent(letter: char, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{letter}{sign}{:02}", exponent.unsigned_abs())
}

/// The text of an integer that `int("…")` accepts: its sign and its decimal digits, blanks and underscores removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegerText {
    /// Whether a minus sign stood before the digits.
    pub is_negative: bool,
    /// At least one ASCII digit, and nothing else.
    pub digits: String,
}

/// Reads what `int("…")` accepts: blanks around, a sign, decimal digits with single underscores between them.
pub fn parse_integer(text: &str) -> Option<IntegerText> {
    let (is_negative, body) = split_sign(text.trim());
    Some(IntegerText {
        is_negative,
        digits: strip_underscores(body, |c| c.is_ascii_digit())?,
    })
}

/// Reads what `float("…")` accepts: decimal and exponent forms, `inf`, `infinity` and `nan` in any case, blanks around.
pub fn parse_float(text: &str) -> Option<f64> {
    let (is_negative, body) = split_sign(text.trim());
    let magnitude = if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        f64::INFINITY
    } else if body.eq_ignore_ascii_case("nan") {
        f64::NAN
    } else {
        let plain = strip_underscores(body, |c| {
            c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')
        })?;
        if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        plain.parse().ok()?
    };
    Some(if is_negative { -magnitude } else { magnitude })
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Drops underscores that stand between two digits; anything else that is not allowed makes the whole text unreadable.
fn strip_underscores(text: &str, allowed: impl Fn(char) -> bool) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut after_digit = false;
    let mut after_underscore = false;
    for c in text.chars() {
        if c == '_' {
            if !after_digit {
                return None;
            }
            after_underscore = true;
            after_digit = false;
            continue;
        }
        if !allowed(c) || (after_underscore && !c.is_ascii_digit()) {
            return None;
        }
        after_underscore = false;
        after_digit = c.is_ascii_digit();
        plain.push(c);
    }
    (!plain.is_empty() && !after_underscore).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats_print_positionally_between_the_two_limits() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (100000.0, "100000.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.0001, "0.0001"),
            (1e15, "1000000000000000.0"),
            (1234567890123456.0, "1234567890123456.0"),
            (-0.0, "-0.0"),
            (0.0, "0.0"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(format_float(value), text);
        }
    }

    #[test]
    fn floats_beyond_the_limits_print_with_an_exponent() {
        for (value, text) in [
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (2.5e20, "2.5e+20"),
            (1.5e-10, "1.5e-10"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(format_float(value), text);
        }
    }

    #[test]
    fn integer_texts_take_blanks_a_sign_and_single_underscores() {
        let digits = |text: &str| parse_integer(text).map(|t| (t.is_negative, t.digits));
        assert_eq!(digits("  -1_000 \n"), Some((true, "1000".into())));
        assert_eq!(digits("+007"), Some((false, "007".into())));
        for bad in [
            "", " ", "-", "0x10", "3.5", "1__0", "_1", "1_", "1 0", "--1", "abc",
        ] {
            assert_eq!(digits(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn float_texts_take_the_usual_forms() {
        for (text, value) in [
            ("1", 1.0),
            (" 2.5 ", 2.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("-1.5E-2", -0.015),
            ("1_0.5", 10.5),
        ] {
            assert_eq!(parse_float(text), Some(value), "{text:?}");
        }
        assert_eq!(parse_float("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(parse_float("NaN").is_some_and(f64::is_nan));
        for bad in [
            "", ".", "e5", "1e", "1e+", "0x1", "1_", "1._5", "--1", "1.2.3", "in", "+-1", "1e_5",
        ] {
            assert_eq!(parse_float(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_float_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let back = parse_float(&format_float(value));
            prop_assert_eq!(back.map(f64::to_bits), Some(value.to_bits()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = parse_float(&text);
            let _ = parse_integer(&text);
        }
    }
}
