//! Byte rings: a stream of bytes through shared memory, from one producer to one consumer.
//!
//! Positions count bytes from the start of the stream and never wrap, so they say the same to a new incarnation of either side as to the old one. A byte is taken when
//! `tail` passes it, not before: whoever dies in between finds it again. Both sides check the other's position; one that makes no sense breaks the ring,
//! never the process.
//!
//! | offset | what |
//! |---|---|
//! | 0 | [`MAGIC`], written by whoever owns the memory |
//! | 64 | `head`: bytes produced; written by the producer |
//! | 72 | 1: the producer waits for room |
//! | 128 | `tail`: bytes consumed; written by the consumer |
//! | 136 | 1: the consumer sleeps |
//! | 192 | the bytes |

use crate::object::Mapping;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// What a ring starts with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PblByte1");
/// Bytes in front of the data.
pub const HEADER_BYTES: usize = 192;

const HEAD: usize = 64;
const PRODUCER_WAITS: usize = 72;
const TAIL: usize = 128;
const CONSUMER_SLEEPS: usize = 136;

/// The other side wrote a position that can't be, or the memory holds no ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

impl core::fmt::Display for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the other side broke the byte ring")
    }
}

impl core::error::Error for Broken {}

/// A ring's place in shared memory.
#[derive(Clone, Debug)]
struct Ring {
    memory: Arc<Mapping>,
    base: usize,
    capacity: usize,
}

impl Ring {
    fn new(memory: Arc<Mapping>, base: usize, length: usize) -> Result<Self, Broken> {
        let end = base.checked_add(length).ok_or(Broken)?;
        if length <= HEADER_BYTES || end > memory.len() || !base.is_multiple_of(8) {
            return Err(Broken);
        }
        Ok(Self {
            memory,
            base,
            capacity: length - HEADER_BYTES,
        })
    }

    fn open(memory: Arc<Mapping>, base: usize, length: usize) -> Result<Self, Broken> {
        let ring = Self::new(memory, base, length)?;
        if ring.word(0).load(Ordering::Relaxed) == MAGIC {
            Ok(ring)
        } else {
            Err(Broken)
        }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        self.memory
            .word(self.base + offset)
            .expect("`new` checked that the header is inside and aligned")
    }

    /// Runs `piece` for the one or two stretches of memory of `count` bytes from position `from`: place in memory, and range of the bytes.
    fn for_pieces(
        &self,
        from: u64,
        count: usize,
        mut piece: impl FnMut(usize, core::ops::Range<usize>),
    ) {
        let start = (from % self.capacity as u64) as usize;
        let first = count.min(self.capacity - start);
        let data = self.base + HEADER_BYTES;
        piece(data + start, 0..first);
        if first < count {
            piece(data, first..count);
        }
    }
}

/// Makes an empty ring in `length` bytes of memory from `base`.
///
/// # Errors
/// If they are not inside, too few, or not aligned to 8.
pub fn initialise(memory: &Arc<Mapping>, base: usize, length: usize) -> Result<(), Broken> {
    let ring = Ring::new(memory.clone(), base, length)?;
    for offset in [HEAD, PRODUCER_WAITS, TAIL, CONSUMER_SLEEPS] {
        ring.word(offset).store(0, Ordering::Relaxed);
    }
    ring.word(0).store(MAGIC, Ordering::Release);
    Ok(())
}

/// The side that puts bytes in.
#[derive(Debug)]
pub struct Producer {
    ring: Ring,
    head: u64,
}

impl Producer {
    /// Takes the producing side of the ring in `length` bytes from `base`, going on where the last producer stopped.
    ///
    /// # Errors
    /// If there is no ring.
    pub fn open(memory: Arc<Mapping>, base: usize, length: usize) -> Result<Self, Broken> {
        let ring = Ring::open(memory, base, length)?;
        let head = ring.word(HEAD).load(Ordering::Acquire);
        let producer = Self { ring, head };
        producer.room().map(|_| producer)
    }

    /// Bytes that fit now.
    ///
    /// # Errors
    /// If the consumer's position makes no sense.
    pub fn room(&self) -> Result<usize, Broken> {
        let used = self
            .head
            .wrapping_sub(self.ring.word(TAIL).load(Ordering::Acquire));
        let room = (self.ring.capacity as u64)
            .checked_sub(used)
            .ok_or(Broken)?;
        Ok(room as usize)
    }

    /// Position of the next byte.
    pub fn position(&self) -> u64 {
        self.head
    }

    /// Puts as many of the bytes in as fit, and says how many.
    ///
    /// # Errors
    /// If the consumer's position makes no sense.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let count = bytes.len().min(self.room()?);
        let memory = &self.ring.memory;
        self.ring.for_pieces(self.head, count, |at, range| {
            let is_inside = memory.write(at, &bytes[range]);
            debug_assert!(is_inside, "`new` checked the ring's range");
        });
        self.head += count as u64;
        self.ring.word(HEAD).store(self.head, Ordering::Release);
        Ok(count)
    }

    /// Whether the consumer sleeps and is to be woken; it is taken to be awake afterwards.
    pub fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.ring.word(CONSUMER_SLEEPS).swap(0, Ordering::AcqRel) != 0
    }

    /// Says that we wait for room: the consumer wakes us when it has made some. Look for room once more before waiting.
    pub fn wait_for_room(&self) {
        self.ring.word(PRODUCER_WAITS).store(1, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

/// The side that takes bytes out.
#[derive(Debug)]
pub struct Consumer {
    ring: Ring,
    tail: u64,
}

impl Consumer {
    /// Takes the consuming side of the ring in `length` bytes from `base`, going on where the last consumer stopped.
    ///
    /// # Errors
    /// If there is no ring.
    pub fn open(memory: Arc<Mapping>, base: usize, length: usize) -> Result<Self, Broken> {
        let ring = Ring::open(memory, base, length)?;
        let tail = ring.word(TAIL).load(Ordering::Acquire);
        let consumer = Self { ring, tail };
        consumer.available().map(|_| consumer)
    }

    /// Bytes that are there now.
    ///
    /// # Errors
    /// If the producer's position makes no sense.
    pub fn available(&self) -> Result<usize, Broken> {
        let used = self
            .ring
            .word(HEAD)
            .load(Ordering::Acquire)
            .wrapping_sub(self.tail);
        if used <= self.ring.capacity as u64 {
            Ok(used as usize)
        } else {
            Err(Broken)
        }
    }

    /// Position of the next byte.
    pub fn position(&self) -> u64 {
        self.tail
    }

    /// Copies bytes out without taking them, and says how many.
    ///
    /// # Errors
    /// If the producer's position makes no sense.
    pub fn peek(&self, into: &mut [u8]) -> Result<usize, Broken> {
        let count = into.len().min(self.available()?);
        let memory = &self.ring.memory;
        self.ring.for_pieces(self.tail, count, |at, range| {
            let is_inside = memory.read(at, &mut into[range]);
            debug_assert!(is_inside, "`new` checked the ring's range");
        });
        Ok(count)
    }

    /// Takes `count` bytes that were seen with [`peek`](Self::peek); never more than there are.
    ///
    /// # Errors
    /// If the producer's position makes no sense.
    pub fn consume(&mut self, count: usize) -> Result<(), Broken> {
        self.tail += count.min(self.available()?) as u64;
        self.ring.word(TAIL).store(self.tail, Ordering::Release);
        Ok(())
    }

    /// Copies bytes out and takes them.
    ///
    /// # Errors
    /// If the producer's position makes no sense.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        let count = self.peek(into)?;
        self.consume(count)?;
        Ok(count)
    }

    /// Whether the producer waits for room and is to be woken; it is taken to be awake afterwards.
    pub fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.ring.word(PRODUCER_WAITS).swap(0, Ordering::AcqRel) != 0
    }

    /// Says that we sleep: the producer wakes us when it has put something in. Look once more before sleeping.
    pub fn sleep(&self) {
        self.ring.word(CONSUMER_SLEEPS).store(1, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Says that we are awake.
    pub fn stay_awake(&self) {
        self.ring.word(CONSUMER_SLEEPS).store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn ring(length: usize) -> (Producer, Consumer, Arc<Mapping>) {
        let memory = Arc::new(Mapping::for_test(4096));
        initialise(&memory, 0, length).expect("inside");
        let producer = Producer::open(memory.clone(), 0, length).expect("a ring");
        (
            producer,
            Consumer::open(memory.clone(), 0, length).expect("a ring"),
            memory,
        )
    }

    #[test]
    fn a_position_that_cannot_be_breaks_the_ring_only() {
        let (producer, consumer, memory) = ring(256);
        memory
            .word(64)
            .expect("inside")
            .store(1000, Ordering::Relaxed);
        assert_eq!(consumer.available(), Err(Broken));
        memory
            .word(128)
            .expect("inside")
            .store(5, Ordering::Relaxed);
        assert_eq!(producer.room(), Err(Broken));
        assert!(Consumer::open(memory.clone(), 0, 256).is_err());
        assert!(Producer::open(memory, 1024, 256).is_err(), "no ring there");
    }

    #[test]
    fn sleepers_are_woken_once() {
        let (producer, consumer, _) = ring(256);
        assert!(!producer.must_wake());
        consumer.sleep();
        assert!(producer.must_wake() && !producer.must_wake());
        producer.wait_for_room();
        assert!(consumer.must_wake() && !consumer.must_wake());
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(chunks in proptest::collection::vec((0usize..80, 0usize..80, any::<bool>()), 1..100)) {
            let (mut producer, mut consumer, memory) = ring(192 + 61);
            let (mut sent, mut received) = (Vec::new(), Vec::new());
            for (put, take, restart) in chunks {
                let bytes: Vec<u8> = (0..put).map(|i| (sent.len() + i) as u8).collect();
                let count = producer.write(&bytes).expect("whole");
                sent.extend_from_slice(&bytes[..count]);
                let mut buffer = [0; 80];
                let seen = consumer.peek(&mut buffer[..take]).expect("whole");
                if restart {
                    // What was only seen is seen again by the next incarnation.
                    consumer = Consumer::open(memory.clone(), 0, 192 + 61).expect("whole");
                    producer = Producer::open(memory.clone(), 0, 192 + 61).expect("whole");
                } else {
                    consumer.consume(seen).expect("whole");
                    received.extend_from_slice(&buffer[..seen]);
                }
            }
            let mut rest = [0; 80];
            let count = consumer.read(&mut rest).expect("whole");
            received.extend_from_slice(&rest[..count]);
            prop_assert_eq!(received, sent);
        }
    }
}
