//! ttyd: terminals. See docs/servers/ttyd.md.
//!
//! Bytes from the line become [`keys`], keys edit a [`mod@line`] in cooked mode or are handed out in raw mode. An [`end`] is what a program
//! writes and reads through.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod end;
pub mod keys;
pub mod line;
pub mod terminal;
