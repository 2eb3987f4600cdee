//! Linking init to a fixed address: the kernel copies or maps its segments and jumps, and that is all it can do.

use crate::elf::{Access, Elf, ElfError, Segment};
use abi::image::{SEGMENT_EXECUTABLE, SEGMENT_WRITABLE};

/// Where init lies. It is the one program without address randomisation: nobody else is in its address space, and the
/// kernel that restarts it from the image needs to know nothing of relocations.
pub const INIT_BASE: u64 = 0x40_0000;

/// A program linked to its final address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlatProgram {
    /// Where it starts.
    pub entry: u64,
    /// Its segments by address.
    pub segments: Vec<FlatSegment>,
}

/// A segment of a [`FlatProgram`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlatSegment {
    /// Page-aligned address.
    pub address: u64,
    /// The bytes it starts with.
    pub contents: Vec<u8>,
    /// Bytes in memory; what `contents` lacks is zero.
    pub memory_length: u64,
    /// [`SEGMENT_WRITABLE`] or [`SEGMENT_EXECUTABLE`] or neither.
    pub flags: u32,
}

/// Links the position-independent program `bytes` to `base`.
pub fn link(bytes: &[u8], base: u64) -> Result<FlatProgram, ElfError> {
    let elf = Elf::parse(bytes)?;
    let mut segments = elf
        .segments()?
        .iter()
        .map(|segment| place(segment, base))
        .collect::<Result<Vec<_>, _>>()?;
    for relocation in elf.relocations()? {
        let address = base.wrapping_add(relocation.address);
        let value = base.wrapping_add(relocation.addend);
        store(&mut segments, address, value).ok_or(ElfError::RelocationOutside { address })?;
    }
    let entry = base
        .checked_add(elf.entry())
        .filter(|&entry| segments.iter().any(|segment| is_text_at(segment, entry)));
    let entry = entry
        .ok_or_else(|| ElfError::Malformed("the entry is not in the program's text".into()))?;
    Ok(FlatProgram { entry, segments })
}

fn place(segment: &Segment<'_>, base: u64) -> Result<FlatSegment, ElfError> {
    let address = base
        .checked_add(segment.address)
        .filter(|address| address.checked_add(segment.memory_length).is_some());
    Ok(FlatSegment {
        address: address.ok_or(ElfError::Overlap {
            address: segment.address,
        })?,
        contents: segment.contents.to_vec(),
        memory_length: segment.memory_length,
        flags: match segment.access {
            Access::Read => 0,
            Access::Write => SEGMENT_WRITABLE,
            Access::Execute => SEGMENT_EXECUTABLE,
        },
    })
}

/// Stores a relocated address, if `address` lies in what some segment has in the file and that segment is not text.
fn store(segments: &mut [FlatSegment], address: u64, value: u64) -> Option<()> {
    let segment = segments
        .iter_mut()
        .rfind(|segment| segment.address <= address)?;
    let start = usize::try_from(address - segment.address).ok()?;
    if segment.flags & SEGMENT_EXECUTABLE != 0 {
        return None;
    }
    segment
        .contents
        .get_mut(start..start.checked_add(8)?)?
        .copy_from_slice(&value.to_le_bytes());
    Some(())
}

fn is_text_at(segment: &FlatSegment, address: u64) -> bool {
    segment.flags & SEGMENT_EXECUTABLE != 0
        && (segment.address..segment.address + segment.contents.len() as u64).contains(&address)
}
