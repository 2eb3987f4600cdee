//! TCP with a host behind a network card that is a process, and that card's death.

use alloc::format;
use core::cell::{Cell, RefCell};

use libipc::{Boot, Deadline, StartError, thread};
use protocols::nic;
use protocols::services::When;
use protocols::socket::{self, IpAddress, MAX_CHUNK_BYTES, SocketAddress, tcp, udp};

use crate::Bench;
use crate::busy::least;
use crate::calls::patience;
use crate::host::{ADDRESS, BLOCK_BYTES, SINK_PORT, SOURCE_PORT};

/// The service that is the card.
const CARD: &str = "bench-nic";
/// How often it is asked whether there is an address, and how often at most.
const PAUSE_MS: u64 = 50;
const MOST_PAUSES: usize = 400;
/// How often the card is asked for a sign of life, at most.
const MOST_QUESTIONS: usize = 1_000;

/// Measures sending, receiving, and the time from the card's death to the first frame that comes through it again.
pub fn measure(bench: &mut Bench, boot: &mut Boot) -> Result<(), StartError> {
    let sockets = socket::Client::adopt(boot.service("socket")?);
    wait_for_address(&sockets)?;
    let sink = Stream::connect(&sockets, SINK_PORT)?;
    let cost = least(
        &bench.services,
        || Ok(()),
        || {
            sink.send(BLOCK_BYTES)?;
            sink.receive(1)
        },
    )?;
    bench.report("tcp_send_64k", cost);
    let source = Stream::connect(&sockets, SOURCE_PORT)?;
    let cost = least(
        &bench.services,
        || Ok(()),
        || {
            source.send(1)?;
            source.receive(BLOCK_BYTES)
        },
    )?;
    bench.report("tcp_receive_64k", cost);
    drop((sink, source));
    restart(bench, boot, &sockets)
}

/// Kills the card and sends a datagram, until the next incarnation has it.
fn restart(bench: &mut Bench, boot: &mut Boot, sockets: &socket::Client) -> Result<(), StartError> {
    let card = nic::Client::adopt(boot.service("nic")?);
    let (datagrams, _) = sockets
        .bind_udp(patience(), 0)
        .map_err(|error| failed("no port for datagrams", &error))?;
    let datagrams = udp::Client::adopt(datagrams);
    let to = SocketAddress {
        ip: IpAddress::V4(ADDRESS.octets()),
        port: SINK_PORT,
    };
    let services = &bench.services;
    let cost = least(
        services,
        || Ok(()),
        || {
            services
                .kill(patience(), CARD, When::Now)
                .map_err(|error| failed("the card can't be killed", &error))?;
            datagrams
                .send_to(patience(), to, b"first")
                .map_err(|error| failed("a datagram can't be sent", &error))?;
            wait_for_frame(&card)
        },
    )?;
    bench.report("driver_restart", cost);
    Ok(())
}

/// Asks until a frame went out. Card and stack are more urgent than we are, so the second answer is the right one already.
fn wait_for_frame(card: &nic::Client) -> Result<(), StartError> {
    for _ in 0..MOST_QUESTIONS {
        let stats = card
            .stats(patience())
            .map_err(|error| failed("the card does not answer", &error))?;
        if stats.sent > 0 {
            return Ok(());
        }
    }
    Err(StartError::Other("no frame went out".into()))
}

fn failed(what: &str, why: &dyn core::fmt::Display) -> StartError {
    StartError::Other(format!("{what}: {why}"))
}

fn wait_for_address(sockets: &socket::Client) -> Result<(), StartError> {
    for _ in 0..MOST_PAUSES {
        let interfaces = sockets.interfaces(patience()).unwrap_or_default();
        if interfaces
            .iter()
            .any(|interface| !interface.addresses.is_empty())
        {
            return Ok(());
        }
        thread::pause(Deadline::after_ms(PAUSE_MS))?;
    }
    Err(StartError::Other("the network gets no address".into()))
}

/// A TCP connection with the host.
struct Stream {
    client: tcp::Client,
    sent: Cell<u64>,
    received: Cell<u64>,
    chunk: RefCell<[u8; MAX_CHUNK_BYTES]>,
}

impl Stream {
    fn connect(sockets: &socket::Client, port: u16) -> Result<Self, StartError> {
        let ip = IpAddress::V4(ADDRESS.octets());
        let connection = sockets
            .connect(patience(), SocketAddress { ip, port })
            .map_err(|error| failed("the host does not answer", &error))?;
        Ok(Self {
            client: tcp::Client::adopt(connection),
            sent: Cell::new(0),
            received: Cell::new(0),
            chunk: RefCell::new([0x5a; MAX_CHUNK_BYTES]),
        })
    }

    fn send(&self, bytes: usize) -> Result<(), StartError> {
        let end = self.sent.get() + bytes as u64;
        let chunk = self.chunk.borrow();
        while self.sent.get() < end {
            let count = (end - self.sent.get()).min(MAX_CHUNK_BYTES as u64) as usize;
            let position = self
                .client
                .send(patience(), self.sent.get(), &chunk[..count])
                .map_err(|error| failed("sending", &error))?;
            self.sent.set(position);
        }
        Ok(())
    }

    fn receive(&self, bytes: usize) -> Result<(), StartError> {
        let end = self.received.get() + bytes as u64;
        while self.received.get() < end {
            let chunk = self
                .client
                .receive(patience(), self.received.get(), MAX_CHUNK_BYTES as u32)
                .map_err(|error| failed("receiving", &error))?;
            if chunk.end && chunk.data.is_empty() {
                return Err(StartError::Other("the host closed the connection".into()));
            }
            self.received.set(chunk.at + chunk.data.len() as u64);
        }
        Ok(())
    }
}
