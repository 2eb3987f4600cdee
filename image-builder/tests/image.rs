//! Boot images, written and read back, whole and damaged.

use abi::image::EntryKind;
use image_builder::flat::{FlatProgram, FlatSegment};
use image_builder::{BuildError, Image, ImageBuilder, ImageError};
use proptest::prelude::*;

fn init() -> FlatProgram {
    let segment = FlatSegment {
        address: 0x40_0000,
        contents: vec![0xc3; 10],
        memory_length: 0x2000,
        flags: 2,
    };
    FlatProgram {
        entry: 0x40_0004,
        segments: vec![segment],
    }
}

fn builder() -> ImageBuilder {
    let mut builder = ImageBuilder::new();
    builder.init(init()).expect("an empty image takes an init");
    builder.program("logd", vec![1; 5000]).expect("a new name");
    builder
        .manifest("logd", vec![2; 3])
        .expect("another kind may have the same name");
    builder
        .file("system/shell.peb", b"print(1)\n".to_vec(), 1_700_000_000)
        .expect("a new name");
    builder
}

fn image() -> Vec<u8> {
    builder().build().expect("it has an init")
}

#[test]
fn what_goes_in_comes_out() {
    let bytes = image();
    let image = Image::parse(&bytes).expect("a fresh image is whole");
    assert_eq!(image.init_entry(), 0x40_0004);
    let init = image
        .of_kind(EntryKind::InitSegment)
        .next()
        .expect("init has a segment");
    assert_eq!(
        (
            init.raw().address,
            init.raw().memory_length,
            init.raw().flags
        ),
        (0x40_0000, 0x2000, 2)
    );
    let shell = image
        .find(EntryKind::File, "system/shell.peb")
        .expect("the file is there");
    assert_eq!(shell.checked(), Ok(&b"print(1)\n"[..]));
    assert_eq!(shell.raw().address, 1_700_000_000);
    assert_eq!(
        image
            .find(EntryKind::Program, "logd")
            .map(|entry| entry.length()),
        Some(5000)
    );
    assert_eq!(image.entries().count(), 4);
    assert_eq!(image.check_contents(), Ok(()));
}

#[test]
fn contents_lie_on_pages_so_that_text_is_mapped_in_place() {
    let bytes = image();
    for entry in Image::parse(&bytes)
        .expect("a fresh image is whole")
        .entries()
    {
        assert_eq!(entry.offset() % 4096, 0, "{}", entry.name());
    }
}

#[test]
fn the_same_contents_give_the_same_image() {
    assert_eq!(image(), image());
}

#[test]
fn a_name_is_used_once_for_each_kind() {
    let refused = builder().program("logd", vec![]);
    assert_eq!(
        refused,
        Err(BuildError::Duplicate {
            kind: EntryKind::Program,
            name: "logd".into()
        })
    );
}

#[test]
fn an_image_without_init_is_not_made() {
    assert_eq!(ImageBuilder::new().build(), Err(BuildError::NoInit));
}

#[test]
fn other_files_are_told_from_images() {
    assert_eq!(Image::parse(b"").err(), Some(ImageError::NotAnImage));
    assert_eq!(Image::parse(&[0; 100]).err(), Some(ImageError::NotAnImage));
}

#[test]
fn damage_is_found_where_it_is() {
    let mut header = image();
    header[30] ^= 1;
    assert_eq!(Image::parse(&header).err(), Some(ImageError::HeaderDamaged));

    let mut directory = image();
    directory[64] ^= 1;
    assert_eq!(
        Image::parse(&directory).err(),
        Some(ImageError::DirectoryDamaged)
    );

    let mut contents = image();
    contents[4096] ^= 1;
    let parsed = Image::parse(&contents).expect("the directory is whole");
    assert_eq!(parsed.check_contents(), Err(ImageError::ContentsDamaged(0)));
    let shell = parsed
        .find(EntryKind::File, "system/shell.peb")
        .expect("the file is there");
    assert!(
        shell.checked().is_ok(),
        "one damaged entry leaves the others usable"
    );
}

#[test]
fn a_cut_off_image_says_how_much_is_missing() {
    let bytes = image();
    let expected = bytes.len() as u64;
    assert_eq!(
        Image::parse(&bytes[..bytes.len() - 1]).err(),
        Some(ImageError::Truncated {
            expected,
            found: expected - 1
        })
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Image::parse(&bytes).is_err());
    }

    #[test]
    fn one_flipped_bit_is_always_found(at in 0_usize..100_000, bit in 0_u8..8) {
        let mut bytes = image();
        // Padding between the entries belongs to nobody and is not covered by a checksum.
        let covered: Vec<usize> = {
            let parsed = Image::parse(&bytes).expect("a fresh image is whole");
            let directory = 0..parsed.entries().map(|entry| entry.name().len()).sum::<usize>() + 64 + 56 * parsed.entries().count();
            let contents = parsed.entries().flat_map(|entry| entry.offset() as usize..(entry.offset() + entry.length()) as usize);
            directory.chain(contents).collect()
        };
        bytes[covered[at % covered.len()]] ^= 1 << bit;
        prop_assert!(Image::parse(&bytes).and_then(|image| image.check_contents()).is_err());
    }
}
