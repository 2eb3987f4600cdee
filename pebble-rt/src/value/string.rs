//! Text: a sequence of Unicode code points.
//!
//! Knows how many characters it has; equal to the number of bytes exactly when all are ASCII, and then every index
//! is direct. Other text gets, on the first index, a table of where each 32nd character starts.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};

use crate::heap::{Heap, OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::value::Value;

const STRIDE: usize = 32;

/// A string object. Changed in place only by whoever holds the one reference to it.
#[derive(Debug)]
pub struct StrObj {
    text: String,
    chars: usize,
    hash: Cell<u32>,
    #[allow(
        clippy::box_collection,
        reason = "rare, and one word instead of three in every string"
    )]
    strides: OnceCell<Box<Vec<usize>>>,
    heap: Option<Heap>,
}

impl StrObj {
    /// A copy of `text`, charged to `heap`.
    pub fn new(heap: &Heap, text: &str) -> Result<StrObj, OutOfMemory> {
        let mut owned = String::new();
        heap.charge(text.len() + OBJECT_OVERHEAD_BYTES)?;
        if owned.try_reserve_exact(text.len()).is_err() {
            heap.credit(text.len() + OBJECT_OVERHEAD_BYTES);
            return Err(OutOfMemory);
        }
        owned.push_str(text);
        let chars = count_chars(text);
        Ok(StrObj {
            text: owned,
            chars,
            hash: Cell::new(0),
            strides: OnceCell::new(),
            heap: Some(heap.clone()),
        })
    }

    /// Takes over `text`, charging what it holds.
    pub fn from_string(heap: &Heap, text: String) -> Result<StrObj, OutOfMemory> {
        heap.charge(text.capacity() + OBJECT_OVERHEAD_BYTES)?;
        let chars = count_chars(&text);
        Ok(StrObj {
            text,
            chars,
            hash: Cell::new(0),
            strides: OnceCell::new(),
            heap: Some(heap.clone()),
        })
    }

    /// Text of the engine's own that no program pays for.
    pub fn constant(text: &str) -> StrObj {
        StrObj {
            text: String::from(text),
            chars: count_chars(text),
            hash: Cell::new(0),
            strides: OnceCell::new(),
            heap: None,
        }
    }

    /// The joined text of two strings.
    pub fn joined(heap: &Heap, left: &StrObj, right: &StrObj) -> Result<StrObj, OutOfMemory> {
        let length = left.text.len() + right.text.len();
        heap.charge(length + OBJECT_OVERHEAD_BYTES)?;
        let mut text = String::new();
        if text.try_reserve_exact(length).is_err() {
            heap.credit(length + OBJECT_OVERHEAD_BYTES);
            return Err(OutOfMemory);
        }
        text.push_str(&left.text);
        text.push_str(&right.text);
        let chars = left.chars + right.chars;
        Ok(StrObj {
            text,
            chars,
            hash: Cell::new(0),
            strides: OnceCell::new(),
            heap: Some(heap.clone()),
        })
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many code points there are.
    #[inline]
    pub fn char_count(&self) -> usize {
        self.chars
    }

    /// Whether every character is one byte.
    #[inline]
    pub fn is_ascii(&self) -> bool {
        self.chars == self.text.len()
    }

    /// Whether there are no characters.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The character at `index`.
    #[inline]
    pub fn char_at(&self, index: usize) -> Option<char> {
        if self.is_ascii() {
            return self
                .text
                .as_bytes()
                .get(index)
                .map(|byte| char::from(*byte));
        }
        if index >= self.chars {
            return None;
        }
        self.text[self.byte_offset(index)..].chars().next()
    }

    /// Where in the bytes character `index` starts; the length for anything at or past the end.
    pub fn byte_offset(&self, index: usize) -> usize {
        if self.is_ascii() || index >= self.chars {
            return index.min(self.text.len());
        }
        let strides = self.strides.get_or_init(|| {
            let starts = self
                .text
                .char_indices()
                .step_by(STRIDE)
                .map(|(offset, _)| offset);
            Box::new(starts.collect())
        });
        let start = strides.get(index / STRIDE).copied().unwrap_or(0);
        let rest = &self.text[start..];
        rest.char_indices()
            .nth(index % STRIDE)
            .map_or(self.text.len(), |(offset, _)| start + offset)
    }

    /// The characters from `start` up to `end`, both clamped to the text.
    pub fn slice(&self, start: usize, end: usize) -> &str {
        if start >= end {
            return "";
        }
        let from = self.byte_offset(start.min(self.chars));
        let to = if end >= self.chars {
            self.text.len()
        } else {
            self.byte_offset(end)
        };
        &self.text[from..to]
    }

    /// A hash of the text, computed once. Never 0.
    #[inline]
    pub fn hash(&self) -> u32 {
        match self.hash.get() {
            0 => self.compute_hash(),
            known => known,
        }
    }

    fn compute_hash(&self) -> u32 {
        let hash = hash_bytes(self.text.as_bytes()).max(1);
        self.hash.set(hash);
        hash
    }

    /// Appends in place. The caller holds the only reference (the `&mut` proves it).
    #[inline]
    pub fn push(&mut self, tail: &str, tail_chars: usize) -> Result<(), OutOfMemory> {
        if self.text.capacity() - self.text.len() < tail.len() {
            self.grow(tail.len())?;
        }
        self.text.push_str(tail);
        self.chars += tail_chars;
        self.hash.set(0);
        if self.strides.get().is_some() {
            self.strides = OnceCell::new();
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), OutOfMemory> {
        let before = self.text.capacity();
        let wanted = (self.text.len() + more).max(before + before / 2).max(24);
        if let Some(heap) = &self.heap {
            heap.charge(wanted - before)?;
        }
        if self
            .text
            .try_reserve_exact(wanted - self.text.len())
            .is_err()
        {
            self.refund(wanted - before);
            return Err(OutOfMemory);
        }
        let surplus = self.text.capacity().saturating_sub(wanted);
        if let (Some(heap), true) = (&self.heap, surplus > 0) {
            heap.charge(surplus)?;
        }
        Ok(())
    }

    fn refund(&self, bytes: usize) {
        if let Some(heap) = &self.heap {
            heap.credit(bytes);
        }
    }
}

impl Drop for StrObj {
    #[inline]
    fn drop(&mut self) {
        if let Some(heap) = &self.heap {
            heap.credit(self.text.capacity() + OBJECT_OVERHEAD_BYTES);
        }
    }
}

fn count_chars(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// A fast hash of bytes: eight at a time, multiplied and folded.
pub(super) fn hash_bytes(bytes: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = (bytes.len() as u64).wrapping_mul(FACTOR);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word))
            .wrapping_mul(FACTOR)
            .rotate_left(29);
    }
    let mut last = 0u64;
    for byte in chunks.remainder() {
        last = last << 8 | u64::from(*byte);
    }
    state = (state ^ last).wrapping_mul(FACTOR);
    (state ^ state >> 32) as u32
}

impl Heap {
    /// A string with this text.
    pub fn string(&self, text: &str) -> Result<Value, OutOfMemory> {
        Ok(Value::Str(Rc::new(StrObj::new(self, text)?)))
    }

    /// A string that takes over `text`.
    pub fn owned_string(&self, text: String) -> Result<Value, OutOfMemory> {
        Ok(Value::Str(Rc::new(StrObj::from_string(self, text)?)))
    }

    /// A string of one character.
    pub fn char_string(&self, character: char) -> Result<Value, OutOfMemory> {
        self.string(character.encode_utf8(&mut [0; 4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_in_wide_text() {
        let heap = Heap::new(1 << 20);
        let text: String = (0..200)
            .map(|i| if i % 3 == 0 { 'ß' } else { 'x' })
            .collect();
        let object = StrObj::new(&heap, &text).unwrap();
        for (index, character) in text.chars().enumerate() {
            assert_eq!(object.char_at(index), Some(character));
        }
        assert_eq!(object.char_at(200), None);
        assert_eq!(object.slice(1, 4), "xxß");
    }

    #[test]
    fn memory_is_given_back() {
        let heap = Heap::new(1 << 20);
        let mut object = StrObj::new(&heap, "a").unwrap();
        for _ in 0..1000 {
            object.push("bc", 2).unwrap();
        }
        assert!(heap.used_bytes() > 2000);
        drop(object);
        assert_eq!(heap.used_bytes(), 0);
    }
}
