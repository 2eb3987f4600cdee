//! The directory of an image alone: what is in it and where, for whoever reads the contents elsewhere (by mapping them, for example) and does not want a copy of
//! everything.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use abi::image::{EntryKind, ImageEntry, ImageHeader};

use crate::layout::{ENTRY_LENGTH, HEADER_LENGTH, decode_entry, decode_header, header_crc};
use crate::read::ImageError;

/// Bytes of a directory with its names, at most.
const MAX_DIRECTORY: u64 = 4 << 20;

/// One thing in the image. Its place lies inside the image; its contents are a claim until their checksum was compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What it is.
    pub kind: EntryKind,
    /// Its name.
    pub name: String,
    /// Where it is, its checksum, its time.
    pub raw: ImageEntry,
}

impl Listed {
    /// Whether these are its contents.
    pub fn is_contents(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.raw.length && crc32fast::hash(bytes) == self.raw.crc
    }
}

/// Reads the directory of an image of `length` bytes through `read`, which copies bytes out from an offset and says whether they were there.
///
/// # Errors
/// As [`Image::parse`](crate::Image::parse).
pub fn read(length: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Result<Vec<Listed>, ImageError> {
    let mut head = [0; HEADER_LENGTH];
    if !read(0, &mut head) {
        return Err(ImageError::NotAnImage);
    }
    let header = decode_header(&head)
        .filter(|header| header.magic == ImageHeader::MAGIC)
        .ok_or(ImageError::NotAnImage)?;
    if header.version != ImageHeader::VERSION {
        return Err(ImageError::Version(header.version));
    }
    if header_crc(&head) != Some(header.header_crc) {
        return Err(ImageError::HeaderDamaged);
    }
    if header.total_length > length {
        return Err(ImageError::Truncated {
            expected: header.total_length,
            found: length,
        });
    }
    let entries = u64::from(header.entry_count) * ENTRY_LENGTH as u64;
    let all = entries
        .checked_add(header.names_length)
        .filter(|&all| all <= MAX_DIRECTORY)
        .ok_or(ImageError::DirectoryDamaged)?;
    let mut directory = vec![0; all as usize];
    if !read(HEADER_LENGTH as u64, &mut directory)
        || crc32fast::hash(&directory) != header.directory_crc
    {
        return Err(ImageError::DirectoryDamaged);
    }
    let (entries, names) = directory.split_at(entries as usize);
    let listed = entries
        .chunks_exact(ENTRY_LENGTH)
        .enumerate()
        .map(|(index, bytes)| {
            list(bytes, names, header.total_length).ok_or(ImageError::EntryInvalid(index as u32))
        });
    listed.collect()
}

fn list(bytes: &[u8], names: &[u8], total: u64) -> Option<Listed> {
    let raw = decode_entry(bytes)?;
    let start = raw.name_offset as usize;
    let name = names.get(start..start.checked_add(raw.name_length as usize)?)?;
    let end = raw.offset.checked_add(raw.length)?;
    (end <= total).then_some(())?;
    Some(Listed {
        kind: EntryKind::from_number(raw.kind)?,
        name: core::str::from_utf8(name).ok()?.to_string(),
        raw,
    })
}

#[cfg(all(test, feature = "build"))]
mod tests {
    use super::*;
    use crate::ImageBuilder;
    use crate::flat::{FlatProgram, FlatSegment};
    use alloc::format;

    fn image() -> Vec<u8> {
        let segment = FlatSegment {
            address: 0x40_0000,
            contents: vec![0xc3],
            memory_length: 4096,
            flags: 2,
        };
        let mut builder = ImageBuilder::new();
        builder
            .init(FlatProgram {
                entry: 0x40_0000,
                segments: vec![segment],
            })
            .expect("an empty image takes an init");
        for name in ["a", "b"] {
            builder
                .file(name, format!("contents of {name}").into_bytes(), 7)
                .expect("a good name");
        }
        builder.build().expect("a small image")
    }

    fn list_of(bytes: &[u8]) -> Result<Vec<Listed>, ImageError> {
        read(bytes.len() as u64, |offset, into| {
            let found = bytes.get(offset as usize..offset as usize + into.len());
            found.map(|found| into.copy_from_slice(found)).is_some()
        })
    }

    #[test]
    fn the_directory_says_what_the_image_says() {
        let bytes = image();
        let listed = list_of(&bytes).expect("a good image");
        let image = crate::Image::parse(&bytes).expect("a good image");
        let expected: Vec<_> = image
            .entries()
            .map(|entry| (entry.kind(), entry.name().to_string(), entry.offset()))
            .collect();
        let found: Vec<_> = listed
            .iter()
            .map(|listed| (listed.kind, listed.name.clone(), listed.raw.offset))
            .collect();
        assert_eq!(found, expected);
        assert!(listed.iter().any(|listed| listed.name == "a"
            && listed.is_contents(b"contents of a")
            && !listed.is_contents(b"contents of b")));
    }

    #[test]
    fn damage_is_named() {
        let good = image();
        assert_eq!(list_of(&[]), Err(ImageError::NotAnImage));
        for (at, error) in [
            (0, ImageError::NotAnImage),
            (40, ImageError::HeaderDamaged),
            (70, ImageError::DirectoryDamaged),
        ] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert_eq!(list_of(&bytes), Err(error), "byte {at}");
        }
        assert!(matches!(
            list_of(&good[..good.len() / 2]),
            Err(ImageError::Truncated { .. } | ImageError::DirectoryDamaged)
        ));
    }
}
