//! Files as the linker makes them, and files as nobody should.

use crate::elf::{ElfError, Program, SegmentKind};
use crate::source::Source;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const PAGE: usize = 4096;

/// A program in the shape of `targets/user.ld`: constants, text, relocated constants, data.
fn program_file() -> Vec<u8> {
    let mut file = vec![0; 4 * PAGE];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    put16(&mut file, 16, 3);
    put16(&mut file, 18, 62);
    put32(&mut file, 20, 1);
    put64(&mut file, 24, 0x1010);
    put64(&mut file, 32, 64);
    put16(&mut file, 54, 56);
    put16(&mut file, 56, 6);
    header(&mut file, 0, [1, 4], 0, 0, 0x400, 0x400);
    header(&mut file, 1, [1, 5], 0x1000, 0x1000, 0x800, 0x800);
    header(&mut file, 2, [1, 6], 0x2000, 0x2000, 0x1000, 0x1000);
    header(&mut file, 3, [1, 6], 0x3000, 0x3000, 0x10, 0x2000);
    header(&mut file, 4, [2, 6], 0x2800, 0x2800, 0x40, 0x40);
    header(
        &mut file,
        5,
        [0x6474_e552, 4],
        0x2000,
        0x2000,
        0x1000,
        0x1000,
    );
    for (index, (tag, value)) in [(7, 0x300), (8, 48), (9, 24), (0, 0)]
        .into_iter()
        .enumerate()
    {
        put64(&mut file, 0x2800 + index * 16, tag);
        put64(&mut file, 0x2808 + index * 16, value);
    }
    relocation(&mut file, 0, 0x2008, 8, 0x1010);
    relocation(&mut file, 1, 0x4ff8, 8, 0x3000);
    file[0x3000..0x3010].copy_from_slice(b"sixteen bytes ok");
    file
}

fn header(
    file: &mut [u8],
    index: usize,
    kind: [u32; 2],
    offset: u64,
    address: u64,
    file_length: u64,
    memory_length: u64,
) {
    let at = 64 + index * 56;
    put32(file, at, kind[0]);
    put32(file, at + 4, kind[1]);
    put64(file, at + 8, offset);
    put64(file, at + 16, address);
    put64(file, at + 32, file_length);
    put64(file, at + 40, memory_length);
}

fn relocation(file: &mut [u8], index: usize, at: u64, kind: u64, addend: u64) {
    let place = 0x300 + index * 24;
    put64(file, place, at);
    put64(file, place + 8, kind);
    put64(file, place + 16, addend);
}

fn put16(file: &mut [u8], at: usize, value: u16) {
    file[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

fn put32(file: &mut [u8], at: usize, value: u32) {
    file[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put64(file: &mut [u8], at: usize, value: u64) {
    file[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn read(file: &[u8]) -> Result<Program, ElfError> {
    Program::read(file)
}

fn refused(change: impl FnOnce(&mut Vec<u8>)) -> ElfError {
    let mut file = program_file();
    change(&mut file);
    read(&file).unwrap_err()
}

#[test]
fn a_program_has_its_four_segments() {
    let program = read(&program_file()).unwrap();
    let kinds: Vec<_> = program
        .segments()
        .iter()
        .map(|segment| segment.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            SegmentKind::Constants,
            SegmentKind::Text,
            SegmentKind::RelocatedConstants,
            SegmentKind::Data
        ]
    );
    assert_eq!((program.entry(), program.length()), (0x1010, 0x5000));
    let relro = program.segments()[2];
    assert_eq!(
        program.relocations(&relro, 0x10_0000).collect::<Vec<_>>(),
        [(8, 0x10_1010)]
    );
    let data = program.segments()[3];
    assert_eq!(
        program.relocations(&data, 0x10_0000).collect::<Vec<_>>(),
        [(0x1ff8, 0x10_3000)]
    );
}

#[test]
fn what_is_no_program_is_refused_by_name() {
    assert_eq!(refused(|file| file[0] = 0), ElfError::NotElf);
    assert_eq!(refused(|file| put16(file, 18, 183)), ElfError::NotElf);
    assert_eq!(refused(|file| put16(file, 16, 2)), ElfError::WrongKind);
    assert_eq!(refused(|file| put16(file, 56, 0)), ElfError::BadHeaders);
    assert_eq!(
        refused(|file| put16(file, 56, u16::MAX)),
        ElfError::BadHeaders
    );
    assert_eq!(refused(|file| file.truncate(0x3008)), ElfError::Truncated);
    assert_eq!(refused(|file| file.truncate(20)), ElfError::Truncated);
    assert_eq!(
        refused(|file| put64(file, 32, u64::MAX - 8)),
        ElfError::Truncated
    );
    assert_eq!(refused(|file| put64(file, 24, 0x3000)), ElfError::BadEntry);
    assert_eq!(
        refused(|file| header(file, 4, [3, 4], 0, 0, 8, 8)),
        ElfError::NotStatic
    );
    assert_eq!(refused(|file| put64(file, 0x2800, 1)), ElfError::NotStatic);
}

#[test]
fn a_segment_that_cannot_be_is_refused() {
    assert_eq!(
        refused(|file| header(file, 1, [1, 7], 0x1000, 0x1000, 0x800, 0x800)),
        ElfError::WritableAndExecutable
    );
    assert_eq!(
        refused(|file| header(file, 1, [1, 5], 0x1008, 0x1008, 0x800, 0x800)),
        ElfError::BadSegment
    );
    assert_eq!(
        refused(|file| header(file, 1, [1, 5], 0x1000, 0x0, 0x800, 0x800)),
        ElfError::BadSegment,
        "overlaps"
    );
    assert_eq!(
        refused(|file| header(file, 3, [1, 6], 0x3000, 0x3000, 0x10, 1 << 40)),
        ElfError::BadSegment
    );
    assert_eq!(
        refused(|file| header(file, 3, [1, 6], 0x3000, !4095, 0x10, 0x2000)),
        ElfError::BadSegment
    );
    assert_eq!(
        refused(|file| header(file, 3, [1, 6], 0x3000, 0x3000, 0x20, 0x10)),
        ElfError::BadSegment
    );
    assert_eq!(
        refused(|file| header(file, 1, [1, 5], 0x1000, 0x1000, 0x800, 0x3000)),
        ElfError::BadSegment,
        "zeroed text"
    );
}

#[test]
fn a_relocation_stays_in_what_is_writable() {
    assert_eq!(
        refused(|file| relocation(file, 0, 0x1010, 8, 0)),
        ElfError::BadRelocation,
        "in the text"
    );
    assert_eq!(
        refused(|file| relocation(file, 0, 0x4ffc, 8, 0)),
        ElfError::BadRelocation,
        "over the end"
    );
    assert_eq!(
        refused(|file| relocation(file, 0, u64::MAX, 8, 0)),
        ElfError::BadRelocation
    );
    assert_eq!(
        refused(|file| relocation(file, 0, 0x2008, 6, 0)),
        ElfError::BadRelocation,
        "of another kind"
    );
    assert_eq!(
        refused(|file| relocation(file, 0, 0x2008, 8, 1 << 30)),
        ElfError::BadRelocation,
        "out of the image"
    );
    assert_eq!(
        refused(|file| put64(file, 0x2818, 47)),
        ElfError::BadRelocation,
        "not a whole table"
    );
    assert_eq!(
        refused(|file| put64(file, 0x2808, 0x3ff0)),
        ElfError::BadRelocation,
        "behind the file"
    );
}

proptest! {
    /// Any bytes at all, and any change to a good file: an error or a program whose segments are what they claim, never a panic.
    #[test]
    fn a_hostile_file_never_panics(
        rubbish in prop::collection::vec(any::<u8>(), 0..600),
        changes in prop::collection::vec((0usize..0x3010, any::<u8>()), 0..24),
        near_headers in prop::collection::vec((0usize..400, any::<u8>()), 0..6),
    ) {
        let _ = read(&rubbish);
        let mut file = program_file();
        for (at, byte) in changes.into_iter().chain(near_headers) {
            file[at] = byte;
        }
        if let Ok(program) = read(&file) {
            for segment in program.segments() {
                prop_assert!(segment.file_offset + segment.file_length <= file.as_slice().length());
                prop_assert!(segment.address.is_multiple_of(4096) && segment.length.is_multiple_of(4096));
                for (at, _) in program.relocations(segment, 1 << 40) {
                    prop_assert!(segment.is_relocated() && at + 8 <= segment.length);
                }
            }
        }
    }
}
