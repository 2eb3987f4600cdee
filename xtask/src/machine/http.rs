//! Just enough HTTP/1.1 (RFC 9112) for a test to ask agentd something: one request, one reply, then the connection closes.

use crate::deadline::Deadline;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// The longest reply that is read: agentd's own limit is half of it.
const MAX_REPLY_BYTES: u64 = 8 << 20;

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header lines, as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Sends a request to `port` on the loopback interface.
pub fn request(
    port: u16,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    deadline: Deadline,
) -> Result<Reply> {
    let mut stream = connect(port, deadline)?;
    let mut head = format!(
        "{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(body)?;
    let bytes = read_to_end(&mut stream, deadline)?;
    parse(&bytes)
        .with_context(|| format!("not an HTTP reply: {:?}", String::from_utf8_lossy(&bytes)))
}

/// Connects to `port` on the loopback interface. With user networking success says nothing about the guest.
pub fn connect(port: u16, deadline: Deadline) -> Result<TcpStream> {
    let remaining = deadline.remaining().context("too late to connect")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream =
        TcpStream::connect_timeout(&address, remaining).with_context(|| format!("port {port}"))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(remaining))?;
    Ok(stream)
}

fn read_to_end(stream: &mut TcpStream, deadline: Deadline) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16384];
    loop {
        stream.set_read_timeout(Some(
            deadline.remaining().context("the reply comes too late")?,
        ))?;
        match stream.read(&mut buffer)? {
            0 => return Ok(bytes),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
        if bytes.len() as u64 > MAX_REPLY_BYTES {
            bail!("the reply is longer than {MAX_REPLY_BYTES} bytes");
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.1 ")?
        .get(..3)?
        .parse()
        .ok()?;
    let header = |line: &str| {
        line.split_once(':')
            .map(|(name, value)| (name.to_string(), value.trim().to_string()))
    };
    let headers: Vec<(String, String)> = lines.map(header).collect::<Option<_>>()?;
    let value_of = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
    };
    let rest = &bytes[end + 4..];
    let body = match (value_of("transfer-encoding"), value_of("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => dechunk(rest)?,
        (_, Some(length)) => rest.get(..length.parse().ok()?)?.to_vec(),
        _ => rest.to_vec(),
    };
    Some(Reply {
        status,
        headers,
        body,
    })
}

fn dechunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end])
            .ok()?
            .split(';')
            .next()?
            .trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        let rest = &bytes[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        bytes = rest.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_body_ends_where_the_length_says() {
        let reply = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nokmore")
            .expect("it is whole");
        assert_eq!((reply.status, reply.body), (200, b"ok".to_vec()));
        assert_eq!(reply.headers[1], ("X".into(), "y".into()));
    }

    #[test]
    fn chunks_are_put_together() {
        let reply = parse(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n");
        assert_eq!(reply.map(|reply| reply.body), Some(b"abcd".to_vec()));
    }

    proptest! {
        #[test]
        fn random_replies_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = parse(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes.as_slice()].concat());
        }
    }
}
