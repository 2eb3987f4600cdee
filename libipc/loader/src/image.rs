//! A program at an address: ready to be mapped into any number of processes.

use crate::elf::{ElfError, Program, Segment, SegmentKind};
use crate::source::Source;
use abi::layout::PAGE_SIZE;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use libipc::{Handle, Mapping, MemoryObject, Process, Protection, SysError, random};

/// Regions begin on a boundary of this many bytes, so that a small process needs one table of each level.
const REGION_ALIGNMENT: u64 = 1 << 30;
/// A process's region: everything that it ever maps.
pub(crate) const REGION_BYTES: u64 = 64 << 30;
/// The first region begins here.
const FIRST_REGION: u64 = 4 << 30;
/// No region begins from here on.
const LAST_REGION: u64 = 0x7000_0000_0000;
/// Where in its region the image begins; in front of it are stack, message pages and the like.
pub(crate) const IMAGE_OFFSET: u64 = 1 << 21;

/// Why a program can't be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// The file is no program.
    Elf(ElfError),
    /// The kernel refused memory or a mapping.
    System(SysError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LoadError {}

impl From<ElfError> for LoadError {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

impl From<SysError> for LoadError {
    fn from(error: SysError) -> Self {
        Self::System(error)
    }
}

/// A program at a random address that all processes made from it share, so that they also share what was relocated for that address.
#[derive(Debug)]
pub struct Image {
    program: Program,
    region: u64,
    /// The file, and where in it the program begins.
    file: Handle<MemoryObject>,
    file_offset: u64,
    /// For each segment what is mapped: relocated constants and the first state of data are made once for all processes.
    prepared: Vec<Prepared>,
}

#[derive(Debug)]
enum Prepared {
    /// Mapped from the file.
    Shared,
    /// Relocated already; mapped into every process.
    Constants(Handle<MemoryObject>),
    /// Data as it is at the start; each process gets a copy of what it writes.
    Template(Handle<MemoryObject>),
}

impl Image {
    /// Reads a program from `source`, whose bytes begin at `file_offset` (page-aligned) of the memory `file`.
    ///
    /// # Errors
    /// Why it is no program; the quota's, for the relocated constants.
    pub fn load<S: Source + ?Sized>(
        source: &S,
        file: Handle<MemoryObject>,
        file_offset: u64,
    ) -> Result<Self, LoadError> {
        let program = Program::read(source)?;
        let region = random_region();
        let base = region + IMAGE_OFFSET;
        let mut prepared = Vec::new();
        for segment in program.segments() {
            prepared.push(match segment.kind {
                SegmentKind::Constants | SegmentKind::Text => Prepared::Shared,
                kind => {
                    let memory =
                        filled(&contents(source, &program, segment, base)?, segment.length)?;
                    if kind == SegmentKind::Data {
                        Prepared::Template(memory)
                    } else {
                        Prepared::Constants(memory)
                    }
                }
            });
        }
        Ok(Self {
            program,
            region,
            file,
            file_offset,
            prepared,
        })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The address of the first byte.
    pub fn base(&self) -> u64 {
        self.region + IMAGE_OFFSET
    }

    /// The address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.base() + self.program.entry()
    }

    /// The start of the region in which processes of this image live.
    pub(crate) fn region(&self) -> u64 {
        self.region
    }

    /// Bytes that each process has of its own, in whole pages.
    pub fn private_bytes(&self) -> u64 {
        self.program
            .segments()
            .iter()
            .filter(|segment| segment.kind == SegmentKind::Data)
            .map(|segment| segment.length)
            .sum()
    }

    /// Maps the program into a process.
    ///
    /// # Errors
    /// The quota's.
    pub(crate) fn map_into(&self, process: &Handle<Process>) -> Result<(), SysError> {
        for (segment, prepared) in self.program.segments().iter().zip(&self.prepared) {
            let address = self.base() + segment.address;
            match prepared {
                Prepared::Shared => {
                    let protection = if segment.kind == SegmentKind::Text {
                        Protection::ReadExecute
                    } else {
                        Protection::Read
                    };
                    process.map(
                        &self.file,
                        address,
                        self.file_offset + segment.file_offset,
                        segment.length,
                        protection,
                    )?;
                }
                Prepared::Constants(memory) => {
                    process.map(memory, address, 0, segment.length, Protection::Read)?
                }
                Prepared::Template(memory) => {
                    process.map(memory, address, 0, segment.length, Protection::Private)?
                }
            }
        }
        Ok(())
    }
}

/// What is in a segment at the start, relocated for `base`; without the zeroed rest, if no relocation is in it.
fn contents<S: Source + ?Sized>(
    source: &S,
    program: &Program,
    segment: &Segment,
    base: u64,
) -> Result<Vec<u8>, LoadError> {
    // The length was checked against the file's and against `MAX_IMAGE_BYTES`.
    let last = program
        .relocations(segment, base)
        .map(|(at, _)| at + 8)
        .max()
        .unwrap_or(0);
    let length = last.max(segment.file_length) as usize;
    let mut bytes = vec![0; length];
    if !source.read(
        segment.file_offset,
        &mut bytes[..segment.file_length as usize],
    ) {
        return Err(ElfError::Truncated.into());
    }
    for (at, value) in program.relocations(segment, base) {
        let at = at as usize;
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}

/// Fresh memory of so many bytes that begins with these.
fn filled(bytes: &[u8], length: u64) -> Result<Handle<MemoryObject>, SysError> {
    let memory = Handle::<MemoryObject>::create(length)?;
    fill(&memory, bytes)?;
    Ok(memory)
}

/// Writes to the start of memory.
pub(crate) fn fill(memory: &Handle<MemoryObject>, bytes: &[u8]) -> Result<(), SysError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mapping: Mapping = memory.map(
        0,
        bytes.len().next_multiple_of(PAGE_SIZE),
        Protection::ReadWrite,
    )?;
    if mapping.write(0, bytes) {
        Ok(())
    } else {
        Err(SysError(abi::Outcome::BadAddress))
    }
}

fn random_region() -> u64 {
    let regions = (LAST_REGION - FIRST_REGION) / REGION_ALIGNMENT;
    FIRST_REGION + random::next_u64() % regions * REGION_ALIGNMENT
}
