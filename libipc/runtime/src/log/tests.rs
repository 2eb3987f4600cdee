//! Both ends of a log ring, and a writer that lies.

use super::Level;
use super::ring::{
    MAX_LAST_WORDS_BYTES, Reader, Record, Writer, clear_last_words, format, last_words,
};
use crate::object::Mapping;
use crate::time::Instant;
use core::fmt::Display;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn ring() -> (Mapping, Writer, Reader) {
    let memory = Mapping::for_test(3 * 4096);
    format(&memory).unwrap();
    let writer = Writer::new(memory.peer_for_test()).unwrap();
    let reader = Reader::new(memory.peer_for_test()).unwrap();
    (memory, writer, reader)
}

fn write(writer: &mut Writer, text: &str) {
    writer.write(Level::Info, Instant::from_ns(5), text.as_bytes(), &[], 0);
}

fn read_all(reader: &mut Reader) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((record, position)) = reader.peek().unwrap() {
        records.push(record);
        reader.accept(position);
    }
    records
}

#[test]
fn records_come_out_in_order_around_the_end_of_the_ring() {
    let (_, mut writer, mut reader) = ring();
    for round in 0..200 {
        let texts: Vec<_> = (0..10)
            .map(|index| std::format!("record {round} {index}"))
            .collect();
        texts.iter().for_each(|text| write(&mut writer, text));
        let read: Vec<_> = read_all(&mut reader)
            .into_iter()
            .map(|record| record.text)
            .collect();
        assert_eq!(read, texts);
    }
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn a_full_ring_drops_and_counts() {
    let (_, mut writer, mut reader) = ring();
    for _ in 0..100 {
        write(&mut writer, &"x".repeat(100));
    }
    let kept = read_all(&mut reader).len() as u64;
    assert_eq!(kept + writer.dropped(), 100);
    assert_eq!(reader.dropped(), writer.dropped());
    write(&mut writer, "again");
    assert_eq!(read_all(&mut reader)[0].text, "again");
}

#[test]
fn a_reader_that_dies_goes_on_without_a_gap() {
    let (memory, mut writer, mut reader) = ring();
    write(&mut writer, "one");
    write(&mut writer, "two");
    let (_, position) = reader.peek().unwrap().unwrap();
    reader.accept(position);
    let mut next = Reader::new(memory.peer_for_test()).unwrap();
    assert_eq!(read_all(&mut next)[0].text, "two");
}

#[test]
fn values_have_their_names() {
    let (_, mut writer, mut reader) = ring();
    let mut line = super::Line::new();
    line.value("device", &"00:1f.2");
    line.value("took_ms", &7u64 as &dyn Display);
    writer.write(
        Level::Warn,
        Instant::from_ns(9),
        b"reset",
        &line.bytes[..line.used],
        2,
    );
    let record = &read_all(&mut reader)[0];
    assert_eq!(
        (record.level, record.time, record.text.as_str()),
        (Level::Warn, Instant::from_ns(9), "reset")
    );
    assert_eq!(
        record.values,
        [
            ("device".into(), "00:1f.2".into()),
            ("took_ms".into(), "7".into())
        ]
    );
}

#[test]
fn last_words_are_found_by_whoever_made_the_ring() {
    let (memory, writer, _) = ring();
    assert_eq!(last_words(&memory), None);
    writer.last_words(&[b'x'; MAX_LAST_WORDS_BYTES + 100]);
    assert_eq!(
        last_words(&memory).map(|text| text.len()),
        Some(MAX_LAST_WORDS_BYTES)
    );
    clear_last_words(&memory);
    assert_eq!(last_words(&memory), None);
}

#[test]
fn memory_that_was_not_formatted_is_no_ring() {
    assert!(Reader::new(Mapping::for_test(8192)).is_err());
    assert!(Writer::new(Mapping::for_test(8192)).is_none());
    assert!(format(&Mapping::for_test(4096)).is_none());
}

proptest! {
    /// Whatever the process writes into its ring, the reader gives records or says that the ring is bad.
    #[test]
    fn a_hostile_writer_never_panics_the_reader(
        changes in prop::collection::vec((prop_oneof![Just(64usize), Just(72), Just(8), 4096usize..4400], any::<u64>()), 1..20),
    ) {
        let (memory, mut writer, mut reader) = ring();
        for index in 0..8 {
            write(&mut writer, &std::format!("record {index}"));
        }
        for (at, value) in changes {
            prop_assert!(memory.write(at, &value.to_le_bytes()));
        }
        for _ in 0..100 {
            match reader.peek() {
                Ok(Some((_, position))) => reader.accept(position),
                Ok(None) | Err(_) => break,
            }
        }
        let _ = vec![Reader::new(memory.peer_for_test()).map(|reader| reader.peek().is_ok())];
        let _ = last_words(&memory);
    }
}
