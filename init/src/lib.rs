//! init: starts, watches and restarts services. See docs/servers/init.md.
//!
//! The library decides; the program in `main.rs` does. Nothing in here waits, allocates handles or knows the kernel, so every rule
//! of supervision is tested on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backoff;
pub mod lines;
pub mod mode;
pub mod placement;
pub mod supervisor;
pub mod watchdog;
pub mod windows;
