//! Reading ELF (System V gABI, AMD64 supplement): just the static, position-independent programs of this system. All else is refused by name.

use crate::source::Source;
use abi::layout::PAGE_SIZE;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// Bytes from the first to the last address of a program, at most.
pub const MAX_IMAGE_BYTES: u64 = 256 << 20;
/// Loadable segments, at most.
pub const MAX_SEGMENTS: usize = 8;

const PAGE: u64 = PAGE_SIZE as u64;
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const MAX_PROGRAM_HEADERS: usize = 16;
const DYNAMIC_ENTRY: u64 = 16;
const RELOCATION: u64 = 24;

const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_TLS: u32 = 7;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PF_X: u32 = 1;
const PF_W: u32 = 2;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELAENT: u64 = 9;
const DT_REL: u64 = 17;
const DT_TEXTREL: u64 = 22;
const DT_JMPREL: u64 = 23;
const DT_INIT_ARRAY: u64 = 25;
const DT_RELR: u64 = 36;

const R_X86_64_NONE: u32 = 0;
const R_X86_64_RELATIVE: u32 = 8;

/// Why a file is no program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElfError {
    /// It ends before what its headers speak of.
    Truncated,
    /// It does not start like an ELF file for this machine.
    NotElf,
    /// It is not position-independent, or of a version that there is not.
    WrongKind,
    /// It wants an interpreter, other libraries or thread-local storage.
    NotStatic,
    /// Its program headers can't be.
    BadHeaders,
    /// A segment is not aligned to pages, overlaps another, is longer in the file than in memory, or leads too far.
    BadSegment,
    /// A segment would be writable and executable.
    WritableAndExecutable,
    /// The first instruction is not in a segment that may be executed.
    BadEntry,
    /// A relocation is of a kind that we do not do, or not in a writable segment.
    BadRelocation,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the file is shorter than it says",
            Self::NotElf => "not a program for this machine",
            Self::WrongKind => "not position-independent",
            Self::NotStatic => "not statically linked",
            Self::BadHeaders => "impossible program headers",
            Self::BadSegment => "an impossible segment",
            Self::WritableAndExecutable => "a segment that is writable and executable",
            Self::BadEntry => "the entry is outside of the text",
            Self::BadRelocation => "an impossible relocation",
        })
    }
}

impl core::error::Error for ElfError {}

/// What may be done with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentKind {
    /// Constants that need no relocation: shared from the file.
    Constants,
    /// Instructions: shared from the file.
    Text,
    /// Written by the relocations and then never again.
    RelocatedConstants,
    /// The process's own.
    Data,
}

/// A loadable segment. It begins on a page, in memory and (if it comes from the file) in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// What may be done with it.
    pub kind: SegmentKind,
    /// First address, from the program's base.
    pub address: u64,
    /// Bytes in memory, rounded up to pages.
    pub length: u64,
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// Bytes from the file; the rest is zero.
    pub file_length: u64,
}

impl Segment {
    /// The addresses, from the program's base.
    pub fn range(&self) -> Range<u64> {
        self.address..self.address + self.length
    }

    /// Whether its pages are made for it, not shared from the file.
    pub fn is_relocated(&self) -> bool {
        matches!(
            self.kind,
            SegmentKind::RelocatedConstants | SegmentKind::Data
        )
    }
}

/// A program that was read and found good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    segments: Vec<Segment>,
    entry: u64,
    /// Addresses of words to which the base is added, and what is added to it.
    relocations: Vec<(u64, u64)>,
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read<S: Source + ?Sized>(source: &S) -> Result<Self, ElfError> {
        let header: [u8; FILE_HEADER] = read_array(source, 0)?;
        let headers = program_headers(source, &header)?;
        let mut segments = Vec::new();
        let mut dynamic = None;
        let mut relro = 0..0;
        for header in headers {
            match header.kind {
                PT_LOAD => segments.push(header.segment(source)?),
                PT_DYNAMIC if dynamic.is_none() => dynamic = Some(header),
                PT_DYNAMIC => return Err(ElfError::BadHeaders),
                PT_INTERP | PT_TLS => return Err(ElfError::NotStatic),
                PT_GNU_RELRO => {
                    relro = header.address
                        ..header
                            .address
                            .checked_add(header.memory_length)
                            .ok_or(ElfError::BadHeaders)?
                }
                _ => {}
            }
        }
        segments.retain(|segment| segment.length != 0);
        check_order(&segments)?;
        for segment in &mut segments {
            // Relocated constants are a segment of their own; one that the protected range covers in part stays data.
            if segment.kind == SegmentKind::Data
                && relro.start <= segment.address
                && round_up(relro.end) >= segment.range().end
            {
                segment.kind = SegmentKind::RelocatedConstants;
            }
        }
        let mut program = Self {
            segments,
            entry: u64_at(&header, 24),
            relocations: Vec::new(),
        };
        if !program.segments.iter().any(|segment| {
            segment.kind == SegmentKind::Text && segment.range().contains(&program.entry)
        }) {
            return Err(ElfError::BadEntry);
        }
        if let Some(dynamic) = dynamic {
            program.relocations = program.read_relocations(source, &dynamic)?;
        }
        Ok(program)
    }

    /// The segments, by address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first instruction, from the base.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Bytes from the base to the end of the last segment.
    pub fn length(&self) -> u64 {
        self.segments
            .last()
            .map_or(0, |segment| segment.range().end)
    }

    /// The words in `segment` to be relocated: where, from the segment's start, and what goes there when the program is at `base`.
    pub fn relocations(&self, segment: &Segment, base: u64) -> impl Iterator<Item = (u64, u64)> {
        let (start, end) = (segment.range().start, segment.range().end);
        self.relocations
            .iter()
            .filter(move |(at, _)| (start..end).contains(at))
            .map(move |(at, addend)| (at - start, base.wrapping_add(*addend)))
    }

    fn read_relocations<S: Source + ?Sized>(
        &self,
        source: &S,
        dynamic: &ProgramHeader,
    ) -> Result<Vec<(u64, u64)>, ElfError> {
        let mut table = None;
        let mut bytes = 0;
        let mut entry_bytes = RELOCATION;
        for index in 0..dynamic.file_length / DYNAMIC_ENTRY {
            let at = dynamic
                .file_offset
                .checked_add(index * DYNAMIC_ENTRY)
                .ok_or(ElfError::Truncated)?;
            let entry: [u8; 16] = read_array(source, at)?;
            let value = u64_at(&entry, 8);
            match u64_at(&entry, 0) {
                DT_NULL => break,
                DT_NEEDED | DT_INIT_ARRAY => return Err(ElfError::NotStatic),
                DT_REL | DT_RELR | DT_TEXTREL | DT_JMPREL => return Err(ElfError::BadRelocation),
                DT_RELA => table = Some(value),
                DT_RELASZ => bytes = value,
                DT_RELAENT => entry_bytes = value,
                _ => {}
            }
        }
        let Some(table) = table.filter(|_| bytes != 0) else {
            return Ok(Vec::new());
        };
        if entry_bytes != RELOCATION || !bytes.is_multiple_of(RELOCATION) || bytes > source.length()
        {
            return Err(ElfError::BadRelocation);
        }
        let file_offset = self
            .file_offset_of(table, bytes)
            .ok_or(ElfError::BadRelocation)?;
        let mut relocations = Vec::new();
        for index in 0..bytes / RELOCATION {
            let entry: [u8; 24] = read_array(source, file_offset + index * RELOCATION)?;
            match u64_at(&entry, 8) as u32 {
                R_X86_64_NONE => {}
                R_X86_64_RELATIVE => relocations
                    .push(self.checked_relocation(u64_at(&entry, 0), u64_at(&entry, 16))?),
                _ => return Err(ElfError::BadRelocation),
            }
        }
        Ok(relocations)
    }

    fn checked_relocation(&self, at: u64, addend: u64) -> Result<(u64, u64), ElfError> {
        let end = at.checked_add(8).ok_or(ElfError::BadRelocation)?;
        let is_inside = |segment: &Segment| {
            segment.is_relocated() && segment.address <= at && end <= segment.range().end
        };
        // A pointer to one past the end of the image is a pointer that Rust makes.
        if self.segments.iter().any(is_inside) && addend <= self.length() {
            Ok((at, addend))
        } else {
            Err(ElfError::BadRelocation)
        }
    }

    /// Where the bytes at an address are in the file.
    fn file_offset_of(&self, address: u64, length: u64) -> Option<u64> {
        let end = address.checked_add(length)?;
        let segment = self.segments.iter().find(|segment| {
            segment.address <= address && end <= segment.address + segment.file_length
        })?;
        segment.file_offset.checked_add(address - segment.address)
    }
}

struct ProgramHeader {
    kind: u32,
    flags: u32,
    file_offset: u64,
    address: u64,
    file_length: u64,
    memory_length: u64,
}

impl ProgramHeader {
    fn segment<S: Source + ?Sized>(&self, source: &S) -> Result<Segment, ElfError> {
        let kind = match (self.flags & PF_W != 0, self.flags & PF_X != 0) {
            (true, true) => return Err(ElfError::WritableAndExecutable),
            (true, false) => SegmentKind::Data,
            (false, true) => SegmentKind::Text,
            (false, false) => SegmentKind::Constants,
        };
        let file_end = self
            .file_offset
            .checked_add(self.file_length)
            .ok_or(ElfError::Truncated)?;
        if file_end > source.length() {
            return Err(ElfError::Truncated);
        }
        let end = self
            .address
            .checked_add(self.memory_length)
            .filter(|end| *end <= MAX_IMAGE_BYTES)
            .ok_or(ElfError::BadSegment)?;
        let is_aligned = self.address.is_multiple_of(PAGE)
            && (self.file_length == 0 || self.file_offset.is_multiple_of(PAGE));
        // What is shared from the file can't have a zeroed rest beyond its last page.
        let is_shared = matches!(kind, SegmentKind::Text | SegmentKind::Constants);
        let is_whole = round_up(self.file_length) == round_up(self.memory_length);
        if !is_aligned || self.file_length > self.memory_length || (is_shared && !is_whole) {
            return Err(ElfError::BadSegment);
        }
        Ok(Segment {
            kind,
            address: self.address,
            length: round_up(end) - self.address,
            file_offset: self.file_offset,
            file_length: self.file_length,
        })
    }
}

fn program_headers<S: Source + ?Sized>(
    source: &S,
    header: &[u8; FILE_HEADER],
) -> Result<Vec<ProgramHeader>, ElfError> {
    // Class 64, little endian, version 1 (gABI, chapter 4, "ELF identification").
    if header[..7] != [0x7f, b'E', b'L', b'F', 2, 1, 1] || u16_at(header, 18) != EM_X86_64 {
        return Err(ElfError::NotElf);
    }
    if u16_at(header, 16) != ET_DYN || u32_at(header, 20) != 1 {
        return Err(ElfError::WrongKind);
    }
    let count = usize::from(u16_at(header, 56));
    if usize::from(u16_at(header, 54)) != PROGRAM_HEADER
        || count == 0
        || count > MAX_PROGRAM_HEADERS
    {
        return Err(ElfError::BadHeaders);
    }
    let table = u64_at(header, 32);
    let mut headers = Vec::new();
    for index in 0..count {
        let at = table
            .checked_add((index * PROGRAM_HEADER) as u64)
            .ok_or(ElfError::Truncated)?;
        let bytes: [u8; PROGRAM_HEADER] = read_array(source, at)?;
        headers.push(ProgramHeader {
            kind: u32_at(&bytes, 0),
            flags: u32_at(&bytes, 4),
            file_offset: u64_at(&bytes, 8),
            address: u64_at(&bytes, 16),
            file_length: u64_at(&bytes, 32),
            memory_length: u64_at(&bytes, 40),
        });
    }
    Ok(headers)
}

fn check_order(segments: &[Segment]) -> Result<(), ElfError> {
    let is_ordered = segments
        .windows(2)
        .all(|pair| pair[0].range().end <= pair[1].address);
    if segments.is_empty() || segments.len() > MAX_SEGMENTS || !is_ordered {
        return Err(ElfError::BadSegment);
    }
    Ok(())
}

/// Rounds up to a page. Lengths were checked to be far below the end of the address space, or come out too large and are refused.
fn round_up(length: u64) -> u64 {
    length.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
}

fn read_array<const N: usize, S: Source + ?Sized>(
    source: &S,
    offset: u64,
) -> Result<[u8; N], ElfError> {
    let mut bytes = [0; N];
    if source.read(offset, &mut bytes) {
        Ok(bytes)
    } else {
        Err(ElfError::Truncated)
    }
}

/// The fields of headers, whose sizes are fixed: an offset outside reads zero.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |field| u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |field| u64::from_le_bytes(*field))
}
