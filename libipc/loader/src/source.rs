//! Where the bytes of a program come from.

use alloc::sync::Arc;
use libipc::Mapping;

/// Bytes that can be read by position.
pub trait Source {
    /// Bytes.
    fn length(&self) -> u64;
    /// Copies out; `false` if the range is not inside.
    fn read(&self, offset: u64, into: &mut [u8]) -> bool;
}

impl Source for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> bool {
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(into.len())?));
        match range.and_then(|range| self.get(range)) {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}

/// A file inside of a mapping: a program in the boot image.
#[derive(Clone, Debug)]
pub struct MappedFile {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl MappedFile {
    /// The `length` bytes from `offset` on. `None` if they are not inside.
    pub fn new(mapping: Arc<Mapping>, offset: usize, length: usize) -> Option<Self> {
        let end = offset.checked_add(length)?;
        (end <= mapping.len()).then_some(Self {
            mapping,
            offset,
            length,
        })
    }
}

impl Source for MappedFile {
    fn length(&self) -> u64 {
        self.length as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> bool {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some((start, start.checked_add(into.len())?)));
        match range {
            Some((start, end)) if end <= self.length => {
                self.mapping.read(self.offset + start, into)
            }
            _ => false,
        }
    }
}
