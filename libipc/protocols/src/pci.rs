//! The PCI bus: what is there, and what a driver needs of it.
//!
//! Served by `drivers/pci`, the only holder of configuration space, interrupt routing and MSI-X tables. Anybody who has a Connection may look; `enable`, `route` and `reset` are init's.

use libipc::prelude::*;

/// Bus, device and function.
#[message]
#[derive(Copy, Eq)]
pub struct Address {
    /// Bus.
    pub bus: u8,
    /// Device, 0–31.
    pub device: u8,
    /// Function, 0–7.
    pub function: u8,
}

/// A window of a device.
#[message]
pub struct Bar {
    /// Which of the six.
    pub index: u8,
    /// Physical address.
    pub base: u64,
    /// Bytes.
    pub length: u64,
    /// Ports instead of memory.
    pub is_port: bool,
    /// Reads have no side effects.
    pub is_prefetchable: bool,
}

/// A region of a vendor capability (virtio 1.2 §4.1.4).
#[message]
pub struct VirtioRegion {
    /// `cfg_type`.
    pub kind: u8,
    /// The BAR it lies in.
    pub bar: u8,
    /// First byte in the BAR.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
    /// Notification multiplier, for the notify region.
    pub notify_multiplier: u32,
}

/// Where an MSI-X table is.
#[message]
pub struct MsixTable {
    /// The window.
    pub bar: u8,
    /// First byte in it.
    pub offset: u32,
    /// Entries.
    pub vectors: u16,
}

/// One function.
#[message]
pub struct Function {
    /// Where it is.
    pub address: Address,
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Subsystem.
    pub subsystem: u16,
    /// Class, subclass, programming interface.
    pub class: (u8, u8, u8),
    /// Its windows.
    pub bars: Vec<Bar>,
    /// Its MSI-X table, if it has one.
    pub msix: Option<MsixTable>,
    /// Whether it has MSI.
    pub has_msi: bool,
    /// The line (GSI) of INTx, if there is one.
    pub line: Option<u32>,
    /// Virtio regions, for virtio devices.
    pub virtio: Vec<VirtioRegion>,
}

/// The configuration of a driver: what init granted it. Postcard of this is the `config` of its bootstrap.
///
/// Beside it are the handles `bar0`–`bar5` (`MemoryObject`, from the page in which the window begins; the pages of the MSI-X table are left out),
/// `interrupt0`… (`Interrupt`, routed to MSI-X entry 0…) and `iospace` (`IoSpace`).
#[message]
pub struct DeviceConfig {
    /// The device.
    pub function: Function,
    /// How many interrupts were granted: one for each MSI-X entry, at most [`MAX_DRIVER_INTERRUPTS`].
    pub interrupts: u16,
}

/// Interrupts that a driver gets, at most.
pub const MAX_DRIVER_INTERRUPTS: u16 = 8;

/// The configuration of the bus's driver: postcard of this is the `config` of its bootstrap. Window n is the memory `config`n.
#[message]
pub struct HostConfig {
    /// The windows of memory-mapped configuration space.
    pub windows: Vec<ConfigWindow>,
    /// The global system interrupt of each overridden ISA line: line, interrupt.
    pub overrides: Vec<(u32, u32)>,
}

/// A window of configuration space.
#[message]
pub struct ConfigWindow {
    /// Segment.
    pub segment: u16,
    /// First bus.
    pub first_bus: u8,
    /// Last bus.
    pub last_bus: u8,
}

/// Errors of the bus.
#[message]
pub enum Error {
    /// Nothing is at that address.
    NotFound,
    /// No such vector.
    BadVector,
    /// The caller is not init.
    NotPermitted,
    /// The function did not obey in time.
    Stuck,
}

/// See the module.
#[protocol(name = "pci", version = 1)]
pub trait Pci {
    /// The functions, from index `from`, as many as fit; empty at the end.
    #[idempotent]
    fn functions(&mut self, from: u32) -> Result<Vec<Function>, Error>;

    /// Switches on memory decoding and bus mastering, with all vectors masked. `table` is the device memory of the pages that hold the MSI-X table (its first page is the one with the
    /// table's first byte); a function without a table is given any memory handle, which is closed.
    #[idempotent]
    fn enable(&mut self, address: Address, table: Handle<MemoryObject>) -> Result<(), Error>;

    /// Routes an MSI-X (or MSI) vector of the function to the message address and data that the kernel gave, and unmasks it.
    #[idempotent]
    fn route(
        &mut self,
        address: Address,
        vector: u16,
        message_address: u64,
        message_data: u32,
    ) -> Result<(), Error>;

    /// Cuts bus mastering, masks all vectors and resets the function by its class; afterwards it can't write to memory.
    #[idempotent]
    fn reset(&mut self, address: Address) -> Result<(), Error>;

    /// Reads configuration space, for inspection: up to 256 bytes from `offset`.
    #[idempotent]
    fn read_config(&mut self, address: Address, offset: u16, length: u16)
    -> Result<Vec<u8>, Error>;
}
