//! MemoryObject: pages that can be mapped in several places. Its lock guards everything but the header.

use core::cell::Cell;
use core::sync::atomic::AtomicU64;

use abi::syscall::MemoryKind;
use zerocopy::FromBytes;

use super::{Head, Header, MemoryMappings};
use crate::machine::CacheKind;
use crate::sync::Lock;

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Memory {
    /// The header.
    pub header: Header,
    /// Guards what follows.
    pub lock: Lock,
    kind: Cell<u32>,
    cache: Cell<u32>,
    /// Pages in it.
    pub pages: AtomicU64,
    /// Number of its first frame, if its frames follow each other.
    pub base: Cell<u64>,
    /// Number of the frame that is the root of its index of pages; 0 if it has none.
    pub index: Cell<u64>,
    /// Levels of the index.
    pub index_levels: Cell<u32>,
    /// Counts the times that it shrank.
    pub shrinks: Cell<u32>,
    /// Number of the [`Shrinking`](crate::mem::shrink::Shrinking) stage that it is in.
    pub shrinking: Cell<u32>,
    /// Frames that it has of its own.
    pub present: Cell<u64>,
    /// Mappings of it.
    pub mappings: Head<MemoryMappings>,
    /// How many.
    pub mapping_count: Cell<u64>,
    /// Freeing frames: the first page that may still have one to free.
    pub cursor: Cell<u64>,
}

impl Memory {
    /// What it is made of.
    pub fn kind(&self) -> MemoryKind {
        match self.kind.get() {
            0 => MemoryKind::Anonymous,
            1 => MemoryKind::Contiguous,
            2 => MemoryKind::Device,
            _ => MemoryKind::Boot,
        }
    }

    /// Sets what it is made of, at its making.
    pub fn set_kind(&self, kind: MemoryKind) {
        self.kind.set(kind as u32);
    }

    /// How it is cached.
    pub fn cache(&self) -> CacheKind {
        match self.cache.get() {
            0 => CacheKind::WriteBack,
            1 => CacheKind::Uncached,
            _ => CacheKind::WriteCombining,
        }
    }

    /// Sets how it is cached, at its making.
    pub fn set_cache(&self, cache: CacheKind) {
        self.cache.set(match cache {
            CacheKind::WriteBack => 0,
            CacheKind::Uncached => 1,
            CacheKind::WriteCombining => 2,
        });
    }
}
