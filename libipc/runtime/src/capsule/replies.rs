//! The answers of journaled methods, the newest so many of all clients.
//!
//! A client replays a request at once when its server is back, so an answer is needed only for that long: a table with more slots than there are
//! requests under way is large enough.

use super::slots::Slots;
use super::{Found, Storage};
use crate::badge::Badge;
use crate::reply::{Journal, RequestNumber};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// Bytes in front of an answer in its slot.
const KEY_BYTES: usize = 32;

#[derive(Serialize, Deserialize)]
struct Key {
    client: u64,
    request: u64,
    /// Grows with each answer, so that the next incarnation knows which is the oldest.
    age: u64,
}

/// The table. A server whose effects are in the same capsule can implement [`Journal`] by passing on to it, if its effects are idempotent up to the
/// moment when [`remember`](Journal::remember) returns.
#[derive(Debug)]
pub struct Replies<S> {
    slots: Slots<S>,
    entries: Vec<Option<Entry>>,
    next_age: u64,
}

#[derive(Debug)]
struct Entry {
    client: u64,
    request: u64,
    age: u64,
    answer: Vec<u8>,
}

impl<S: Storage> Replies<S> {
    /// Bytes of storage for so many answers of so many bytes.
    pub const fn storage_bytes(answers: usize, answer_bytes: usize) -> usize {
        Slots::<S>::storage_bytes(answers, KEY_BYTES + answer_bytes)
    }

    /// Opens the table that the last incarnation left, or begins a new one. `None` if the storage is too small.
    pub fn open(storage: S, answers: usize, answer_bytes: usize) -> Option<(Self, Found)> {
        let (slots, found) = Slots::open(storage, VERSION, answers, KEY_BYTES + answer_bytes)?;
        let entries: Vec<Option<Entry>> = (0..slots.len())
            .map(|slot| {
                slots
                    .read(slot)
                    .ok()
                    .flatten()
                    .and_then(|record| parse(&record))
            })
            .collect();
        let next_age = entries
            .iter()
            .flatten()
            .map(|entry| entry.age + 1)
            .max()
            .unwrap_or(0);
        Some((
            Self {
                slots,
                entries,
                next_age,
            },
            found,
        ))
    }

    /// Forgets the answers of a client that is gone.
    pub fn forget(&mut self, client: Badge) {
        for (slot, entry) in self.entries.iter_mut().enumerate() {
            if entry
                .as_ref()
                .is_some_and(|entry| entry.client == client.bits())
            {
                *entry = None;
                // The slot is one of ours.
                let _ = self.slots.clear(slot);
            }
        }
    }

    /// The slot of an answer to come: a free one, else the oldest.
    fn victim(&self) -> Option<usize> {
        (0..self.entries.len()).min_by_key(|slot| {
            self.entries[*slot]
                .as_ref()
                .map_or(0, |entry| entry.age + 1)
        })
    }
}

impl<S: Storage> Journal for Replies<S> {
    fn recall(&mut self, client: Badge, request: RequestNumber) -> Option<&[u8]> {
        let entry = self
            .entries
            .iter()
            .flatten()
            .find(|entry| entry.client == client.bits() && entry.request == request.0)?;
        Some(&entry.answer)
    }

    fn remember(&mut self, client: Badge, request: RequestNumber, answer: &[u8]) {
        let Some(slot) = self.victim() else {
            return;
        };
        let entry = Entry {
            client: client.bits(),
            request: request.0,
            age: self.next_age,
            answer: answer.to_vec(),
        };
        let key = Key {
            client: entry.client,
            request: entry.request,
            age: entry.age,
        };
        let Ok(mut record) = postcard::to_allocvec(&key) else {
            return;
        };
        record.extend_from_slice(answer);
        if self.slots.write(slot, &record).is_ok() {
            self.next_age += 1;
            self.entries[slot] = Some(entry);
        } else {
            crate::warn!("an answer of {} bytes is too long to be kept", answer.len());
        }
    }
}

fn parse(record: &[u8]) -> Option<Entry> {
    let (key, answer) = postcard::take_from_bytes::<Key>(record).ok()?;
    Some(Entry {
        client: key.client,
        request: key.request,
        age: key.age,
        answer: answer.to_vec(),
    })
}
