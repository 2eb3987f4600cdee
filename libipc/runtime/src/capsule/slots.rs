//! A table of slots with two copies each.
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic (u64), layout version (u32), slots (u32), bytes of a record (u32), checksum of the above (u32) |
//! | 32 | slot in use plus one (u32), slot blamed plus one (u32), deaths in a row with it (u32) |
//! | 64 | the slots: two copies each of header (sequence u64, length u32, checksum u32) and record |
//!
//! A copy is valid if its checksum, over sequence, length and record, is right. The valid copy with the higher sequence counts; a write goes over the
//! other one. An empty slot is a copy whose length is [`EMPTY`].

use super::checksum::crc32;
use super::{Found, Storage};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: u64 = u64::from_le_bytes(*b"PblSlots");
const TABLE_HEADER: usize = 24;
const IN_USE: usize = 32;
const BLAMED: usize = 36;
const DEATHS: usize = 40;
const FIRST_SLOT: usize = 64;
const COPY_HEADER: usize = 16;
const EMPTY: u32 = u32::MAX;

/// Why a record was not stored or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotError {
    /// There is no slot of this number.
    NoSuchSlot,
    /// The record is longer than a slot.
    TooLong,
    /// The record is whole but not of this type.
    BadRecord,
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSlot => "no such slot",
            Self::TooLong => "the record is longer than its slot",
            Self::BadRecord => "the record does not decode",
        })
    }
}

impl core::error::Error for SlotError {}

/// The table.
#[derive(Debug)]
pub struct Slots<S> {
    storage: S,
    record_bytes: usize,
    /// For each slot: which copy counts, its sequence, and its length if it is not empty.
    state: Vec<SlotState>,
}

#[derive(Clone, Copy, Debug)]
struct SlotState {
    copy: usize,
    sequence: u64,
    length: Option<usize>,
}

impl<S: Storage> Slots<S> {
    /// Bytes of storage for so many slots of records of so many bytes.
    pub const fn storage_bytes(slots: usize, record_bytes: usize) -> usize {
        FIRST_SLOT + slots * 2 * (COPY_HEADER + record_bytes.next_multiple_of(8))
    }

    /// Opens the table that the last incarnation left, or begins a new one if there is none of this layout. `version` is the server's number for
    /// the meaning of its records. `None` if the storage is too small.
    pub fn open(
        storage: S,
        version: u32,
        slots: usize,
        record_bytes: usize,
    ) -> Option<(Self, Found)> {
        let record_bytes = record_bytes.next_multiple_of(8);
        if storage.length() < Self::storage_bytes(slots, record_bytes) || slots >= EMPTY as usize {
            return None;
        }
        let header = header(version, slots as u32, record_bytes as u32);
        let mut found_header = [0; TABLE_HEADER];
        storage.read(0, &mut found_header);
        let fresh = SlotState {
            copy: 0,
            sequence: 0,
            length: None,
        };
        let mut table = Self {
            storage,
            record_bytes,
            state: vec![fresh; slots],
        };
        let mut found = Found {
            is_fresh: found_header != header,
            ..Found::default()
        };
        if found.is_fresh {
            table.format(&header);
        } else {
            table.recover(&mut found);
        }
        Some((table, found))
    }

    /// Slots in the table.
    pub fn len(&self) -> usize {
        self.state.len()
    }

    /// Whether no slot has a record.
    pub fn is_empty(&self) -> bool {
        self.state.iter().all(|slot| slot.length.is_none())
    }

    /// The slots that have a record.
    pub fn used(&self) -> impl Iterator<Item = usize> + '_ {
        self.state
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.length.is_some())
            .map(|(index, _)| index)
    }

    /// The first slot without a record.
    pub fn free(&self) -> Option<usize> {
        self.state.iter().position(|slot| slot.length.is_none())
    }

    /// Puts a record into a slot. When this returns the next incarnation finds it; when we die before, it finds the old one.
    ///
    /// # Errors
    /// `NoSuchSlot`, `TooLong`. Nothing has changed.
    pub fn write(&mut self, slot: usize, record: &[u8]) -> Result<(), SlotError> {
        if record.len() > self.record_bytes {
            return Err(SlotError::TooLong);
        }
        self.replace(slot, Some(record))
    }

    /// As [`write`](Self::write), with a value.
    ///
    /// # Errors
    /// `NoSuchSlot`, `TooLong`.
    pub fn store<T: Serialize>(&mut self, slot: usize, value: &T) -> Result<(), SlotError> {
        let mut buffer = vec![0; self.record_bytes];
        let record = postcard::to_slice(value, &mut buffer).map_err(|_| SlotError::TooLong)?;
        self.replace(slot, Some(record))
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// `NoSuchSlot`.
    pub fn clear(&mut self, slot: usize) -> Result<(), SlotError> {
        let state = self.state.get(slot).ok_or(SlotError::NoSuchSlot)?;
        if state.length.is_none() {
            Ok(())
        } else {
            self.replace(slot, None)
        }
    }

    /// The record of a slot; `None` if it is empty.
    ///
    /// # Errors
    /// `NoSuchSlot`.
    pub fn read(&self, slot: usize) -> Result<Option<Vec<u8>>, SlotError> {
        let state = self.state.get(slot).ok_or(SlotError::NoSuchSlot)?;
        Ok(state.length.map(|length| {
            let mut record = vec![0; length];
            self.storage
                .read(self.copy_at(slot, state.copy) + COPY_HEADER, &mut record);
            record
        }))
    }

    /// The value in a slot; `None` if it is empty.
    ///
    /// # Errors
    /// `NoSuchSlot`; `BadRecord` if it is of another type.
    pub fn load<T: DeserializeOwned>(&self, slot: usize) -> Result<Option<T>, SlotError> {
        let Some(record) = self.read(slot)? else {
            return Ok(None);
        };
        match postcard::take_from_bytes(&record) {
            Ok((value, [])) => Ok(Some(value)),
            _ => Err(SlotError::BadRecord),
        }
    }

    /// Says that a slot's record is being acted on. If we die of it twice in a row, the next incarnation sets it aside.
    pub fn begin(&mut self, slot: usize) {
        self.put_word(IN_USE, slot as u32 + 1);
    }

    /// Says that it went well.
    pub fn end(&mut self) {
        self.put_word(IN_USE, 0);
    }

    fn replace(&mut self, slot: usize, record: Option<&[u8]>) -> Result<(), SlotError> {
        let state = *self.state.get(slot).ok_or(SlotError::NoSuchSlot)?;
        let copy = 1 - state.copy;
        let at = self.copy_at(slot, copy);
        let sequence = state.sequence + 1;
        let body = record.unwrap_or_default();
        let length = record.map_or(EMPTY, |record| record.len() as u32);
        self.storage.write(at + COPY_HEADER, body);
        self.storage.write(at, &copy_header(sequence, length, body));
        self.state[slot] = SlotState {
            copy,
            sequence,
            length: record.map(<[u8]>::len),
        };
        Ok(())
    }

    fn copy_at(&self, slot: usize, copy: usize) -> usize {
        FIRST_SLOT + (slot * 2 + copy) * (COPY_HEADER + self.record_bytes)
    }

    fn put_word(&mut self, at: usize, value: u32) {
        self.storage.write(at, &value.to_le_bytes());
    }

    fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        self.storage.read(at, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn format(&mut self, header: &[u8; TABLE_HEADER]) {
        self.storage.write(0, &[0; FIRST_SLOT]);
        for slot in 0..self.state.len() {
            for copy in 0..2 {
                let empty = copy_header(0, EMPTY, &[]);
                self.storage.write(self.copy_at(slot, copy), &empty);
            }
        }
        // Last: a table that was begun and not finished is begun again.
        self.storage.write(0, header);
    }

    fn recover(&mut self, found: &mut Found) {
        for slot in 0..self.state.len() {
            let copies = [self.examine(slot, 0), self.examine(slot, 1)];
            match copies
                .into_iter()
                .flatten()
                .max_by_key(|state| state.sequence)
            {
                Some(state) => {
                    found.good += usize::from(state.length.is_some());
                    self.state[slot] = state;
                }
                None => {
                    found.bad.push(slot);
                    self.storage
                        .write(self.copy_at(slot, 0), &copy_header(0, EMPTY, &[]));
                }
            }
        }
        found.set_aside = self.blame();
    }

    /// A copy's state, if its checksum is right.
    fn examine(&self, slot: usize, copy: usize) -> Option<SlotState> {
        let at = self.copy_at(slot, copy);
        let mut header = [0; COPY_HEADER];
        self.storage.read(at, &mut header);
        let [s0, s1, s2, s3, s4, s5, s6, s7, l0, l1, l2, l3, ..] = header;
        let sequence = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let body_length = if length == EMPTY { 0 } else { length as usize };
        if body_length > self.record_bytes {
            return None;
        }
        let mut body = vec![0; body_length];
        self.storage.read(at + COPY_HEADER, &mut body);
        (copy_header(sequence, length, &body) == header).then_some(SlotState {
            copy,
            sequence,
            length: (length != EMPTY).then_some(body_length),
        })
    }

    /// Counts deaths with the same slot in use; the second in a row sets it aside.
    fn blame(&mut self) -> Option<usize> {
        let in_use = self.word(IN_USE);
        self.put_word(IN_USE, 0);
        let slot = (in_use as usize)
            .checked_sub(1)
            .filter(|slot| *slot < self.state.len());
        let deaths = if slot.is_some() && self.word(BLAMED) == in_use {
            self.word(DEATHS).saturating_add(1)
        } else {
            1
        };
        self.put_word(BLAMED, in_use);
        self.put_word(DEATHS, deaths);
        let slot = slot.filter(|_| deaths >= 2)?;
        self.replace(slot, None).ok()?;
        self.put_word(BLAMED, 0);
        Some(slot)
    }
}

fn header(version: u32, slots: u32, record_bytes: u32) -> [u8; TABLE_HEADER] {
    let mut header = [0; TABLE_HEADER];
    header[..8].copy_from_slice(&MAGIC.to_le_bytes());
    header[8..12].copy_from_slice(&version.to_le_bytes());
    header[12..16].copy_from_slice(&slots.to_le_bytes());
    header[16..20].copy_from_slice(&record_bytes.to_le_bytes());
    let checksum = crc32(&[&header[..20]]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn copy_header(sequence: u64, length: u32, body: &[u8]) -> [u8; COPY_HEADER] {
    let mut header = [0; COPY_HEADER];
    header[..8].copy_from_slice(&sequence.to_le_bytes());
    header[8..12].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32(&[&header[..12], body]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    header
}
