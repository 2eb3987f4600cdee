//! Models of devices, for tests of drivers on the host.
//!
//! A model behaves as its specification says until a test tells it to stall or to lie.
#![forbid(unsafe_code)]

pub mod memory;
pub mod pci;
pub mod uart;
pub mod virtio;

pub use memory::Memory;
