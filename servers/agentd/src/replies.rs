//! The replies to the elements of one text, written as they come: a large batch costs no long pause at its end.

use alloc::vec::Vec;

use crate::budget::{Budget, Reserved};
use crate::rpc::{Code, Id, Response, RpcError};

/// Bytes of a reply, at most.
pub const MAX_REPLY: usize = 4 << 20;

/// Replies to a text.
#[derive(Debug)]
pub struct Replies {
    is_batch: bool,
    bytes: Vec<u8>,
    /// Bytes that there would be.
    size: usize,
    memory: Option<Reserved>,
}

impl Replies {
    /// None yet. What they take comes from `memory`.
    pub fn new(is_batch: bool, memory: &Budget) -> Self {
        Self {
            is_batch,
            bytes: Vec::new(),
            size: 0,
            memory: memory.reserve(0),
        }
    }

    /// Takes the reply to one element.
    pub fn push(&mut self, response: &Response) {
        let bytes = response.to_bytes();
        self.size += bytes.len() + 1;
        if self.size > MAX_REPLY {
            // Only the size counts from here on.
            self.bytes = if self.is_batch {
                Vec::new()
            } else {
                too_large(response.id.clone(), bytes.len())
            };
            return;
        }
        let has_memory = self
            .memory
            .as_mut()
            .is_some_and(|memory| memory.grow(bytes.len()));
        let bytes = if has_memory {
            bytes
        } else {
            no_memory(response.id.clone())
        };
        if self.is_batch {
            self.bytes
                .push(if self.bytes.is_empty() { b'[' } else { b',' });
            self.bytes.extend_from_slice(&bytes);
        } else {
            self.bytes = bytes;
        }
    }

    /// The reply to the text; `None` if nothing in it wants one.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if self.size == 0 {
            return None;
        }
        if self.is_batch && self.size > MAX_REPLY {
            return Some(too_large(Id::Null, self.size));
        }
        if self.is_batch {
            self.bytes.push(b']');
        }
        Some(self.bytes)
    }
}

fn error(id: Id, error: RpcError) -> Vec<u8> {
    let outcome = Err(error);
    Response { id, outcome }.to_bytes()
}

fn too_large(id: Id, size: usize) -> Vec<u8> {
    let refusal = RpcError::new(Code::TooLarge, "the reply is too large")
        .with("limit", MAX_REPLY)
        .with("size", size);
    error(id, refusal)
}

fn no_memory(id: Id) -> Vec<u8> {
    let refusal = RpcError::new(Code::Busy, "other replies have the memory for this one")
        .with("retry_after_ms", 100)
        // What was asked for may have been done.
        .retryable(false);
    error(id, refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use serde_json::{Value, json};

    fn replies(is_batch: bool, results: &[Value], memory: usize) -> Option<Value> {
        let mut replies = Replies::new(is_batch, &Budget::new(memory));
        for (id, result) in results.iter().enumerate() {
            replies.push(&Response {
                id: Id::Integer(id as i64),
                outcome: Ok(result.clone()),
            });
        }
        replies
            .finish()
            .map(|bytes| serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[test]
    fn a_batch_is_an_array_and_a_single_reply_is_none() {
        let one = json!({ "jsonrpc": "2.0", "id": 0, "result": 5 });
        assert_eq!(replies(false, &[json!(5)], 1000), Some(one.clone()));
        assert_eq!(replies(true, &[json!(5)], 1000), Some(json!([one])));
        let two = replies(true, &[json!(5), json!(6)], 1000).expect("a reply");
        assert_eq!(two.as_array().map(Vec::len), Some(2));
        assert_eq!(replies(true, &[], 1000), None);
        assert_eq!(replies(false, &[], 1000), None);
    }

    #[test]
    fn what_is_too_large_says_how_large_it_would_be() {
        let half: Value = String::from_utf8(alloc::vec![b'x'; MAX_REPLY / 2])
            .expect("text")
            .into();
        let whole = json!([half, half]);
        let single = replies(false, &[whole], 100 << 20).expect("a reply");
        assert_eq!(
            (&single["id"], &single["error"]["code"]),
            (&json!(0), &json!(-31009))
        );
        let batch =
            replies(true, &[half.clone(), half.clone(), json!(1)], 100 << 20).expect("a reply");
        assert_eq!(
            (&batch["id"], &batch["error"]["code"]),
            (&Value::Null, &json!(-31009))
        );
        assert!(batch["error"]["data"]["size"].as_u64() > Some(MAX_REPLY as u64));
        let fits = replies(true, &[half], 100 << 20).expect("a reply");
        assert!(fits.is_array());
    }

    #[test]
    fn without_memory_an_element_is_refused_in_its_place() {
        let long: Value = String::from_utf8(alloc::vec![b'x'; 500])
            .expect("text")
            .into();
        let batch = replies(true, &[json!(1), long, json!(2)], 200).expect("a reply");
        assert_eq!(batch[1]["error"]["code"], -31011);
        assert_eq!(batch[1]["id"], 1);
        assert_eq!(batch[2]["result"], 2);
    }
}
