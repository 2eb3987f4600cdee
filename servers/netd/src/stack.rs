//! The stack: one interface, its configuration by DHCP, and sockets by number.
//!
//! Positions count the bytes of a connection from its start, in each direction: a request that is repeated is recognised by them, and what was received stays in the socket's buffer until
//! its reader says that it has it.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::{dhcpv4, dns, icmp, tcp, udp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    DnsQueryType, EthernetAddress, HardwareAddress, Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr,
    IpEndpoint, Ipv4Cidr,
};

/// Sockets of all kinds, at most.
pub const MAX_SOCKETS: usize = 128;
/// Bytes that wait in each direction of a TCP connection, at most.
pub const TCP_BUFFER_BYTES: usize = 64 * 1024;
/// Connections that a listener accepts before they are asked for, at most.
pub const MAX_BACKLOG: u16 = 16;
const UDP_BUFFER_BYTES: usize = 32 * 1024;
const UDP_PACKETS: usize = 32;
/// A connection that gives no sign of life for so long is probed, and given up when that fails.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const PEER_PATIENCE: Duration = Duration::from_secs(120);
const FIRST_EPHEMERAL: u16 = 49_152;

/// Names a socket; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SocketId(pub u64);

/// Why something can't be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Nobody listens there.
    Refused,
    /// The connection is gone.
    Reset,
    /// No route, or no address yet.
    Unreachable,
    /// The port is taken.
    InUse,
    /// The socket can't do this now.
    InvalidState,
    /// The bytes do not follow those before; this one is expected.
    Gap(u64),
    /// No more sockets.
    LimitReached,
    /// The name does not exist.
    NameNotFound,
}

/// What a question that may have to wait came to.
pub type Waiting<T> = Result<Option<T>, Error>;

struct Stream {
    handle: SocketHandle,
    sent: u64,
    received: u64,
}

struct Listener {
    port: u16,
    waiting: Vec<SocketHandle>,
}

/// What the network is like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// Ours, with the length of the prefix.
    pub address: Option<(Ipv4Addr, u8)>,
    /// The gateway.
    pub gateway: Option<Ipv4Addr>,
    /// DNS servers.
    pub dns: Vec<Ipv4Addr>,
}

/// One socket, for inspection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketView {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Our end.
    pub local: Option<IpEndpoint>,
    /// The other end.
    pub remote: Option<IpEndpoint>,
    /// State of a TCP socket.
    pub state: tcp::State,
    /// Bytes to send, bytes to be read.
    pub queues: (usize, usize),
}

/// The stack.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    dns: SocketHandle,
    icmp: SocketHandle,
    addresses: Addresses,
    streams: BTreeMap<SocketId, Stream>,
    listeners: BTreeMap<SocketId, Listener>,
    datagrams: BTreeMap<SocketId, SocketHandle>,
    pings: BTreeMap<u16, Option<u64>>,
    closing: Vec<SocketHandle>,
    next_id: u64,
    next_port: u16,
    next_ping: u16,
}

impl Stack {
    /// A stack on `device`. Numbers of sockets begin at `first_id`, which no earlier incarnation may have reached; `seed` is random.
    pub fn new(
        device: &mut (impl Device + ?Sized),
        mac: [u8; 6],
        seed: u64,
        first_id: u64,
        now: u64,
    ) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        let interface = Interface::new(config, device, instant(now));
        let mut sockets = SocketSet::new(Vec::new());
        let packets = |count: usize, bytes: usize| {
            icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; count], vec![0; bytes])
        };
        let mut echo = icmp::Socket::new(packets(8, 16 * 1024), packets(8, 16 * 1024));
        // A fresh socket takes any identifier.
        let _ = echo.bind(icmp::Endpoint::Ident(PING_IDENT));
        Self {
            interface,
            dhcp: sockets.add(dhcpv4::Socket::new()),
            dns: sockets.add(dns::Socket::new(&[], vec![None, None, None, None])),
            icmp: sockets.add(echo),
            sockets,
            addresses: Addresses::default(),
            streams: BTreeMap::new(),
            listeners: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            pings: BTreeMap::new(),
            closing: Vec::new(),
            next_id: first_id,
            next_port: FIRST_EPHEMERAL + (seed % 10_000) as u16,
            next_ping: 1,
        }
    }

    /// Does what is due: takes frames in, lets sockets speak, keeps the configuration.
    pub fn poll(&mut self, device: &mut (impl Device + ?Sized), now: u64) {
        self.interface.poll(instant(now), device, &mut self.sockets);
        self.follow_dhcp();
        self.take_pings(now);
        self.refill_listeners();
        self.bury_closed();
    }

    /// When [`Stack::poll`] is due, if nothing comes before.
    pub fn next_poll(&mut self, now: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some(
            u64::try_from(at.total_micros())
                .unwrap_or(0)
                .saturating_mul(1000)
                .max(now),
        )
    }

    /// What the network is like.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Sets addresses by hand; a lease replaces them.
    pub fn configure(&mut self, addresses: Addresses) {
        self.interface.update_ip_addrs(|list| {
            list.clear();
            if let Some((address, prefix)) = addresses.address {
                // The list was just emptied and has room for one.
                let _ = list.push(IpCidr::Ipv4(Ipv4Cidr::new(address, prefix)));
            }
        });
        self.interface.routes_mut().remove_default_ipv4_route();
        if let Some(gateway) = addresses.gateway {
            // As for the list of addresses.
            let _ = self.interface.routes_mut().add_default_ipv4_route(gateway);
        }
        let servers: Vec<IpAddress> = addresses
            .dns
            .iter()
            .map(|server| IpAddress::Ipv4(*server))
            .collect();
        self.sockets
            .get_mut::<dns::Socket<'_>>(self.dns)
            .update_servers(&servers);
        self.addresses = addresses;
    }

    fn follow_dhcp(&mut self) {
        let addresses = match self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll() {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => Addresses::default(),
            Some(dhcpv4::Event::Configured(config)) => Addresses {
                address: Some((config.address.address(), config.address.prefix_len())),
                gateway: config.router,
                dns: config.dns_servers.iter().copied().collect(),
            },
        };
        self.configure(addresses);
    }

    fn new_id(&mut self) -> SocketId {
        self.next_id += 1;
        SocketId(self.next_id)
    }

    fn check_room(&self) -> Result<(), Error> {
        let listening: usize = self
            .listeners
            .values()
            .map(|listener| listener.waiting.len())
            .sum();
        let all = self.streams.len() + self.datagrams.len() + self.closing.len() + listening;
        if all < MAX_SOCKETS {
            Ok(())
        } else {
            Err(Error::LimitReached)
        }
    }

    fn new_tcp() -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; TCP_BUFFER_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(PEER_PATIENCE));
        socket
    }

    fn ephemeral_port(&mut self) -> u16 {
        self.next_port = if self.next_port == u16::MAX {
            FIRST_EPHEMERAL
        } else {
            self.next_port + 1
        };
        self.next_port
    }

    /// Begins a connection.
    pub fn connect(&mut self, to: IpEndpoint) -> Result<SocketId, Error> {
        self.check_room()?;
        if self.addresses.address.is_none() {
            return Err(Error::Unreachable);
        }
        let port = self.ephemeral_port();
        let mut socket = Self::new_tcp();
        socket
            .connect(self.interface.context(), to, port)
            .map_err(|_| Error::Unreachable)?;
        let handle = self.sockets.add(socket);
        Ok(self.add_stream(handle))
    }

    fn add_stream(&mut self, handle: SocketHandle) -> SocketId {
        let id = self.new_id();
        self.streams.insert(
            id,
            Stream {
                handle,
                sent: 0,
                received: 0,
            },
        );
        id
    }

    /// Whether a connection that was begun is there.
    pub fn connected(&mut self, id: SocketId) -> Waiting<()> {
        let stream = self.streams.get(&id).ok_or(Error::Reset)?;
        match self.sockets.get::<tcp::Socket<'_>>(stream.handle).state() {
            tcp::State::SynSent | tcp::State::SynReceived => Ok(None),
            tcp::State::Closed => Err(Error::Refused),
            _ => Ok(Some(())),
        }
    }

    /// Listens on a port (0: any); answers the port.
    pub fn listen(&mut self, port: u16, backlog: u16) -> Result<(SocketId, u16), Error> {
        self.check_room()?;
        if self
            .listeners
            .values()
            .any(|listener| listener.port == port)
        {
            return Err(Error::InUse);
        }
        let port = if port == 0 {
            self.ephemeral_port()
        } else {
            port
        };
        let id = self.new_id();
        let waiting = (0..backlog.clamp(1, MAX_BACKLOG))
            .map(|_| self.listening_socket(port))
            .collect();
        self.listeners.insert(id, Listener { port, waiting });
        Ok((id, port))
    }

    fn listening_socket(&mut self, port: u16) -> SocketHandle {
        let mut socket = Self::new_tcp();
        // A fresh socket listens on any port but 0.
        let _ = socket.listen(port);
        self.sockets.add(socket)
    }

    /// Takes a connection that came in, and who it is.
    pub fn accept(&mut self, id: SocketId) -> Waiting<(SocketId, IpEndpoint)> {
        let listener = self.listeners.get_mut(&id).ok_or(Error::Reset)?;
        let found = listener.waiting.iter().position(|handle| {
            let socket = self.sockets.get::<tcp::Socket<'_>>(*handle);
            matches!(
                socket.state(),
                tcp::State::Established | tcp::State::CloseWait
            )
        });
        let Some(place) = found else { return Ok(None) };
        let handle = listener.waiting.remove(place);
        let port = listener.port;
        let remote = self
            .sockets
            .get::<tcp::Socket<'_>>(handle)
            .remote_endpoint();
        if self.check_room().is_ok() {
            let fresh = self.listening_socket(port);
            if let Some(listener) = self.listeners.get_mut(&id) {
                listener.waiting.push(fresh);
            }
        }
        let stream = self.add_stream(handle);
        Ok(remote.map(|remote| (stream, remote)))
    }

    /// Connections that came and went before anybody accepted them leave their places to new ones.
    fn refill_listeners(&mut self) {
        let mut renew = Vec::new();
        for listener in self.listeners.values() {
            for handle in &listener.waiting {
                if !self.sockets.get::<tcp::Socket<'_>>(*handle).is_open() {
                    renew.push((*handle, listener.port));
                }
            }
        }
        for (handle, port) in renew {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            socket.abort();
            let _ = socket.listen(port);
        }
        if self
            .listeners
            .values()
            .any(|listener| listener.waiting.is_empty())
            && self.check_room().is_ok()
        {
            let ids: Vec<SocketId> = self
                .listeners
                .iter()
                .filter(|(_, listener)| listener.waiting.is_empty())
                .map(|(id, _)| *id)
                .collect();
            for id in ids {
                let port = self.listeners[&id].port;
                let handle = self.listening_socket(port);
                if let Some(listener) = self.listeners.get_mut(&id) {
                    listener.waiting.push(handle);
                }
            }
        }
    }

    /// Takes bytes that start at `at` of what this end sends; answers the position after the last one taken, once there is one.
    pub fn send(&mut self, id: SocketId, at: u64, data: &[u8]) -> Waiting<u64> {
        let stream = self.streams.get_mut(&id).ok_or(Error::Reset)?;
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(stream.handle);
        let known = stream.sent.checked_sub(at).ok_or(Error::Gap(stream.sent))?;
        let news = data.get(known as usize..).unwrap_or_default();
        if news.is_empty() {
            return Ok(Some(stream.sent));
        }
        if !socket.may_send() {
            return Err(if socket.is_open() {
                Error::InvalidState
            } else {
                Error::Reset
            });
        }
        let taken = socket.send_slice(news).map_err(|_| Error::Reset)?;
        stream.sent += taken as u64;
        Ok((taken > 0).then_some(stream.sent))
    }

    /// Gives bytes from position `from`: where they start, and the bytes; none at the end.
    pub fn receive(&mut self, id: SocketId, from: u64, max: usize) -> Waiting<(u64, Vec<u8>)> {
        let stream = self.streams.get_mut(&id).ok_or(Error::Reset)?;
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(stream.handle);
        if let Some(done) = from.checked_sub(stream.received).filter(|done| *done > 0) {
            let done = (done as usize).min(socket.recv_queue());
            let consumed = skip(socket, done);
            stream.received += consumed as u64;
        }
        let mut data = vec![0; max.min(socket.recv_queue())];
        let count = if data.is_empty() {
            0
        } else {
            socket.peek_slice(&mut data).unwrap_or(0)
        };
        data.truncate(count);
        if count > 0 {
            return Ok(Some((stream.received, data)));
        }
        match (socket.may_recv(), socket.state()) {
            (true, _) | (false, tcp::State::SynSent | tcp::State::SynReceived) => Ok(None),
            // The peer has closed its side in order, or we both have.
            (
                false,
                tcp::State::CloseWait
                | tcp::State::LastAck
                | tcp::State::Closing
                | tcp::State::TimeWait,
            ) => Ok(Some((stream.received, data))),
            (false, _) => Err(Error::Reset),
        }
    }

    /// Sends no more; what was taken is still delivered.
    pub fn finish(&mut self, id: SocketId) -> Result<(), Error> {
        let stream = self.streams.get(&id).ok_or(Error::Reset)?;
        self.sockets
            .get_mut::<tcp::Socket<'_>>(stream.handle)
            .close();
        Ok(())
    }

    /// Ends a connection at once.
    pub fn abort(&mut self, id: SocketId) -> Result<(), Error> {
        let stream = self.streams.get(&id).ok_or(Error::Reset)?;
        self.sockets
            .get_mut::<tcp::Socket<'_>>(stream.handle)
            .abort();
        Ok(())
    }

    /// Nobody has this socket any more. A connection still delivers what it took.
    pub fn forget(&mut self, id: SocketId) {
        if let Some(stream) = self.streams.remove(&id) {
            self.sockets
                .get_mut::<tcp::Socket<'_>>(stream.handle)
                .close();
            self.closing.push(stream.handle);
        }
        if let Some(listener) = self.listeners.remove(&id) {
            for handle in listener.waiting {
                self.sockets.get_mut::<tcp::Socket<'_>>(handle).abort();
                self.closing.push(handle);
            }
        }
        if let Some(handle) = self.datagrams.remove(&id) {
            self.sockets.remove(handle);
        }
    }

    fn bury_closed(&mut self) {
        let sockets = &mut self.sockets;
        self.closing.retain(|handle| {
            let state = sockets.get::<tcp::Socket<'_>>(*handle).state();
            let is_over = matches!(state, tcp::State::Closed | tcp::State::TimeWait);
            if is_over {
                sockets.remove(*handle);
            }
            !is_over
        });
    }

    /// Opens a UDP socket on a port (0: any); answers the port.
    pub fn bind_udp(&mut self, port: u16) -> Result<(SocketId, u16), Error> {
        self.check_room()?;
        let is_taken = |handle: &SocketHandle| {
            self.sockets.get::<udp::Socket<'_>>(*handle).endpoint().port == port
        };
        if port != 0 && self.datagrams.values().any(is_taken) {
            return Err(Error::InUse);
        }
        let port = if port == 0 {
            self.ephemeral_port()
        } else {
            port
        };
        let buffer = || {
            udp::PacketBuffer::new(
                vec![udp::PacketMetadata::EMPTY; UDP_PACKETS],
                vec![0; UDP_BUFFER_BYTES],
            )
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).map_err(|_| Error::InUse)?;
        let handle = self.sockets.add(socket);
        let id = self.new_id();
        self.datagrams.insert(id, handle);
        Ok((id, port))
    }

    /// Sends a datagram.
    pub fn send_to(&mut self, id: SocketId, to: IpEndpoint, data: &[u8]) -> Result<(), Error> {
        let handle = self.datagrams.get(&id).ok_or(Error::Reset)?;
        self.sockets
            .get_mut::<udp::Socket<'_>>(*handle)
            .send_slice(data, to)
            .map_err(|error| match error {
                udp::SendError::Unaddressable => Error::Unreachable,
                udp::SendError::BufferFull => Error::LimitReached,
            })
    }

    /// Takes a datagram, and who sent it.
    pub fn receive_from(&mut self, id: SocketId) -> Waiting<(IpEndpoint, Vec<u8>)> {
        let handle = self.datagrams.get(&id).ok_or(Error::Reset)?;
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(*handle);
        match socket.recv() {
            Ok((data, metadata)) => Ok(Some((metadata.endpoint, data.to_vec()))),
            Err(_) => Ok(None),
        }
    }

    /// Sends an ICMP echo request; [`Stack::pong`] tells of its answer.
    pub fn ping(&mut self, to: IpAddress, size: usize) -> Result<u16, Error> {
        let IpAddress::Ipv4(_) = to;
        if self.addresses.address.is_none() {
            return Err(Error::Unreachable);
        }
        let sequence = self.next_ping;
        self.next_ping = self.next_ping.wrapping_add(1);
        let data = vec![0x5a; size.min(1400)];
        let repr = Icmpv4Repr::EchoRequest {
            ident: PING_IDENT,
            seq_no: sequence,
            data: &data,
        };
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.icmp);
        let payload = socket
            .send(repr.buffer_len(), to)
            .map_err(|_| Error::LimitReached)?;
        repr.emit(
            &mut Icmpv4Packet::new_unchecked(payload),
            &smoltcp::phy::ChecksumCapabilities::default(),
        );
        self.pings.insert(sequence, None);
        Ok(sequence)
    }

    /// When the answer to a ping came; it is forgotten then.
    pub fn pong(&mut self, sequence: u16) -> Option<u64> {
        let at = (*self.pings.get(&sequence)?)?;
        self.pings.remove(&sequence);
        Some(at)
    }

    /// Gives up on a ping.
    pub fn forget_ping(&mut self, sequence: u16) {
        self.pings.remove(&sequence);
    }

    fn take_pings(&mut self, now: u64) {
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.icmp);
        while let Ok((payload, _)) = socket.recv() {
            let Ok(packet) = Icmpv4Packet::new_checked(payload) else {
                continue;
            };
            let reply = Icmpv4Repr::parse(&packet, &smoltcp::phy::ChecksumCapabilities::default());
            if let Ok(Icmpv4Repr::EchoReply {
                ident: PING_IDENT,
                seq_no,
                ..
            }) = reply
                && let Some(answer) = self.pings.get_mut(&seq_no)
            {
                *answer = Some(now);
            }
        }
    }

    /// Begins to resolve a name.
    pub fn resolve(&mut self, name: &str) -> Result<dns::QueryHandle, Error> {
        if self.addresses.dns.is_empty() {
            return Err(Error::Unreachable);
        }
        let socket = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        socket
            .start_query(self.interface.context(), name, DnsQueryType::A)
            .map_err(|error| match error {
                dns::StartQueryError::NoFreeSlot => Error::LimitReached,
                _ => Error::NameNotFound,
            })
    }

    /// The addresses of a name that was asked for. After an answer the question is over.
    pub fn resolved(&mut self, query: dns::QueryHandle) -> Waiting<Vec<IpAddress>> {
        let socket = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        match socket.get_query_result(query) {
            Ok(addresses) => Ok(Some(addresses.iter().copied().collect())),
            Err(dns::GetQueryResultError::Pending) => Ok(None),
            Err(dns::GetQueryResultError::Failed) => Err(Error::NameNotFound),
        }
    }

    /// Gives up on a name.
    pub fn forget_query(&mut self, query: dns::QueryHandle) {
        self.sockets
            .get_mut::<dns::Socket<'_>>(self.dns)
            .cancel_query(query);
    }

    /// A connection, for inspection.
    pub fn view(&self, id: SocketId) -> Option<SocketView> {
        self.streams
            .get(&id)
            .map(|stream| self.view_of(stream.handle))
    }

    fn view_of(&self, handle: SocketHandle) -> SocketView {
        let socket = self.sockets.get::<tcp::Socket<'_>>(handle);
        SocketView {
            protocol: "tcp",
            local: socket.local_endpoint(),
            remote: socket.remote_endpoint(),
            state: socket.state(),
            queues: (socket.send_queue(), socket.recv_queue()),
        }
    }

    /// Every socket, for inspection.
    pub fn views(&self) -> Vec<SocketView> {
        let listening = self.listeners.values().map(|listener| SocketView {
            protocol: "tcp",
            local: Some(IpEndpoint::new(Ipv4Addr::UNSPECIFIED.into(), listener.port)),
            remote: None,
            state: tcp::State::Listen,
            queues: (0, 0),
        });
        let streams = self
            .streams
            .values()
            .map(|stream| self.view_of(stream.handle));
        let datagrams = self.datagrams.values().map(|handle| {
            let socket = self.sockets.get::<udp::Socket<'_>>(*handle);
            SocketView {
                protocol: "udp",
                local: Some(IpEndpoint::new(
                    Ipv4Addr::UNSPECIFIED.into(),
                    socket.endpoint().port,
                )),
                remote: None,
                state: tcp::State::Closed,
                queues: (socket.send_queue(), socket.recv_queue()),
            }
        });
        listening.chain(streams).chain(datagrams).collect()
    }
}

const PING_IDENT: u16 = 0x5062;

fn instant(nanoseconds: u64) -> Instant {
    Instant::from_micros(i64::try_from(nanoseconds / 1000).unwrap_or(i64::MAX))
}

/// Takes `count` bytes out of the receive buffer, which may lie in two pieces.
fn skip(socket: &mut tcp::Socket<'_>, count: usize) -> usize {
    let mut left = count;
    while left > 0 {
        let taken = socket.recv(|piece| {
            let taken = piece.len().min(left);
            (taken, taken)
        });
        match taken {
            Ok(taken) if taken > 0 => left -= taken,
            _ => break,
        }
    }
    count - left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smoltcp::phy::{Loopback, Medium};

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    struct Bench {
        stack: Stack,
        device: Loopback,
        now: u64,
    }

    impl Bench {
        fn new() -> Self {
            let mut device = Loopback::new(Medium::Ethernet);
            let mut stack = Stack::new(&mut device, [2, 0, 0, 0, 0, 1], 7, 100, 0);
            // The first word of DHCP is that there is no lease.
            stack.poll(&mut device, 0);
            stack.configure(Addresses {
                address: Some((HERE, 24)),
                gateway: None,
                dns: Vec::new(),
            });
            Self {
                stack,
                device,
                now: 0,
            }
        }

        fn run(&mut self) {
            for _ in 0..20 {
                self.now += 1_000_000;
                self.stack.poll(&mut self.device, self.now);
            }
        }

        fn pair(&mut self) -> (SocketId, SocketId) {
            let (listener, port) = self.stack.listen(0, 2).expect("there is room");
            let client = self
                .stack
                .connect(IpEndpoint::new(HERE.into(), port))
                .expect("there is a route");
            self.run();
            assert_eq!(self.stack.connected(client), Ok(Some(())));
            let (server, remote) = self
                .stack
                .accept(listener)
                .expect("it listens")
                .expect("somebody came");
            assert_eq!(remote.addr, HERE.into());
            (client, server)
        }
    }

    #[test]
    fn bytes_arrive_once_however_often_they_are_sent_or_asked_for() {
        let mut bench = Bench::new();
        let (client, server) = bench.pair();
        assert_eq!(bench.stack.send(client, 0, b"hello"), Ok(Some(5)));
        assert_eq!(
            bench.stack.send(client, 0, b"hello"),
            Ok(Some(5)),
            "repeated"
        );
        assert_eq!(
            bench.stack.send(client, 3, b"lo world"),
            Ok(Some(11)),
            "overlapping"
        );
        assert_eq!(bench.stack.send(client, 20, b"x"), Err(Error::Gap(11)));
        bench.run();
        assert_eq!(
            bench.stack.receive(server, 0, 5),
            Ok(Some((0, b"hello".to_vec())))
        );
        assert_eq!(
            bench.stack.receive(server, 0, 99),
            Ok(Some((0, b"hello world".to_vec())))
        );
        assert_eq!(
            bench.stack.receive(server, 6, 99),
            Ok(Some((6, b"world".to_vec())))
        );
        assert_eq!(bench.stack.receive(server, 11, 99), Ok(None));
    }

    #[test]
    fn the_end_of_a_stream_comes_after_its_last_byte() {
        let mut bench = Bench::new();
        let (client, server) = bench.pair();
        bench.stack.send(client, 0, b"bye").expect("it is open");
        bench.stack.finish(client).expect("it is open");
        bench.run();
        assert_eq!(
            bench.stack.receive(server, 0, 99),
            Ok(Some((0, b"bye".to_vec())))
        );
        assert_eq!(
            bench.stack.receive(server, 3, 99),
            Ok(Some((3, Vec::new())))
        );
    }

    #[test]
    fn a_port_that_nobody_listens_on_refuses() {
        let mut bench = Bench::new();
        let client = bench
            .stack
            .connect(IpEndpoint::new(HERE.into(), 9))
            .expect("there is a route");
        bench.run();
        assert_eq!(bench.stack.connected(client), Err(Error::Refused));
    }

    #[test]
    fn a_reset_is_told_apart_from_an_end() {
        let mut bench = Bench::new();
        let (client, server) = bench.pair();
        bench.stack.abort(client).expect("it is open");
        bench.run();
        assert_eq!(bench.stack.receive(server, 0, 9), Err(Error::Reset));
        assert_eq!(bench.stack.send(server, 0, b"x"), Err(Error::Reset));
        assert_eq!(
            bench.stack.receive(SocketId(1), 0, 9),
            Err(Error::Reset),
            "a socket of an earlier incarnation"
        );
    }

    #[test]
    fn sockets_run_out_and_come_back() {
        let mut bench = Bench::new();
        let mut ids = Vec::new();
        while let Ok((id, _)) = bench.stack.bind_udp(0) {
            ids.push(id);
        }
        assert_eq!(bench.stack.bind_udp(0), Err(Error::LimitReached));
        assert_eq!(ids.len(), MAX_SOCKETS);
        bench.stack.forget(ids[0]);
        assert!(bench.stack.bind_udp(0).is_ok());
    }

    #[test]
    fn a_listener_serves_more_than_its_backlog() {
        let mut bench = Bench::new();
        let (listener, port) = bench.stack.listen(7000, 1).expect("there is room");
        assert_eq!(bench.stack.listen(7000, 1), Err(Error::InUse));
        for _ in 0..5 {
            bench
                .stack
                .connect(IpEndpoint::new(HERE.into(), port))
                .expect("there is a route");
            bench.run();
            assert!(matches!(bench.stack.accept(listener), Ok(Some(_))));
        }
    }

    #[test]
    fn a_ping_to_ourselves_is_answered() {
        let mut bench = Bench::new();
        let sequence = bench
            .stack
            .ping(HERE.into(), 56)
            .expect("there is an address");
        bench.run();
        assert!(bench.stack.pong(sequence).is_some());
        assert_eq!(bench.stack.pong(sequence), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_stream_is_what_was_sent(chunks in proptest::collection::vec((1usize..9000, 1usize..9000), 1..40)) {
            let mut bench = Bench::new();
            let (client, server) = bench.pair();
            let (mut sent, mut received) = (Vec::new(), Vec::new());
            for (put, take) in chunks {
                let data: Vec<u8> = (0..put).map(|i| ((sent.len() + i) % 251) as u8).collect();
                if let Some(position) = bench.stack.send(client, sent.len() as u64, &data).expect("it is open") {
                    sent.extend_from_slice(&data[..position as usize - sent.len()]);
                }
                bench.run();
                if let Some((at, data)) = bench.stack.receive(server, received.len() as u64, take).expect("it is open") {
                    prop_assert_eq!(at as usize, received.len());
                    received.extend(data);
                }
            }
            prop_assert_eq!(&sent[..received.len()], &received[..]);
        }
    }
}
