//! Reading the boot image, as far as the kernel needs it: its header, its directory, and where init's segments lie.
//!
//! The image is outside input: every number in it is checked before it is used.

use abi::image::{ImageEntry, ImageHeader};
use abi::layout::PAGE_SIZE;

use crate::boot::BootError;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::mem::frame::FrameRange;

const HEADER_BYTES: u64 = size_of::<ImageHeader>() as u64;
const ENTRY_BYTES: u64 = size_of::<ImageEntry>() as u64;
/// Entries in an image, at most: what the directory may take is bounded by it.
const MAX_ENTRIES: u64 = 16_384;
/// Where the header's own checksum lies in it.
const HEADER_CRC_OFFSET: u64 = core::mem::offset_of!(ImageHeader, header_crc) as u64;

/// An image whose header and directory have been checked.
pub struct ImageReader<'k, M: Machine + 'static> {
    kernel: &'k Kernel<M>,
    range: FrameRange,
    header: ImageHeader,
}

impl<'k, M: Machine> ImageReader<'k, M> {
    /// Checks the image of `bytes` bytes that begins with `range`.
    pub fn open(kernel: &'k Kernel<M>, range: FrameRange, bytes: u64) -> Result<Self, BootError> {
        let capacity = range.count.saturating_mul(PAGE_SIZE as u64);
        if bytes < HEADER_BYTES || bytes > capacity {
            return Err(BootError::NoImage);
        }
        let mut image = Self { kernel, range, header: ImageHeader::default() };
        image.header = ImageHeader {
            magic: image.u64_at(0),
            version: image.u32_at(8),
            entry_count: image.u32_at(12),
            total_length: image.u64_at(16),
            names_offset: image.u64_at(24),
            names_length: image.u64_at(32),
            init_entry: image.u64_at(40),
            directory_crc: image.u32_at(48),
            header_crc: image.u32_at(52),
            reserved: image.u64_at(56),
        };
        if image.header.magic != ImageHeader::MAGIC {
            return Err(BootError::NoImage);
        }
        if image.is_sound(bytes) { Ok(image) } else { Err(BootError::CorruptImage) }
    }

    fn is_sound(&self, bytes: u64) -> bool {
        let header = &self.header;
        let names_end = header.names_offset.checked_add(header.names_length);
        header.version == ImageHeader::VERSION
            && header.total_length <= bytes
            && u64::from(header.entry_count) <= MAX_ENTRIES
            && header.names_offset >= HEADER_BYTES + self.entry_count() * ENTRY_BYTES
            && names_end.is_some_and(|end| end <= header.total_length)
            && self.crc(0, HEADER_BYTES, Some(HEADER_CRC_OFFSET)) == header.header_crc
            && self.crc(HEADER_BYTES, header.names_offset + header.names_length, None) == header.directory_crc
    }

    /// The header.
    pub const fn header(&self) -> &ImageHeader {
        &self.header
    }

    /// Entries in it.
    pub const fn entry_count(&self) -> u64 {
        self.header.entry_count as u64
    }

    /// An entry by number.
    pub fn entry(&self, index: u64) -> Result<ImageEntry, BootError> {
        if index >= self.entry_count() {
            return Err(BootError::CorruptImage);
        }
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        Ok(ImageEntry {
            kind: self.u32_at(at),
            crc: self.u32_at(at + 4),
            name_offset: self.u32_at(at + 8),
            name_length: self.u32_at(at + 12),
            offset: self.u64_at(at + 16),
            length: self.u64_at(at + 24),
            address: self.u64_at(at + 32),
            memory_length: self.u64_at(at + 40),
            flags: self.u32_at(at + 48),
            reserved: self.u32_at(at + 52),
        })
    }

    /// The frames of an entry's contents, whose checksum is right.
    pub fn frames(&self, entry: &ImageEntry) -> Result<FrameRange, BootError> {
        let page = PAGE_SIZE as u64;
        let end = entry.offset.checked_add(entry.length).ok_or(BootError::CorruptImage)?;
        if !entry.offset.is_multiple_of(page) || end > self.header.total_length {
            return Err(BootError::CorruptImage);
        }
        if self.crc(entry.offset, end, None) != entry.crc {
            return Err(BootError::CorruptImage);
        }
        Ok(FrameRange { first: self.range.first.plus(entry.offset / page), count: entry.length.div_ceil(page) })
    }

    fn u64_at(&self, offset: u64) -> u64 {
        let frame = self.range.first.plus(offset / PAGE_SIZE as u64);
        self.kernel.machine().words(frame)[(offset % PAGE_SIZE as u64 / 8) as usize].get()
    }

    fn u32_at(&self, offset: u64) -> u32 {
        (self.u64_at(offset & !7) >> (offset % 8 * 8)) as u32
    }

    /// CRC-32 (IEEE) of a range; four bytes at `skipped` count as zero.
    fn crc(&self, start: u64, end: u64, skipped: Option<u64>) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let mut at = start;
        while at < end {
            let count = (8 - at % 8).min(end - at);
            let mut bytes = self.u64_at(at & !7).to_le_bytes();
            for (index, byte) in bytes.iter_mut().enumerate() {
                let position = (at & !7) + index as u64;
                if skipped.is_some_and(|from| (from..from + 4).contains(&position)) {
                    *byte = 0;
                }
            }
            let first = (at % 8) as usize;
            hasher.update(&bytes[first..first + count as usize]);
            at += count;
        }
        hasher.finalize()
    }
}
