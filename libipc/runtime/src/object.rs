//! The kinds of kernel object, and what can be done with a handle to each.

mod connection;
#[allow(
    unsafe_code,
    reason = "memory that others write to is only reached by copies and atomics"
)]
mod mapping;
mod memory;
mod process;
mod small;

pub use connection::{EndpointFigures, Service};
pub use mapping::{Mapping, Protection};
pub use memory::MemoryFigures;
pub use process::{ProcessFigures, ThreadFigures, ThreadStart, yield_now};
pub use small::{Caching, CpuFigures, IoAddress, LineMode, MessageInterrupt, QuotaFigures};

use crate::handle::Object;

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident, $kind:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub enum $name {}

            impl Object for $name {
                const TYPE: abi::ObjectType = abi::ObjectType::$kind;
                const NAME: &'static str = concat!("Handle<", stringify!($name), ">");
            }
        )*

        /// The kind of object that schemas call so.
        pub fn kind_named(name: &str) -> Option<abi::ObjectType> {
            match name {
                $(stringify!($name) => Some(abi::ObjectType::$kind),)*
                _ => None,
            }
        }
    };
}

objects! {
    /// Address space, handle table, quota.
    Process, Process;
    /// What is scheduled.
    Thread, Thread;
    /// Where calls arrive.
    Endpoint, Endpoint;
    /// A client's end of an endpoint.
    Connection, Connection;
    /// A prepaid outgoing call.
    Call, Call;
    /// 64 sticky bits.
    Notification, Notification;
    /// Pages.
    MemoryObject, Memory;
    /// Memory and handles that outlive their user.
    Capsule, Capsule;
    /// A device's interrupt.
    Interrupt, Interrupt;
    /// What a device may reach.
    IoSpace, IoSpace;
    /// A range of x86 ports.
    IoPorts, IoPorts;
    /// A share of everything.
    Quota, Quota;
    /// The authority over hardware.
    Hardware, Hardware;
}
