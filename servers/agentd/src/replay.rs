//! Idempotency keys: a request that is repeated under its key has the first one's result, and its effect once.
//!
//! What is remembered is a table of records, which the server keeps in its capsule: a record is there before the effect, and has the outcome before the
//! answer. A record without an outcome that a former incarnation left says that nobody knows what happened.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Requests with a key that are remembered, at most. When all are in use and none is old, the next is refused.
pub const MAX_RECORDS: usize = 128;
/// Bytes of a record, at most.
pub const RECORD_BYTES: usize = 2048;
/// Bytes of a result that is kept, at most.
pub const RESULT_BYTES: usize = 1600;
/// How long a record counts.
pub const REMEMBER_NS: u64 = 600_000_000_000;

/// One request that had a key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    subject: String,
    key: String,
    request: [u8; 32],
    begun_ns: u64,
    outcome: Option<Outcome>,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// With this result, as JSON.
    Result(String),
    /// With a result that is too long to be kept.
    TooLong(u64),
    /// It may have happened or not: a repetition is not safe.
    Unknown,
}

impl Outcome {
    /// A result, if it is short enough to be kept.
    pub fn of(result: &Value) -> Self {
        let text = result.to_string();
        if text.len() > RESULT_BYTES {
            Self::TooLong(text.len() as u64)
        } else {
            Self::Result(text)
        }
    }
}

/// What is to be done with a request that has a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is new: run it, and report its end for this slot.
    New(usize),
    /// It was done with this result.
    Replay(String),
    /// It was done with a result of so many bytes, which was not kept.
    TooLong(u64),
    /// The key was used for another request.
    Different,
    /// It is under way.
    UnderWay,
    /// It was begun, and nobody knows what became of it.
    Unknown,
    /// There is no room for another record.
    Full,
}

/// What a request is, as far as repetitions are concerned.
pub fn digest(method: &str, params: &Map<String, Value>) -> [u8; 32] {
    // Members are in the order of their names, so equal parameters have equal texts.
    let params = Value::Object(params.clone()).to_string();
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    hash.update([0]);
    hash.update(params.as_bytes());
    hash.finalize().into()
}

/// The records.
#[derive(Debug)]
pub struct Replays {
    records: Vec<Option<Record>>,
    /// Slots whose request this incarnation runs.
    is_ours: Vec<bool>,
}

impl Replays {
    /// Takes up what the last incarnation left.
    pub fn new(mut records: Vec<Option<Record>>) -> Self {
        records.resize(MAX_RECORDS, None);
        Self {
            is_ours: vec![false; records.len()],
            records,
        }
    }

    /// The record of a slot, to be stored.
    pub fn record(&self, slot: usize) -> Option<&Record> {
        self.records.get(slot).and_then(Option::as_ref)
    }

    /// Looks a request up, and notes it if it is new.
    pub fn begin(&mut self, subject: &str, key: &str, request: [u8; 32], now: u64) -> Verdict {
        let is_old = |record: &Record| now.saturating_sub(record.begun_ns) > REMEMBER_NS;
        let found = self.records.iter().position(|record| {
            record.as_ref().is_some_and(|record| {
                record.subject == subject && record.key == key && !is_old(record)
            })
        });
        if let Some(slot) = found
            && let Some(record) = self.record(slot)
        {
            return match &record.outcome {
                _ if record.request != request => Verdict::Different,
                Some(Outcome::Result(result)) => Verdict::Replay(result.clone()),
                Some(Outcome::TooLong(bytes)) => Verdict::TooLong(*bytes),
                Some(Outcome::Unknown) => Verdict::Unknown,
                None if self.is_ours[slot] => Verdict::UnderWay,
                None => Verdict::Unknown,
            };
        }
        let free = (0..self.records.len())
            .find(|slot| !self.is_ours[*slot] && self.records[*slot].as_ref().is_none_or(is_old));
        let Some(slot) = free else {
            return Verdict::Full;
        };
        self.is_ours[slot] = true;
        self.records[slot] = Some(Record {
            subject: subject.to_string(),
            key: key.to_string(),
            request,
            begun_ns: now,
            outcome: None,
        });
        Verdict::New(slot)
    }

    /// The request of a slot has ended; without an outcome it had no effect, and the key is free again.
    pub fn end(&mut self, slot: usize, outcome: Option<Outcome>) {
        if let (Some(record), Some(is_ours)) =
            (self.records.get_mut(slot), self.is_ours.get_mut(slot))
        {
            *is_ours = false;
            match (record.as_mut(), outcome) {
                (Some(record), Some(outcome)) => record.outcome = Some(outcome),
                _ => *record = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(text: &str) -> [u8; 32] {
        let params = json!({ "path": text });
        digest("fs.write", params.as_object().expect("an object"))
    }

    fn result(text: &str) -> Option<Outcome> {
        Some(Outcome::Result(text.to_string()))
    }

    #[test]
    fn a_repetition_has_the_first_result_and_another_request_a_conflict() {
        let mut replays = Replays::new(Vec::new());
        let Verdict::New(slot) = replays.begin("a", "k", request("x"), 1) else {
            panic!("it is new")
        };
        assert_eq!(replays.begin("a", "k", request("x"), 2), Verdict::UnderWay);
        replays.end(slot, result("{}"));
        assert_eq!(
            replays.begin("a", "k", request("x"), 3),
            Verdict::Replay("{}".to_string())
        );
        assert_eq!(replays.begin("a", "k", request("y"), 3), Verdict::Different);
        assert!(matches!(
            replays.begin("b", "k", request("y"), 3),
            Verdict::New(_)
        ));
        assert!(matches!(
            replays.begin("a", "k", request("y"), 4 + REMEMBER_NS),
            Verdict::New(_)
        ));
    }

    #[test]
    fn equal_parameters_are_equal_in_any_order() {
        let (one, other) = (json!({ "a": 1, "b": 2 }), json!({ "b": 2, "a": 1 }));
        let of = |value: &Value| digest("m", value.as_object().expect("an object"));
        assert_eq!(of(&one), of(&other));
        assert_ne!(of(&one), of(&json!({ "a": 1, "b": 3 })));
    }

    #[test]
    fn what_had_no_effect_can_be_tried_again_under_its_key() {
        let mut replays = Replays::new(Vec::new());
        let Verdict::New(slot) = replays.begin("a", "k", request("x"), 1) else {
            panic!("it is new")
        };
        replays.end(slot, None);
        assert!(matches!(
            replays.begin("a", "k", request("x"), 2),
            Verdict::New(_)
        ));
    }

    #[test]
    fn after_a_restart_results_are_known_and_what_was_under_way_is_not() {
        let mut replays = Replays::new(Vec::new());
        for (key, outcome) in [("done", result("1")), ("lost", None)] {
            let Verdict::New(slot) = replays.begin("a", key, request("x"), 1) else {
                panic!("it is new")
            };
            if outcome.is_some() {
                replays.end(slot, outcome);
            }
        }
        let mut next = Replays::new(replays.records.clone());
        assert_eq!(
            next.begin("a", "done", request("x"), 2),
            Verdict::Replay("1".to_string())
        );
        assert_eq!(next.begin("a", "lost", request("x"), 2), Verdict::Unknown);
    }

    #[test]
    fn a_full_table_refuses_and_never_forgets_early() {
        let mut replays = Replays::new(Vec::new());
        for number in 0..MAX_RECORDS {
            let verdict = replays.begin("a", &number.to_string(), request("x"), 1);
            let Verdict::New(slot) = verdict else {
                panic!("{verdict:?}")
            };
            replays.end(slot, result("1"));
        }
        assert_eq!(replays.begin("a", "more", request("x"), 2), Verdict::Full);
        assert!(matches!(
            replays.begin("a", "more", request("x"), 2 + REMEMBER_NS),
            Verdict::New(_)
        ));
    }
}
