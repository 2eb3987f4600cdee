//! What the builder needs to know of an ELF file: its loadable segments, its relocations and its functions.

use object::LittleEndian;
use object::elf::{
    FileHeader64, PF_W, PF_X, PT_DYNAMIC, PT_GNU_RELRO, PT_INTERP, PT_LOAD, R_X86_64_RELATIVE,
    SHT_RELA,
};
use object::read::elf::{FileHeader, ProgramHeader, Rela, SectionHeader};
use std::fmt;
use std::mem::offset_of;

/// Why an ELF file can't go into an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ElfError {
    /// Not an ELF file for this machine, or damaged.
    Malformed(String),
    /// A segment does not begin on a page boundary, in memory or in the file.
    Unaligned {
        /// Where it wants to lie.
        address: u64,
    },
    /// A segment is both writable and executable.
    WritableText {
        /// Where it wants to lie.
        address: u64,
    },
    /// Two segments share a page.
    Overlap {
        /// Where the second one wants to lie.
        address: u64,
    },
    /// It wants a dynamic linker.
    NeedsInterpreter,
    /// A relocation of a type that a static program has no need of.
    Relocation {
        /// The number of the type.
        kind: u32,
    },
    /// A relocation that points outside the file's writable segments.
    RelocationOutside {
        /// Where it points.
        address: u64,
    },
}

impl fmt::Display for ElfError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(out, "not a usable ELF file: {why}"),
            Self::Unaligned { address } => {
                write!(out, "the segment at {address:#x} is not on a page boundary")
            }
            Self::WritableText { address } => write!(
                out,
                "the segment at {address:#x} is writable and executable"
            ),
            Self::Overlap { address } => write!(
                out,
                "the segment at {address:#x} shares a page with another"
            ),
            Self::NeedsInterpreter => write!(out, "the program wants a dynamic linker"),
            Self::Relocation { kind } => write!(out, "relocation type {kind} is not supported"),
            Self::RelocationOutside { address } => write!(
                out,
                "a relocation at {address:#x} is outside the writable segments"
            ),
        }
    }
}

impl std::error::Error for ElfError {}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// What a segment's pages allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Constants, and what is constant once it is relocated.
    Read,
    /// Data.
    Write,
    /// Text.
    Execute,
}

/// A loadable segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Page-aligned address, relative to the program's base if it is position independent.
    pub address: u64,
    /// Where its bytes lie in the file.
    pub file_offset: u64,
    /// What the file has of it; the rest is zero.
    pub contents: &'a [u8],
    /// Bytes in memory.
    pub memory_length: u64,
    /// What its pages allow when the program runs.
    pub access: Access,
}

/// Bytes of each kind that a program loads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Footprint {
    /// What is executed.
    pub text: u64,
    /// What is only read.
    pub constants: u64,
    /// What is written and has a value at the start.
    pub data: u64,
    /// What is written and starts as zero.
    pub zero: u64,
}

/// "Store `base + addend` at `address`."
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Where, relative to the base.
    pub address: u64,
    /// What, relative to the base.
    pub addend: u64,
}

/// A parsed ELF file.
pub struct Elf<'a> {
    bytes: &'a [u8],
    header: &'a FileHeader64<LittleEndian>,
}

const ENDIAN: LittleEndian = LittleEndian;
const PAGE: u64 = abi::layout::PAGE_SIZE as u64;

impl<'a> Elf<'a> {
    /// Checks that `bytes` are a 64-bit little-endian ELF file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let header = FileHeader64::<LittleEndian>::parse(bytes)?;
        header.endian()?;
        Ok(Self { bytes, header })
    }

    /// The address at which it starts.
    pub fn entry(&self) -> u64 {
        self.header.e_entry(ENDIAN)
    }

    /// The loadable segments by address, checked to be page-aligned, disjoint, and never writable and executable.
    pub fn segments(&self) -> Result<Vec<Segment<'a>>, ElfError> {
        let headers = self.header.program_headers(ENDIAN, self.bytes)?;
        if headers
            .iter()
            .any(|header| header.p_type(ENDIAN) == PT_INTERP)
        {
            return Err(ElfError::NeedsInterpreter);
        }
        let protected: Vec<u64> = addresses_of(headers, PT_GNU_RELRO);
        let mut segments = Vec::new();
        for header in headers
            .iter()
            .filter(|header| header.p_type(ENDIAN) == PT_LOAD && header.p_memsz(ENDIAN) > 0)
        {
            segments.push(self.segment(header, &protected)?);
        }
        segments.sort_by_key(|segment| segment.address);
        for pair in segments.windows(2) {
            let end = pair[0]
                .address
                .checked_add(pair[0].memory_length)
                .and_then(|end| end.checked_next_multiple_of(PAGE));
            if end.is_none_or(|end| end > pair[1].address) {
                return Err(ElfError::Overlap {
                    address: pair[1].address,
                });
            }
        }
        Ok(segments)
    }

    fn segment(
        &self,
        header: &object::elf::ProgramHeader64<LittleEndian>,
        protected: &[u64],
    ) -> Result<Segment<'a>, ElfError> {
        let address = header.p_vaddr(ENDIAN);
        if !address.is_multiple_of(PAGE) || !header.p_offset(ENDIAN).is_multiple_of(PAGE) {
            return Err(ElfError::Unaligned { address });
        }
        let flags = header.p_flags(ENDIAN);
        let access = match (flags & PF_W != 0, flags & PF_X != 0) {
            (true, true) => return Err(ElfError::WritableText { address }),
            (false, true) => Access::Execute,
            (true, false) if protected.contains(&address) => Access::Read,
            (true, false) => Access::Write,
            (false, false) => Access::Read,
        };
        let contents = header
            .data(ENDIAN, self.bytes)
            .map_err(|()| ElfError::Malformed("a segment lies outside the file".into()))?;
        if header.p_memsz(ENDIAN) < contents.len() as u64 {
            return Err(ElfError::Malformed(
                "a segment is larger in the file than in memory".into(),
            ));
        }
        Ok(Segment {
            address,
            file_offset: header.p_offset(ENDIAN),
            contents,
            memory_length: header.p_memsz(ENDIAN),
            access,
        })
    }

    /// How much of what it has. Unlike [`segments`](Self::segments) this takes what a kernel may do and a program may not.
    pub fn footprint(&self) -> Result<Footprint, ElfError> {
        let mut footprint = Footprint::default();
        let headers = self.header.program_headers(ENDIAN, self.bytes)?;
        for header in headers
            .iter()
            .filter(|header| header.p_type(ENDIAN) == PT_LOAD)
        {
            let flags = header.p_flags(ENDIAN);
            let length = header.p_filesz(ENDIAN);
            match (flags & PF_X != 0, flags & PF_W != 0) {
                (true, _) => footprint.text += length,
                (false, true) => footprint.data += length,
                (false, false) => footprint.constants += length,
            }
            footprint.zero += header.p_memsz(ENDIAN).saturating_sub(length);
        }
        Ok(footprint)
    }

    /// The relocations of a static position-independent program; none if it is linked to fixed addresses.
    pub fn relocations(&self) -> Result<Vec<Relocation>, ElfError> {
        let headers = self.header.program_headers(ENDIAN, self.bytes)?;
        if addresses_of(headers, PT_DYNAMIC).is_empty() {
            return Ok(Vec::new());
        }
        let mut relocations = Vec::new();
        let sections = self.header.section_headers(ENDIAN, self.bytes)?;
        for section in sections
            .iter()
            .filter(|section| section.sh_type(ENDIAN) == SHT_RELA)
        {
            let Some((table, _)) = section.rela(ENDIAN, self.bytes)? else {
                continue;
            };
            for entry in table {
                let kind = entry.r_type(ENDIAN, false);
                if kind != R_X86_64_RELATIVE {
                    return Err(ElfError::Relocation { kind });
                }
                relocations.push(Relocation {
                    address: entry.r_offset(ENDIAN),
                    addend: entry.r_addend(ENDIAN).cast_unsigned(),
                });
            }
        }
        Ok(relocations)
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

fn addresses_of(headers: &[object::elf::ProgramHeader64<LittleEndian>], kind: u32) -> Vec<u64> {
    headers
        .iter()
        .filter(|header| header.p_type(ENDIAN) == kind)
        .map(|header| header.p_vaddr(ENDIAN))
        .collect()
}

/// Offset and length of the header's fields that speak of sections, for those who cut the section table off: `e_shoff`,
/// then `e_shnum` and `e_shstrndx`.
pub(crate) const SECTION_FIELDS: [(usize, usize); 2] = [
    (offset_of!(FileHeader64<LittleEndian>, e_shoff), 8),
    (offset_of!(FileHeader64<LittleEndian>, e_shnum), 4),
];
