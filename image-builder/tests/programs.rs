//! Programs on their way into an image: linked flat or stripped, and what is refused.

mod support;

use abi::image::{SEGMENT_EXECUTABLE, SEGMENT_WRITABLE};
use image_builder::elf::{Access, Elf, ElfError};
use image_builder::{flat, program};
use proptest::prelude::*;
use support::{ElfFile, R_X86_64_64, R_X86_64_RELATIVE};

#[test]
fn a_relocation_is_applied_where_init_will_lie() {
    let elf = ElfFile::new()
        .relocation(R_X86_64_RELATIVE, ElfFile::DATA + 8, 0x1234)
        .build();
    let linked = flat::link(&elf, flat::INIT_BASE).expect("a plain program links");
    let data = linked
        .segments
        .iter()
        .find(|segment| segment.flags == SEGMENT_WRITABLE)
        .expect("it has data");
    assert_eq!(data.address, flat::INIT_BASE + ElfFile::DATA);
    assert_eq!(
        data.contents[8..16],
        (flat::INIT_BASE + 0x1234).to_le_bytes()
    );
    assert_eq!(linked.entry, flat::INIT_BASE + ElfFile::TEXT);
}

#[test]
fn no_segment_is_writable_and_executable() {
    let linked =
        flat::link(&ElfFile::new().build(), flat::INIT_BASE).expect("a plain program links");
    let flags: Vec<u32> = linked
        .segments
        .iter()
        .map(|segment| segment.flags)
        .collect();
    assert_eq!(flags, [0, SEGMENT_EXECUTABLE, SEGMENT_WRITABLE]);
    assert_eq!(
        flat::link(&ElfFile::new().writable_text().build(), 0),
        Err(ElfError::WritableText {
            address: ElfFile::TEXT
        })
    );
}

#[test]
fn what_is_constant_after_relocation_is_read_only_in_init() {
    let elf = ElfFile::new()
        .relocation(R_X86_64_RELATIVE, ElfFile::DATA, 0x10)
        .protected_data()
        .build();
    let segments = Elf::parse(&elf)
        .and_then(|elf| elf.segments())
        .expect("it parses");
    assert_eq!(segments[2].access, Access::Read);
    let linked = flat::link(&elf, flat::INIT_BASE).expect("it links");
    assert_eq!(linked.segments[2].flags, 0);
    assert_eq!(
        linked.segments[2].contents[..8],
        (flat::INIT_BASE + 0x10).to_le_bytes()
    );
}

#[test]
fn a_relocation_outside_the_data_is_refused() {
    let outside = ElfFile::new()
        .relocation(R_X86_64_RELATIVE, 0x9_0000, 0)
        .build();
    assert_eq!(
        flat::link(&outside, 0),
        Err(ElfError::RelocationOutside { address: 0x9_0000 })
    );
    let text = ElfFile::new()
        .relocation(R_X86_64_RELATIVE, ElfFile::TEXT, 0)
        .build();
    assert_eq!(
        flat::link(&text, 0),
        Err(ElfError::RelocationOutside {
            address: ElfFile::TEXT
        })
    );
}

#[test]
fn a_relocation_that_needs_symbols_is_refused() {
    let elf = ElfFile::new()
        .relocation(R_X86_64_64, ElfFile::DATA, 0)
        .build();
    assert_eq!(
        program::strip(&elf),
        Err(ElfError::Relocation { kind: R_X86_64_64 })
    );
}

#[test]
fn a_stripped_program_keeps_its_segments_and_loses_the_rest() {
    let mut elf = ElfFile::new().build();
    let segments = Elf::parse(&elf)
        .and_then(|elf| elf.segments())
        .expect("it parses")
        .len();
    elf.extend_from_slice(&[7; 100]);
    let stripped = program::strip(&elf).expect("it strips");
    assert!(stripped.len() < elf.len());
    let stripped = Elf::parse(&stripped).expect("it is still an ELF file");
    assert_eq!(
        stripped.segments().expect("its segments are whole").len(),
        segments
    );
    assert_eq!(
        stripped.relocations(),
        Ok(vec![]),
        "without a section table there is nothing to find"
    );
}

#[test]
fn a_segment_off_its_page_is_refused() {
    assert_eq!(
        program::strip(&ElfFile::new().unaligned_data().build()),
        Err(ElfError::Unaligned {
            address: ElfFile::DATA + 8
        })
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = flat::link(&bytes, flat::INIT_BASE);
        let _ = program::strip(&bytes);
        let _ = image_builder::symbols::table(&bytes);
    }

    #[test]
    fn a_damaged_program_never_panics(at in 0_usize..0x400, value: u8) {
        let mut elf = ElfFile::new().relocation(R_X86_64_RELATIVE, ElfFile::DATA, 1).build();
        elf[at] = value;
        let _ = flat::link(&elf, flat::INIT_BASE);
        let _ = program::strip(&elf);
        let _ = image_builder::symbols::table(&elf);
    }
}
