//! The boot image: what `image-builder` writes and the kernel and init read.
//!
//! All numbers are little endian. The image starts with an [`ImageHeader`], followed by `entry_count` [`ImageEntry`]s and the
//! names (UTF-8, without terminators). Contents are page-aligned, so that program text can be mapped straight from the image.
//! init's program comes as [`EntryKind::InitSegment`]s, because the kernel has no ELF parser; other programs are ELF files.

/// The header, at offset 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ImageHeader {
    /// [`ImageHeader::MAGIC`].
    pub magic: u64,
    /// [`ImageHeader::VERSION`].
    pub version: u32,
    /// Entries that follow.
    pub entry_count: u32,
    /// Bytes of the whole image.
    pub total_length: u64,
    /// Offset of the names, after the entries.
    pub names_offset: u64,
    /// Bytes of the names.
    pub names_length: u64,
    /// Address at which init starts.
    pub init_entry: u64,
    /// CRC-32 (IEEE) of everything from the end of this header to the end of the names.
    pub directory_crc: u32,
    /// CRC-32 of this header with this field zero.
    pub header_crc: u32,
    /// Zero.
    pub reserved: u64,
}

impl ImageHeader {
    /// What an image starts with.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"PblImage");
    /// The only version so far.
    pub const VERSION: u32 = 1;
}

/// One thing in the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ImageEntry {
    /// Number of the [`EntryKind`].
    pub kind: u32,
    /// CRC-32 of the contents.
    pub crc: u32,
    /// Where the name starts, from the start of the names.
    pub name_offset: u32,
    /// Bytes of the name.
    pub name_length: u32,
    /// Where the contents start in the image; page-aligned.
    pub offset: u64,
    /// Bytes of the contents.
    pub length: u64,
    /// For [`EntryKind::InitSegment`]: page-aligned address at which it goes. Else the modification time in seconds since 1970, 0 if unknown.
    pub address: u64,
    /// For [`EntryKind::InitSegment`]: bytes in memory (at least `length`, the rest zero).
    pub memory_length: u64,
    /// For [`EntryKind::InitSegment`]: bit 0 writable, bit 1 executable (never both).
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u32)]
pub enum EntryKind {
    /// A segment of init.
    InitSegment = 1,
    /// A program: an ELF file; the name is the program's.
    Program = 2,
    /// A service manifest in postcard; the name is the service's.
    Manifest = 3,
    /// A file of the initial file system; the name is its path without a leading slash.
    File = 4,
    /// The kernel's symbols: for each function sorted by address `address: u64`, `name_offset: u32`, `name_length: u32`; preceded by their count as `u64`; then the names.
    KernelSymbols = 5,
}

impl EntryKind {
    /// The kind with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::InitSegment,
            2 => Self::Program,
            3 => Self::Manifest,
            4 => Self::File,
            5 => Self::KernelSymbols,
            _ => return None,
        })
    }
}

/// Flag of an [`ImageEntry`]: the segment is writable.
pub const SEGMENT_WRITABLE: u32 = 1;
/// Flag of an [`ImageEntry`]: the segment is executable.
pub const SEGMENT_EXECUTABLE: u32 = 2;

const _: () = assert!(core::mem::size_of::<ImageHeader>() == 64);
const _: () = assert!(core::mem::size_of::<ImageEntry>() == 56);
