//! Who calls through a Connection that init minted.
//!
//! The number in the badge (see [`Badge`]) is the caller's own: bits 0–31 its process number, which a service keeps for ever, and bits 32–47 what its manifest
//! grants it ([`Grants`]). So a server that lets only some callers do a thing needs no list of names.

use libipc::Badge;

/// The process number of init.
pub const INIT_PID: u32 = 1;
/// Process numbers below this one are services of init's; users' processes begin here.
pub const FIRST_USER_PID: u32 = 100;

const GRANTS_SHIFT: u32 = 32;

/// Authority that a manifest gives beyond Connections, as servers see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Grants(u16);

impl Grants {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `broker`: have init mint Connections to any service.
    pub const BROKER: Self = Self(1 << 0);
    /// `service-control`: start, stop and kill services.
    pub const SERVICE_CONTROL: Self = Self(1 << 1);
    /// `log-sources`: register log rings.
    pub const LOG_SOURCES: Self = Self(1 << 2);
    /// `machine`: read the machine's figures, switch it off.
    pub const MACHINE: Self = Self(1 << 3);
    /// `sessions`: act for users, without a parent process.
    pub const SESSIONS: Self = Self(1 << 4);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A service, as init writes it into a badge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// Its process number.
    pub pid: u32,
    /// What it may do.
    pub grants: Grants,
}

impl Client {
    /// init itself: it may do everything.
    pub const INIT: Self = Self {
        pid: INIT_PID,
        grants: Grants(u16::MAX),
    };

    /// The client of a badge; `None` if the badge was minted by the server itself.
    pub const fn of(badge: Badge) -> Option<Self> {
        if badge.is_own() {
            return None;
        }
        let number = badge.number();
        Some(Self {
            pid: number as u32,
            grants: Grants((number >> GRANTS_SHIFT) as u16),
        })
    }

    /// Its badge for the protocol with this index.
    pub const fn badge(self, protocol: u8) -> Badge {
        let number = self.pid as u64 | ((self.grants.0 as u64) << GRANTS_SHIFT);
        Badge::for_client(protocol, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_keeps_who_and_what() {
        let client = Client {
            pid: 77,
            grants: Grants::BROKER.and(Grants::MACHINE),
        };
        let badge = client.badge(2);
        assert_eq!((Client::of(badge), badge.protocol()), (Some(client), 2));
        assert!(client.grants.has(Grants::MACHINE) && !client.grants.has(Grants::SESSIONS));
        assert_eq!(Client::of(Badge::own(2, 77)), None);
    }
}
