//! What every process of PebbleOS is built on: entry, system calls, typed handles, messages, clients and servers, rings, capsules, allocator, log,
//! clocks, random numbers. See `docs/libipc.md` for the way through.
//!
//! On the host the same code runs against a kernel in memory (`libipc-testing`), so a server's logic is tested without a machine.
#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]

extern crate alloc;
extern crate self as libipc;

mod badge;
#[allow(
    unsafe_code,
    reason = "the message pages of a thread are lent out here"
)]
mod block;
pub mod boot;
pub mod bootstrap;
pub mod byte_ring;
pub mod bytes;
pub mod calls;
pub mod capsule;
pub mod client;
pub mod control;
mod decoder;
mod encoder;
mod endpoint;
mod error;
pub mod executor;
pub mod fault;
mod handle;
#[cfg(target_os = "none")]
#[allow(unsafe_code, reason = "it is the global allocator")]
pub mod heap;
mod incoming;
mod lease;
pub mod log;
mod message;
pub mod object;
#[allow(unsafe_code, reason = "the message pages of Calls are lent out here")]
mod page;
pub mod panic;
pub mod prelude;
pub mod random;
pub mod raw;
mod reply;
pub mod ring;
pub mod schema;
mod space;
#[cfg(target_os = "none")]
#[allow(unsafe_code, reason = "the first instructions of a process")]
pub mod start;
#[allow(unsafe_code, reason = "a lock over a shared value")]
pub mod sync;
#[allow(unsafe_code, reason = "the way into the kernel")]
pub mod sys;
pub mod thread;
pub mod time;
mod transfer;
pub mod untyped;
mod varint;
#[cfg(test)]
mod wire_tests;

pub use abi::{Rights, outcome};
pub use badge::Badge;
pub use boot::{Boot, StartError};
pub use calls::{CallId, Calls, Completed, Pending};
pub use endpoint::{Cancelled, Endpoint, Minted, Minter, Notified, Wake};
pub use error::{CallError, Failure, Refusal, SysError};
pub use handle::{Handle, Object};
pub use incoming::{Caller, IncomingCall};
pub use lease::{Lease, Lent};
pub use libipc_macros::{entry, message, protocol};
pub use message::{Malformed, TooLarge, Words};
pub use object::{
    Capsule, Connection, Interrupt, IoPorts, IoSpace, Mapping, MemoryObject, Notification, Process,
    Protection, Quota, Thread,
};
pub use reply::{Journal, RawReply, Reply, RequestNumber};
pub use schema::{Method, Protocol, Replay};
pub use time::{Deadline, Instant, Terms};

#[cfg(target_os = "none")]
pub use start::exit;

/// For generated code only.
#[doc(hidden)]
pub mod __private {
    pub use crate::calls::decode_answer;
    pub use crate::incoming::Borrowed;
    pub use alloc::string::String;
    pub use alloc::vec::Vec;
    pub use postcard_schema;
    pub use serde;
}
