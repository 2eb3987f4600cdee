//! netd: TCP/IP. See docs/servers/netd.md.
//!
//! [`stack`] is smoltcp with the numbering of bytes that `protocols/socket` wants; it knows nothing of the system and is tested over a loopback.
//! [`watch`] counts what the frames that pass tell of losses.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod stack;
pub mod watch;
