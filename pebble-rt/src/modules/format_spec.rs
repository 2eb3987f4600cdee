//! The format mini language: `[[fill]align][sign][#][0][width][,|_][.precision][type]`.
//!
//! Used by f-strings, `format(value, spec)` and `"…".format(…)`. The module knows texts, integers as digits and doubles;
//! which of them a value is, the caller decides.

use alloc::format;
use alloc::string::{String, ToString};

use crate::value::float_text;

/// The widest field and the longest fraction that a specification may ask for.
pub const MAX_WIDTH: usize = 1_000_000;

/// The digits after the point that a specification may ask for.
pub const MAX_PRECISION: usize = 10_000;

/// Why a specification cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// The text is not a specification.
    Invalid,
    /// The width or the precision is beyond [`MAX_WIDTH`] or [`MAX_PRECISION`].
    TooLarge,
    /// The type letter does not fit the value.
    WrongType(char),
    /// A text was given a sign, a grouping or another option that only numbers take.
    NotForText,
    /// An integer was given a precision.
    NotForIntegers,
    /// The integer is too large to become a float.
    NumberTooLarge,
    /// The integer is no code point.
    NotACharacter,
}

impl core::fmt::Display for FormatError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Invalid => f.write_str("invalid format specification"),
            Self::TooLarge => f.write_str("format width or precision is too large"),
            Self::WrongType(letter) => write!(f, "format type '{letter}' does not fit the value"),
            Self::NotForText => f.write_str("format option is for numbers only"),
            Self::NotForIntegers => f.write_str("a precision is not allowed for integers"),
            Self::NumberTooLarge => f.write_str("number too large"),
            Self::NotACharacter => f.write_str("format type 'c' requires a code point"),
        }
    }
}

/// Where the padding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
    Center,
    /// Between the sign and the digits.
    AfterSign,
}

/// What stands before a number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Nothing,
    Plus,
    Blank,
}

/// A specification that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSpec {
    fill: char,
    align: Option<Align>,
    sign: Option<Sign>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    letter: Option<char>,
}

/// An integer of any size, as far as formatting needs it.
pub trait FormatInteger {
    /// Whether it is below zero.
    fn is_negative(&self) -> bool;
    /// The digits of its magnitude in lower case, for a radix of 2, 8, 10 or 16.
    fn magnitude(&self, radix: u32) -> String;
    /// The nearest double, or `None` when it is too large for one.
    fn to_float(&self) -> Option<f64>;
}

impl FormatInteger for i64 {
    fn is_negative(&self) -> bool {
        *self < 0
    }

    fn magnitude(&self, radix: u32) -> String {
        let magnitude = self.unsigned_abs();
        match radix {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        }
    }

    fn to_float(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl FormatSpec {
    /// Reads a specification.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut reader = Reader { rest: text };
        let (fill, mut align) = reader.fill_and_align();
        let sign = reader.one_of(&['+', '-', ' ']).map(|c| match c {
            '+' => Sign::Plus,
            ' ' => Sign::Blank,
            _ => Sign::Nothing,
        });
        let alternate = reader.one_of(&['#']).is_some();
        let zero = reader.one_of(&['0']).is_some();
        let width = reader.number(MAX_WIDTH)?.unwrap_or(0);
        let grouping = reader.one_of(&[',', '_']);
        let precision = match reader.one_of(&['.']) {
            Some(_) => Some(reader.number(MAX_PRECISION)?.ok_or(FormatError::Invalid)?),
            None => None,
        };
        let letter = reader.one_of(&[
            's', 'd', 'b', 'o', 'x', 'X', 'c', 'e', 'E', 'f', 'F', 'g', 'G', 'n', '%',
        ]);
        if !reader.rest.is_empty() {
            return Err(FormatError::Invalid);
        }
        let mut filling = fill.unwrap_or(' ');
        if zero && fill.is_none() {
            filling = '0';
            align = align.or(Some(Align::AfterSign));
        }
        Ok(Self {
            fill: filling,
            align,
            sign,
            alternate,
            width,
            grouping,
            precision,
            letter,
        })
    }

    /// An upper bound for the bytes that formatting `length` bytes of material needs, for charging memory beforehand.
    pub fn output_bound(&self, length: usize) -> usize {
        let number = self.precision.unwrap_or(0).saturating_add(400);
        length
            .saturating_mul(2)
            .saturating_add(number)
            .saturating_add(self.width.saturating_mul(4))
    }

    /// Whether the type letter asks for a number.
    pub fn is_for_numbers(&self) -> bool {
        !matches!(self.letter, None | Some('s'))
    }

    /// Formats a text: cut to the precision, padded to the width.
    pub fn format_text(&self, text: &str) -> Result<String, FormatError> {
        match self.letter {
            None | Some('s') => {}
            Some(other) => return Err(FormatError::WrongType(other)),
        }
        if self.sign.is_some() || self.grouping.is_some() || self.alternate {
            return Err(FormatError::NotForText);
        }
        let cut: String = match self.precision {
            Some(limit) => text.chars().take(limit).collect(),
            None => text.to_string(),
        };
        let align = match self.align {
            Some(Align::AfterSign) | None => Align::Left,
            Some(align) => align,
        };
        Ok(self.pad("", &cut, align))
    }

    /// Formats an integer, as digits in the radix that the type names or as a float.
    pub fn format_integer(&self, value: &dyn FormatInteger) -> Result<String, FormatError> {
        let letter = self.letter.unwrap_or('d');
        if matches!(letter, 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') {
            return self.format_float(value.to_float().ok_or(FormatError::NumberTooLarge)?);
        }
        if self.precision.is_some() {
            return Err(FormatError::NotForIntegers);
        }
        let (radix, prefix, group) = match letter {
            'd' | 'n' => (10, "", 3),
            'b' => (2, "0b", 4),
            'o' => (8, "0o", 4),
            'x' => (16, "0x", 4),
            'X' => (16, "0X", 4),
            'c' => return self.format_character(value),
            other => return Err(FormatError::WrongType(other)),
        };
        let mut digits = value.magnitude(radix);
        if letter == 'X' {
            digits.make_ascii_uppercase();
        }
        if let Some(separator) = self.grouping {
            digits = group_digits(&digits, separator, group);
        }
        let mut head = self.sign_text(value.is_negative()).to_string();
        if self.alternate {
            head.push_str(prefix);
        }
        Ok(self.pad_number(&head, &digits))
    }

    fn format_character(&self, value: &dyn FormatInteger) -> Result<String, FormatError> {
        let code: Option<u32> = if value.is_negative() {
            None
        } else {
            value.magnitude(10).parse().ok()
        };
        let c = code
            .and_then(char::from_u32)
            .ok_or(FormatError::NotACharacter)?;
        let mut buffer = [0; 4];
        Ok(self.pad(
            "",
            c.encode_utf8(&mut buffer),
            self.align.unwrap_or(Align::Left),
        ))
    }

    /// Formats a double.
    pub fn format_float(&self, value: f64) -> Result<String, FormatError> {
        let head = self.sign_text(value.is_sign_negative() && !value.is_nan());
        let magnitude = if value.is_sign_negative() {
            -value
        } else {
            value
        };
        let body = if magnitude.is_finite() {
            self.finite_body(magnitude)?
        } else {
            let upper = matches!(self.letter, Some('E' | 'F' | 'G'));
            let name = match (magnitude.is_nan(), upper) {
                (true, false) => "nan",
                (true, true) => "NAN",
                (false, false) => "inf",
                (false, true) => "INF",
            };
            if self.letter == Some('%') {
                format!("{name}%")
            } else {
                name.to_string()
            }
        };
        Ok(self.pad_number(head, &body))
    }

    fn finite_body(&self, magnitude: f64) -> Result<String, FormatError> {
        let precision = self.precision.unwrap_or(6);
        let body = match self.letter {
            None => match self.precision {
                None => float_text(magnitude),
                Some(precision) => {
                    let text = general(magnitude, precision.max(1), 'e', false);
                    if text.contains(['.', 'e']) {
                        text
                    } else {
                        text + ".0"
                    }
                }
            },
            Some('f' | 'F') => fixed(magnitude, precision, self.alternate),
            Some('%') => fixed(magnitude * 100.0, precision, self.alternate) + "%",
            Some(letter @ ('e' | 'E')) => scientific(magnitude, precision, letter, self.alternate),
            Some('g' | 'n') => general(magnitude, precision.max(1), 'e', self.alternate),
            Some('G') => general(magnitude, precision.max(1), 'E', self.alternate),
            Some(other) => return Err(FormatError::WrongType(other)),
        };
        Ok(match self.grouping {
            Some(separator) => group_whole_part(&body, separator),
            None => body,
        })
    }

    fn sign_text(&self, is_negative: bool) -> &'static str {
        match (is_negative, self.sign) {
            (true, _) => "-",
            (false, Some(Sign::Plus)) => "+",
            (false, Some(Sign::Blank)) => " ",
            (false, _) => "",
        }
    }

    fn pad_number(&self, head: &str, body: &str) -> String {
        self.pad(head, body, self.align.unwrap_or(Align::Right))
    }

    fn pad(&self, head: &str, body: &str, align: Align) -> String {
        let length = head.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let (before, between, after) = match align {
            Align::Left => (0, 0, missing),
            Align::Right => (missing, 0, 0),
            Align::Center => (missing / 2, 0, missing - missing / 2),
            Align::AfterSign => (0, missing, 0),
        };
        let mut text =
            String::with_capacity(head.len() + body.len() + missing * self.fill.len_utf8());
        let fill =
            |text: &mut String, count: usize| text.extend(core::iter::repeat_n(self.fill, count));
        fill(&mut text, before);
        text.push_str(head);
        fill(&mut text, between);
        text.push_str(body);
        fill(&mut text, after);
        text
    }
}

fn fixed(magnitude: f64, precision: usize, keep_point: bool) -> String {
    let mut text = format!("{magnitude:.precision$}");
    if keep_point && precision == 0 {
        text.push('.');
    }
    text
}

fn scientific(magnitude: f64, precision: usize, letter: char, keep_point: bool) -> String {
    let (mut mantissa, exponent) = split_scientific(magnitude, precision);
    if keep_point && precision == 0 {
        mantissa.push('.');
    }
    mantissa + &format_exponent(letter, exponent)
}

fn split_scientific(magnitude: f64, precision: usize) -> (String, i32) {
    let text = format!("{magnitude:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_string(), exponent.parse().unwrap_or(0))
}

/// `precision` significant digits, positional or with an exponent, whichever is usual for the size.
fn general(magnitude: f64, precision: usize, letter: char, keep_zeros: bool) -> String {
    let (mut mantissa, exponent) = split_scientific(magnitude, precision - 1);
    if exponent >= -4 && i64::from(exponent) < precision as i64 {
        let decimals = (precision as i64 - 1 - i64::from(exponent)) as usize;
        let mut text = fixed(magnitude, decimals, keep_zeros);
        if !keep_zeros {
            strip_zeros(&mut text);
        }
        return text;
    }
    if !keep_zeros {
        strip_zeros(&mut mantissa);
    }
    mantissa + &format_exponent(letter, exponent)
}

/// `e+05`: the exponent with its sign and at least two digits.
fn format_exponent(letter: char, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{letter}{sign}{:02}", exponent.unsigned_abs())
}

fn strip_zeros(text: &mut String) {
    if text.contains('.') {
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
    }
}

fn group_whole_part(body: &str, separator: char) -> String {
    let end = body
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(body.len());
    group_digits(&body[..end], separator, 3) + &body[end..]
}

fn group_digits(digits: &str, separator: char, size: usize) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / size);
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(size) {
            text.push(separator);
        }
        text.push(c);
    }
    text
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn fill_and_align(&mut self) -> (Option<char>, Option<Align>) {
        let mut chars = self.rest.chars();
        let first = chars.next();
        if let (Some(fill), Some(align)) = (first, chars.next().and_then(align_of)) {
            self.rest = chars.as_str();
            return (Some(fill), Some(align));
        }
        match first.and_then(align_of) {
            Some(align) => {
                self.rest = &self.rest[1..];
                (None, Some(align))
            }
            None => (None, None),
        }
    }

    fn one_of(&mut self, accepted: &[char]) -> Option<char> {
        let first = self.rest.chars().next().filter(|c| accepted.contains(c))?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn number(&mut self, limit: usize) -> Result<Option<usize>, FormatError> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        if end == 0 {
            return Ok(None);
        }
        let value: usize = self.rest[..end]
            .parse()
            .map_err(|_| FormatError::TooLarge)?;
        self.rest = &self.rest[end..];
        if value > limit {
            Err(FormatError::TooLarge)
        } else {
            Ok(Some(value))
        }
    }
}

fn align_of(c: char) -> Option<Align> {
    match c {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '^' => Some(Align::Center),
        '=' => Some(Align::AfterSign),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integer(spec: &str, value: i64) -> String {
        FormatSpec::parse(spec)
            .and_then(|s| s.format_integer(&value))
            .unwrap_or_else(|e| format!("! {e}"))
    }

    fn float(spec: &str, value: f64) -> String {
        FormatSpec::parse(spec)
            .and_then(|s| s.format_float(value))
            .unwrap_or_else(|e| format!("! {e}"))
    }

    fn text(spec: &str, value: &str) -> String {
        FormatSpec::parse(spec)
            .and_then(|s| s.format_text(value))
            .unwrap_or_else(|e| format!("! {e}"))
    }

    #[test]
    fn integers_take_width_sign_radix_and_grouping() {
        assert_eq!(integer("", 42), "42");
        assert_eq!(integer("5", 42), "   42");
        assert_eq!(integer("<5", 42), "42   ");
        assert_eq!(integer("*^6", 42), "**42**");
        assert_eq!(integer("05", -42), "-0042");
        assert_eq!(integer("+", 42), "+42");
        assert_eq!(integer(",", -1234567), "-1,234,567");
        assert_eq!(integer("#x", 255), "0xff");
        assert_eq!(integer("#010b", 5), "0b00000101");
        assert_eq!(integer("_X", 0xABCDE), "A_BCDE");
        assert_eq!(integer("c", 65), "A");
        assert_eq!(integer(".2f", 3), "3.00");
        assert_eq!(integer("d", i64::MIN), "-9223372036854775808");
    }

    #[test]
    fn floats_take_the_usual_types() {
        assert_eq!(float(".2f", 1.0 / 3.0), "0.33");
        assert_eq!(float("8.3f", -2.0), "  -2.000");
        assert_eq!(float(".0f", 2.5), "2");
        assert_eq!(float("e", 12345.678), "1.234568e+04");
        assert_eq!(float("g", 0.00001), "1e-05");
        assert_eq!(float("g", 1234567.0), "1.23457e+06");
        assert_eq!(float(".1%", 0.256), "25.6%");
        assert_eq!(float(",.2f", 1234567.891), "1,234,567.89");
        assert_eq!(float("", 1e16), "1e+16");
        assert_eq!(float(".3", 1.0), "1.0");
        assert_eq!(float("08.2f", -1.5), "-0001.50");
        assert_eq!(float("6", f64::INFINITY), "   inf");
    }

    #[test]
    fn texts_are_cut_and_padded() {
        assert_eq!(text(">5", "ab"), "   ab");
        assert_eq!(text("^7.3", "abcdef"), "  abc  ");
        assert_eq!(text("é<4", "x"), "xééé");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(FormatSpec::parse("zz"), Err(FormatError::Invalid));
        assert_eq!(FormatSpec::parse("."), Err(FormatError::Invalid));
        assert_eq!(
            FormatSpec::parse("99999999999999999999"),
            Err(FormatError::TooLarge)
        );
        assert_eq!(FormatSpec::parse("2000000"), Err(FormatError::TooLarge));
        assert_eq!(integer("s", 1), "! format type 's' does not fit the value");
        assert_eq!(
            integer(".2", 1),
            "! a precision is not allowed for integers"
        );
        assert_eq!(text("d", "x"), "! format type 'd' does not fit the value");
        assert_eq!(integer("c", -1), "! format type 'c' requires a code point");
    }

    proptest! {
        #[test]
        fn any_specification_formats_or_is_refused(spec in "[ -~é]{0,8}", value in any::<f64>(), whole in any::<i64>()) {
            if let Ok(spec) = FormatSpec::parse(&spec) {
                if let Ok(text) = spec.format_float(value) {
                    prop_assert!(text.len() <= spec.output_bound(0));
                }
                let _ = spec.format_integer(&whole);
                let _ = spec.format_text("héllo");
            }
        }
    }
}
