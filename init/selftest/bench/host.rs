//! Another host on the network: it gives out an address by DHCP, answers pings, swallows what is sent to one port and sends from another.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, HardwareAddress, IpAddress, IpCidr,
    Ipv4Address,
};

/// The host's address, the one that it gives out, and the length of their network's prefix.
pub const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const GUEST_ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const PREFIX: u8 = 24;
const HARDWARE: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];
/// The port that swallows: after each [`BLOCK_BYTES`] it sends one byte.
pub const SINK_PORT: u16 = 9;
/// The port that sends [`BLOCK_BYTES`] for each byte that it gets.
pub const SOURCE_PORT: u16 = 19;
/// Bytes of what is sent in one go.
pub const BLOCK_BYTES: usize = 64 * 1024;

const DHCP_SERVER_PORT: u16 = 67;
const DHCP_CLIENT_PORT: u16 = 68;
const LEASE_SECONDS: u32 = 86_400;
const MTU: usize = 1514;

/// A wire with frames on their way in both directions.
#[derive(Default)]
pub struct Wire {
    /// To the host.
    pub inward: VecDeque<Vec<u8>>,
    /// From it.
    pub outward: VecDeque<Vec<u8>>,
}

/// The host.
pub struct Host {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    sink: Service,
    source: Service,
}

/// A port that serves one connection after the other.
struct Service {
    socket: SocketHandle,
    port: u16,
    /// Bytes that came and are not answered.
    received: usize,
    /// Bytes to send.
    owed: usize,
}

impl Host {
    /// A host at the end of `wire`.
    pub fn new(wire: &mut Wire, seed: u64, now: u64) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(HARDWARE)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, wire, instant(now));
        interface.update_ip_addrs(|addresses| {
            // The list is new and has room for one.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ADDRESS), PREFIX));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let packets = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut dhcp = udp::Socket::new(packets(), packets());
        // A new socket takes any port but 0.
        let _ = dhcp.bind(DHCP_SERVER_PORT);
        Self {
            dhcp: sockets.add(dhcp),
            sink: Service::new(&mut sockets, SINK_PORT),
            source: Service::new(&mut sockets, SOURCE_PORT),
            interface,
            sockets,
        }
    }

    /// Takes in what came, answers, and says when it wants to be called again.
    pub fn poll(&mut self, wire: &mut Wire, now: u64) -> Option<u64> {
        loop {
            self.interface.poll(instant(now), wire, &mut self.sockets);
            self.lease();
            let swallowed = self.sink.receive(&mut self.sockets);
            self.sink.owed += swallowed / BLOCK_BYTES;
            self.sink.received %= BLOCK_BYTES;
            let asked = self.source.receive(&mut self.sockets);
            self.source.owed += asked * BLOCK_BYTES;
            self.source.received = 0;
            let sent = self.sink.send(&mut self.sockets) + self.source.send(&mut self.sockets);
            if wire.inward.is_empty() && sent == 0 {
                break;
            }
        }
        self.interface.poll(instant(now), wire, &mut self.sockets);
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some(u64::try_from(at.total_micros()).unwrap_or(0) * 1000)
    }

    /// Answers a question for an address (RFC 2131 §4.3).
    fn lease(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.dhcp);
        while let Ok((bytes, _)) = socket.recv() {
            let Some(answer) = offer(bytes) else { continue };
            let to = (Ipv4Address::BROADCAST, DHCP_CLIENT_PORT);
            // Without room the question is asked again.
            let _ = socket.send_slice(&answer, to);
        }
    }
}

/// The answer to a DHCP packet, if it is a question.
fn offer(question: &[u8]) -> Option<Vec<u8>> {
    let packet = DhcpPacket::new_checked(question).ok()?;
    let asked = DhcpRepr::parse(&packet).ok()?;
    let message_type = match asked.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => DhcpMessageType::Ack,
        _ => return None,
    };
    let answer = DhcpRepr {
        message_type,
        your_ip: GUEST_ADDRESS,
        server_ip: ADDRESS,
        server_identifier: Some(ADDRESS),
        subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
        router: Some(ADDRESS),
        lease_duration: Some(LEASE_SECONDS),
        broadcast: true,
        requested_ip: None,
        client_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
        ..asked
    };
    let mut bytes = vec![0; answer.buffer_len()];
    answer
        .emit(&mut DhcpPacket::new_unchecked(&mut bytes))
        .ok()?;
    Some(bytes)
}

impl Service {
    fn new(sockets: &mut SocketSet<'static>, port: u16) -> Self {
        let buffer = || tcp::SocketBuffer::new(vec![0; BLOCK_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        // A new socket listens on any port but 0.
        let _ = socket.listen(port);
        Self {
            socket: sockets.add(socket),
            port,
            received: 0,
            owed: 0,
        }
    }

    /// Swallows what came and says how much has come that is not answered.
    fn receive(&mut self, sockets: &mut SocketSet<'static>) -> usize {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        if !socket.is_open() || socket.state() == tcp::State::CloseWait {
            socket.abort();
            (self.received, self.owed) = (0, 0);
            // As for a new one.
            let _ = socket.listen(self.port);
        }
        while socket.can_recv() {
            let taken = socket.recv(|bytes| (bytes.len(), bytes.len()));
            self.received += taken.unwrap_or(0);
        }
        self.received
    }

    /// Sends what is owed, as far as there is room; says how much that was.
    fn send(&mut self, sockets: &mut SocketSet<'static>) -> usize {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        let mut sent = 0;
        while self.owed > 0 && socket.can_send() {
            let filled = socket.send(|room| {
                let count = room.len().min(self.owed);
                room[..count].fill(0x5a);
                (count, count)
            });
            let count = filled.unwrap_or(0);
            self.owed -= count;
            sent += count;
        }
        sent
    }
}

fn instant(now: u64) -> Instant {
    Instant::from_micros((now / 1000) as i64)
}

/// A frame that came.
pub struct Frame(Vec<u8>);

/// A place for a frame.
pub struct Place<'w>(&'w mut VecDeque<Vec<u8>>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Place<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Place<'a>;

    fn receive(&mut self, _timestamp: Instant) -> Option<(Frame, Place<'_>)> {
        let frame = self.inward.pop_front()?;
        Some((Frame(frame), Place(&mut self.outward)))
    }

    fn transmit(&mut self, _timestamp: Instant) -> Option<Place<'_>> {
        Some(Place(&mut self.outward))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
