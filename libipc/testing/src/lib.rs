//! The host side of `libipc`: a kernel in memory, so that servers and clients run in tests as they run in the system, and a peer that misbehaves.
//!
//! ```
//! use libipc::{Badge, Deadline, Endpoint, Handle, Wake};
//! use libipc_testing::Machine;
//!
//! let machine = Machine::new();
//! let (server, client) = (machine.process(), machine.process());
//! let (endpoint, connection) = server.serve(Badge::for_client(0, 1), &client);
//!
//! let running = server.start(move || {
//!     let mut endpoint = Endpoint::from_handle(Handle::from_raw(endpoint));
//!     matches!(endpoint.receive(None), Wake::Rung(badge) if badge.number() == 1)
//! });
//! let connection = Handle::<libipc::Connection>::from_raw(connection);
//! client.run(|| connection.ring().unwrap());
//! assert_eq!(running.join(), Ok(true));
//! ```
//!
//! Time is virtual: it stands still while anybody runs, and jumps to the next deadline when everybody waits. So a test of a timeout takes no time, and
//! comes out the same every time.

mod hostile;
mod ipc;
mod kernel;
mod machine;
mod memory;
mod objects;
mod operations;
mod table;

pub use hostile::{HostilePeer, Mischief};
pub use machine::{Death, HeldTime, Machine, MadeProcess, Running, TestProcess};
