//! Functions and their windows.

use alloc::vec::Vec;

use crate::capability::{self, VirtioRegion};
use crate::config::{self, Address, Command, ConfigSpace, change_command};
use crate::msix::{self, Table};

/// Vendor of virtio devices.
pub const VIRTIO_VENDOR: u16 = 0x1af4;

/// A window of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Which of the six.
    pub index: u8,
    /// Physical address (or port).
    pub base: u64,
    /// Bytes.
    pub length: u64,
    /// Ports instead of memory.
    pub is_port: bool,
    /// Reads have no side effects.
    pub is_prefetchable: bool,
}

/// One function, as enumeration found it.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Windows that firmware placed.
    pub bars: Vec<Bar>,
    /// The MSI-X table.
    pub msix: Option<Table>,
    /// Whether it has MSI.
    pub has_msi: bool,
    /// The interrupt line that firmware chose, if the function uses one.
    pub line: Option<u8>,
    /// Regions, for virtio devices.
    pub virtio: Vec<VirtioRegion>,
}

/// Finds every function on buses `first_bus..=last_bus`. With memory-mapped configuration space all buses can be asked, so bridges need not be followed.
pub fn enumerate(space: &mut impl ConfigSpace, first_bus: u8, last_bus: u8) -> Vec<Function> {
    let mut found = Vec::new();
    for bus in first_bus..=last_bus {
        for device in 0..32 {
            let first = Address {
                bus,
                device,
                function: 0,
            };
            if !exists(space, first) {
                continue;
            }
            let functions = if space.read_u8(first, config::HEADER_TYPE) & 0x80 == 0 {
                1
            } else {
                8
            };
            for function in 0..functions {
                let address = Address { function, ..first };
                if exists(space, address) {
                    found.push(describe(space, address));
                }
            }
        }
    }
    found
}

fn exists(space: &impl ConfigSpace, address: Address) -> bool {
    !matches!(space.read_u16(address, config::VENDOR), 0xffff | 0)
}

fn describe(space: &mut impl ConfigSpace, address: Address) -> Function {
    let vendor = space.read_u16(address, config::VENDOR);
    let class = space.read(address, config::CLASS);
    let bars = windows(space, address);
    Function {
        address,
        vendor,
        device: space.read_u16(address, config::DEVICE),
        subsystem: space.read_u16(address, config::SUBSYSTEM),
        class: ((class >> 24) as u8, (class >> 16) as u8, (class >> 8) as u8),
        msix: msix::find(space, address, &bars),
        has_msi: capability::find(space, address, capability::MSI).is_some(),
        line: (space.read_u8(address, config::INTERRUPT_PIN) != 0)
            .then(|| space.read_u8(address, config::INTERRUPT_LINE))
            .filter(|&line| line != 0xff),
        virtio: if vendor == VIRTIO_VENDOR {
            capability::virtio_regions(space, address)
        } else {
            Vec::new()
        },
        bars,
    }
}

/// Sizes the windows by writing ones (§6.2.5.1), with the function deaf meanwhile. Windows that firmware did not place are left out.
fn windows(space: &mut impl ConfigSpace, address: Address) -> Vec<Bar> {
    let count = match space.read_u8(address, config::HEADER_TYPE) & 0x7f {
        0 => 6,
        1 => 2,
        _ => 0,
    };
    let command = Command::from_bits_retain(space.read_u16(address, config::COMMAND));
    let deaf = Command::PORTS | Command::MEMORY;
    change_command(space, address, Command::empty(), deaf);
    let mut found = Vec::new();
    let mut index = 0;
    while index < count {
        let wide = space.read(address, bar_offset(index)) & 0b111 == 0b100 && index + 1 < count;
        found.extend(window(space, address, index, wide));
        index += if wide { 2 } else { 1 };
    }
    change_command(space, address, command & deaf, Command::empty());
    found
}

const fn bar_offset(index: u8) -> u16 {
    config::BAR0 + 4 * index as u16
}

fn window(space: &mut impl ConfigSpace, address: Address, index: u8, wide: bool) -> Option<Bar> {
    let low = space.read(address, bar_offset(index));
    let high = if wide {
        space.read(address, bar_offset(index + 1))
    } else {
        0
    };
    let is_port = low & 1 != 0;
    let flags = if is_port { 0b11 } else { 0b1111 };
    let base = u64::from(high) << 32 | u64::from(low & !flags);

    let low_mask = probe(space, address, bar_offset(index), low) & !flags;
    let high_mask = if wide {
        probe(space, address, bar_offset(index + 1), high)
    } else {
        u32::MAX
    };
    let mask = u64::from(high_mask) << 32 | u64::from(low_mask);
    if low_mask == 0 && (!wide || high_mask == 0) || base == 0 {
        return None;
    }
    // Ports decode 16 bits; the upper half of their mask may read as zero.
    let length = if is_port {
        u64::from((!(low_mask | 0xffff_0000)).wrapping_add(1) & 0xffff)
    } else {
        (!mask).wrapping_add(1)
    };
    let fits = length.is_power_of_two()
        && base.is_multiple_of(length)
        && base.checked_add(length).is_some();
    fits.then_some(Bar {
        index,
        base,
        length,
        is_port,
        is_prefetchable: !is_port && low & 0b1000 != 0,
    })
}

fn probe(space: &mut impl ConfigSpace, address: Address, offset: u16, old: u32) -> u32 {
    space.write(address, offset, u32::MAX);
    let mask = space.read(address, offset);
    space.write(address, offset, old);
    mask
}
