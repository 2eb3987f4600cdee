//! The audit trail: who changed what, and who was refused. Records go to the log with `topic` = `audit`; secrets and contents never do.

use alloc::string::{String, ToString};

use libipc::Instant;
use serde_json::{Map, Value};

use crate::rpc::{Code, RpcError};

/// Bytes of an object's name that are logged, at most.
const MAX_OBJECT: usize = 200;

/// What a request is about, before it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    subject: String,
    method: String,
    object: String,
    begun_ns: u64,
    is_mutating: bool,
}

impl Entry {
    /// A request by `subject`.
    pub fn new(
        subject: Option<&str>,
        method: &str,
        params: &Map<String, Value>,
        is_mutating: bool,
    ) -> Self {
        Self {
            subject: subject.unwrap_or("-").to_string(),
            method: method.chars().take(64).collect(),
            object: object(params),
            begun_ns: Instant::now().as_ns(),
            is_mutating,
        }
    }

    /// Says whether the request changes anything, once that is known.
    pub fn is_mutating(&mut self, is_mutating: bool) {
        self.is_mutating = is_mutating;
    }

    /// Logs the end of the request, if it belongs into the trail.
    pub fn end(&self, outcome: Result<&Value, &RpcError>) {
        let is_refusal = outcome
            .is_err_and(|error| matches!(error.code, Code::Unauthenticated | Code::Forbidden));
        if self.is_mutating || is_refusal {
            let word = outcome.map_or_else(|error| error.code.kind(), |_| "ok");
            let took = Instant::now().as_ns().saturating_sub(self.begun_ns);
            write(&self.subject, &self.method, &self.object, word, took);
        }
    }
}

/// Logs something that happened to a connection.
pub fn connection(subject: Option<&str>, what: &str) {
    write(subject.unwrap_or("-"), "connection", "", what, 0);
}

fn write(subject: &str, method: &str, object: &str, outcome: &str, duration_ns: u64) {
    libipc::info!(
        "{subject} {method} {object}: {outcome}";
        "topic" => "audit",
        "subject" => subject,
        "method" => method,
        "object" => object,
        "outcome" => outcome,
        "duration_ns" => duration_ns
    );
}

/// The name of what the request is about.
fn object(params: &Map<String, Value>) -> String {
    let named = ["path", "name", "service", "pid", "id", "label"];
    let found = named.iter().find_map(|name| params.get(*name));
    let program = || params.get("argv").and_then(|argv| argv.get(0));
    let text = match found.or_else(program) {
        Some(Value::String(text)) => text.clone(),
        Some(number @ Value::Number(_)) => number.to_string(),
        _ => return String::new(),
    };
    text.chars()
        .filter(|character| !character.is_control())
        .take(MAX_OBJECT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object_of(params: Value) -> String {
        object(params.as_object().expect("an object"))
    }

    #[test]
    fn the_object_is_named_and_contents_are_not() {
        assert_eq!(object_of(json!({ "path": "/a", "data": "secret" })), "/a");
        assert_eq!(object_of(json!({ "pid": 7 })), "7");
        assert_eq!(object_of(json!({ "argv": ["/bin/x", "secret"] })), "/bin/x");
        assert_eq!(object_of(json!({ "token": "secret" })), "");
        assert_eq!(object_of(json!({ "path": "/a\nb" })), "/ab", "one line");
        let long = "x".repeat(10_000);
        assert_eq!(object_of(json!({ "path": long })).len(), MAX_OBJECT);
    }
}
