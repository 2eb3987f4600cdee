//! A serial line: bytes out, bytes in, through rings in memory that the client owns.
//!
//! The client keeps both rings in memory of its own, so nothing is lost when the driver is killed: the driver moves `tail` of the output
//! ring only after the byte is in the transmitter, and `head` of the input ring only after the byte is in the ring.
//! Served by `drivers/uart`, called by ttyd.

use libipc::prelude::*;

/// The line.
#[message]
pub struct Info {
    /// Bits a second.
    pub baud: u32,
    /// Bytes of the transmitter's FIFO.
    pub fifo_bytes: u32,
}

/// Errors of serial lines.
#[message]
pub enum Error {
    /// The ring memory is too small, or has no valid header.
    BadRing,
    /// Another client has the line.
    Busy,
    /// The device does not answer.
    Gone,
}

/// See the module.
#[protocol(name = "serial", version = 1)]
pub trait Serial {
    /// Describes the line.
    #[idempotent]
    fn info(&mut self) -> Result<Info, Error>;

    /// Attaches the byte rings: `memory` (`READ | WRITE | MAP`) holds an output ring (client to driver) at offset 0 and an input ring (driver to client) in its second half; `doorbell`
    /// (`SIGNAL`) is signalled with bit 0 when input came and bit 1 when output room came, each only if the client sleeps. The client rings its Connection when output came.
    #[idempotent]
    fn attach(
        &mut self,
        memory: Handle<MemoryObject>,
        doorbell: Handle<Notification>,
    ) -> Result<(), Error>;
}
