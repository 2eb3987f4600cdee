//! Calls and everything else that wakes a receiver. `docs/kernel/ipc.md` tells the story; each file is one chapter.

pub mod ending;
pub mod endpoint;
pub mod fast;
pub mod fault;
pub mod lease;
pub mod receive;
pub mod reply;
pub mod send;
pub mod signal;
pub mod transfer;

pub(crate) use fast::OpenCall;
