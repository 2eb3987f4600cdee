//! logd: the system's log. See docs/servers/logd.md.
//!
//! The library numbers records, keeps the newest in memory that outlives the server, and finds them again.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod filter;
pub mod pace;
pub mod store;
