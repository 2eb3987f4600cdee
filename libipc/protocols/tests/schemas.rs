//! What must hold for all protocols together.
#![allow(missing_docs, reason = "a test has no reader but this file")]

use libipc::Replay;
use libipc::schema::{Description, MAX_DESCRIPTION_BYTES, handle_object, parse_description};
use std::collections::HashSet;
use std::fs;

#[test]
fn every_protocol_is_listed_once_with_a_schema_of_its_own() {
    let names: HashSet<_> = protocols::ALL
        .iter()
        .map(|protocol| protocol.name)
        .collect();
    let hashes: HashSet<_> = protocols::ALL
        .iter()
        .map(|protocol| protocol.hash)
        .collect();
    assert_eq!(
        (names.len(), hashes.len()),
        (protocols::ALL.len(), protocols::ALL.len())
    );
    let sources = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let written: usize = sources
        .map(|file| {
            fs::read_to_string(file.unwrap().path())
                .unwrap()
                .matches("#[protocol(name")
                .count()
        })
        .sum();
    assert_eq!(
        written,
        protocols::ALL.len(),
        "a protocol is missing in the list"
    );
}

#[test]
fn every_method_says_what_it_does() {
    for protocol in protocols::ALL {
        assert!(!protocol.methods.is_empty(), "{}", protocol.name);
        for (index, method) in protocol.methods.iter().enumerate() {
            assert_eq!(usize::from(method.number), index + 1);
            assert!(!method.doc.is_empty(), "{}.{}", protocol.name, method.name);
            assert_eq!(
                protocol.method(method.name).map(|found| found.number),
                Some(method.number)
            );
        }
    }
}

#[test]
fn a_description_survives_its_journey() {
    for protocol in protocols::ALL {
        let description = protocol.describe();
        let bytes = postcard_bytes(&description);
        assert_eq!(
            parse_description(&bytes),
            Some(description),
            "{}",
            protocol.name
        );
        assert_eq!(parse_description(&bytes[..bytes.len() - 1]), None);
        // Whoever asks for it gives up beyond that; far below, because protocols grow.
        assert!(
            bytes.len() <= MAX_DESCRIPTION_BYTES / 8,
            "{}: {} bytes",
            protocol.name,
            bytes.len()
        );
    }
}

#[test]
fn no_message_needs_more_handles_than_one_can_carry() {
    for protocol in protocols::ALL {
        for method in &protocol.describe().methods {
            // A program has a terminal or writes a report: `spawn` names five handles, of which a message has at most four.
            let exclusive = usize::from(protocol.name == "process" && method.name == "spawn");
            assert!(
                method.handles_in.len() - exclusive <= 4 && method.handles_out.len() <= 4,
                "{}.{}",
                protocol.name,
                method.name
            );
        }
    }
}

#[test]
fn what_a_method_says_of_itself_is_in_the_schema() {
    let attach = protocols::by_name("nic").unwrap().describe();
    let attach = attach
        .methods
        .iter()
        .find(|method| method.name == "attach")
        .unwrap();
    assert_eq!(attach.replay, Replay::Idempotent);
    assert_eq!(
        attach.handles_in,
        ["MemoryObject", "MemoryObject", "Notification"]
    );
    assert_eq!(attach.parameters[1].0, "depth");
    assert_eq!(
        handle_object(&attach.parameters[0].1.name),
        Some("MemoryObject")
    );
    assert!(
        protocols::by_name("process")
            .unwrap()
            .method("wait")
            .unwrap()
            .is_deferred
    );
    assert_eq!(
        protocols::by_name("directory")
            .unwrap()
            .method("rename")
            .unwrap()
            .replay,
        Replay::Journaled
    );
}

fn postcard_bytes(description: &Description) -> Vec<u8> {
    postcard::to_allocvec(description).unwrap()
}
