//! Every interface of the system, one file each. See `docs/libipc.md` for how a file becomes a client, a dispatcher and a schema.
#![no_std]
#![forbid(unsafe_code)]

pub mod client;
pub mod directory;
pub mod file;
pub mod log;
pub mod nic;
pub mod pci;
pub mod platform;
pub mod process;
pub mod serial;
pub mod services;
pub mod socket;
pub mod stream;
pub mod terminal;
