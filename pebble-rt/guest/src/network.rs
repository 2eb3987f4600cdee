//! The operations of the family `net`: names and TCP.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use libipc::Instant;
use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, SystemError};
use protocols::socket::{self, IpAddress, MAX_CHUNK_BYTES, SocketAddress, tcp, tcp_listener};

use crate::errors::{of_call, of_socket};
use crate::guest::Guest;
use crate::operations::{Done, Outcome, bytes, integer, now, number, record, text};

/// Open sockets.
#[derive(Default)]
pub struct Sockets {
    open: BTreeMap<i64, Socket>,
    last: i64,
}

enum Socket {
    Stream {
        client: tcp::Client,
        sent: u64,
        received: u64,
    },
    Listener(tcp_listener::Client),
}

impl Sockets {
    fn add(&mut self, socket: Socket) -> i64 {
        self.last += 1;
        self.open.insert(self.last, socket);
        self.last
    }
}

/// Handles a request of the family.
pub fn handle(guest: &mut Guest, request: &Request) -> Outcome {
    match request.operation {
        "lookup" => lookup(guest, request),
        "resolve" => {
            let addresses = resolve(guest, text(request, 0)?)?;
            now(Data::List(
                addresses
                    .into_iter()
                    .map(|address| Data::Text(shown(address).to_string()))
                    .collect(),
            ))
        }
        "tcp_probe" => probe(guest, request),
        "connect" => connect(guest, request),
        "listen" => listen(guest, request),
        "accept" => accept(guest, request),
        "send" => send(guest, request),
        "recv" => receive(guest, request),
        "close" => {
            let id = integer(request, 0)?;
            match guest.sockets.open.remove(&id) {
                Some(Socket::Stream { client, .. }) => {
                    // A connection that is gone needs no farewell.
                    let _ = client.finish(Guest::soon());
                    now(Data::None)
                }
                Some(Socket::Listener(_)) => now(Data::None),
                None => Err(not_open(id)),
            }
        }
        _ => Err(SystemError::unknown(request)),
    }
}

fn not_open(id: i64) -> SystemError {
    SystemError::new(errno::INVAL, format!("socket {id} is not open"))
}

fn client(guest: &Guest) -> Result<&socket::Client, SystemError> {
    guest
        .services
        .socket
        .as_ref()
        .ok_or_else(|| SystemError::new(errno::NOSYS, "no network was granted"))
}

fn shown(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::V4(octets) => IpAddr::from(octets),
        IpAddress::V6(octets) => IpAddr::from(octets),
    }
}

fn resolve(guest: &Guest, host: &str) -> Result<Vec<IpAddress>, SystemError> {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => return Ok(vec![IpAddress::V4(address.octets())]),
        Ok(IpAddr::V6(address)) => return Ok(vec![IpAddress::V6(address.octets())]),
        Err(_) if host == "localhost" => return Ok(vec![IpAddress::V4([127, 0, 0, 1])]),
        Err(_) => {}
    }
    client(guest)?
        .resolve(Guest::soon(), host)
        .map_err(|error| of_call(error, of_socket))
}

fn lookup(guest: &mut Guest, request: &Request) -> Outcome {
    let host = text(request, 0)?;
    let (addresses, error) = match resolve(guest, host) {
        Ok(addresses) => (
            addresses
                .into_iter()
                .map(|address| Data::Text(shown(address).to_string()))
                .collect(),
            String::new(),
        ),
        Err(error) => (Vec::new(), error.text),
    };
    now(record([
        ("ok", Data::Number(i64::from(error.is_empty()))),
        ("host", Data::Text(host.into())),
        ("addresses", Data::List(addresses)),
        ("error", Data::Text(error)),
    ]))
}

fn open(guest: &Guest, host: &str, port: i64) -> Result<(tcp::Client, IpAddress), SystemError> {
    let port = u16::try_from(port)
        .map_err(|_| SystemError::new(errno::INVAL, "a port is a number from 0 to 65535"))?;
    let ip = resolve(guest, host)?
        .first()
        .copied()
        .ok_or_else(|| SystemError::new(errno::IO, "name not found"))?;
    let connection = client(guest)?
        .connect(Guest::soon(), SocketAddress { ip, port })
        .map_err(|error| of_call(error, of_socket))?;
    Ok((tcp::Client::adopt(connection), ip))
}

fn probe(guest: &mut Guest, request: &Request) -> Outcome {
    let (host, port) = (text(request, 0)?, integer(request, 1)?);
    let before = Instant::now();
    let result = open(guest, host, port);
    let latency = Instant::now().since(before).as_millis() as u64;
    let (address, error) = match result {
        Ok((client, address)) => {
            // It was only to see whether somebody answers.
            let _ = client.abort(Guest::soon());
            (shown(address).to_string(), String::new())
        }
        Err(error) => (String::new(), error.text),
    };
    now(record([
        ("ok", Data::Number(i64::from(error.is_empty()))),
        ("host", Data::Text(host.into())),
        ("address", Data::Text(address)),
        ("port", Data::Number(port)),
        ("latency_ms", number(latency)),
        ("error", Data::Text(error)),
    ]))
}

fn connect(guest: &mut Guest, request: &Request) -> Outcome {
    let (client, _) = open(guest, text(request, 0)?, integer(request, 1)?)?;
    now(Data::Number(guest.sockets.add(Socket::Stream {
        client,
        sent: 0,
        received: 0,
    })))
}

fn listen(guest: &mut Guest, request: &Request) -> Outcome {
    let port = u16::try_from(integer(request, 0)?)
        .map_err(|_| SystemError::new(errno::INVAL, "a port is a number from 0 to 65535"))?;
    let (connection, _) = client(guest)?
        .listen(Guest::soon(), port, 8)
        .map_err(|error| of_call(error, of_socket))?;
    now(Data::Number(guest.sockets.add(Socket::Listener(
        tcp_listener::Client::adopt(connection),
    ))))
}

fn accept(guest: &mut Guest, request: &Request) -> Outcome {
    let id = integer(request, 0)?;
    let Some(Socket::Listener(listener)) = guest.sockets.open.get(&id) else {
        return Err(not_open(id));
    };
    let pending = listener
        .start_accept(&guest.calls, Guest::late())
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    let token = guest.token();
    guest.when_done(pending, move |guest, result| {
        let answer = match result {
            Ok((connection, _)) => {
                let client = tcp::Client::adopt(connection);
                Ok(Data::Number(guest.sockets.add(Socket::Stream {
                    client,
                    sent: 0,
                    received: 0,
                })))
            }
            Err(error) => Err(of_call(error, of_socket)),
        };
        Some((token, answer))
    });
    Ok(Done::Later(token))
}

fn send(guest: &mut Guest, request: &Request) -> Outcome {
    let (id, data) = (integer(request, 0)?, bytes(request, 1)?);
    let Some(Socket::Stream { client, sent, .. }) = guest.sockets.open.get_mut(&id) else {
        return Err(not_open(id));
    };
    let mut rest = data;
    while !rest.is_empty() {
        let piece = &rest[..rest.len().min(MAX_CHUNK_BYTES)];
        let position = client
            .send(Guest::late(), *sent, piece)
            .map_err(|error| of_call(error, of_socket))?;
        let taken = (position.saturating_sub(*sent) as usize).min(piece.len());
        *sent = position;
        rest = &rest[taken..];
    }
    now(number(data.len() as u64))
}

fn receive(guest: &mut Guest, request: &Request) -> Outcome {
    let id = integer(request, 0)?;
    let most = u32::try_from(integer(request, 1).unwrap_or(MAX_CHUNK_BYTES as i64))
        .unwrap_or(1)
        .clamp(1, MAX_CHUNK_BYTES as u32);
    let Some(Socket::Stream {
        client, received, ..
    }) = guest.sockets.open.get(&id)
    else {
        return Err(not_open(id));
    };
    let pending = client
        .start_receive(&guest.calls, Guest::late(), *received, most)
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    let token = guest.token();
    guest.when_done(pending, move |guest, result| {
        let answer = match result {
            Ok(chunk) => {
                if let Some(Socket::Stream { received, .. }) = guest.sockets.open.get_mut(&id) {
                    *received = chunk.at + chunk.data.len() as u64;
                }
                Ok(Data::Bytes(chunk.data))
            }
            Err(error) => Err(of_call(error, of_socket)),
        };
        Some((token, answer))
    });
    Ok(Done::Later(token))
}
