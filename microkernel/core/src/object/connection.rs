//! Connection: a client's end of an endpoint. Its home is the endpoint's.
//!
//! Handles with `CALL` or `RING` count; when the last of them goes, the receiver gets `Closed(badge)`, queued in the Connection itself.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::{ConnectionCalls, Endpoint, Head, Header, Link, Name, lists};

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
    /// Link of the endpoint's list of closed ones.
    pub closed: Link,
    /// Link of its list of rung ones.
    pub rung: Link,
}

lists! {
    /// Connections of an endpoint whose last counted copy went.
    ClosedConnections of Connection by closed;
    /// Connections of an endpoint that were rung.
    RungConnections of Connection by rung;
}
