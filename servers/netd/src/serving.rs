//! What clients ask of sockets. A request that has to wait is kept with its right to answer and tried again after each poll of the stack.

use libipc::prelude::*;
use libipc::{Badge, Cancelled, Instant, Minter};
use netd::stack::{self, SocketId, SocketView, Stack};
use protocols::socket::{
    Chunk, Error, Interface, IpAddress, MAX_CHUNK_BYTES, Socket, SocketAddress, SocketInfo, Stats,
    Tcp, TcpListener, TcpState, Udp,
};
use smoltcp::socket::{dns, tcp};
use smoltcp::wire::{IpAddress as WireAddress, IpEndpoint};

use crate::card::Card;
use crate::{LISTENER, TCP, UDP};

/// Before anything passed.
const NO_STATS: Stats = Stats {
    frames_received: 0,
    frames_sent: 0,
    frames_dropped: 0,
    frames_resubmitted: 0,
    drivers_replaced: 0,
    segments_resent: 0,
    segments_repeated: 0,
    gaps: 0,
};

/// Sockets in one answer, at most.
const LIST: usize = 50;

enum Waiting {
    Connect {
        id: SocketId,
        reply: Reply<Handle<Connection>, Error>,
    },
    Accept {
        id: SocketId,
        reply: Reply<(Handle<Connection>, SocketAddress), Error>,
    },
    Send {
        id: SocketId,
        at: u64,
        data: Vec<u8>,
        reply: Reply<u64, Error>,
    },
    Receive {
        id: SocketId,
        from: u64,
        max: usize,
        reply: Reply<Chunk, Error>,
    },
    Datagram {
        id: SocketId,
        reply: Reply<(SocketAddress, Vec<u8>), Error>,
    },
    Ping {
        sequence: u16,
        started: u64,
        until: u64,
        reply: Reply<u64, Error>,
    },
    Resolve {
        query: dns::QueryHandle,
        reply: Reply<Vec<IpAddress>, Error>,
    },
}

/// The server.
pub struct Server {
    stack: Stack,
    minter: Minter,
    waiting: Vec<Waiting>,
    interface: Interface,
    stats: Stats,
}

impl Server {
    /// Puts the parts together.
    pub fn new(stack: Stack, minter: Minter) -> Self {
        let interface = Interface {
            name: "eth0".into(),
            mac: [0; 6],
            mtu: 0,
            up: false,
            addresses: Vec::new(),
            gateway: None,
            dns: Vec::new(),
            driver: String::new(),
            frames: (0, 0, 0),
            lease_seconds: 0,
        };
        Self {
            stack,
            minter,
            waiting: Vec::new(),
            interface,
            stats: NO_STATS,
        }
    }

    /// When the stack wants to be polled.
    pub fn next_poll(&mut self) -> Option<u64> {
        let pings = self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Ping { until, .. } => Some(*until),
            _ => None,
        });
        let first_ping = pings.min();
        let poll = self.stack.next_poll(Instant::now().as_ns());
        poll.into_iter().chain(first_ping).min()
    }

    /// Polls the stack and answers whoever can be answered.
    pub fn advance(&mut self, card: &mut Card) {
        let had_address = self.stack.addresses().address.is_some();
        self.stack.poll(card, Instant::now().as_ns());
        if self.answer() {
            // Answers make room and bring bytes to send.
            self.stack.poll(card, Instant::now().as_ns());
        }
        if let (false, Some((address, prefix))) = (had_address, self.stack.addresses().address) {
            libipc::info!("address {address}/{prefix}");
        }
        self.describe(card);
    }

    fn describe(&mut self, card: &Card) {
        let (frames, segments) = (card.counts(), card.segments());
        self.interface.frames = (frames.received, frames.sent, frames.dropped);
        self.stats = Stats {
            frames_received: frames.received,
            frames_sent: frames.sent,
            frames_dropped: frames.dropped,
            frames_resubmitted: frames.resubmitted,
            drivers_replaced: frames.drivers_replaced,
            segments_resent: segments.resent,
            segments_repeated: segments.repeated,
            gaps: segments.gaps,
        };
        let addresses = self.stack.addresses();
        if let Some(info) = card.info() {
            self.interface.mac = info.mac;
            self.interface.mtu = info.mtu;
            self.interface.up = info.link_up;
            self.interface.driver.clone_from(&info.driver);
        }
        self.interface.addresses = addresses
            .address
            .iter()
            .map(|(address, prefix)| (IpAddress::V4(address.octets()), *prefix))
            .collect();
        self.interface.gateway = addresses
            .gateway
            .map(|gateway| IpAddress::V4(gateway.octets()));
        self.interface.dns = addresses
            .dns
            .iter()
            .map(|server| IpAddress::V4(server.octets()))
            .collect();
    }

    /// Tries every request that waits once more; true if one was answered.
    fn answer(&mut self) -> bool {
        let before = self.waiting.len();
        for waiting in core::mem::take(&mut self.waiting) {
            if let Some(waiting) = self.attempt(waiting) {
                self.waiting.push(waiting);
            }
        }
        self.waiting.len() < before
    }

    /// Answers a request, or gives it back if it has to wait.
    fn attempt(&mut self, waiting: Waiting) -> Option<Waiting> {
        match waiting {
            Waiting::Connect { id, reply } => match self.stack.connected(id) {
                Ok(None) => return Some(Waiting::Connect { id, reply }),
                Ok(Some(())) => match self.mint(TCP, id) {
                    Ok(connection) => reply.ok(connection),
                    Err(error) => reply.err(error),
                },
                Err(error) => {
                    self.stack.forget(id);
                    reply.err(translate(error));
                }
            },
            Waiting::Accept { id, reply } => match self.stack.accept(id) {
                Ok(None) => return Some(Waiting::Accept { id, reply }),
                Ok(Some((stream, remote))) => match self.mint(TCP, stream) {
                    Ok(connection) => reply.ok((connection, address_of(remote))),
                    Err(error) => reply.err(error),
                },
                Err(error) => reply.err(translate(error)),
            },
            Waiting::Send {
                id,
                at,
                data,
                reply,
            } => match self.stack.send(id, at, &data) {
                Ok(None) => {
                    return Some(Waiting::Send {
                        id,
                        at,
                        data,
                        reply,
                    });
                }
                Ok(Some(position)) => reply.ok(position),
                Err(error) => reply.err(translate(error)),
            },
            Waiting::Receive {
                id,
                from,
                max,
                reply,
            } => match self.stack.receive(id, from, max) {
                Ok(None) => {
                    return Some(Waiting::Receive {
                        id,
                        from,
                        max,
                        reply,
                    });
                }
                Ok(Some((at, data))) => reply.ok(Chunk {
                    at,
                    end: data.is_empty(),
                    data,
                }),
                Err(error) => reply.err(translate(error)),
            },
            Waiting::Datagram { id, reply } => match self.stack.receive_from(id) {
                Ok(None) => return Some(Waiting::Datagram { id, reply }),
                Ok(Some((from, data))) => reply.ok((address_of(from), data)),
                Err(error) => reply.err(translate(error)),
            },
            Waiting::Ping {
                sequence,
                started,
                until,
                reply,
            } => match self.stack.pong(sequence) {
                Some(at) => reply.ok(at.saturating_sub(started)),
                None if Instant::now().as_ns() >= until => {
                    self.stack.forget_ping(sequence);
                    reply.err(Error::TimedOut);
                }
                None => {
                    return Some(Waiting::Ping {
                        sequence,
                        started,
                        until,
                        reply,
                    });
                }
            },
            Waiting::Resolve { query, reply } => match self.stack.resolved(query) {
                Ok(None) => return Some(Waiting::Resolve { query, reply }),
                Ok(Some(addresses)) => reply.ok(addresses.into_iter().map(ip_of).collect()),
                Err(error) => reply.err(translate(error)),
            },
        }
        None
    }

    fn begin(&mut self, waiting: Waiting) {
        if let Some(waiting) = self.attempt(waiting) {
            self.waiting.push(waiting);
        }
    }

    /// A Connection's last copy is gone.
    pub fn closed(&mut self, badge: Badge) {
        if let Some(id) = id_of(badge) {
            self.stack.forget(id);
        }
    }

    /// A caller is gone.
    pub fn cancelled(&mut self, cancelled: &Cancelled) {
        let stack = &mut self.stack;
        self.waiting.retain(|waiting| match waiting {
            Waiting::Connect { id, reply } if reply.is_cancelled_by(cancelled) => {
                stack.forget(*id);
                false
            }
            Waiting::Ping {
                sequence, reply, ..
            } if reply.is_cancelled_by(cancelled) => {
                stack.forget_ping(*sequence);
                false
            }
            Waiting::Resolve { query, reply } if reply.is_cancelled_by(cancelled) => {
                stack.forget_query(*query);
                false
            }
            Waiting::Accept { reply, .. } => !reply.is_cancelled_by(cancelled),
            Waiting::Send { reply, .. } => !reply.is_cancelled_by(cancelled),
            Waiting::Receive { reply, .. } => !reply.is_cancelled_by(cancelled),
            Waiting::Datagram { reply, .. } => !reply.is_cancelled_by(cancelled),
            _ => true,
        });
    }

    fn mint(&mut self, protocol: u8, id: SocketId) -> Result<Handle<Connection>, Error> {
        match self.minter.mint(Badge::own(protocol, id.0)) {
            Ok(minted) => Ok(minted.client),
            Err(error) => {
                libipc::warn!("no further socket: {error}");
                self.stack.forget(id);
                Err(Error::LimitReached)
            }
        }
    }

    fn id(&self, caller: Caller) -> SocketId {
        // Numbers that this server did not give out lead to no socket.
        id_of(caller.badge).unwrap_or(SocketId(0))
    }
}

fn id_of(badge: Badge) -> Option<SocketId> {
    badge.is_own().then(|| SocketId(badge.number()))
}

fn translate(error: stack::Error) -> Error {
    match error {
        stack::Error::Refused => Error::Refused,
        stack::Error::Reset => Error::Reset,
        stack::Error::Unreachable => Error::Unreachable,
        stack::Error::InUse => Error::InUse,
        stack::Error::InvalidState => Error::InvalidState,
        stack::Error::Gap(expected) => Error::Gap { expected },
        stack::Error::LimitReached => Error::LimitReached,
        stack::Error::NameNotFound => Error::NameNotFound,
    }
}

fn ip_of(address: WireAddress) -> IpAddress {
    let WireAddress::Ipv4(address) = address;
    IpAddress::V4(address.octets())
}

fn address_of(endpoint: IpEndpoint) -> SocketAddress {
    SocketAddress {
        ip: ip_of(endpoint.addr),
        port: endpoint.port,
    }
}

/// The stack speaks IPv4 only so far.
fn wire_address(address: IpAddress) -> Result<WireAddress, Error> {
    match address {
        IpAddress::V4(octets) => Ok(WireAddress::v4(octets[0], octets[1], octets[2], octets[3])),
        IpAddress::V6(_) => Err(Error::Unreachable),
    }
}

fn info_of(view: &SocketView) -> SocketInfo {
    let nowhere = SocketAddress {
        ip: IpAddress::V4([0; 4]),
        port: 0,
    };
    SocketInfo {
        protocol: view.protocol.into(),
        local: view.local.map_or(nowhere, address_of),
        remote: view.remote.map(address_of),
        state: match view.state {
            tcp::State::Closed => TcpState::Closed,
            tcp::State::Listen => TcpState::Listen,
            tcp::State::SynSent => TcpState::SynSent,
            tcp::State::SynReceived => TcpState::SynReceived,
            tcp::State::Established => TcpState::Established,
            tcp::State::FinWait1 => TcpState::FinWait1,
            tcp::State::FinWait2 => TcpState::FinWait2,
            tcp::State::CloseWait => TcpState::CloseWait,
            tcp::State::Closing => TcpState::Closing,
            tcp::State::LastAck => TcpState::LastAck,
            tcp::State::TimeWait => TcpState::TimeWait,
        },
        send_queue: view.queues.0 as u32,
        receive_queue: view.queues.1 as u32,
    }
}

impl Socket for Server {
    fn connect(
        &mut self,
        _caller: Caller,
        to: SocketAddress,
        reply: Reply<Handle<Connection>, Error>,
    ) {
        let begun = wire_address(to.ip).and_then(|ip| {
            self.stack
                .connect(IpEndpoint::new(ip, to.port))
                .map_err(translate)
        });
        match begun {
            Ok(id) => self.begin(Waiting::Connect { id, reply }),
            Err(error) => reply.err(error),
        }
    }

    fn listen(
        &mut self,
        _caller: Caller,
        port: u16,
        backlog: u16,
    ) -> Result<(Handle<Connection>, u16), Error> {
        let (id, port) = self.stack.listen(port, backlog).map_err(translate)?;
        Ok((self.mint(LISTENER, id)?, port))
    }

    fn ping(
        &mut self,
        _caller: Caller,
        to: IpAddress,
        size: u16,
        timeout_ms: u32,
        reply: Reply<u64, Error>,
    ) {
        let begun = wire_address(to)
            .and_then(|to| self.stack.ping(to, usize::from(size)).map_err(translate));
        let started = Instant::now().as_ns();
        match begun {
            Ok(sequence) => {
                let until = started.saturating_add(u64::from(timeout_ms) * 1_000_000);
                self.begin(Waiting::Ping {
                    sequence,
                    started,
                    until,
                    reply,
                });
            }
            Err(error) => reply.err(error),
        }
    }

    fn resolve(&mut self, _caller: Caller, name: String, reply: Reply<Vec<IpAddress>, Error>) {
        match self.stack.resolve(&name) {
            Ok(query) => self.begin(Waiting::Resolve { query, reply }),
            Err(error) => reply.err(translate(error)),
        }
    }

    fn interfaces(&mut self, _caller: Caller) -> Result<Vec<Interface>, Error> {
        Ok(vec![self.interface.clone()])
    }

    fn sockets(&mut self, _caller: Caller, from: u32) -> Result<Vec<SocketInfo>, Error> {
        Ok(self
            .stack
            .views()
            .iter()
            .skip(from as usize)
            .take(LIST)
            .map(info_of)
            .collect())
    }

    fn stats(&mut self, _caller: Caller) -> Result<Stats, Error> {
        Ok(self.stats.clone())
    }

    fn bind_udp(&mut self, _caller: Caller, port: u16) -> Result<(Handle<Connection>, u16), Error> {
        let (id, port) = self.stack.bind_udp(port).map_err(translate)?;
        Ok((self.mint(UDP, id)?, port))
    }
}

impl TcpListener for Server {
    fn accept(&mut self, caller: Caller, reply: Reply<(Handle<Connection>, SocketAddress), Error>) {
        let id = self.id(caller);
        self.begin(Waiting::Accept { id, reply });
    }
}

impl Tcp for Server {
    fn send(&mut self, caller: Caller, at: u64, data: Vec<u8>, reply: Reply<u64, Error>) {
        if data.len() > MAX_CHUNK_BYTES {
            return reply.err(Error::TooLong);
        }
        let id = self.id(caller);
        self.begin(Waiting::Send {
            id,
            at,
            data,
            reply,
        });
    }

    fn receive(&mut self, caller: Caller, from: u64, max: u32, reply: Reply<Chunk, Error>) {
        let max = (max as usize).clamp(1, MAX_CHUNK_BYTES);
        let id = self.id(caller);
        self.begin(Waiting::Receive {
            id,
            from,
            max,
            reply,
        });
    }

    fn finish(&mut self, caller: Caller) -> Result<(), Error> {
        self.stack.finish(self.id(caller)).map_err(translate)
    }

    fn abort(&mut self, caller: Caller) -> Result<(), Error> {
        self.stack.abort(self.id(caller)).map_err(translate)
    }

    fn info(&mut self, caller: Caller) -> Result<SocketInfo, Error> {
        self.stack
            .view(self.id(caller))
            .map(|view| info_of(&view))
            .ok_or(Error::Reset)
    }
}

impl Udp for Server {
    fn send_to(&mut self, caller: Caller, to: SocketAddress, data: Vec<u8>) -> Result<(), Error> {
        let endpoint = IpEndpoint::new(wire_address(to.ip)?, to.port);
        self.stack
            .send_to(self.id(caller), endpoint, &data)
            .map_err(translate)
    }

    fn receive_from(&mut self, caller: Caller, reply: Reply<(SocketAddress, Vec<u8>), Error>) {
        let id = self.id(caller);
        self.begin(Waiting::Datagram { id, reply });
    }
}

/// Before the card is known: nothing can be reached.
pub struct NoNetwork;

impl Socket for NoNetwork {
    fn connect(
        &mut self,
        _caller: Caller,
        _to: SocketAddress,
        reply: Reply<Handle<Connection>, Error>,
    ) {
        reply.err(Error::Unreachable);
    }

    fn listen(
        &mut self,
        _caller: Caller,
        _port: u16,
        _backlog: u16,
    ) -> Result<(Handle<Connection>, u16), Error> {
        Err(Error::Unreachable)
    }

    fn ping(
        &mut self,
        _caller: Caller,
        _to: IpAddress,
        _size: u16,
        _timeout_ms: u32,
        reply: Reply<u64, Error>,
    ) {
        reply.err(Error::Unreachable);
    }

    fn resolve(&mut self, _caller: Caller, _name: String, reply: Reply<Vec<IpAddress>, Error>) {
        reply.err(Error::Unreachable);
    }

    fn interfaces(&mut self, _caller: Caller) -> Result<Vec<Interface>, Error> {
        Ok(Vec::new())
    }

    fn sockets(&mut self, _caller: Caller, _from: u32) -> Result<Vec<SocketInfo>, Error> {
        Ok(Vec::new())
    }

    fn stats(&mut self, _caller: Caller) -> Result<Stats, Error> {
        Ok(NO_STATS)
    }

    fn bind_udp(
        &mut self,
        _caller: Caller,
        _port: u16,
    ) -> Result<(Handle<Connection>, u16), Error> {
        Err(Error::Unreachable)
    }
}
