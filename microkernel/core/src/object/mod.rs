//! The kernel's objects: what each holds. What can be done with them is in `ipc`, `mem`, `sched` and `syscall`.

pub mod call;
pub mod capsule;
pub mod connection;
pub mod endpoint;
pub mod hardware;
pub mod header;
pub mod interrupt;
pub mod io_ports;
pub mod io_space;
pub mod life;
pub mod list;
pub mod mapping;
pub mod memory;
pub mod name;
pub mod notification;
pub mod pool;
pub mod process;
pub mod quota;
pub mod thread;
