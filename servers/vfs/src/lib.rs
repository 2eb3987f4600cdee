//! vfs: path names. See docs/servers/vfs.md.
//!
//! A path is resolved once, from the root of the caller's view, to a mounted filesystem and a path in it; opening a file then hands over a Connection that the
//! filesystem minted, so reading and writing do not pass through here.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod mounts;

pub use mounts::{Mounts, Resolved};
