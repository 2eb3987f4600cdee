//! The list of capabilities (PCI Local Bus 3.0 §6.7), which may be broken or circular.

use alloc::vec::Vec;

use crate::config::{self, Address, ConfigSpace};

/// Power management.
pub const POWER_MANAGEMENT: u8 = 0x01;
/// Message signalled interrupts.
pub const MSI: u8 = 0x05;
/// Vendor specific; virtio describes its regions so.
pub const VENDOR_SPECIFIC: u8 = 0x09;
/// PCI Express.
pub const EXPRESS: u8 = 0x10;
/// MSI-X.
pub const MSIX: u8 = 0x11;

/// There is room for no more than this in 192 bytes.
const MAX_CAPABILITIES: usize = 48;

/// One capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability {
    /// What it is.
    pub id: u8,
    /// Where it is.
    pub offset: u16,
}

/// The capabilities of a function, in their order. A list that leads out of its area or in a circle ends there.
pub fn list(space: &impl ConfigSpace, address: Address) -> Vec<Capability> {
    let mut found: Vec<Capability> = Vec::new();
    if space.read_u16(address, config::STATUS) & config::STATUS_CAPABILITIES == 0 {
        return found;
    }
    let mut offset = u16::from(space.read_u8(address, config::CAPABILITIES) & !3);
    while offset >= 0x40
        && found.len() < MAX_CAPABILITIES
        && found.iter().all(|capability| capability.offset != offset)
    {
        found.push(Capability {
            id: space.read_u8(address, offset),
            offset,
        });
        offset = u16::from(space.read_u8(address, offset + 1) & !3);
    }
    found
}

/// Where the first capability of this kind is.
pub fn find(space: &impl ConfigSpace, address: Address, id: u8) -> Option<u16> {
    list(space, address)
        .into_iter()
        .find(|capability| capability.id == id)
        .map(|capability| capability.offset)
}

/// A region of a virtio device (virtio 1.2 §4.1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtioRegion {
    /// `cfg_type`.
    pub kind: u8,
    /// The window it lies in.
    pub bar: u8,
    /// First byte in the window.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
    /// Bytes between doorbells; only for the notify region (kind 2).
    pub notify_multiplier: u32,
}

const VIRTIO_NOTIFY: u8 = 2;

/// The regions of a virtio device; those in windows that don't exist are left out.
pub fn virtio_regions(space: &impl ConfigSpace, address: Address) -> Vec<VirtioRegion> {
    list(space, address)
        .into_iter()
        .filter(|capability| capability.id == VENDOR_SPECIFIC)
        .map(|Capability { offset, .. }| {
            let word = |at| {
                if offset + at <= 0xfc {
                    space.read(address, offset + at)
                } else {
                    0
                }
            };
            let kind = space.read_u8(address, offset + 3);
            VirtioRegion {
                kind,
                bar: space.read_u8(address, offset + 4),
                offset: word(8),
                length: word(12),
                notify_multiplier: if kind == VIRTIO_NOTIFY { word(16) } else { 0 },
            }
        })
        .filter(|region| region.bar < 6)
        .collect()
}
