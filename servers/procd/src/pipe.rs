//! Pipes: bytes from writers to one reader, through memory that outlives the server.
//!
//! Positions count bytes of the stream. A writer that repeats what it wrote before is recognised by its own position; the reader keeps bytes alive until it says
//! that it has them.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Bytes that a pipe holds, at most.
pub const MAX_CAPACITY: u32 = 64 * 1024;

/// Memory for the bytes.
pub trait Bytes {
    /// Copies out.
    fn read(&self, at: usize, into: &mut [u8]);
    /// Copies in.
    fn write(&mut self, at: usize, from: &[u8]);
}

/// A pipe, without its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pipe {
    capacity: u32,
    /// What does not fit is dropped instead of blocking the writer.
    capture: bool,
    head: u64,
    tail: u64,
    /// Bytes that were dropped.
    pub dropped: u64,
    /// Ends to write to that exist.
    pub writers: u16,
    /// Whether somebody can read.
    pub has_reader: bool,
}

/// A write can't be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// Nobody will read it.
    BrokenPipe,
    /// It does not follow what was written before.
    Gap(u64),
}

impl Pipe {
    /// An empty pipe with one end on each side.
    pub fn new(capacity: u32, capture: bool) -> Self {
        Self {
            capacity: capacity.clamp(1, MAX_CAPACITY),
            capture,
            head: 0,
            tail: 0,
            dropped: 0,
            writers: 1,
            has_reader: true,
        }
    }

    /// Takes what fits of a write whose writer stands at `position` and says that the data starts at `at`. Answers the writer's new position; `None` while there is no room.
    pub fn write(
        &mut self,
        bytes: &mut impl Bytes,
        position: u64,
        at: u64,
        data: &[u8],
    ) -> Result<Option<u64>, WriteError> {
        if !self.has_reader {
            return Err(WriteError::BrokenPipe);
        }
        let known = position.checked_sub(at).ok_or(WriteError::Gap(position))?;
        let news = data.get(known as usize..).unwrap_or_default();
        if news.is_empty() {
            return Ok(Some(position));
        }
        let room = (u64::from(self.capacity) - (self.head - self.tail)) as usize;
        let taken = news.len().min(room);
        if taken == 0 && !self.capture {
            return Ok(None);
        }
        self.copy_in(bytes, &news[..taken]);
        let used_up = if self.capture {
            self.dropped += (news.len() - taken) as u64;
            news.len()
        } else {
            taken
        };
        Ok(Some(position + used_up as u64))
    }

    /// Gives bytes from position `from`, up to `max`; what is before is forgotten. `None` while there is nothing and something may come; an empty answer is the end.
    pub fn read(&mut self, bytes: &impl Bytes, from: u64, max: usize) -> Option<(u64, Vec<u8>)> {
        self.tail = from.clamp(self.tail, self.head);
        let count = ((self.head - self.tail) as usize).min(max);
        if count == 0 {
            return (self.writers == 0).then_some((self.tail, Vec::new()));
        }
        let mut data = vec![0; count];
        let start = (self.tail % u64::from(self.capacity)) as usize;
        let first = count.min(self.capacity as usize - start);
        bytes.read(start, &mut data[..first]);
        bytes.read(0, &mut data[first..]);
        Some((self.tail, data))
    }

    fn copy_in(&mut self, bytes: &mut impl Bytes, data: &[u8]) {
        let start = (self.head % u64::from(self.capacity)) as usize;
        let first = data.len().min(self.capacity as usize - start);
        bytes.write(start, &data[..first]);
        bytes.write(0, &data[first..]);
        self.head += data.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Bytes for Vec<u8> {
        fn read(&self, at: usize, into: &mut [u8]) {
            into.copy_from_slice(&self[at..at + into.len()]);
        }
        fn write(&mut self, at: usize, from: &[u8]) {
            self[at..at + from.len()].copy_from_slice(from);
        }
    }

    #[test]
    fn a_full_pipe_waits_and_a_capture_drops() {
        let mut memory = vec![0; 4];
        let mut pipe = Pipe::new(4, false);
        assert_eq!(pipe.write(&mut memory, 0, 0, b"abcdef"), Ok(Some(4)));
        assert_eq!(pipe.write(&mut memory, 4, 4, b"ef"), Ok(None));
        let mut capture = Pipe::new(4, true);
        assert_eq!(capture.write(&mut memory, 0, 0, b"abcdef"), Ok(Some(6)));
        assert_eq!(capture.dropped, 2);
    }

    #[test]
    fn a_repeated_write_is_taken_once() {
        let mut memory = vec![0; 16];
        let mut pipe = Pipe::new(16, false);
        assert_eq!(pipe.write(&mut memory, 0, 0, b"abc"), Ok(Some(3)));
        assert_eq!(pipe.write(&mut memory, 3, 0, b"abc"), Ok(Some(3)));
        assert_eq!(pipe.write(&mut memory, 3, 0, b"abcde"), Ok(Some(5)));
        assert_eq!(pipe.write(&mut memory, 5, 9, b"x"), Err(WriteError::Gap(5)));
        assert_eq!(pipe.read(&memory, 0, 10), Some((0, b"abcde".to_vec())));
        assert_eq!(
            pipe.read(&memory, 0, 10),
            Some((0, b"abcde".to_vec())),
            "it did not say that it has them"
        );
        assert_eq!(pipe.read(&memory, 5, 10), None);
    }

    #[test]
    fn both_ends_learn_that_the_other_is_gone() {
        let mut memory = vec![0; 16];
        let mut pipe = Pipe::new(16, false);
        pipe.writers = 0;
        assert_eq!(pipe.read(&memory, 0, 10), Some((0, Vec::new())));
        pipe.has_reader = false;
        assert_eq!(
            pipe.write(&mut memory, 0, 0, b"a"),
            Err(WriteError::BrokenPipe)
        );
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in proptest::collection::vec((0usize..20, 0usize..20, any::<bool>()), 1..100)) {
            let mut memory = vec![0; 13];
            let mut pipe = Pipe::new(13, false);
            let (mut written, mut position, mut read) = (Vec::new(), 0u64, Vec::new());
            for (put, take, has_it) in steps {
                let data: Vec<u8> = (0..put).map(|i| (position as usize + i) as u8).collect();
                if let Ok(Some(next)) = pipe.write(&mut memory, position, position, &data) {
                    written.extend_from_slice(&data[..(next - position) as usize]);
                    position = next;
                }
                if let Some((at, data)) = pipe.read(&memory, read.len() as u64, take) {
                    prop_assert_eq!(at, read.len() as u64);
                    if has_it { read.extend(data); }
                }
            }
            prop_assert_eq!(&written[..read.len()], &read[..]);
        }
    }
}
