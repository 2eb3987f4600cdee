//! A log of records in two halves: records are appended to one; when it is full, what still matters is written to the other, which then counts.
//!
//! A half: magic (u64), generation (u64), layout version (u32), checksum of the above (u32), then records: length (u32), checksum (u32) over
//! generation, index and bytes, then the bytes, padded to 8. The valid half with the higher generation counts; its records end at the first one whose
//! checksum is wrong.

use super::checksum::crc32;
use super::{Found, Storage};
use alloc::vec;
use alloc::vec::Vec;

const MAGIC: u64 = u64::from_le_bytes(*b"PblJrnl1");
const HALF_HEADER: usize = 24;
const RECORD_HEADER: usize = 8;

/// The log.
#[derive(Debug)]
pub struct Journal<S> {
    storage: S,
    version: u32,
    half: usize,
    generation: u64,
    /// Where the next record goes, in the half.
    end: usize,
    count: u64,
}

/// There is no room in this half: compact, then try again. If that does not help, the record is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalFull;

impl<S: Storage> Journal<S> {
    /// Opens the log that the last incarnation left, or begins a new one; gives its records in order. `None` if the storage is too small.
    pub fn open(storage: S, version: u32) -> Option<(Self, Vec<Vec<u8>>, Found)> {
        if storage.length() / 2 < HALF_HEADER + RECORD_HEADER {
            return None;
        }
        let mut journal = Self {
            storage,
            version,
            half: 0,
            generation: 0,
            end: HALF_HEADER,
            count: 0,
        };
        let halves = [journal.generation_of(0), journal.generation_of(1)];
        let newest = (0..2)
            .filter_map(|half| halves[half].map(|generation| (generation, half)))
            .max();
        let mut found = Found {
            is_fresh: newest.is_none(),
            ..Found::default()
        };
        let mut records = Vec::new();
        match newest {
            None => journal.begin_half(0, 1),
            Some((generation, half)) => {
                (journal.generation, journal.half) = (generation, half);
                while let Some(record) = journal.record_at_end() {
                    journal.step(record.len());
                    records.push(record);
                }
                if journal.has_torn_end() {
                    found.bad.push(records.len());
                }
            }
        }
        found.good = records.len();
        Some((journal, records, found))
    }

    /// Adds a record. When this returns the next incarnation finds it; when we die before, it does not.
    ///
    /// # Errors
    /// `JournalFull`. Nothing has changed.
    pub fn append(&mut self, record: &[u8]) -> Result<(), JournalFull> {
        let room = self.half_bytes() - self.end;
        let needed = RECORD_HEADER + record.len().next_multiple_of(8);
        if needed > room || record.is_empty() {
            return Err(JournalFull);
        }
        let at = self.at(self.end);
        // What follows must not look like a record of this place, whatever an earlier generation left there.
        if room - needed >= RECORD_HEADER {
            self.storage.write(at + needed, &[0; RECORD_HEADER]);
        }
        self.storage.write(at + RECORD_HEADER, record);
        let header = self.record_header(record);
        self.storage.write(at, &header);
        self.step(record.len());
        Ok(())
    }

    /// Replaces everything by these records, in one step as far as the next incarnation can see.
    ///
    /// # Errors
    /// `JournalFull` if they do not fit. The log is as it was.
    pub fn compact<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), JournalFull> {
        let before = (self.half, self.generation, self.end, self.count);
        (self.half, self.generation) = (1 - self.half, self.generation + 1);
        (self.end, self.count) = (HALF_HEADER, 0);
        // The half does not count while its header is wrong.
        self.storage
            .write(self.at(0), &[0; HALF_HEADER + RECORD_HEADER]);
        for record in records {
            if self.append(record).is_err() {
                (self.half, self.generation, self.end, self.count) = before;
                return Err(JournalFull);
            }
        }
        let header = half_header(self.generation, self.version);
        self.storage.write(self.at(0), &header);
        Ok(())
    }

    /// Bytes that are left in this half.
    pub fn room(&self) -> usize {
        self.half_bytes() - self.end
    }

    /// Records in the log.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn half_bytes(&self) -> usize {
        self.storage.length() / 16 * 8
    }

    fn at(&self, offset: usize) -> usize {
        self.half * self.half_bytes() + offset
    }

    fn step(&mut self, length: usize) {
        self.end += RECORD_HEADER + length.next_multiple_of(8);
        self.count += 1;
    }

    fn begin_half(&mut self, half: usize, generation: u64) {
        (self.half, self.generation) = (half, generation);
        self.storage
            .write(self.at(HALF_HEADER), &[0; RECORD_HEADER]);
        let header = half_header(generation, self.version);
        self.storage.write(self.at(0), &header);
    }

    fn generation_of(&self, half: usize) -> Option<u64> {
        let mut header = [0; HALF_HEADER];
        self.storage.read(half * self.half_bytes(), &mut header);
        let generation = u64::from_le_bytes(*header[8..].first_chunk()?);
        (half_header(generation, self.version) == header).then_some(generation)
    }

    fn record_header(&self, record: &[u8]) -> [u8; RECORD_HEADER] {
        let checksum = crc32(&[
            &self.generation.to_le_bytes(),
            &self.count.to_le_bytes(),
            record,
        ]);
        let mut header = [0; RECORD_HEADER];
        header[..4].copy_from_slice(&(record.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    fn record_at_end(&self) -> Option<Vec<u8>> {
        let (header, length) = self.header_at_end()?;
        let mut record = vec![0; length];
        self.storage
            .read(self.at(self.end) + RECORD_HEADER, &mut record);
        (self.record_header(&record) == header).then_some(record)
    }

    fn header_at_end(&self) -> Option<([u8; RECORD_HEADER], usize)> {
        let room = self.half_bytes().checked_sub(self.end + RECORD_HEADER)?;
        let mut header = [0; RECORD_HEADER];
        self.storage.read(self.at(self.end), &mut header);
        let length = u32::from_le_bytes(*header.first_chunk()?) as usize;
        (length != 0 && length <= room).then_some((header, length))
    }

    /// Whether something stands behind the last record that is none.
    fn has_torn_end(&self) -> bool {
        let mut header = [0; RECORD_HEADER];
        self.end + RECORD_HEADER <= self.half_bytes()
            && self.storage.read(self.at(self.end), &mut header)
            && header != [0; RECORD_HEADER]
    }
}

fn half_header(generation: u64, version: u32) -> [u8; HALF_HEADER] {
    let mut header = [0; HALF_HEADER];
    header[..8].copy_from_slice(&MAGIC.to_le_bytes());
    header[8..16].copy_from_slice(&generation.to_le_bytes());
    header[16..20].copy_from_slice(&version.to_le_bytes());
    let checksum = crc32(&[&header[..20]]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}
