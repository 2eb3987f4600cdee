//! Strict JSON (RFC 8259): numbers exact over i64 and u64, no duplicate member names, bounded nesting, no lone surrogates.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Nesting of arrays and objects, at most.
pub const MAX_NESTING: usize = 64;

/// Why a text is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// It is no JSON text; where.
    NotJson {
        /// Byte in the text, from 0.
        offset: usize,
    },
    /// It is one, but breaks a rule of ours; which.
    Refused(String),
}

const DUPLICATE: &str = "duplicate member";
const TOO_DEEP: &str = "nested deeper than 64";

/// Reads one JSON text.
pub fn parse(text: &[u8]) -> Result<Value, ParseError> {
    if let Err(error) = core::str::from_utf8(text) {
        return Err(ParseError::NotJson {
            offset: error.valid_up_to(),
        });
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| classify(text, &error))
}

fn classify(text: &[u8], error: &serde_json::Error) -> ParseError {
    let words = error.to_string();
    for rule in [DUPLICATE, TOO_DEEP] {
        if words.contains(rule) {
            return ParseError::Refused(rule.to_string());
        }
    }
    if words.contains("surrogate")
        || words.contains("unexpected end of hex escape") && error.is_syntax()
    {
        return ParseError::Refused("lone surrogate".to_string());
    }
    if words.contains("recursion limit") {
        return ParseError::Refused(TOO_DEEP.to_string());
    }
    if error.is_eof() {
        return ParseError::NotJson { offset: text.len() };
    }
    ParseError::NotJson {
        offset: offset(text, error.line(), error.column()),
    }
}

fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let start: usize = text
        .split(|&byte| byte == b'\n')
        .take(line.saturating_sub(1))
        .map(|line| line.len() + 1)
        .sum();
    (start + column.saturating_sub(1)).min(text.len())
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_NESTING {
            Err(E::custom(TOO_DEEP))
        } else {
            Ok(Self {
                depth: self.depth + 1,
            })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(object))
    }
}

/// The largest integer up to which every reader of JSON is exact (RFC 8259 §6).
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Writes integers beyond ±(2^53 − 1) as decimal strings, for readers that have only doubles.
pub fn big_as_strings(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let is_big = match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => number > MAX_SAFE,
                (None, Some(number)) => number.unsigned_abs() > MAX_SAFE,
                (None, None) => false,
            };
            if is_big {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(big_as_strings),
        Value::Object(members) => members
            .iter_mut()
            .for_each(|(_, value)| big_as_strings(value)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        match parse(text.as_bytes()) {
            Err(ParseError::Refused(rule)) => rule,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_exact() {
        for text in [
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615",
            "1e308",
            "0.1",
        ] {
            let value = parse(text.as_bytes()).expect("valid");
            assert_eq!(
                parse(value.to_string().as_bytes()).expect("valid"),
                value,
                "{text}"
            );
        }
        assert_eq!(
            parse(b"18446744073709551615").expect("valid").as_u64(),
            Some(u64::MAX)
        );
    }

    #[test]
    fn only_big_integers_become_strings() {
        let mut value = parse(
            br#"{"a":9007199254740991,"b":[9007199254740992,-9007199254740992,18446744073709551615],"c":1e300,"d":-1}"#,
        )
        .expect("valid");
        big_as_strings(&mut value);
        assert_eq!(
            value.to_string(),
            r#"{"a":9007199254740991,"b":["9007199254740992","-9007199254740992","18446744073709551615"],"c":1e+300,"d":-1}"#
        );
    }

    #[test]
    fn text_comes_through_as_it_is() {
        let value = parse(br#""a\u0000b\u00fc\"\\\/""#).expect("valid");
        assert_eq!(value, Value::String("a\0b\u{fc}\"\\/".to_string()));
        assert_eq!(value.to_string(), "\"a\\u0000b\u{fc}\\\"\\\\/\"");
    }

    #[test]
    fn surrogate_pairs_decode_and_lone_ones_are_refused() {
        assert_eq!(
            parse(br#""\ud83d\ude00""#),
            Ok(Value::String("😀".to_string()))
        );
        for text in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\n""#,
        ] {
            assert_eq!(refused(text), "lone surrogate", "{text}");
        }
    }

    #[test]
    fn duplicates_are_refused_at_any_depth() {
        assert_eq!(refused(r#"{"a":1,"a":2}"#), DUPLICATE);
        assert_eq!(refused(r#"[{"b":{"a":1,"c":2,"a":3}}]"#), DUPLICATE);
    }

    #[test]
    fn nesting_of_64_is_fine_and_of_65_is_not() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(64).as_bytes()).is_ok());
        for depth in [65, 127, 128, 100_000] {
            assert_eq!(refused(&nested(depth)), TOO_DEEP);
        }
    }

    #[test]
    fn broken_texts_say_where() {
        for (text, offset) in [
            (&b"{\"a\" 1}"[..], 5),
            (b"[1,]", 3),
            (b"", 0),
            (b"[1] 2", 4),
            (b"\"\xff\"", 1),
            (b"nul", 3),
            (b"[1,\n2,\n x]", 8),
        ] {
            assert_eq!(
                parse(text),
                Err(ParseError::NotJson { offset }),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = parse(&bytes) {
                prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
            }
        }
    }
}
