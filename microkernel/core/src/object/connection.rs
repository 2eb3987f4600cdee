//! Connection: a client's end of an endpoint. Its home is the endpoint's.
//!
//! Handles with `CALL` or `RING` count; when the last of them goes, the receiver gets `Closed(badge)`, queued in the Connection itself.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::endpoint::Endpoint;
use super::header::{Header, Kind, Object};
use super::list::{Head, Link, ListKind};
use super::name::Name;

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Connection {
    /// The header. `is_dead` is set when it was revoked. Its home is not used: the endpoint's is.
    pub header: Header,
    /// Its endpoint, with a reference. Never changes.
    pub endpoint: Cell<Name<Endpoint>>,
    /// What the server knows it by.
    pub badge: Cell<u64>,
    /// Calls queued through it.
    pub calls: Head<ConnectionCalls>,
    closed: Link,
    rung: Link,
}

impl Object for Connection {
    const KIND: Kind = Kind::Connection;
    fn header(&self) -> &Header {
        &self.header
    }
}

/// Calls queued through one Connection. The members are callers: see `call.rs`.
pub struct ConnectionCalls;

/// Connections of an endpoint whose last counted copy went.
pub struct ClosedConnections;
impl ListKind for ClosedConnections {
    type Member = Connection;
    fn link(member: &Connection) -> &Link {
        &member.closed
    }
}

/// Connections of an endpoint that were rung.
pub struct RungConnections;
impl ListKind for RungConnections {
    type Member = Connection;
    fn link(member: &Connection) -> &Link {
        &member.rung
    }
}
