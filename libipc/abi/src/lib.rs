//! Numbers, rights, error codes and layouts: all that the kernel and user space share.
//!
//! What they mean is in `docs/decisions/0001-kernel-abi.md`; this crate is where they are written down once. It has no code
//! beyond packing and unpacking, needs no memory, and builds for every target.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod fault;
pub mod handle;
pub mod image;
pub mod layout;
pub mod message;
pub mod outcome;
pub mod records;
pub mod rights;
pub mod syscall;

pub use fault::{FaultKind, FaultMessage};
pub use handle::{Handle, ObjectType};
pub use message::{MessageInfo, TransferArea};
pub use outcome::{CallOutcome, Outcome, WakeKind};
pub use rights::Rights;
pub use syscall::Operation;
