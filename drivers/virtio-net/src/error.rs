//! What the card can do wrong.

use driver_lib::virtqueue::QueueFault;

pub use driver_lib::virtio::StartError;

/// The card wrote nonsense; it is of no use until it was reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceFault {
    /// In a queue's ring.
    Queue(QueueFault),
    /// It says that it wrote this many bytes into a buffer that has fewer, or fewer than a header.
    ReceivedLength(u32),
    /// It asks to be reset (virtio 1.2 §2.1.2).
    NeedsReset,
}

impl From<QueueFault> for DeviceFault {
    fn from(fault: QueueFault) -> Self {
        Self::Queue(fault)
    }
}
