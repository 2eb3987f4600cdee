//! Guests: starting them, and talking with them.
//!
//! A guest is a QEMU process with a folder under `target/run`: [`options`] says what machine it is, [`launch`] starts it and
//! waits until it is ready, [`record`] is what others need to find it again. [`serial`], [`agent`] and [`monitor`] are the
//! three ways to talk with one: its console, agentd, and QEMU itself.

pub mod agent;
pub mod ansi;
pub mod attach;
pub mod http;
pub mod launch;
pub mod monitor;
pub mod options;
pub mod record;
pub mod serial;
pub mod token;

pub use agent::{Agent, RpcError};
pub use launch::Machine;
pub use monitor::Monitor;
pub use options::{Accelerator, Nic, Options};
pub use record::Record;
pub use serial::Serial;
