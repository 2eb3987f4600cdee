//! Network cards: Ethernet frames through rings in memory that the client owns.
//!
//! Served by every network driver, called by netd; neither can tell which it is. Frames lie in one MemoryObject of the client's (the *pool*): the
//! driver hands their device addresses to the card and need not map them.

use libipc::prelude::*;

/// Bytes of a buffer in the pool; buffer `i` starts at `i * BUFFER_BYTES`.
pub const BUFFER_BYTES: usize = 2048;

/// The card.
#[message]
pub struct Info {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Payload of a frame, at most.
    pub mtu: u16,
    /// Whether the link is up.
    pub link_up: bool,
    /// The driver's name.
    pub driver: String,
    /// The incarnation of the rings that are attached (from their header); 0 if none are.
    pub attached: u64,
}

/// What went through.
#[message]
pub struct Stats {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Frames dropped for lack of a buffer.
    pub dropped: u64,
    /// Interrupts.
    pub interrupts: u64,
}

/// Errors of network cards.
#[message]
pub enum Error {
    /// The pool or a ring is too small, or has no valid header.
    BadRing,
    /// Another client has the card.
    Busy,
    /// The device faulted and could not be reset.
    Gone,
}

/// See the module.
#[protocol(name = "nic", version = 1)]
pub trait Nic {
    /// Describes the card.
    #[idempotent]
    fn info(&mut self) -> Result<Info, Error>;

    /// Counts.
    #[idempotent]
    fn stats(&mut self) -> Result<Stats, Error>;

    /// Attaches the rings and the pool, dropping those of before. `rings` (`READ | WRITE | MAP`) holds four descriptor rings of `depth` entries, one after the other, each in
    /// `ring_bytes(depth)` bytes: transmit requests (client to driver), transmit completions, receive buffers (client to driver), received frames. The cookie is the buffer's number,
    /// offset and length are in the pool. `pool` (`MAP`, contiguous) is the frames' memory. `doorbell` (`SIGNAL`) gets bit 0 when completions or frames came and the client sleeps.
    /// The client rings its Connection for requests when the driver sleeps. Outstanding buffers of an earlier driver are to be submitted again by the client.
    #[idempotent]
    fn attach(
        &mut self,
        rings: Handle<MemoryObject>,
        depth: u16,
        pool: Handle<MemoryObject>,
        doorbell: Handle<Notification>,
    ) -> Result<(), Error>;
}
