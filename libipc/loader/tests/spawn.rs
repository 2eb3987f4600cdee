//! A process made of a file, over the kernel in memory.
#![allow(missing_docs, reason = "a test has no reader but this file")]

use libipc::bootstrap::{Bootstrap, Layout};
use libipc::{Handle, MemoryObject, Notification, Protection, Rights};
use libipc_testing::Machine;
use loader::{Image, LoadError, LogMemory, Spawn, SpawnError};

const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const READ_EXECUTE: u64 = 5;
const PRIVATE: u64 = 11;

/// A program with one segment of each kind: constants at 0, text at 0x1000, relocated constants at 0x2000, data at 0x3000 with two pages.
fn file() -> Vec<u8> {
    let mut file = vec![0u8; 0x3010];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &[3, 0, 62, 0, 1, 0, 0, 0]);
    put(24, &0x1000u64.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(54, &[56, 0, 6, 0]);
    let headers: [(u32, u32, u64, u64, u64); 6] = [
        (1, 4, 0, 0x400, 0x400),
        (1, 5, 0x1000, 0x800, 0x800),
        (1, 6, 0x2000, 0x1000, 0x1000),
        (1, 6, 0x3000, 0x10, 0x2000),
        (2, 6, 0x2800, 0x40, 0x40),
        (0x6474_e552, 4, 0x2000, 0x1000, 0x1000),
    ];
    for (index, (kind, flags, at, in_file, in_memory)) in headers.into_iter().enumerate() {
        let header = 64 + index * 56;
        put(header, &kind.to_le_bytes());
        put(header + 4, &flags.to_le_bytes());
        for (field, value) in [(8, at), (16, at), (32, in_file), (40, in_memory)] {
            put(header + field, &value.to_le_bytes());
        }
    }
    for (index, (tag, value)) in [(7u64, 0x300u64), (8, 48), (9, 24)].into_iter().enumerate() {
        put(0x2800 + index * 16, &tag.to_le_bytes());
        put(0x2808 + index * 16, &value.to_le_bytes());
    }
    for (index, (at, addend)) in [(0x2008u64, 0x1000u64), (0x3008, 0x2008)]
        .into_iter()
        .enumerate()
    {
        let place = 0x300 + index * 24;
        put(place, &at.to_le_bytes());
        put(place + 8, &8u64.to_le_bytes());
        put(place + 16, &addend.to_le_bytes());
    }
    put(0x1000, b"text");
    put(0x3000, b"data");
    file
}

fn image() -> Image {
    let file = file();
    let memory = Handle::<MemoryObject>::create(file.len() as u64).unwrap();
    assert!(
        memory
            .map(0, file.len(), Protection::ReadWrite)
            .unwrap()
            .write(0, &file)
    );
    Image::load(file.as_slice(), memory, 0).unwrap()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

#[test]
fn a_process_has_its_segments_its_stack_and_its_bootstrap_page() {
    let machine = Machine::new();
    let init = machine.process();
    let quota = init.quota();
    let (base, entry) = init.run(|| {
        let image = image();
        let log = Handle::<MemoryObject>::create(16384).unwrap();
        let bell = Handle::<Notification>::create().unwrap();
        let mut spawn = Spawn::new(&image, &quota);
        spawn.bootstrap = Bootstrap {
            name: "netd".into(),
            incarnation: 3,
            ..Bootstrap::default()
        };
        spawn.log = Some(LogMemory {
            memory: &log,
            length: 16384,
        });
        spawn.priority = 20;
        spawn.grant("bell", &bell, Rights::SIGNAL);
        spawn.start().unwrap();
        (image.base(), image.entry())
    });
    let made = &init.made_processes()[0];
    assert!(!made.is_dead);
    let find = |address: u64| {
        made.mappings
            .iter()
            .position(|mapping| mapping.0 == address)
            .unwrap()
    };

    let protections: Vec<_> = [0, 0x1000, 0x2000, 0x3000]
        .map(|offset| made.mappings[find(base + offset)].2)
        .into();
    assert_eq!(protections, [READ, READ_EXECUTE, READ, PRIVATE]);
    assert_eq!(&made.memory[find(base + 0x1000)][..4], b"text");
    assert_eq!(word(&made.memory[find(base + 0x2000)], 8), base + 0x1000);
    let data = &made.memory[find(base + 0x3000)];
    assert_eq!(
        (&data[..4], word(data, 8), data.len()),
        (&b"data"[..], base + 0x2008, 0x2000)
    );

    let [start, stack, argument, length, pages, priority, ..] = made.threads[0];
    assert_eq!((start, priority), (entry, 20));
    let bytes = &made.memory[find(argument)][..length as usize];
    let bootstrap = Bootstrap::from_bytes(bytes).unwrap();
    assert_eq!(
        (bootstrap.name.as_str(), bootstrap.incarnation),
        ("netd", 3)
    );
    assert_eq!(bootstrap.handles[0].name, "bell");
    assert_ne!(bootstrap.seed, [0; 4]);
    let Layout {
        message_pages,
        free_start,
        log,
        log_length,
        process,
        ..
    } = bootstrap.layout;
    assert_eq!((message_pages, log_length), (pages, 16384));
    assert_ne!(process, 0);
    assert!(free_start >= base + 0x5000);
    assert_eq!(made.mappings[find(log)].2, READ_WRITE);
    let stack_mapping = made
        .mappings
        .iter()
        .find(|(at, length, _)| *at < stack && stack <= at + length)
        .unwrap();
    assert_eq!((stack_mapping.2, stack % 16), (READ_WRITE, 0));
    assert!(
        made.mappings
            .iter()
            .all(|mapping| mapping.2 != 7 && mapping.2 != 6),
        "nothing is writable and executable"
    );
}

#[test]
fn processes_of_one_image_share_all_but_their_data() {
    let machine = Machine::new();
    let init = machine.process();
    let quota = init.quota();
    init.run(|| {
        let image = image();
        assert_eq!(image.private_bytes(), 0x2000);
        let before = machine.handle_count(&init);
        for _ in 0..3 {
            drop(Spawn::new(&image, &quota).start().unwrap());
        }
        assert_eq!(
            machine.handle_count(&init),
            before,
            "the maker keeps nothing"
        );
    });
    let starts: Vec<_> = init
        .made_processes()
        .iter()
        .map(|made| made.threads[0][0])
        .collect();
    assert!(starts.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_is_too_large_leaves_no_process_behind() {
    let machine = Machine::new();
    let init = machine.process();
    let quota = init.quota();
    init.run(|| {
        let image = image();
        let mut spawn = Spawn::new(&image, &quota);
        spawn.bootstrap.environment = vec![("HUGE".into(), "x".repeat(100_000))];
        assert_eq!(spawn.start().unwrap_err(), SpawnError::TooLarge);
        let spawn = Spawn {
            stack_bytes: u64::MAX,
            ..Spawn::new(&image, &quota)
        };
        assert_eq!(spawn.start().unwrap_err(), SpawnError::TooLarge);
    });
    assert!(
        init.made_processes()
            .iter()
            .all(|made| made.is_dead && made.threads.is_empty())
    );
}

#[test]
fn a_file_that_is_no_program_is_refused() {
    let machine = Machine::new();
    machine.process().run(|| {
        let memory = Handle::<MemoryObject>::create(4096).unwrap();
        assert!(matches!(
            Image::load(&b"#!/bin/sh"[..], memory, 0),
            Err(LoadError::Elf(_))
        ));
    });
}
