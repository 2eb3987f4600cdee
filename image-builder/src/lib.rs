//! The boot image, whose layout [`abi::image`] defines.
//!
//! [`read`] checks an image and finds things in it; it needs neither memory nor the standard library, so that init uses
//! the same code as the host. The rest (feature `build`) makes images: [`builder`] lays one out, [`flat`] links init to a
//! fixed address because the kernel has no ELF parser, [`program`] cuts programs down to what is loaded, and [`symbols`]
//! extracts the kernel's function names for backtraces.
#![cfg_attr(not(feature = "build"), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "directory")]
extern crate alloc;

#[cfg(feature = "build")]
pub mod builder;
#[cfg(feature = "directory")]
pub mod directory;
#[cfg(feature = "build")]
pub mod elf;
#[cfg(feature = "build")]
pub mod flat;
pub mod layout;
#[cfg(feature = "build")]
pub mod program;
pub mod read;
#[cfg(feature = "build")]
pub mod symbols;
#[cfg(feature = "build")]
pub mod tree;

#[cfg(feature = "build")]
pub use builder::{BuildError, ImageBuilder};
pub use read::{Entry, Image, ImageError};
