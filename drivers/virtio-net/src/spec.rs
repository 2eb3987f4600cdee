//! Numbers of the network device (virtio 1.2 §5.1).

use driver_lib::Register;

/// Queue of received frames.
pub const RECEIVE_QUEUE: u16 = 0;
/// Queue of frames to send.
pub const TRANSMIT_QUEUE: u16 = 1;

/// Feature: the device tells its maximum transmission unit.
pub const FEATURE_MTU: u64 = 1 << 3;
/// Feature: the device has an Ethernet address.
pub const FEATURE_MAC: u64 = 1 << 5;
/// Feature: the device tells whether the link is up.
pub const FEATURE_STATUS: u64 = 1 << 16;

/// Bytes of the header before each frame: `struct virtio_net_hdr` with `num_buffers` (§5.1.6).
pub const HEADER_BYTES: u32 = 12;

/// The device's Ethernet address, byte by byte.
pub const CONFIG_MAC: Register<u8> = Register::at(0);
/// Bit 0: the link is up.
pub const CONFIG_STATUS: Register<u16> = Register::at(6);
/// The maximum transmission unit.
pub const CONFIG_MTU: Register<u16> = Register::at(10);
/// Bit of [`CONFIG_STATUS`].
pub const STATUS_LINK_UP: u16 = 1;
