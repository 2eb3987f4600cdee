//! JSON-RPC 2.0: requests, batches, replies and the errors of this daemon.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::json::{self, ParseError};

/// Elements of a batch, at most.
pub const MAX_BATCH: usize = 64;
/// Bytes of an `id` that is a string, at most.
pub const MAX_ID_BYTES: usize = 128;
/// How long a request may take if it does not say, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 30_000;
/// How long a request may take at most, in milliseconds.
pub const MAX_TIMEOUT_MS: u64 = 600_000;
/// Bytes of an idempotency key, at most.
pub const MAX_KEY_BYTES: usize = 64;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:literal, $retryable:literal;)*) => {
        /// The errors that are sent, and no others.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number.
            pub const fn number(self) -> i64 {
                match self { $(Self::$name => $code,)* }
            }

            /// `data.kind`.
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$name => $kind,)* }
            }

            /// Whether repeating the same request is safe and may help, if nothing else is known.
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }
        }
    };
}

codes! {
    /// Not JSON.
    Parse = -32700, "parse", false;
    /// Not a request.
    InvalidRequest = -32600, "invalid_request", false;
    /// No such method, or none that the token may see.
    MethodNotFound = -32601, "method_not_found", false;
    /// The parameters do not fit.
    InvalidParams = -32602, "invalid_params", false;
    /// A bug of ours.
    Internal = -32603, "internal", false;
    /// No login, or the token is no longer good.
    Unauthenticated = -31001, "unauthenticated", false;
    /// The object is not allowed.
    Forbidden = -31002, "forbidden", false;
    /// No such object.
    NotFound = -31003, "not_found", false;
    /// It exists already.
    AlreadyExists = -31004, "already_exists", false;
    /// Version, key or state differ from what was expected.
    Conflict = -31005, "conflict", false;
    /// Not in this state.
    InvalidState = -31006, "invalid_state", false;
    /// Not done in time.
    Timeout = -31007, "timeout", false;
    /// Cancelled.
    Cancelled = -31008, "cancelled", false;
    /// Too large.
    TooLarge = -31009, "too_large", false;
    /// A limit is reached.
    LimitReached = -31010, "limit_reached", false;
    /// Busy: try again.
    Busy = -31011, "busy", true;
    /// The service ended during the call.
    PeerDied = -31012, "peer_died", false;
    /// A device or file system failed.
    Io = -31013, "io", false;
    /// A Pebble program failed.
    Pebble = -31014, "pebble", false;
    /// A value does not fit a schema.
    SchemaMismatch = -31015, "schema_mismatch", false;
    /// Not in this build.
    Unsupported = -31016, "unsupported", false;
    /// A checksum is wrong.
    Integrity = -31017, "integrity", false;
}

/// An error as it is sent.
#[derive(Clone, PartialEq, Debug)]
pub struct RpcError {
    /// Which.
    pub code: Code,
    /// For people.
    pub message: String,
    /// Members of `data` besides `kind` and `retryable`.
    pub data: Map<String, Value>,
    /// Whether repeating the request is safe and may help.
    pub retryable: bool,
}

impl RpcError {
    /// An error without further members.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Map::new(),
            retryable: code.is_retryable(),
        }
    }

    /// The same with a member of `data`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_string(), value.into());
        self
    }

    /// The same, said to be safe to repeat (or not).
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// The object that goes on the wire.
    pub fn to_json(&self) -> Value {
        let mut data = self.data.clone();
        // Some say more exactly what they are.
        data.entry("kind").or_insert(self.code.kind().into());
        data.insert("retryable".to_string(), self.retryable.into());
        json!({ "code": self.code.number(), "message": self.message, "data": data })
    }
}

/// What a request is known by.
#[derive(Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Id {
    /// `null`, which is answered with `null`.
    Null,
    /// A number.
    Integer(i64),
    /// A number beyond `i64`.
    Unsigned(u64),
    /// A string.
    String(String),
}

impl Id {
    /// As it goes on the wire.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::from(*number),
            Self::Unsigned(number) => Value::from(*number),
            Self::String(text) => Value::from(text.as_str()),
        }
    }

    /// From a request.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::String(text) if text.len() <= MAX_ID_BYTES => Some(Self::String(text.clone())),
            Value::Number(number) => number
                .as_i64()
                .map(Self::Integer)
                .or_else(|| number.as_u64().map(Self::Unsigned)),
            _ => None,
        }
    }
}

/// `params._meta`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meta {
    /// How long the request may take.
    pub timeout_ms: u64,
    /// Under which a repetition is recognised.
    pub idempotency_key: Option<String>,
    /// Say only what would happen.
    pub dry_run: bool,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            timeout_ms: DEFAULT_TIMEOUT_MS,
            idempotency_key: None,
            dry_run: false,
        }
    }
}

/// A request that has the right form.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// `None`: a notification, never answered.
    pub id: Option<Id>,
    /// The method's name.
    pub method: String,
    /// Its parameters, without `_meta`.
    pub params: Map<String, Value>,
    /// What goes with any of them.
    pub meta: Meta,
}

/// An element of a text: a request, or what is answered in its place.
pub type Element = Result<Request, Response>;

/// A text as it came.
#[derive(Clone, PartialEq, Debug)]
pub enum Incoming {
    /// One element.
    Single(Element),
    /// A batch.
    Batch(Vec<Element>),
}

/// A reply as it is written, without a copy of what may be long.
#[derive(Serialize)]
struct Wire<'r> {
    jsonrpc: &'static str,
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'r Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// A reply.
#[derive(Clone, PartialEq, Debug)]
pub struct Response {
    /// To whom.
    pub id: Id,
    /// What.
    pub outcome: Result<Value, RpcError>,
}

impl Response {
    /// As it goes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            jsonrpc: "2.0",
            id: self.id.to_json(),
            result: self.outcome.as_ref().ok(),
            error: self.outcome.as_ref().err().map(RpcError::to_json),
        };
        // Values can always be written.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    fn error(id: Id, error: RpcError) -> Self {
        Self {
            id,
            outcome: Err(error),
        }
    }
}

/// Reads a text.
pub fn read(text: &[u8]) -> Incoming {
    let single = |error| Incoming::Single(Err(Response::error(Id::Null, error)));
    match json::parse(text) {
        Err(ParseError::NotJson { offset }) => single(
            RpcError::new(Code::Parse, format!("not JSON at byte {offset}")).with("offset", offset),
        ),
        Err(ParseError::Refused(rule)) => single(invalid(&rule)),
        Ok(Value::Array(elements)) if elements.is_empty() => single(invalid("an empty batch")),
        Ok(Value::Array(elements)) if elements.len() > MAX_BATCH => {
            let error = RpcError::new(
                Code::TooLarge,
                format!("a batch has at most {MAX_BATCH} elements"),
            );
            single(error.with("limit", MAX_BATCH).with("size", elements.len()))
        }
        Ok(Value::Array(elements)) => Incoming::Batch(elements.into_iter().map(request).collect()),
        Ok(value) => Incoming::Single(request(value)),
    }
}

fn invalid(what: &str) -> RpcError {
    RpcError::new(Code::InvalidRequest, format!("not a request: {what}"))
}

fn request(value: Value) -> Element {
    let Value::Object(mut members) = value else {
        return Err(Response::error(Id::Null, invalid("not an object")));
    };
    let id = match members.remove("id") {
        None => None,
        Some(value) => match Id::from_json(&value) {
            Some(id) => Some(id),
            None => {
                return Err(Response::error(
                    Id::Null,
                    invalid("id is a string of at most 128 bytes or an integer"),
                ));
            }
        },
    };
    // A request that is wrong is answered even if it could be a notification: its sender can't know better otherwise.
    let refuse = |error| Err(Response::error(id.clone().unwrap_or(Id::Null), error));
    if members.remove("jsonrpc") != Some(Value::from("2.0")) {
        return refuse(invalid("jsonrpc must be \"2.0\""));
    }
    let Some(Value::String(method)) = members.remove("method") else {
        return refuse(invalid("method must be a string"));
    };
    let mut params = match members.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            let error = RpcError::new(Code::InvalidParams, "params must be an object");
            return refuse(
                error
                    .with("path", "/params")
                    .with("expected", "object")
                    .with("got", "another type"),
            );
        }
    };
    if let Some(name) = members.keys().next() {
        return refuse(invalid(&format!("unknown member {name:?}")));
    }
    match meta(params.remove("_meta")) {
        Ok(meta) => Ok(Request {
            id,
            method,
            params,
            meta,
        }),
        Err(error) => refuse(error),
    }
}

fn meta(value: Option<Value>) -> Result<Meta, RpcError> {
    let wrong = |path: &str, expected: &str| {
        RpcError::new(Code::InvalidParams, format!("{path}: expected {expected}"))
            .with("path", path)
            .with("expected", expected)
    };
    let mut meta = Meta::default();
    let members = match value {
        None => return Ok(meta),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(wrong("/_meta", "object")),
    };
    // Members that we don't know belong to other layers: they are allowed here, and only here.
    if let Some(value) = members.get("timeout_ms") {
        let allowed = value
            .as_u64()
            .filter(|ms| (1..=MAX_TIMEOUT_MS).contains(ms));
        meta.timeout_ms =
            allowed.ok_or_else(|| wrong("/_meta/timeout_ms", "integer from 1 to 600000"))?;
    }
    if let Some(value) = members.get("idempotency_key") {
        let allowed = value
            .as_str()
            .filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES);
        meta.idempotency_key = Some(
            allowed
                .ok_or_else(|| wrong("/_meta/idempotency_key", "string of 1 to 64 bytes"))?
                .to_string(),
        );
    }
    if let Some(value) = members.get("dry_run") {
        meta.dry_run = value
            .as_bool()
            .ok_or_else(|| wrong("/_meta/dry_run", "boolean"))?;
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> i64 {
        match read(text.as_bytes()) {
            Incoming::Single(Err(response)) => {
                response.outcome.expect_err("an error").code.number()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn each_wrong_form_has_its_code() {
        for (text, number) in [
            ("{", -32700),
            ("[1,", -32700),
            ("[]", -32600),
            ("1", -32600),
            (r#"{"jsonrpc":"1.0","method":"a","id":1}"#, -32600),
            (r#"{"method":"a","id":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","method":1,"id":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","method":"a","id":1.5}"#, -32600),
            (r#"{"jsonrpc":"2.0","method":"a","id":[]}"#, -32600),
            (r#"{"jsonrpc":"2.0","method":"a","id":true}"#, -32600),
            (
                r#"{"jsonrpc":"2.0","method":"a","id":1,"parms":{}}"#,
                -32600,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"a","id":1,"params":[1]}"#,
                -32602,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"a","id":1,"params":{"_meta":{"timeout_ms":0}}}"#,
                -32602,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"a","id":1,"params":{"_meta":{"timeout_ms":600001}}}"#,
                -32602,
            ),
            (r#"{"jsonrpc":"2.0","method":"a","id":1,"id":2}"#, -32600),
        ] {
            assert_eq!(code(text), number, "{text}");
        }
    }

    #[test]
    fn a_request_keeps_what_it_says() {
        let text = br#"{"jsonrpc":"2.0","method":"fs.read","id":"x","params":{"path":"/a","_meta":{"timeout_ms":5,"idempotency_key":"k","other":1}}}"#;
        let Incoming::Single(Ok(request)) = read(text) else {
            panic!("a request")
        };
        assert_eq!(request.id, Some(Id::String("x".to_string())));
        assert_eq!(
            request.params,
            *json!({ "path": "/a" }).as_object().expect("an object")
        );
        assert_eq!(
            request.meta,
            Meta {
                timeout_ms: 5,
                idempotency_key: Some("k".to_string()),
                dry_run: false
            }
        );
    }

    #[test]
    fn a_batch_answers_each_element_in_its_place() {
        let text =
            br#"[1, {"jsonrpc":"2.0","method":"a"}, {"jsonrpc":"2.0","method":"b","id":null}]"#;
        let Incoming::Batch(elements) = read(text) else {
            panic!("a batch")
        };
        assert!(
            matches!(&elements[0], Err(Response { id: Id::Null, outcome: Err(error) }) if error.code == Code::InvalidRequest)
        );
        assert!(matches!(&elements[1], Ok(Request { id: None, .. })));
        assert!(matches!(
            &elements[2],
            Ok(Request {
                id: Some(Id::Null),
                ..
            })
        ));
        assert_eq!(code(&format!("[{}1]", "1,".repeat(64))), -31009);
    }

    #[test]
    fn errors_carry_kind_and_retryable() {
        let error = RpcError::new(Code::Busy, "later")
            .with("retry_after_ms", 5)
            .to_json();
        assert_eq!(
            error,
            json!({ "code": -31011, "message": "later", "data": { "kind": "busy", "retryable": true, "retry_after_ms": 5 } })
        );
    }

    proptest! {
        #[test]
        fn random_texts_never_panic(text in "[\\[\\]{}\",:a-z0-9\\\\ ]{0,80}") {
            read(text.as_bytes());
        }
    }
}
