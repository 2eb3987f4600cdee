//! ramfs: files in memory. See docs/servers/ramfs.md.
//!
//! All that must survive lies in one [`region`] of the server's capsule: [`record`]s of files and directories, and blocks of contents. Everything else (which block is free, who is whose child) is worked out
//! from them at the start, so there is nothing that could disagree. A change is acknowledged after the record that makes it true was written.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod blocks;
pub mod record;
pub mod region;
pub mod store;

pub use record::{Kind, NodeId};
pub use region::Region;
pub use store::{Error, Store};
