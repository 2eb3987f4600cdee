//! Connections and endpoints.

use super::{Connection, Endpoint, Quota};
use crate::badge::Badge;
use crate::endpoint::Minted;
use crate::error::SysError;
use crate::handle::Handle;
use crate::sys::{Arguments, operate};
use abi::Operation;

/// A Connection to a service that init gave us at start.
pub type Service = Handle<Connection>;

impl Handle<Connection> {
    /// Rings: the server wakes without a message.
    ///
    /// # Errors
    /// `NoRights` without `RING`; `InvalidState` if the Connection is dead.
    pub fn ring(&self) -> Result<(), SysError> {
        operate(Operation::Ring, self.arguments()).map(drop)
    }

    /// Revokes the Connection, all copies at once. Only the server's own handle has the right.
    ///
    /// # Errors
    /// `NoRights` without `REVOKE`.
    pub fn revoke(&self) -> Result<(), SysError> {
        operate(Operation::ConnectionRevoke, self.arguments()).map(drop)
    }
}

/// Figures of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointFigures {
    /// Calls that wait to be received.
    pub queued: u64,
    /// How many receivers it has had.
    pub incarnation: u64,
    /// Whether a thread waits in `receive`.
    pub is_waiting: bool,
    /// Age of the oldest queued call in nanoseconds.
    pub oldest_ns: u64,
}

impl Handle<Endpoint> {
    /// Makes an endpoint, for this process or another to receive on.
    ///
    /// # Errors
    /// The quota's.
    pub fn create() -> Result<Self, SysError> {
        let made = operate(Operation::EndpointCreate, Arguments::default())?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Mints a Connection.
    ///
    /// # Errors
    /// `NoRights` without `MINT`; the quota's.
    pub fn mint(&self, badge: Badge) -> Result<Minted, SysError> {
        self.mint_charged(badge, abi::Handle::NONE)
    }

    /// As [`mint`](Self::mint), charged to a quota that was lent to us.
    ///
    /// # Errors
    /// As [`mint`](Self::mint); `InvalidState` when the quota was closed.
    pub fn mint_on(&self, quota: &Handle<Quota>, badge: Badge) -> Result<Minted, SysError> {
        self.mint_charged(badge, quota.raw())
    }

    fn mint_charged(&self, badge: Badge, payer: abi::Handle) -> Result<Minted, SysError> {
        let arguments = Arguments {
            b: payer.0,
            ..self.arguments_with(&[badge.bits()])
        };
        let made = operate(Operation::EndpointMint, arguments)?;
        Ok(Minted {
            ours: Handle::from_raw(abi::Handle(made.rdi as u32)),
            client: Handle::from_raw(abi::Handle(made.rsi as u32)),
        })
    }

    /// Reads figures.
    ///
    /// # Errors
    /// `NoRights` without `INSPECT`.
    pub fn figures(&self) -> Result<EndpointFigures, SysError> {
        let answer = operate(Operation::EndpointInfo, self.arguments())?;
        let words = answer.words.to_words();
        Ok(EndpointFigures {
            queued: answer.rdi,
            incarnation: answer.rsi,
            is_waiting: words[0] != 0,
            oldest_ns: words[1],
        })
    }
}
