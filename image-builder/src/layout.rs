//! The image's structures as bytes: little endian, in the order of the fields, without padding.

use abi::image::{ImageEntry, ImageHeader};

/// Bytes of an [`ImageHeader`].
pub const HEADER_LENGTH: usize = size_of::<ImageHeader>();
/// Bytes of an [`ImageEntry`].
pub const ENTRY_LENGTH: usize = size_of::<ImageEntry>();
/// Where [`ImageHeader::header_crc`] lies.
const HEADER_CRC_OFFSET: usize = 52;

/// The bytes of `header`.
pub fn encode_header(header: &ImageHeader) -> [u8; HEADER_LENGTH] {
    let mut bytes = [0; HEADER_LENGTH];
    let mut cursor = Writer {
        bytes: &mut bytes,
        at: 0,
    };
    cursor.u64(header.magic);
    cursor.u32(header.version);
    cursor.u32(header.entry_count);
    cursor.u64(header.total_length);
    cursor.u64(header.names_offset);
    cursor.u64(header.names_length);
    cursor.u64(header.init_entry);
    cursor.u32(header.directory_crc);
    cursor.u32(header.header_crc);
    cursor.u64(header.reserved);
    bytes
}

/// The header that starts `bytes`, unchecked; nothing if they are too few.
pub fn decode_header(bytes: &[u8]) -> Option<ImageHeader> {
    let mut cursor = Reader {
        bytes: bytes.get(..HEADER_LENGTH)?,
    };
    Some(ImageHeader {
        magic: cursor.u64()?,
        version: cursor.u32()?,
        entry_count: cursor.u32()?,
        total_length: cursor.u64()?,
        names_offset: cursor.u64()?,
        names_length: cursor.u64()?,
        init_entry: cursor.u64()?,
        directory_crc: cursor.u32()?,
        header_crc: cursor.u32()?,
        reserved: cursor.u64()?,
    })
}

/// The CRC-32 of a header's bytes with the field that holds it taken as zero; nothing if they are too few.
pub fn header_crc(bytes: &[u8]) -> Option<u32> {
    let mut copy: [u8; HEADER_LENGTH] = bytes.get(..HEADER_LENGTH)?.try_into().ok()?;
    copy.get_mut(HEADER_CRC_OFFSET..HEADER_CRC_OFFSET + 4)?
        .fill(0);
    Some(crc32fast::hash(&copy))
}

/// The bytes of `entry`.
pub fn encode_entry(entry: &ImageEntry) -> [u8; ENTRY_LENGTH] {
    let mut bytes = [0; ENTRY_LENGTH];
    let mut cursor = Writer {
        bytes: &mut bytes,
        at: 0,
    };
    cursor.u32(entry.kind);
    cursor.u32(entry.crc);
    cursor.u32(entry.name_offset);
    cursor.u32(entry.name_length);
    cursor.u64(entry.offset);
    cursor.u64(entry.length);
    cursor.u64(entry.address);
    cursor.u64(entry.memory_length);
    cursor.u32(entry.flags);
    cursor.u32(entry.reserved);
    bytes
}

/// The entry that starts `bytes`, unchecked; nothing if they are too few.
pub fn decode_entry(bytes: &[u8]) -> Option<ImageEntry> {
    let mut cursor = Reader {
        bytes: bytes.get(..ENTRY_LENGTH)?,
    };
    Some(ImageEntry {
        kind: cursor.u32()?,
        crc: cursor.u32()?,
        name_offset: cursor.u32()?,
        name_length: cursor.u32()?,
        offset: cursor.u64()?,
        length: cursor.u64()?,
        address: cursor.u64()?,
        memory_length: cursor.u64()?,
        flags: cursor.u32()?,
        reserved: cursor.u32()?,
    })
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, value: &[u8]) {
        self.bytes[self.at..self.at + value.len()].copy_from_slice(value);
        self.at += value.len();
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*value)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_ignores_the_field_that_holds_it() {
        let header = ImageHeader {
            magic: ImageHeader::MAGIC,
            header_crc: 0,
            ..Default::default()
        };
        let stamped = ImageHeader {
            header_crc: 0xdead_beef,
            ..header
        };
        assert_eq!(
            header_crc(&encode_header(&header)),
            header_crc(&encode_header(&stamped))
        );
    }

    #[test]
    fn an_encoded_header_has_the_layout_that_the_kernel_reads() {
        let header = ImageHeader {
            magic: ImageHeader::MAGIC,
            version: 1,
            header_crc: 0x0403_0201,
            ..Default::default()
        };
        let bytes = encode_header(&header);
        assert_eq!(&bytes[..8], b"PblImage");
        assert_eq!(
            &bytes[HEADER_CRC_OFFSET..HEADER_CRC_OFFSET + 4],
            [1, 2, 3, 4]
        );
        assert_eq!(
            core::mem::offset_of!(ImageHeader, header_crc),
            HEADER_CRC_OFFSET
        );
    }

    proptest! {
        #[test]
        fn an_entry_survives_the_way_through_bytes(kind: u32, crc: u32, name_offset: u32, offset: u64, length: u64, flags: u32) {
            let entry = ImageEntry { kind, crc, name_offset, name_length: 7, offset, length, address: length, memory_length: offset, flags, reserved: 0 };
            prop_assert_eq!(decode_entry(&encode_entry(&entry)), Some(entry));
        }
    }
}
