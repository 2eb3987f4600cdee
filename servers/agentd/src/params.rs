//! Taking a method's parameters, so that every mistake is named by its place.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::rpc::{Code, Id, RpcError};

/// The parameters of one request. Each is taken once; [`Params::finish`] refuses what nobody took, so that a misspelt option is never ignored.
#[derive(Debug)]
pub struct Params {
    members: Map<String, Value>,
    known: Vec<&'static str>,
}

/// How file contents and the like are written in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// As text.
    Utf8,
    /// In base 64.
    Base64,
}

impl Encoding {
    /// The name in parameters and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Base64 => "b64",
        }
    }

    /// Bytes as a JSON string. Text that is no UTF-8 is written in base 64, which the second value says.
    pub fn encode(self, bytes: &[u8]) -> (String, Self) {
        match (self, core::str::from_utf8(bytes)) {
            (Self::Utf8, Ok(text)) => (text.to_string(), Self::Utf8),
            _ => (STANDARD.encode(bytes), Self::Base64),
        }
    }
}

impl Params {
    /// Takes the members.
    pub fn new(members: Map<String, Value>) -> Self {
        Self {
            members,
            known: Vec::new(),
        }
    }

    /// Refuses members with other names than these.
    pub fn only(&self, names: impl Iterator<Item = &'static str> + Clone) -> Result<(), RpcError> {
        let is_known = |name: &&String| names.clone().any(|known| known == name.as_str());
        match self.members.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(unknown(name, names.collect())),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    fn required(&mut self, name: &'static str, expected: &str) -> Result<Value, RpcError> {
        self.take(name).ok_or_else(|| wrong(name, expected, None))
    }

    /// A string that must be there.
    pub fn string(&mut self, name: &'static str) -> Result<String, RpcError> {
        let value = self.required(name, "string")?;
        into_string(name, value)
    }

    /// A string that may be there.
    pub fn optional_string(&mut self, name: &'static str) -> Result<Option<String>, RpcError> {
        self.take(name)
            .map(|value| into_string(name, value))
            .transpose()
    }

    /// A whole number from `range` that may be there.
    pub fn optional_integer(
        &mut self,
        name: &'static str,
        range: core::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, RpcError> {
        let expected = || format!("integer from {} to {}", range.start(), range.end());
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        // Numbers beyond 2^53 may come as decimal strings.
        let number = value
            .as_u64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        match number.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(name, &expected(), Some(&value))),
        }
    }

    /// A whole number that must be there.
    pub fn integer(
        &mut self,
        name: &'static str,
        range: core::ops::RangeInclusive<u64>,
    ) -> Result<u64, RpcError> {
        self.optional_integer(name, range)?
            .ok_or_else(|| wrong(name, "integer", None))
    }

    /// A boolean that may be there.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, RpcError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong(name, "boolean", Some(&other))),
        }
    }

    /// A boolean that is `true` if it is not there.
    pub fn flag_unless_denied(&mut self, name: &'static str) -> Result<bool, RpcError> {
        match self.take(name) {
            None => Ok(true),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong(name, "boolean", Some(&other))),
        }
    }

    /// The `id` of another request.
    pub fn id(&mut self, name: &'static str) -> Result<Id, RpcError> {
        let expected = "string or integer";
        let value = self.required(name, expected)?;
        Id::from_json(&value).ok_or_else(|| wrong(name, expected, Some(&value)))
    }

    /// A list of strings that may be there.
    pub fn optional_strings(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Vec<String>>, RpcError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                let strings = values
                    .into_iter()
                    .enumerate()
                    .map(|(index, value)| match value {
                        Value::String(text) => Ok(text),
                        other => Err(wrong(&format!("{name}/{index}"), "string", Some(&other))),
                    });
                strings.collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(wrong(name, "array of strings", Some(&other))),
        }
    }

    /// A list of strings that must be there.
    pub fn strings(&mut self, name: &'static str) -> Result<Vec<String>, RpcError> {
        self.optional_strings(name)?
            .ok_or_else(|| wrong(name, "array of strings", None))
    }

    /// An object whose values are strings that may be there.
    pub fn optional_map(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Vec<(String, String)>>, RpcError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => {
                let pairs = members.into_iter().map(|(key, value)| match value {
                    Value::String(text) => Ok((key, text)),
                    other => Err(wrong(&format!("{name}/{key}"), "string", Some(&other))),
                });
                pairs.collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(wrong(name, "object of strings", Some(&other))),
        }
    }

    /// One of some words that may be there.
    pub fn optional_word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, RpcError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let found = value
            .as_str()
            .and_then(|text| words.iter().find(|(word, _)| *word == text));
        match found {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(wrong(
                    name,
                    &format!("one of {}", all.join(", ")),
                    Some(&value),
                ))
            }
        }
    }

    /// `encoding`, which is UTF-8 if it is not there.
    pub fn encoding(&mut self) -> Result<Encoding, RpcError> {
        let words = [("utf8", Encoding::Utf8), ("b64", Encoding::Base64)];
        Ok(self
            .optional_word("encoding", &words)?
            .unwrap_or(Encoding::Utf8))
    }

    /// Bytes in the encoding that [`Params::encoding`] gave.
    pub fn bytes(&mut self, name: &'static str, encoding: Encoding) -> Result<Vec<u8>, RpcError> {
        let text = self.string(name)?;
        match encoding {
            Encoding::Utf8 => Ok(text.into_bytes()),
            Encoding::Base64 => STANDARD
                .decode(&text)
                .map_err(|_| wrong(name, "base 64", None)),
        }
    }

    /// An object that may be there, whose own parameters are taken by `take`.
    pub fn optional_object<T>(
        &mut self,
        name: &'static str,
        take: impl FnOnce(&mut Params) -> Result<T, RpcError>,
    ) -> Result<Option<T>, RpcError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => {
                let mut inner = Params::new(members);
                take(&mut inner)
                    .and_then(|value| inner.finish().map(|()| value))
                    .map(Some)
                    .map_err(|error| below(error, name))
            }
            Some(other) => Err(wrong(name, "object", Some(&other))),
        }
    }

    /// Any value that may be there.
    pub fn optional_value(&mut self, name: &'static str) -> Option<Value> {
        self.take(name)
    }

    /// Refuses members that nobody took.
    pub fn finish(&self) -> Result<(), RpcError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown(name, self.known.clone())),
        }
    }
}

fn unknown(name: &str, known: Vec<&str>) -> RpcError {
    let expected = if known.is_empty() {
        "no parameters".to_string()
    } else {
        format!("only {}", known.join(", "))
    };
    RpcError::new(Code::InvalidParams, format!("unknown parameter {name:?}"))
        .with("path", format!("/{}", escape(name)))
        .with("expected", expected)
        .with("got", name)
}

fn into_string(name: &str, value: Value) -> Result<String, RpcError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(name, "string", Some(&other))),
    }
}

/// An error about the parameter `name`.
pub fn wrong(name: &str, expected: &str, got: Option<&Value>) -> RpcError {
    let got = got.map_or("nothing", kind);
    RpcError::new(
        Code::InvalidParams,
        format!("{name}: expected {expected}, got {got}"),
    )
    .with("path", format!("/{name}"))
    .with("expected", expected)
    .with("got", got)
}

/// The name of a value's type.
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn below(mut error: RpcError, name: &str) -> RpcError {
    if let Some(Value::String(path)) = error.data.get_mut("path") {
        *path = format!("/{name}{path}");
    }
    error
}

/// A member's name in a JSON Pointer (RFC 6901 §3).
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(value: Value) -> Params {
        match value {
            Value::Object(members) => Params::new(members),
            _ => panic!("parameters are an object"),
        }
    }

    fn path<T: core::fmt::Debug>(result: Result<T, RpcError>) -> Value {
        let error = result.expect_err("it is wrong");
        assert_eq!(error.code, Code::InvalidParams);
        error.data["path"].clone()
    }

    #[test]
    fn mistakes_are_named_by_their_place() {
        assert_eq!(path(params(json!({})).string("a")), "/a");
        assert_eq!(path(params(json!({ "a": 1 })).string("a")), "/a");
        assert_eq!(path(params(json!({ "a": 7 })).integer("a", 0..=6)), "/a");
        assert_eq!(path(params(json!({ "a": ["x", 1] })).strings("a")), "/a/1");
        assert_eq!(
            path(params(json!({ "a": { "b": 1 } })).optional_object("a", |inner| inner.flag("b"))),
            "/a/b"
        );
        assert_eq!(
            path(params(json!({ "a": { "b/c": 1 } })).optional_object("a", |_| Ok(()))),
            "/a/b~1c"
        );
        assert_eq!(
            path(params(json!({ "e": "latin1", "encoding": "x" })).encoding()),
            "/encoding"
        );
    }

    #[test]
    fn a_misspelt_option_is_refused_with_the_right_names() {
        let mut params = params(json!({ "pth": "/a" }));
        params.optional_string("path").expect("may be missing");
        let error = params.finish().expect_err("unknown");
        assert_eq!(error.data["expected"], "only path");
    }

    #[test]
    fn bytes_come_in_both_encodings() {
        let mut params = params(json!({ "data": "/w==", "encoding": "b64" }));
        let encoding = params.encoding().expect("known");
        assert_eq!(params.bytes("data", encoding), Ok([0xff].to_vec()));
        assert_eq!(
            Encoding::Utf8.encode(&[0xff]),
            ("/w==".to_string(), Encoding::Base64)
        );
        assert_eq!(
            Encoding::Utf8.encode("ä".as_bytes()),
            ("ä".to_string(), Encoding::Utf8)
        );
    }
}
