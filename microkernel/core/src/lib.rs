//! The machine-independent kernel.
//!
//! One [`Kernel`] for each CPU, driven by events: the machine saves the current thread's registers, calls the entry for what
//! happened, and does what the [`Resume`](machine::Resume) says. `docs/kernel/` explains how the parts work together.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "audit")]
pub mod audit;
mod boot;
mod handle;
mod ipc;
pub mod kernel;
pub mod machine;
mod mem;
mod object;
mod sched;
mod sync;
mod syscall;

use machine::Machine;

pub use kernel::{BootError, FastPath, Kernel, Shared};
