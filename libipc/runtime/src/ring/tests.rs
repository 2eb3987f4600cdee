//! Rings under a peer that lies, under every interleaving of two threads (loom), and over random work (proptest).

use super::*;
use crate::object::Mapping;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::vec::Vec;

fn part(bytes: usize) -> RingPart {
    let mapping = Arc::new(Mapping::for_test(bytes));
    let length = mapping.len();
    RingPart::new(mapping, 0, length).unwrap()
}

fn descriptors(depth: u16) -> (Producer<RingPart>, Consumer<RingPart>, RingPart) {
    let part = part(ring_bytes(depth));
    format_descriptors(&part, depth, 7).unwrap();
    (
        Producer::attach(part.clone()).unwrap(),
        Consumer::attach(part.clone()).unwrap(),
        part,
    )
}

fn numbered(cookie: u64) -> Descriptor {
    Descriptor {
        offset: cookie as u32 * 2048,
        length: 60,
        flags: 1,
        cookie,
    }
}

#[test]
fn a_full_ring_refuses_until_something_was_released() {
    let (mut producer, mut consumer, _) = descriptors(4);
    for cookie in 0..4 {
        assert_eq!(producer.push(numbered(cookie)), Ok(true));
    }
    assert_eq!(producer.push(numbered(4)), Ok(false));
    assert_eq!(consumer.read(), Ok(None), "nothing was published");
    let _ = producer.publish();
    assert_eq!(consumer.read(), Ok(Some(numbered(0))));
    assert_eq!(producer.room(), Ok(0), "what is held is still in the ring");
    let _ = consumer.release();
    assert_eq!(producer.push(numbered(4)), Ok(true));
}

#[test]
fn a_consumer_that_dies_leaves_what_it_had_not_released() {
    let (mut producer, mut consumer, part) = descriptors(4);
    for cookie in 0..3 {
        producer.push(numbered(cookie)).unwrap();
    }
    let _ = producer.publish();
    consumer.read().unwrap();
    consumer.read().unwrap();
    let _ = consumer.release_some(1);
    drop(consumer);
    let mut successor = Consumer::attach(part).unwrap();
    assert_eq!(successor.read(), Ok(Some(numbered(1))));
    assert_eq!(successor.read(), Ok(Some(numbered(2))));
}

#[test]
fn the_doorbell_is_due_only_when_the_other_end_sleeps() {
    let (mut producer, mut consumer, _) = descriptors(4);
    producer.push(numbered(0)).unwrap();
    assert_eq!(producer.publish(), Doorbell::NotDue);
    assert_eq!(consumer.sleep(), Ok(false), "there is something to read");
    consumer.read().unwrap();
    let _ = consumer.release();
    assert_eq!(consumer.sleep(), Ok(true));
    producer.push(numbered(1)).unwrap();
    assert_eq!(producer.publish(), Doorbell::Due);
    producer.push(numbered(2)).unwrap();
    assert_eq!(producer.publish(), Doorbell::NotDue, "it was told once");
}

#[test]
fn an_index_that_cannot_be_is_a_fault_and_changes_nothing() {
    let (producer, mut consumer, part) = descriptors(4);
    part.store(64, 5, Ordering::Release);
    assert_eq!(consumer.read(), Err(RingFault::BadIndex { claimed: 5 }));
    part.store(128, 1, Ordering::Release);
    assert_eq!(producer.room(), Err(RingFault::BadIndex { claimed: 1 }));
}

#[test]
fn a_ring_made_anew_is_noticed() {
    let (producer, _, part) = descriptors(4);
    assert_eq!(producer.check_current(), Ok(()));
    format_descriptors(&part, 4, 8).unwrap();
    assert_eq!(
        producer.check_current(),
        Err(RingFault::Stale { incarnation: 8 })
    );
}

#[test]
fn memory_that_is_no_ring_is_refused() {
    assert_eq!(
        Consumer::attach(part(4096)).err(),
        Some(RingFault::BadHeader)
    );
    assert_eq!(
        format_descriptors(&part(4096), 3, 1),
        Err(RingFault::BadHeader),
        "no power of two"
    );
    let (_, _, part) = descriptors(4);
    part.store(8, 1 << 20, Ordering::Relaxed);
    assert_eq!(
        Consumer::attach(part).err(),
        Some(RingFault::BadHeader),
        "larger than its memory"
    );
}

#[test]
fn a_descriptor_out_of_the_pool_is_a_fault() {
    let far = Descriptor {
        offset: u32::MAX,
        length: 1 << 23,
        ..Descriptor::default()
    };
    assert_eq!(far.range(1 << 20), Err(RingFault::BadDescriptor));
    assert_eq!(numbered(1).range(4096), Ok(2048..2108));
    let (mut producer, _, _) = descriptors(4);
    let long = Descriptor {
        length: 1 << 24,
        ..Descriptor::default()
    };
    assert_eq!(producer.push(long), Err(RingFault::BadDescriptor));
}

proptest! {
    /// Whatever is put in and taken out in whatever batches, descriptors come out as they went in.
    #[test]
    fn a_ring_is_a_queue(steps in prop::collection::vec((any::<bool>(), 0u64..12), 1..200)) {
        let (mut producer, mut consumer, _) = descriptors(8);
        let mut model = VecDeque::new();
        let mut next = 0;
        for (is_push, count) in steps {
            for _ in 0..count {
                if is_push {
                    let has_room = producer.push(numbered(next)).unwrap();
                    prop_assert_eq!(has_room, model.len() < 8);
                    if has_room {
                        model.push_back(numbered(next));
                        next += 1;
                    }
                } else {
                    prop_assert_eq!(consumer.read().unwrap(), model.pop_front());
                    let _ = consumer.release();
                }
            }
            let _ = producer.publish();
        }
    }

    /// A peer that writes anything into the header gets faults, not panics and not reads outside.
    #[test]
    fn a_hostile_header_never_panics(words in prop::collection::vec((0usize..48, any::<u32>()), 0..20)) {
        let (mut producer, mut consumer, part) = descriptors(8);
        for (word, value) in words {
            part.store(word * 4, value, Ordering::Relaxed);
            let _ = producer.push(numbered(1));
            let _ = producer.publish();
            let _ = consumer.read().map(|found| found.map(|descriptor| descriptor.range(4096)));
            let _ = consumer.release();
            let _ = consumer.sleep();
            let _ = Consumer::attach(part.clone());
        }
    }
}

/// The same algorithm on loom's memory: every interleaving that the C++ memory model allows, for small rings.
#[allow(unsafe_code, reason = "loom watches every access")]
mod every_interleaving {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU32, fence};
    use loom::thread;

    struct Shared {
        words: Vec<AtomicU32>,
        /// Loom reports it when two threads use a place at once.
        places: Vec<UnsafeCell<[u8; DESCRIPTOR_BYTES]>>,
    }

    #[derive(Clone)]
    struct Memory(Arc<Shared>);

    const WORDS: [usize; 9] = [0, 4, 8, 16, 20, 64, 68, 128, 132];

    impl Memory {
        fn new(depth: u16) -> Self {
            let words = WORDS.iter().map(|_| AtomicU32::new(0)).collect();
            let places = (0..depth)
                .map(|_| UnsafeCell::new([0; DESCRIPTOR_BYTES]))
                .collect();
            Self(Arc::new(Shared { words, places }))
        }

        fn word(&self, offset: usize) -> &AtomicU32 {
            &self.0.words[WORDS.iter().position(|word| *word == offset).unwrap()]
        }
    }

    impl RingMemory for Memory {
        fn length(&self) -> usize {
            ring_bytes(self.0.places.len() as u16)
        }

        fn load(&self, offset: usize, order: Ordering) -> u32 {
            self.word(offset).load(order)
        }

        fn store(&self, offset: usize, value: u32, order: Ordering) {
            self.word(offset).store(value, order);
        }

        fn fence(&self) {
            fence(Ordering::SeqCst);
        }

        fn read(&self, offset: usize, into: &mut [u8]) {
            let place = &self.0.places[(offset - HEADER_BYTES) / DESCRIPTOR_BYTES];
            // SAFETY: loom checks that nobody writes meanwhile.
            place.with(|bytes| into.copy_from_slice(unsafe { &*bytes }));
        }

        fn write(&self, offset: usize, from: &[u8]) {
            let place = &self.0.places[(offset - HEADER_BYTES) / DESCRIPTOR_BYTES];
            // SAFETY: loom checks that nobody reads or writes meanwhile.
            place.with_mut(|bytes| unsafe { (*bytes).copy_from_slice(from) });
        }
    }

    #[test]
    fn descriptors_arrive_whole_and_in_order() {
        loom::model(|| {
            let memory = Memory::new(2);
            format_descriptors(&memory, 2, 1).unwrap();
            let mut producer = Producer::attach(memory.clone()).unwrap();
            let mut consumer = Consumer::attach(memory).unwrap();
            let sender = thread::spawn(move || {
                let mut sent = 0;
                while sent < 3 {
                    if producer.push(numbered(sent)).unwrap() {
                        sent += 1;
                        let _ = producer.publish();
                    } else {
                        thread::yield_now();
                    }
                }
            });
            let mut expected = 0;
            while expected < 3 {
                match consumer.read().unwrap() {
                    Some(descriptor) => {
                        assert_eq!(descriptor, numbered(expected));
                        expected += 1;
                        let _ = consumer.release();
                    }
                    None => thread::yield_now(),
                }
            }
            sender.join().unwrap();
        });
    }

    #[test]
    fn a_consumer_never_sleeps_through_a_descriptor() {
        loom::model(|| {
            let memory = Memory::new(2);
            format_descriptors(&memory, 2, 1).unwrap();
            let mut producer = Producer::attach(memory.clone()).unwrap();
            let consumer = Consumer::attach(memory).unwrap();
            let sender = thread::spawn(move || {
                producer.push(numbered(0)).unwrap();
                producer.publish() == Doorbell::Due
            });
            let sleeps = consumer.sleep().unwrap();
            let rang = sender.join().unwrap();
            assert!(!sleeps || rang, "it sleeps, and nobody rang");
        });
    }
}
