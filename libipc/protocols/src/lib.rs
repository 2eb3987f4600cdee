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

/// Every protocol of the system.
pub static ALL: &[&libipc::Protocol] = &[
    &directory::directory::PROTOCOL,
    &file::file::PROTOCOL,
    &log::log::PROTOCOL,
    &nic::nic::PROTOCOL,
    &pci::pci::PROTOCOL,
    &platform::platform::PROTOCOL,
    &process::process::PROTOCOL,
    &serial::serial::PROTOCOL,
    &services::services::PROTOCOL,
    &socket::socket::PROTOCOL,
    &socket::tcp_listener::PROTOCOL,
    &socket::tcp::PROTOCOL,
    &socket::udp::PROTOCOL,
    &stream::stream::PROTOCOL,
    &terminal::terminal::PROTOCOL,
];

/// The protocol with this name.
pub fn by_name(name: &str) -> Option<&'static libipc::Protocol> {
    ALL.iter().copied().find(|protocol| protocol.name == name)
}
