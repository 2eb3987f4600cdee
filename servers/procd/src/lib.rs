//! procd: processes as users see them. See docs/servers/procd.md.
//!
//! [`table`] knows who is whose child and how each ended; [`pipe`] moves bytes between them. Both are plain data, kept in the server's capsule.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod pipe;
pub mod table;
