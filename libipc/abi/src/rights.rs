//! What the holder of a handle may do with the object behind it.

bitflags::bitflags! {
    /// Rights of one handle. A copy never has more than its original.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    #[repr(transparent)]
    pub struct Rights: u16 {
        /// Make further copies.
        const DUPLICATE = 1 << 0;
        /// Send it in a message, grant it, keep it in a capsule.
        const TRANSFER = 1 << 1;
        /// Read memory, map it readable; read registers of a thread.
        const READ = 1 << 2;
        /// Write memory, map it writable; write registers of a thread.
        const WRITE = 1 << 3;
        /// Map memory executable.
        const EXECUTE = 1 << 4;
        /// Map: memory into a process, mappings of a process, memory into an IoSpace.
        const MAP = 1 << 5;
        /// Call through a Connection.
        const CALL = 1 << 6;
        /// Ring a Connection.
        const RING = 1 << 7;
        /// Receive on an Endpoint, bind a Call or a Notification to it.
        const RECEIVE = 1 << 8;
        /// Mint Connections to an Endpoint.
        const MINT = 1 << 9;
        /// Revoke a Connection; release an IoSpace.
        const REVOKE = 1 << 10;
        /// Set bits of a Notification; acknowledge an Interrupt.
        const SIGNAL = 1 << 11;
        /// Wait for bits of a Notification; bind it.
        const WAIT = 1 << 12;
        /// Change what the object is: start, suspend, kill, move, resize, split.
        const MANAGE = 1 << 13;
        /// Read figures and states.
        const INSPECT = 1 << 14;
        /// The owner's right: closing a Quota, keeping an Endpoint alive.
        const OWN = 1 << 15;
    }
}

impl Rights {
    /// What the client's handle of a freshly minted Connection has.
    pub const CLIENT: Self = Self::DUPLICATE
        .union(Self::TRANSFER)
        .union(Self::CALL)
        .union(Self::RING);
}
