//! Who is calling: the number that travels with every call through a Connection.
//!
//! | bits | meaning |
//! |---|---|
//! | 63 | the supervisor's own Connection: control messages, never a protocol's |
//! | 62 | 1: minted by the server for itself; 0: minted by init |
//! | 56–61 | which of the protocols that the endpoint serves (its index in the manifest's `provides`) |
//! | 0–55 | the client: for init's, the number of the service or process; for the server's own, what it likes |
//!
//! A badge is the kernel's word, not the caller's: it can't be forged.

use core::fmt;

/// The badge of a Connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Badge(u64);

const SUPERVISOR: u64 = 1 << 63;
const OWN: u64 = 1 << 62;
const PROTOCOL_SHIFT: u32 = 56;
const PROTOCOL_MASK: u64 = 0x3f;
const NUMBER_MASK: u64 = (1 << PROTOCOL_SHIFT) - 1;

impl Badge {
    /// The supervisor's.
    pub const SUPERVISOR: Self = Self(SUPERVISOR);

    /// The number as the kernel has it.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number as the kernel has it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A badge that init mints for `client`, to reach the protocol with this index. Both are cut to their fields.
    pub const fn for_client(protocol: u8, client: u64) -> Self {
        Self(((protocol as u64 & PROTOCOL_MASK) << PROTOCOL_SHIFT) | (client & NUMBER_MASK))
    }

    /// A badge that a server mints on its own endpoint. It can't collide with one of init's. Both are cut to their fields.
    pub const fn own(protocol: u8, number: u64) -> Self {
        Self(Self::for_client(protocol, number).0 | OWN)
    }

    /// Whether init itself is calling.
    pub const fn is_supervisor(self) -> bool {
        self.0 & SUPERVISOR != 0
    }

    /// Whether the server minted it.
    pub const fn is_own(self) -> bool {
        self.0 & (SUPERVISOR | OWN) == OWN
    }

    /// The index of the protocol among those that the endpoint serves.
    pub const fn protocol(self) -> u8 {
        ((self.0 >> PROTOCOL_SHIFT) & PROTOCOL_MASK) as u8
    }

    /// The client's number.
    pub const fn number(self) -> u64 {
        self.0 & NUMBER_MASK
    }
}

impl fmt::Debug for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minter = match (self.is_supervisor(), self.is_own()) {
            (true, _) => "supervisor",
            (_, true) => "own",
            _ => "client",
        };
        write!(f, "{minter}:{}:{}", self.protocol(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_of_init_and_of_the_server_never_meet() {
        let theirs = Badge::for_client(3, u64::MAX);
        let ours = Badge::own(3, u64::MAX);
        assert_ne!(theirs, ours);
        assert_eq!((theirs.protocol(), ours.protocol()), (3, 3));
        assert_eq!(theirs.number(), ours.number());
        assert!(ours.is_own() && !theirs.is_own());
        assert!(!theirs.is_supervisor() && !ours.is_supervisor());
    }
}
