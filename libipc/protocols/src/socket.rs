//! Sockets: TCP, UDP and ICMP echo.
//!
//! A socket is a Connection of its own. Bytes of a TCP stream are numbered like those of [`stream`](crate::stream). Served by netd.

use libipc::prelude::*;

/// Bytes in one `send` or one answer of `receive`, at most.
pub const MAX_CHUNK_BYTES: usize = 3072;

/// An address and a port.
#[message]
#[derive(Copy, Eq)]
pub struct SocketAddress {
    /// The address.
    pub ip: IpAddress,
    /// The port.
    pub port: u16,
}

/// An Internet address.
#[message]
#[derive(Copy, Eq)]
pub enum IpAddress {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// What came.
#[message]
pub struct Chunk {
    /// Position of the first byte in the stream.
    pub at: u64,
    /// The bytes; empty only if `end`.
    pub data: Vec<u8>,
    /// The peer has closed its side.
    pub end: bool,
}

/// State of a connection (RFC 9293 §3.3.2).
#[message]
#[derive(Copy, Eq)]
#[allow(missing_docs, reason = "the names are RFC 9293's")]
pub enum TcpState {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// One socket, for inspection.
#[message]
pub struct SocketInfo {
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// Our end.
    pub local: SocketAddress,
    /// The other end, if connected.
    pub remote: Option<SocketAddress>,
    /// State.
    pub state: TcpState,
    /// Bytes waiting to be sent.
    pub send_queue: u32,
    /// Bytes waiting to be read.
    pub receive_queue: u32,
}

/// One interface.
#[message]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Ethernet address.
    pub mac: [u8; 6],
    /// Payload of a frame.
    pub mtu: u16,
    /// Whether the link is up.
    pub up: bool,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddress, u8)>,
    /// The gateway.
    pub gateway: Option<IpAddress>,
    /// DNS servers.
    pub dns: Vec<IpAddress>,
    /// The driver's service.
    pub driver: String,
    /// Frames received, sent, dropped.
    pub frames: (u64, u64, u64),
    /// Seconds of the DHCP lease; 0 if there is none.
    pub lease_seconds: u32,
}

/// What went through since netd started.
#[message]
pub struct Stats {
    /// Frames that came.
    pub frames_received: u64,
    /// Frames that went out.
    pub frames_sent: u64,
    /// Frames for which the card had no room.
    pub frames_dropped: u64,
    /// Frames that a driver had when it died, and that its successor got; those that the dead one had sent already went out twice.
    pub frames_resubmitted: u64,
    /// How often a driver took over from a dead one.
    pub drivers_replaced: u64,
    /// TCP segments of ours that were sent again.
    pub segments_resent: u64,
    /// TCP segments of peers that brought nothing new.
    pub segments_repeated: u64,
    /// Times when a peer's segment did not follow the one before: what lies between was lost, or came late.
    pub gaps: u64,
}

/// Errors of sockets.
#[message]
pub enum Error {
    /// Nobody listens there.
    Refused,
    /// The peer reset the connection, or netd was restarted and had to drop it.
    Reset,
    /// No answer in time.
    TimedOut,
    /// No route, or no address yet.
    Unreachable,
    /// The port is taken.
    InUse,
    /// The socket is not in a state for this.
    InvalidState,
    /// `at` does not follow what was sent before.
    Gap {
        /// The byte expected next.
        expected: u64,
    },
    /// More than [`MAX_CHUNK_BYTES`].
    TooLong,
    /// No more sockets.
    LimitReached,
    /// The caller's Connection does not allow this.
    NotPermitted,
    /// The name does not exist.
    NameNotFound,
}

/// See the module.
#[protocol(name = "socket", version = 1)]
pub trait Socket {
    /// Connects to `to`; answers a Connection that speaks `tcp`, when it is established.
    #[deferred]
    fn connect(&mut self, to: SocketAddress) -> Result<Handle<Connection>, Error>;

    /// Listens on `port` (0: any); answers a Connection that speaks `tcp_listener`, and the port. `backlog` connections are accepted before they are asked for.
    fn listen(&mut self, port: u16, backlog: u16) -> Result<(Handle<Connection>, u16), Error>;

    /// Sends ICMP echo requests and answers the round-trip time in nanoseconds.
    #[deferred]
    fn ping(&mut self, to: IpAddress, size: u16, timeout_ms: u32) -> Result<u64, Error>;

    /// Resolves a name through DNS.
    #[idempotent]
    #[deferred]
    fn resolve(&mut self, name: String) -> Result<Vec<IpAddress>, Error>;

    /// The interfaces.
    #[idempotent]
    fn interfaces(&mut self) -> Result<Vec<Interface>, Error>;

    /// The sockets, from index `from`, as many as fit.
    #[idempotent]
    fn sockets(&mut self, from: u32) -> Result<Vec<SocketInfo>, Error>;

    /// Counts.
    #[idempotent]
    fn stats(&mut self) -> Result<Stats, Error>;

    /// Opens a UDP socket on `port` (0: any); answers a Connection that speaks `udp`, and the port.
    fn bind_udp(&mut self, port: u16) -> Result<(Handle<Connection>, u16), Error>;
}

/// A listening socket.
#[protocol(name = "tcp_listener", version = 1)]
pub trait TcpListener {
    /// Waits for a connection; answers its Connection (`tcp`) and who it is.
    #[deferred]
    fn accept(&mut self) -> Result<(Handle<Connection>, SocketAddress), Error>;
}

/// A TCP connection.
#[protocol(name = "tcp", version = 1)]
pub trait Tcp {
    /// Takes bytes starting at `at` of what this end sends; answers the position after the last byte taken, as soon as at least one was.
    #[idempotent]
    #[deferred]
    fn send(&mut self, at: u64, data: Vec<u8>) -> Result<u64, Error>;

    /// Gives up to `max` bytes from position `from`; what is before `from` is forgotten. Waits for at least one byte or the end.
    #[idempotent]
    #[deferred]
    fn receive(&mut self, from: u64, max: u32) -> Result<Chunk, Error>;

    /// Sends no more; what was taken is still delivered.
    #[idempotent]
    fn finish(&mut self) -> Result<(), Error>;

    /// Ends the connection at once.
    #[idempotent]
    fn abort(&mut self) -> Result<(), Error>;

    /// Describes it.
    #[idempotent]
    fn info(&mut self) -> Result<SocketInfo, Error>;
}

/// A UDP socket.
#[protocol(name = "udp", version = 1)]
pub trait Udp {
    /// Sends a datagram.
    fn send_to(&mut self, to: SocketAddress, data: Vec<u8>) -> Result<(), Error>;

    /// Waits for a datagram.
    #[deferred]
    fn receive_from(&mut self) -> Result<(SocketAddress, Vec<u8>), Error>;
}
