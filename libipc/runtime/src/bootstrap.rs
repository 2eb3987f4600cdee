//! The bootstrap page: what whoever makes a process tells it, and where.
//!
//! A process starts with `rdi` = address of the page (or pages), `rsi` = length in bytes. First comes the [`Layout`] in a fixed form ([`LAYOUT_BYTES`]
//! bytes), because it is needed before there is a heap; then the postcard of the [`Bootstrap`]. All of it is mapped read-only and stays. init itself
//! starts with the kernel's `BootInfo` in `rdi` and `rsi` = 0, and makes a `Bootstrap` of that.

use crate::message::Words;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Everything a process knows at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// What it is called in the log.
    pub name: String,
    /// Its number as users see it.
    pub pid: u32,
    /// How often it was started, from 1.
    pub incarnation: u64,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// What it was granted.
    pub handles: Vec<NamedHandle>,
    /// Its configuration: postcard of a type that it and its manifest agree on; empty if it has none.
    pub config: Vec<u8>,
    /// Seed of its random generator.
    pub seed: [u64; 4],
    /// Its layout: in front of the postcard, not in it.
    #[serde(skip)]
    pub layout: Layout,
}

/// A handle that it was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedHandle {
    /// The name in the manifest.
    pub name: String,
    /// Number of the `ObjectType`.
    pub kind: u8,
    /// The handle, in its own table.
    pub handle: u32,
}

/// Where things are in its address space, and what it needs to map more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Handle of its own process (`MAP`, and `MANAGE` for threads).
    pub process: u32,
    /// Priority of its threads.
    pub priority: u8,
    /// The first thread's send page; its receive page follows.
    pub message_pages: u64,
    /// Where it may map what it likes (first address).
    pub free_start: u64,
    /// The end of that (exclusive).
    pub free_end: u64,
    /// The heap grows to this many bytes, at most; 0: as far as the quota lets it.
    pub heap_limit: u64,
    /// Its log ring, mapped readable and writable; 0 if it has none.
    pub log: u64,
    /// Bytes of the log ring.
    pub log_length: u64,
}

/// What a bootstrap page starts with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PblStrt1");
/// Bytes of the layout in front of the postcard: eight words.
pub const LAYOUT_BYTES: usize = 64;

impl Layout {
    /// The first [`LAYOUT_BYTES`] bytes of the page.
    pub fn to_bytes(&self) -> [u8; LAYOUT_BYTES] {
        let words = [
            MAGIC,
            u64::from(self.process) | (u64::from(self.priority) << 32),
            self.message_pages,
            self.free_start,
            self.free_end,
            self.heap_limit,
            self.log,
            self.log_length,
        ];
        Words::from_words(words).0
    }

    /// From the page. `None` if it does not start with [`MAGIC`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words = Words(*bytes.first_chunk()?).to_words();
        let [
            MAGIC,
            process,
            message_pages,
            free_start,
            free_end,
            heap_limit,
            log,
            log_length,
        ] = words
        else {
            return None;
        };
        Some(Self {
            process: process as u32,
            priority: (process >> 32) as u8,
            message_pages,
            free_start,
            free_end,
            heap_limit,
            log,
            log_length,
        })
    }
}

impl Bootstrap {
    /// As bytes for the page or pages. `None` without memory for them.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = self.layout.to_bytes().to_vec();
        bytes.extend(postcard::to_allocvec(self).ok()?);
        Some(bytes)
    }

    /// From the page. `None` if it is none, which its maker has to answer for.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let layout = Layout::from_bytes(bytes)?;
        let (bootstrap, _) = postcard::take_from_bytes::<Self>(bytes.get(LAYOUT_BYTES..)?).ok()?;
        Some(Self {
            layout,
            ..bootstrap
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_survives_its_page() {
        let bootstrap = Bootstrap {
            name: "netd".into(),
            arguments: std::vec!["-v".into()],
            handles: std::vec![NamedHandle {
                name: "nic".into(),
                kind: 4,
                handle: 77
            }],
            layout: Layout {
                process: 9,
                priority: 20,
                message_pages: 0x1000,
                log: 5,
                ..Layout::default()
            },
            ..Bootstrap::default()
        };
        let mut page = bootstrap.to_bytes().unwrap();
        page.resize(4096, 0);
        assert_eq!(Bootstrap::from_bytes(&page), Some(bootstrap));
        page[0] ^= 1;
        assert_eq!(Bootstrap::from_bytes(&page), None);
        assert_eq!(Bootstrap::from_bytes(&page[..20]), None);
    }
}
