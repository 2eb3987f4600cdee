//! Laying out a boot image.

use crate::flat::FlatProgram;
use crate::layout::{ENTRY_LENGTH, HEADER_LENGTH, encode_entry, encode_header, header_crc};
use abi::image::{EntryKind, ImageEntry, ImageHeader};
use abi::layout::PAGE_SIZE;
use std::collections::BTreeSet;
use std::fmt;

/// Why an image can't be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BuildError {
    /// Two entries of one kind have the same name.
    Duplicate {
        /// The kind of both.
        kind: EntryKind,
        /// The name of both.
        name: String,
    },
    /// A number does not fit its field.
    TooLarge,
    /// There is no init, so nothing would run.
    NoInit,
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { kind, name } => {
                write!(out, "{kind:?} {name:?} is in the image twice")
            }
            Self::TooLarge => write!(out, "the image has too many or too large entries"),
            Self::NoInit => write!(out, "the image has no init program"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Collects what goes into an image.
#[derive(Clone, Debug, Default)]
pub struct ImageBuilder {
    init_entry: Option<u64>,
    items: Vec<Item>,
    seen: BTreeSet<(u32, String)>,
}

#[derive(Clone, Debug)]
struct Item {
    entry: ImageEntry,
    name: String,
    contents: Vec<u8>,
}

impl ImageBuilder {
    /// An empty image.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `program` the init that the kernel starts.
    pub fn init(&mut self, program: FlatProgram) -> Result<(), BuildError> {
        self.init_entry = Some(program.entry);
        for (index, segment) in program.segments.into_iter().enumerate() {
            let entry = ImageEntry {
                address: segment.address,
                memory_length: segment.memory_length,
                flags: segment.flags,
                ..Default::default()
            };
            self.add(
                EntryKind::InitSegment,
                format!("init.{index}"),
                entry,
                segment.contents,
            )?;
        }
        Ok(())
    }

    /// Adds the program `name`, an ELF file.
    pub fn program(&mut self, name: &str, elf: Vec<u8>) -> Result<(), BuildError> {
        self.add(EntryKind::Program, name.into(), ImageEntry::default(), elf)
    }

    /// Adds the manifest of the service `name`, in postcard.
    pub fn manifest(&mut self, name: &str, postcard: Vec<u8>) -> Result<(), BuildError> {
        self.add(
            EntryKind::Manifest,
            name.into(),
            ImageEntry::default(),
            postcard,
        )
    }

    /// Adds a file of the initial file system. `path` has no leading slash; `modified` is in seconds since 1970, 0 if unknown.
    pub fn file(&mut self, path: &str, contents: Vec<u8>, modified: u64) -> Result<(), BuildError> {
        let entry = ImageEntry {
            address: modified,
            ..Default::default()
        };
        self.add(EntryKind::File, path.into(), entry, contents)
    }

    /// Adds the kernel's function names, as [`crate::symbols::table`] encodes them.
    pub fn kernel_symbols(&mut self, table: Vec<u8>) -> Result<(), BuildError> {
        self.add(
            EntryKind::KernelSymbols,
            "kernel".into(),
            ImageEntry::default(),
            table,
        )
    }

    fn add(
        &mut self,
        kind: EntryKind,
        name: String,
        entry: ImageEntry,
        contents: Vec<u8>,
    ) -> Result<(), BuildError> {
        let number = kind as u32;
        if !self.seen.insert((number, name.clone())) {
            return Err(BuildError::Duplicate { kind, name });
        }
        let entry = ImageEntry {
            kind: number,
            crc: crc32fast::hash(&contents),
            length: contents.len() as u64,
            ..entry
        };
        self.items.push(Item {
            entry,
            name,
            contents,
        });
        Ok(())
    }

    /// The bytes of the image. The same things added in the same order give the same bytes.
    pub fn build(mut self) -> Result<Vec<u8>, BuildError> {
        let init_entry = self.init_entry.ok_or(BuildError::NoInit)?;
        let entry_count = u32::try_from(self.items.len()).map_err(|_| BuildError::TooLarge)?;
        let names = self.place_names()?;
        let names_offset = HEADER_LENGTH + self.items.len() * ENTRY_LENGTH;
        let total_length = self.place_contents(names_offset + names.len());

        let mut directory: Vec<u8> = self
            .items
            .iter()
            .flat_map(|item| encode_entry(&item.entry))
            .collect();
        directory.extend_from_slice(&names);
        let mut header = ImageHeader {
            magic: ImageHeader::MAGIC,
            version: ImageHeader::VERSION,
            entry_count,
            total_length: total_length as u64,
            names_offset: names_offset as u64,
            names_length: names.len() as u64,
            init_entry,
            directory_crc: crc32fast::hash(&directory),
            header_crc: 0,
            reserved: 0,
        };
        header.header_crc =
            header_crc(&encode_header(&header)).expect("an encoded header has a header's length");

        let mut image = Vec::with_capacity(total_length);
        image.extend_from_slice(&encode_header(&header));
        image.extend_from_slice(&directory);
        for item in &self.items {
            image.resize(item.entry.offset as usize, 0);
            image.extend_from_slice(&item.contents);
        }
        image.resize(total_length, 0);
        Ok(image)
    }

    /// Gives every name its place and returns all of them.
    fn place_names(&mut self) -> Result<Vec<u8>, BuildError> {
        let mut names = Vec::new();
        for item in &mut self.items {
            item.entry.name_offset =
                u32::try_from(names.len()).map_err(|_| BuildError::TooLarge)?;
            item.entry.name_length =
                u32::try_from(item.name.len()).map_err(|_| BuildError::TooLarge)?;
            names.extend_from_slice(item.name.as_bytes());
        }
        Ok(names)
    }

    /// Gives all contents their pages behind the first `directory_end` bytes and returns where the image ends.
    fn place_contents(&mut self, directory_end: usize) -> usize {
        let mut next = directory_end.next_multiple_of(PAGE_SIZE);
        for item in &mut self.items {
            item.entry.offset = next as u64;
            next = (next + item.contents.len()).next_multiple_of(PAGE_SIZE);
        }
        next
    }
}
