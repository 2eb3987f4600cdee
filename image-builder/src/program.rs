//! Cutting a program down to what a loader reads: symbols and debug information stay on the host.

use crate::elf::{Elf, ElfError, SECTION_FIELDS};

/// The part of the ELF file `bytes` that is loaded, as a valid ELF file without sections.
///
/// Refuses what the guest's loader would refuse, so that a wrong linker script is found when the image is made.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>, ElfError> {
    let elf = Elf::parse(bytes)?;
    elf.relocations()?;
    let segments = elf.segments()?;
    let end = segments
        .iter()
        .map(|segment| segment.file_offset + segment.contents.len() as u64)
        .max();
    let end = end.ok_or_else(|| ElfError::Malformed("nothing in it is loaded".into()))?;
    let mut stripped = elf.bytes()[..end as usize].to_vec();
    for (offset, length) in SECTION_FIELDS {
        let field = stripped.get_mut(offset..offset + length);
        field
            .ok_or_else(|| ElfError::Malformed("its headers are not loaded".into()))?
            .fill(0);
    }
    Ok(stripped)
}
