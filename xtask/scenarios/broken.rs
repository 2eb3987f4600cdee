//! Native programs that go wrong: each ends alone, the log says who, what and where, and a crash loop starves nobody.
//!
//! The program is the real one of a driver that others can do without, with a few of its instructions replaced where it starts.

use crate::Scenario;
use crate::support::{BOOT_SECONDS, Guest, expect_contains};
use abi::image::EntryKind;
use anyhow::{Context, Result, bail};
use image_builder::elf::Elf;
use image_builder::flat::{FlatProgram, FlatSegment};
use image_builder::{Image, ImageBuilder};
use std::fs;
use xtask::deadline::Deadline;
use xtask::guest_image::BootFiles;
use xtask::machine::{Nic, Options};
use xtask::workspace::target;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "faults: a wild pointer ends its driver only, and the log says who, what and where",
        run: || {
            crash_loop(
                "wild",
                &STORE_AT_0X10,
                &["faulted: PageFault at ", "touching 0x10"],
            )
        },
    },
    Scenario {
        name: "faults: an illegal instruction ends its driver only, and the log says who, what and where",
        run: || crash_loop("illegal", &UD2, &["faulted: InvalidOpcode at "]),
    },
    Scenario {
        name: "faults: a stack overflow ends its driver only, and the log says who, what and where",
        run: || {
            crash_loop(
                "overflow",
                &PUSH_FOR_EVER,
                &["faulted: PageFault at ", "touching "],
            )
        },
    },
    Scenario {
        name: "faults: an endless loop costs its driver only, and the log says who and what",
        run: endless_loop,
    },
];

/// The driver: without it there are no devices on the bus, and everything else runs.
const VICTIM: &str = "pci";
/// `mov [0x10], rax`
const STORE_AT_0X10: [u8; 8] = [0x48, 0x89, 0x04, 0x25, 0x10, 0, 0, 0];
/// `ud2`
const UD2: [u8; 2] = [0x0f, 0x0b];
/// `push rax`, and again
const PUSH_FOR_EVER: [u8; 3] = [0x50, 0xeb, 0xfd];
/// `jmp` to itself
const LOOP: [u8; 2] = [0xeb, 0xfe];

/// A program that faults whenever it is started: each time is logged, and after the fifth it stays down.
fn crash_loop(name: &str, instructions: &[u8], said: &[&str]) -> Result<()> {
    let mut guest = boot_broken(name, instructions)?;
    guest.expect_alive()?;
    guest.witness(|guest| {
        let given_up = format!("{VICTIM} died too often");
        let log = log_with(guest, &given_up)?;
        let told: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(VICTIM) && said.iter().all(|words| line.contains(words)))
            .collect();
        println!("{}", told.first().context("no fault is in the log")?.trim());
        if told.len() < 5 {
            bail!("only {} faults are in the log", told.len());
        }
        expect_contains("where", told[0], "(program + 0x")?;
        let services = guest.shell("service")?;
        let is_failed = |line: &str| line.contains(VICTIM) && line.contains("failed");
        if !services.lines().any(is_failed) {
            bail!("{VICTIM} is not said to have failed:\n{services}");
        }
        guest.expect_alive()
    })
}

fn endless_loop() -> Result<()> {
    let mut guest = boot_broken("loop", &LOOP)?;
    // Whoever shares the processor with it still gets its share.
    guest.expect_alive()?;
    guest.witness(|guest| {
        let said = format!("{VICTIM} does not answer: Loops");
        log_with(guest, &said).map(drop)?;
        guest.expect_alive()
    })
}

/// Boots with the broken driver and waits for the prompt.
fn boot_broken(name: &str, instructions: &[u8]) -> Result<Guest> {
    let files = broken(name, instructions)?;
    let options = Options {
        nic: Nic::None,
        ..Options::default()
    };
    let mut guest = Guest::start_with(&format!("broken-{name}"), options, &files)?;
    guest
        .serial
        .expect_prompt(Deadline::after_seconds(BOOT_SECONDS))?;
    Ok(guest)
}

/// init's log, once it has these words.
fn log_with(guest: &mut Guest, words: &str) -> Result<String> {
    let mut log = String::new();
    let found = Deadline::after_seconds(60).poll(|| {
        log = guest.shell("log -s init").ok()?;
        log.contains(words).then_some(())
    });
    match found {
        Some(()) => Ok(log),
        None => bail!("no {words:?} in the log:\n{log}"),
    }
}

/// The boot image, with these instructions where the driver starts.
fn broken(name: &str, instructions: &[u8]) -> Result<BootFiles> {
    let built = BootFiles::built();
    let bytes = fs::read(&built.image).with_context(|| built.image.display().to_string())?;
    let image = Image::parse(&bytes)?;
    let mut copy = ImageBuilder::new();
    let mut init = FlatProgram {
        entry: image.init_entry(),
        segments: Vec::new(),
    };
    for entry in image.entries() {
        let (name, mut contents) = (entry.name(), entry.checked()?.to_vec());
        match entry.kind() {
            EntryKind::InitSegment => init.segments.push(FlatSegment {
                address: entry.raw().address,
                contents,
                memory_length: entry.raw().memory_length,
                flags: entry.raw().flags,
            }),
            EntryKind::Program => {
                if name == VICTIM {
                    let start = start_in_file(&contents)?;
                    contents[start..][..instructions.len()].copy_from_slice(instructions);
                }
                copy.program(name, contents)?;
            }
            EntryKind::Manifest => copy.manifest(name, contents)?,
            EntryKind::File => copy.file(name, contents, entry.raw().address)?,
            EntryKind::KernelSymbols => copy.kernel_symbols(contents)?,
        }
    }
    copy.init(init)?;
    let image = target().join(format!("scenario-broken-{name}.img"));
    fs::write(&image, copy.build()?)?;
    Ok(BootFiles { image, ..built })
}

/// Where the first instruction lies in a program's file.
fn start_in_file(program: &[u8]) -> Result<usize> {
    let elf = Elf::parse(program)?;
    let segments = elf.segments()?;
    let start = segments.iter().find_map(|segment| {
        let within = elf.entry().checked_sub(segment.address)?;
        (within < segment.contents.len() as u64).then_some(segment.file_offset + within)
    });
    let start = start.context("the program starts nowhere")?;
    Ok(usize::try_from(start)?)
}
