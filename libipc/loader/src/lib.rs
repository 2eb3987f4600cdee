//! Programs into processes.
//!
//! [`Program`] reads an ELF file (static, position-independent, as `targets/user.ld` makes them) and believes nothing in it; [`Image`] places it at a
//! random address and relocates what has to be; [`Spawn`] makes a process of it. Text and constants are mapped from the file's own pages and shared,
//! relocated constants are made once for each [`Image`] and shared, only data is each process's own. Nothing is ever writable and executable.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod elf;
mod image;
mod source;
mod spawn;
#[cfg(test)]
mod tests;

pub use elf::{ElfError, MAX_IMAGE_BYTES, MAX_SEGMENTS, Program, Segment, SegmentKind};
pub use image::{Image, LoadError};
pub use source::{MappedFile, Source};
pub use spawn::{DEFAULT_STACK_BYTES, Grant, LogMemory, Spawn, SpawnError, Spawned};
