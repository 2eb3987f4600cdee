//! What a program wrote: kept up to a limit, counted beyond it.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use crate::budget::{Budget, Reserved};

/// Bytes of a stream that are kept, at most.
pub const MAX_CAPTURE: usize = 1 << 20;

/// What a kept byte takes: itself, in the text, and in the reply.
const BYTES_PER_BYTE: usize = 4;

/// One captured stream.
#[derive(Debug)]
pub struct Captured {
    kept: Vec<u8>,
    total: u64,
    memory: Option<Reserved>,
}

impl Captured {
    /// Nothing yet; what is kept is taken from `memory`.
    pub fn new(memory: &Budget) -> Self {
        Self {
            kept: Vec::new(),
            total: 0,
            memory: memory.reserve(0),
        }
    }

    /// Takes what came next; keeps what fits. What came after something that did not fit is not kept either.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = if self.is_truncated() {
            0
        } else {
            MAX_CAPTURE - self.kept.len()
        };
        let fits = bytes.len().min(room);
        let has_memory = self
            .memory
            .as_mut()
            .is_some_and(|memory| memory.grow(fits * BYTES_PER_BYTE));
        if has_memory {
            self.kept.extend_from_slice(&bytes[..fits]);
        }
        self.total = self.total.saturating_add(bytes.len() as u64);
    }

    /// Bytes that came in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether some were not kept.
    pub fn is_truncated(&self) -> bool {
        self.total > self.kept.len() as u64
    }

    /// What was kept.
    pub fn bytes(&self) -> &[u8] {
        &self.kept
    }

    /// The text. What was cut is cut between characters; bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        let end = match core::str::from_utf8(&self.kept) {
            // Without a length of error, the text ends inside a character.
            Err(error) if self.is_truncated() && error.error_len().is_none() => error.valid_up_to(),
            _ => self.kept.len(),
        };
        String::from_utf8_lossy(&self.kept[..end]).into_owned()
    }
}

/// The lines of an output that are JSON objects or arrays of them, and how many others there were that are not empty.
pub fn records(text: &str) -> (Vec<Value>, usize) {
    let (mut records, mut bad) = (Vec::new(), 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match crate::json::parse(line.as_bytes()) {
            Ok(record @ Value::Object(_)) => records.push(record),
            _ => bad += 1,
        }
    }
    (records, bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut captured = Captured::new(&Budget::new(100 << 20));
        captured.push(b"ab");
        assert_eq!(
            (captured.text().as_str(), captured.is_truncated()),
            ("ab", false)
        );
        for _ in 0..10 {
            captured.push(&[b'x'; 200_000]);
        }
        assert_eq!(captured.total(), 2_000_002);
        assert!(captured.is_truncated());
        assert_eq!(captured.text().len(), MAX_CAPTURE);
    }

    #[test]
    fn without_memory_nothing_more_is_kept() {
        let mut captured = Captured::new(&Budget::new(10));
        captured.push(b"ab");
        captured.push(b"cd");
        captured.push(b"");
        assert_eq!((captured.text().as_str(), captured.total()), ("ab", 4));
        assert!(captured.is_truncated());
    }

    #[test]
    fn a_cut_is_between_characters() {
        let mut captured = Captured::new(&Budget::new(100 << 20));
        captured.push(&[b'x'; MAX_CAPTURE - 1]);
        captured.push("ü".as_bytes());
        assert!(captured.is_truncated());
        assert_eq!(captured.text().len(), MAX_CAPTURE - 1);
        let mut other = Captured::new(&Budget::new(100 << 20));
        other.push(b"a\xc3");
        assert_eq!(other.text(), "a\u{fffd}", "not cut by us");
    }

    #[test]
    fn records_are_the_lines_that_are_objects() {
        assert_eq!(
            records("{\"a\":1}\n\nplain\n{\"b\":2}\n[1]\n"),
            ([json!({ "a": 1 }), json!({ "b": 2 })].to_vec(), 2)
        );
    }
}
