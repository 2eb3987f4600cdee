//! The PCI bus (PCI Local Bus 3.0, PCI Express Base 5.0, virtio 1.2 §4.1).
//!
//! This driver is the only holder of configuration space and of MSI-X tables, so no other driver can route an interrupt or move a window. It keeps no state
//! but what the hardware has: a restart enumerates anew.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod capability;
pub mod config;
pub mod function;
pub mod msix;
pub mod reset;

pub use config::{Address, ConfigSpace};
pub use function::{Bar, Function, enumerate};
