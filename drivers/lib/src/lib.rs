//! What drivers share: registers, ports, DMA memory, virtqueues.
//!
//! A driver's logic is written against the traits here, so that the same code runs on the host against the models in
//! `drivers/models`. The types that touch real memory are in [`real`]; they are the only `unsafe` among the drivers.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod dma;
#[cfg(feature = "guest")]
pub mod granted;
pub mod ports;
pub mod real;
pub mod registers;
pub mod virtio;
pub mod virtqueue;

pub use dma::{DmaAddr, DmaMemory};
pub use ports::{Port, Ports};
pub use registers::{Mmio, Register};
