//! Reading a boot image: everything is checked before it is believed.
//!
//! [`Image::parse`] proves the header and the directory; the contents of an entry are checked by [`Entry::checked`],
//! so that a reader pays only for what it uses and one damaged file does not stop a boot.

use crate::layout::{ENTRY_LENGTH, HEADER_LENGTH, decode_entry, decode_header, header_crc};
use abi::image::{EntryKind, ImageEntry, ImageHeader};
use abi::layout::PAGE_SIZE;
use core::fmt;

/// What is wrong with an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageError {
    /// The bytes do not start as a boot image does.
    NotAnImage,
    /// A version that this reader does not know.
    Version(u32),
    /// The header's checksum is wrong.
    HeaderDamaged,
    /// Fewer bytes than the header says.
    Truncated {
        /// Bytes that the header promises.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The directory or the names lie outside the image, or their checksum is wrong.
    DirectoryDamaged,
    /// The entry with this number points outside the image, is of an unknown kind, or its name is not UTF-8.
    EntryInvalid(u32),
    /// The contents of the entry with this number do not have its checksum.
    ContentsDamaged(u32),
}

impl fmt::Display for ImageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage => write!(out, "this is not a PebbleOS boot image"),
            Self::Version(version) => write!(
                out,
                "boot image version {version} is not known (expected {})",
                ImageHeader::VERSION
            ),
            Self::HeaderDamaged => write!(out, "the boot image's header is damaged"),
            Self::Truncated { expected, found } => write!(
                out,
                "the boot image is cut off: {found} of {expected} bytes"
            ),
            Self::DirectoryDamaged => write!(out, "the boot image's directory is damaged"),
            Self::EntryInvalid(index) => write!(out, "entry {index} of the boot image is invalid"),
            Self::ContentsDamaged(index) => write!(
                out,
                "the contents of entry {index} of the boot image are damaged"
            ),
        }
    }
}

impl core::error::Error for ImageError {}

/// An image whose header and directory have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    names: &'a [u8],
    directory: &'a [u8],
    header: ImageHeader,
}

/// One thing in an [`Image`]. Its place and its name are valid; its contents are a claim until [`Entry::checked`].
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    index: u32,
    kind: EntryKind,
    name: &'a str,
    contents: &'a [u8],
    raw: ImageEntry,
}

impl<'a> Image<'a> {
    /// Checks the header, the directory and the place of every entry.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let header = decode_header(bytes).ok_or(ImageError::NotAnImage)?;
        if header.magic != ImageHeader::MAGIC {
            return Err(ImageError::NotAnImage);
        }
        if header.version != ImageHeader::VERSION {
            return Err(ImageError::Version(header.version));
        }
        if header_crc(bytes) != Some(header.header_crc) {
            return Err(ImageError::HeaderDamaged);
        }
        let found = bytes.len() as u64;
        let bytes = slice(bytes, 0, header.total_length).ok_or(ImageError::Truncated {
            expected: header.total_length,
            found,
        })?;
        let image = Self::with_directory(bytes, header).ok_or(ImageError::DirectoryDamaged)?;
        for index in 0..header.entry_count {
            image.entry(index).ok_or(ImageError::EntryInvalid(index))?;
        }
        Ok(image)
    }

    fn with_directory(bytes: &'a [u8], header: ImageHeader) -> Option<Self> {
        let directory_length = u64::from(header.entry_count).checked_mul(ENTRY_LENGTH as u64)?;
        let directory_end = directory_length.checked_add(HEADER_LENGTH as u64)?;
        if header.names_offset != directory_end {
            return None;
        }
        let covered = slice(
            bytes,
            HEADER_LENGTH as u64,
            directory_length.checked_add(header.names_length)?,
        )?;
        let (directory, names) =
            covered.split_at_checked(usize::try_from(directory_length).ok()?)?;
        (crc32fast::hash(covered) == header.directory_crc).then_some(Self {
            bytes,
            names,
            directory,
            header,
        })
    }

    fn entry(&self, index: u32) -> Option<Entry<'a>> {
        let start = usize::try_from(index).ok()?.checked_mul(ENTRY_LENGTH)?;
        let raw = decode_entry(self.directory.get(start..)?)?;
        let name = slice(self.names, raw.name_offset.into(), raw.name_length.into())?;
        if !raw.offset.is_multiple_of(PAGE_SIZE as u64) {
            return None;
        }
        Some(Entry {
            index,
            kind: EntryKind::from_number(raw.kind)?,
            name: core::str::from_utf8(name).ok()?,
            contents: slice(self.bytes, raw.offset, raw.length)?,
            raw,
        })
    }

    /// All entries, in the order of the directory.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + '_ {
        (0..self.header.entry_count).filter_map(|index| self.entry(index))
    }

    /// The entries of one kind.
    pub fn of_kind(&self, kind: EntryKind) -> impl Iterator<Item = Entry<'a>> + '_ {
        self.entries().filter(move |entry| entry.kind == kind)
    }

    /// The entry of this kind and name.
    pub fn find(&self, kind: EntryKind, name: &str) -> Option<Entry<'a>> {
        self.of_kind(kind).find(|entry| entry.name == name)
    }

    /// Checks the contents of every entry as well.
    pub fn check_contents(&self) -> Result<(), ImageError> {
        self.entries()
            .try_for_each(|entry| entry.checked().map(drop))
    }

    /// The address at which init starts.
    pub fn init_entry(&self) -> u64 {
        self.header.init_entry
    }
}

impl<'a> Entry<'a> {
    /// What it is.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Its name: a program's, a service's, or a path without a leading slash.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Where the contents start in the image, in bytes; a multiple of a page.
    pub fn offset(&self) -> u64 {
        self.raw.offset
    }

    /// Bytes of the contents.
    pub fn length(&self) -> u64 {
        self.raw.length
    }

    /// The fields as they stand in the image (segment address and flags, modification time).
    pub fn raw(&self) -> &ImageEntry {
        &self.raw
    }

    /// The contents as they are, whether or not they are what was written.
    pub fn unchecked(&self) -> &'a [u8] {
        self.contents
    }

    /// The contents, if they have their checksum.
    pub fn checked(&self) -> Result<&'a [u8], ImageError> {
        if crc32fast::hash(self.contents) == self.raw.crc {
            Ok(self.contents)
        } else {
            Err(ImageError::ContentsDamaged(self.index))
        }
    }
}

/// `length` bytes of `bytes` from `offset`, if they are there.
fn slice(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}
