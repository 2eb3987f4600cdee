//! What a protocol file and most servers want to have at hand.

pub use crate::error::{CallError, Failure, SysError};
pub use crate::handle::Handle;
pub use crate::incoming::Caller;
pub use crate::object::{
    Capsule, Connection, Interrupt, IoPorts, IoSpace, MemoryObject, Notification,
};
pub use crate::reply::Reply;
pub use crate::{message, protocol};
pub use alloc::borrow::ToOwned;
pub use alloc::boxed::Box;
pub use alloc::format;
pub use alloc::string::{String, ToString};
pub use alloc::vec;
pub use alloc::vec::Vec;
