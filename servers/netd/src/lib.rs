//! netd: TCP/IP. See docs/servers/netd.md.
//!
//! [`stack`] is smoltcp with the numbering of bytes that `protocols/socket` wants; it knows nothing of the system and is tested over a loopback.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod stack;
