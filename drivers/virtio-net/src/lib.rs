//! The virtio network card (virtio 1.2 §5.1), modern interface.
//!
//! The card is driven by descriptors alone: frames lie in memory of the client's that this driver knows by device address only. The header before
//! each frame (§5.1.6) lies in memory of the driver's, so a chain is always header, then frame.
#![no_std]
#![forbid(unsafe_code)]

pub mod card;
pub mod error;
pub mod spec;

pub use card::{Card, CardMemory, CardRegisters, HEADER_MEMORY_BYTES, Received};
pub use error::{DeviceFault, StartError};
