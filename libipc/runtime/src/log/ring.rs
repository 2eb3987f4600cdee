//! The layout of a log ring, and both ends of it.
//!
//! One MemoryObject for each process, made by whoever starts it: a header page, then a power of two of bytes. The process writes, logd reads, and
//! neither believes the other.
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic (u64) |
//! | 8 | bytes of the data area (u64) |
//! | 64 | head: bytes ever written (u64), the writer's |
//! | 72 | records dropped for lack of room (u64), the writer's |
//! | 128 | tail: bytes ever read (u64), the reader's |
//! | 2048 | length of the last words (u32), then the text: why the process ended |
//! | 4096 | the data area |
//!
//! A record is a multiple of 8 bytes: length of all of it (u32), level (u8), count of values (u8), length of the text (u16), time in ns (u64),
//! text, values (each: u8 length and name, u16 length and value).

use super::Level;
use crate::object::Mapping;
use crate::time::Instant;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// What a log ring starts with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PblLogR1");
/// Bytes of text and values in one record, at most.
pub const MAX_RECORD_BYTES: usize = 1000;
/// Named values in one record, at most.
pub const MAX_VALUES: usize = 16;
/// Bytes of the last words, at most.
pub const MAX_LAST_WORDS_BYTES: usize = 2000;

const CAPACITY: usize = 8;
const HEAD: usize = 64;
const DROPPED: usize = 72;
const TAIL: usize = 128;
const LAST_WORDS: usize = 2048;
const DATA: usize = 4096;
const HEADER_BYTES: usize = 16;

/// Makes fresh memory a log ring. Whoever starts the process does this. `None` if the memory is too small.
pub fn format(memory: &Mapping) -> Option<()> {
    let capacity = data_capacity(memory.len())?;
    memory.word(CAPACITY)?.store(capacity, Ordering::Relaxed);
    for offset in [HEAD, DROPPED, TAIL] {
        memory.word(offset)?.store(0, Ordering::Relaxed);
    }
    memory.half_word(LAST_WORDS)?.store(0, Ordering::Relaxed);
    memory.word(0)?.store(MAGIC, Ordering::Release);
    Some(())
}

/// The largest power of two that fits behind the header.
fn data_capacity(length: usize) -> Option<u64> {
    let room = length.checked_sub(DATA).filter(|room| *room >= DATA)?;
    Some(1 << room.ilog2())
}

/// The capacity that the header states, if the memory really has it.
fn checked_capacity(memory: &Mapping) -> Option<u64> {
    let capacity = memory.word(CAPACITY)?.load(Ordering::Relaxed);
    let is_formatted = memory.word(0)?.load(Ordering::Acquire) == MAGIC;
    (is_formatted && data_capacity(memory.len()) == Some(capacity)).then_some(capacity)
}

/// Copies into or out of the data area, around its end.
fn pieces(capacity: u64, position: u64, length: usize) -> [(usize, usize, usize); 2] {
    let start = (position % capacity) as usize;
    let first = length.min(capacity as usize - start);
    [(DATA + start, 0, first), (DATA, first, length)]
}

/// The process's end.
#[derive(Debug)]
pub struct Writer {
    memory: Mapping,
    capacity: u64,
    head: u64,
    dropped: u64,
}

impl Writer {
    /// Goes on where the ring stands. `None` if it was not formatted.
    pub fn new(memory: Mapping) -> Option<Self> {
        let capacity = checked_capacity(&memory)?;
        let head = memory.word(HEAD)?.load(Ordering::Relaxed) & !7;
        let dropped = memory.word(DROPPED)?.load(Ordering::Relaxed);
        Some(Self {
            memory,
            capacity,
            head,
            dropped,
        })
    }

    /// Adds a record, or counts it as dropped.
    pub fn write(
        &mut self,
        level: Level,
        time: Instant,
        text: &[u8],
        values: &[u8],
        value_count: usize,
    ) {
        let length = (HEADER_BYTES + text.len() + values.len()).next_multiple_of(8);
        if self.room() < length as u64 {
            self.dropped += 1;
            if let Some(word) = self.memory.word(DROPPED) {
                word.store(self.dropped, Ordering::Relaxed);
            }
            return;
        }
        let mut header = [0; HEADER_BYTES];
        header[0..4].copy_from_slice(&(length as u32).to_le_bytes());
        header[4] = level as u8;
        header[5] = value_count as u8;
        header[6..8].copy_from_slice(&(text.len() as u16).to_le_bytes());
        header[8..16].copy_from_slice(&time.as_ns().to_le_bytes());
        let mut position = self.head;
        for part in [&header[..], text, values] {
            self.copy_in(position, part);
            position += part.len() as u64;
        }
        self.head += length as u64;
        if let Some(word) = self.memory.word(HEAD) {
            word.store(self.head, Ordering::Release);
        }
    }

    /// Records dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Leaves the reason of the process's end.
    pub fn last_words(&self, text: &[u8]) {
        let text = &text[..text.len().min(MAX_LAST_WORDS_BYTES)];
        if self.memory.write(LAST_WORDS + 4, text)
            && let Some(length) = self.memory.half_word(LAST_WORDS)
        {
            length.store(text.len() as u32, Ordering::Release);
        }
    }

    fn room(&self) -> u64 {
        let tail = self
            .memory
            .word(TAIL)
            .map_or(0, |word| word.load(Ordering::Acquire));
        // A reader that claims to be ahead, or too far behind, gives no room.
        self.head
            .checked_sub(tail)
            .and_then(|used| self.capacity.checked_sub(used))
            .unwrap_or(0)
    }

    fn copy_in(&self, position: u64, bytes: &[u8]) {
        for (offset, from, to) in pieces(self.capacity, position, bytes.len()) {
            // `pieces` stays inside the data area, whose size was checked.
            let _ = self.memory.write(offset, &bytes[from..to]);
        }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// When.
    pub time: Instant,
    /// The text; what is no UTF-8 was replaced.
    pub text: String,
    /// Named values.
    pub values: Vec<(String, String)>,
}

/// The ring is not one, or its writer broke the rules. What follows can't be read any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRing;

/// logd's end.
#[derive(Debug)]
pub struct Reader {
    memory: Mapping,
    capacity: u64,
    tail: u64,
}

impl Reader {
    /// Goes on where the ring stands.
    ///
    /// # Errors
    /// `BadRing` if the memory is none.
    pub fn new(memory: Mapping) -> Result<Self, BadRing> {
        let capacity = checked_capacity(&memory).ok_or(BadRing)?;
        let tail = memory.word(TAIL).ok_or(BadRing)?.load(Ordering::Relaxed);
        Ok(Self {
            memory,
            capacity,
            tail,
        })
    }

    /// Reads the next record; `None` if there is none now. It stays in the ring until [`accept`](Self::accept).
    ///
    /// # Errors
    /// `BadRing` if what is there is no record.
    pub fn peek(&self) -> Result<Option<(Record, u64)>, BadRing> {
        self.peek_at(self.tail)
    }

    /// As [`peek`](Self::peek), at a position behind records that were looked at and not accepted.
    ///
    /// # Errors
    /// `BadRing` if what is there is no record.
    pub fn peek_at(&self, position: u64) -> Result<Option<(Record, u64)>, BadRing> {
        let head = self
            .memory
            .word(HEAD)
            .ok_or(BadRing)?
            .load(Ordering::Acquire);
        let available = head
            .checked_sub(position)
            .filter(|available| *available <= self.capacity)
            .ok_or(BadRing)?;
        if available == 0 {
            return Ok(None);
        }
        if available < HEADER_BYTES as u64 {
            return Err(BadRing);
        }
        let mut header = [0; HEADER_BYTES];
        self.copy_out(position, &mut header);
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let text_length = usize::from(u16::from_le_bytes([header[6], header[7]]));
        let limit = HEADER_BYTES + MAX_RECORD_BYTES.next_multiple_of(8) + 8;
        if length as u64 > available
            || length > limit
            || !length.is_multiple_of(8)
            || HEADER_BYTES + text_length > length
        {
            return Err(BadRing);
        }
        let mut body = vec![0; length - HEADER_BYTES];
        self.copy_out(position + HEADER_BYTES as u64, &mut body);
        let (text, values) = body.split_at(text_length);
        let mut time = [0; 8];
        time.copy_from_slice(&header[8..16]);
        let record = Record {
            level: Level::from_number(header[4]).ok_or(BadRing)?,
            time: Instant::from_ns(u64::from_le_bytes(time)),
            text: String::from_utf8_lossy(text).into_owned(),
            values: parse_values(values, header[5]),
        };
        Ok(Some((record, position + length as u64)))
    }

    /// Gives the room of everything before `position` (from [`peek`](Self::peek)) back to the writer.
    pub fn accept(&mut self, position: u64) {
        self.tail = position;
        if let Some(word) = self.memory.word(TAIL) {
            word.store(position, Ordering::Release);
        }
    }

    /// Records that the writer says it dropped.
    pub fn dropped(&self) -> u64 {
        self.memory
            .word(DROPPED)
            .map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Where the reader stands; a reader restarted at the same place goes on without a gap.
    pub fn position(&self) -> u64 {
        self.tail
    }

    fn copy_out(&self, position: u64, bytes: &mut [u8]) {
        for (offset, from, to) in pieces(self.capacity, position, bytes.len()) {
            // As in the writer.
            let _ = self.memory.read(offset, &mut bytes[from..to]);
        }
    }
}

/// Why the process said it ended, if it did.
pub fn last_words(memory: &Mapping) -> Option<String> {
    checked_capacity(memory)?;
    let length = memory.half_word(LAST_WORDS)?.load(Ordering::Acquire) as usize;
    if length == 0 || length > MAX_LAST_WORDS_BYTES {
        return None;
    }
    let mut text = vec![0; length];
    memory
        .read(LAST_WORDS + 4, &mut text)
        .then(|| String::from_utf8_lossy(&text).into_owned())
}

/// Forgets the last words, before the next incarnation uses the ring.
pub fn clear_last_words(memory: &Mapping) {
    if let Some(length) = memory.half_word(LAST_WORDS) {
        length.store(0, Ordering::Release);
    }
}

/// Reads as many values as there really are.
fn parse_values(mut bytes: &[u8], count: u8) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for _ in 0..count {
        let Some((name, rest)) = take(bytes, 1) else {
            break;
        };
        let Some((value, rest)) = take(rest, 2) else {
            break;
        };
        values.push((
            String::from_utf8_lossy(name).into_owned(),
            String::from_utf8_lossy(value).into_owned(),
        ));
        bytes = rest;
    }
    values
}

/// A string after its length, which has so many bytes.
fn take(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(width)?;
    let length = prefix
        .iter()
        .rev()
        .fold(0usize, |length, byte| (length << 8) | usize::from(*byte));
    rest.split_at_checked(length)
}
