//! Just enough HTTP/1.1 (RFC 9112): requests with a length or in chunks, replies with a length.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Bytes of the request line and headers, at most.
pub const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// A request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// The verb.
    pub verb: String,
    /// The path, without the query.
    pub path: String,
    /// `Authorization: Bearer …`.
    pub bearer: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `Host`.
    pub host: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection goes on afterwards.
    pub keep_alive: bool,
}

/// Why bytes are no request. After it the connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpError {
    /// They make no sense.
    Malformed,
    /// The headers are too long.
    HeadTooLarge,
    /// The body is too long.
    BodyTooLarge,
    /// It is coded in a way that we don't know.
    UnknownCoding,
}

impl HttpError {
    /// The status to answer with.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::HeadTooLarge => 431,
            Self::BodyTooLarge => 413,
            Self::UnknownCoding => 501,
        }
    }
}

enum Body {
    Length(usize),
    Chunked,
}

/// Takes one request from the front of `buffer`; `None` if it is not complete. What was used is removed. `limit` says by the headers how many bytes the body
/// may have, so that a stranger's is not waited for.
pub fn next(
    buffer: &mut Vec<u8>,
    limit: impl FnOnce(&Request) -> usize,
) -> Result<Option<Request>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if buffer.len() > MAX_HEAD => {
            return Err(HttpError::HeadTooLarge);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpError::HeadTooLarge),
        Err(_) => return Err(HttpError::Malformed),
    };
    if head > MAX_HEAD {
        return Err(HttpError::HeadTooLarge);
    }
    let (mut request, body) = describe(&parsed)?;
    let limit = limit(&request);
    let used = match body {
        Body::Length(length) if length > limit => return Err(HttpError::BodyTooLarge),
        Body::Length(length) if buffer.len() < head + length => return Ok(None),
        Body::Length(length) => {
            request.body = buffer[head..head + length].to_vec();
            head + length
        }
        Body::Chunked => match dechunk(&buffer[head..], limit)? {
            None => return Ok(None),
            Some((body, used)) => {
                request.body = body;
                head + used
            }
        },
    };
    buffer.drain(..used);
    Ok(Some(request))
}

fn describe(parsed: &httparse::Request<'_, '_>) -> Result<(Request, Body), HttpError> {
    let mut request = Request {
        verb: parsed.method.unwrap_or_default().to_string(),
        path: parsed
            .path
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default()
            .to_string(),
        keep_alive: parsed.version == Some(1),
        ..Request::default()
    };
    let (mut length, mut chunked) = (None, false);
    for header in parsed.headers.iter() {
        let value = core::str::from_utf8(header.value)
            .map_err(|_| HttpError::Malformed)?
            .trim();
        match header.name.to_ascii_lowercase().as_str() {
            "authorization" => {
                request.bearer = value
                    .strip_prefix("Bearer ")
                    .map(|token| token.trim().to_string())
            }
            "origin" => request.origin = Some(value.to_string()),
            // Two different hosts are a way to have one checked and the other believed.
            "host" if request.host.is_some() => return Err(HttpError::Malformed),
            "host" => request.host = Some(value.to_string()),
            "connection" if value.eq_ignore_ascii_case("close") => request.keep_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => request.keep_alive = true,
            "content-length" => {
                let number = value.parse().map_err(|_| HttpError::Malformed)?;
                if length.replace(number).is_some_and(|other| other != number) {
                    return Err(HttpError::Malformed);
                }
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => chunked = true,
            "transfer-encoding" => return Err(HttpError::UnknownCoding),
            _ => {}
        }
    }
    match (length, chunked) {
        // Both at once is how requests are smuggled (RFC 9112 §6.1).
        (Some(_), true) => Err(HttpError::Malformed),
        (Some(length), false) => Ok((request, Body::Length(length))),
        (None, true) => Ok((request, Body::Chunked)),
        (None, false) => Ok((request, Body::Length(0))),
    }
}

/// The body and how many bytes it took. It is copied once it is complete: bytes come in small pieces, and all of them are looked at each time.
fn dechunk(bytes: &[u8], limit: usize) -> Result<Option<(Vec<u8>, usize)>, HttpError> {
    let (mut chunks, mut length, mut at) = (Vec::new(), 0, 0);
    loop {
        let (start, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((line, size))) => (
                at + line,
                usize::try_from(size).map_err(|_| HttpError::BodyTooLarge)?,
            ),
            Ok(httparse::Status::Partial) if bytes.len() - at > 1024 => {
                return Err(HttpError::Malformed);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::Malformed),
        };
        if size > limit - length {
            return Err(HttpError::BodyTooLarge);
        }
        if size == 0 {
            let end = trailer_end(&bytes[start..])?;
            return Ok(end.map(|end| (chunks.concat(), start + end)));
        }
        let Some(chunk) = bytes.get(start..start + size + 2) else {
            return Ok(None);
        };
        if &chunk[size..] != b"\r\n" {
            return Err(HttpError::Malformed);
        }
        chunks.push(&chunk[..size]);
        length += size;
        at = start + size + 2;
    }
}

/// Trailers are skipped up to their empty line.
fn trailer_end(bytes: &[u8]) -> Result<Option<usize>, HttpError> {
    if bytes.starts_with(b"\r\n") {
        return Ok(Some(2));
    }
    match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(at) => Ok(Some(at + 4)),
        None if bytes.len() > MAX_HEAD => Err(HttpError::HeadTooLarge),
        None => Ok(None),
    }
}

impl Request {
    /// Whether the request may come from where it says: no foreign page (`Origin`), and a `Host` that is an address or `localhost`, so that a name that was bound
    /// to this address afterwards does not count.
    pub fn is_local(&self) -> bool {
        self.origin.is_none() && self.host.as_deref().is_some_and(is_plain_host)
    }
}

fn is_plain_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
            .map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<core::net::IpAddr>().is_ok()
}

/// A reply.
pub fn response(status: u16, content_type: &str, body: &[u8], keep_alive: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Error",
    };
    let mut bytes = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !body.is_empty() {
        bytes += &format!("Content-Type: {content_type}\r\n");
    }
    if status == 401 {
        bytes += "WWW-Authenticate: Bearer\r\n";
    }
    bytes += if keep_alive {
        "\r\n"
    } else {
        "Connection: close\r\n\r\n"
    };
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Result<Option<Request>, HttpError> {
        next(&mut text.as_bytes().to_vec(), |_| 100)
    }

    #[test]
    fn both_kinds_of_body_are_read_and_what_follows_is_kept() {
        for text in [
            "POST /rpc?x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGET",
            "POST /rpc HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\nGET",
        ] {
            let mut buffer = text.as_bytes().to_vec();
            for cut in 0..buffer.len() - 3 {
                assert_eq!(
                    next(&mut buffer[..cut].to_vec(), |_| 100),
                    Ok(None),
                    "{cut}"
                );
            }
            let request = next(&mut buffer, |_| 100)
                .expect("valid")
                .expect("complete");
            assert_eq!(
                (
                    request.verb.as_str(),
                    request.path.as_str(),
                    &request.body[..]
                ),
                ("POST", "/rpc", &b"hello"[..])
            );
            assert_eq!(buffer, b"GET");
        }
    }

    #[test]
    fn requests_that_two_readers_may_read_differently_are_refused() {
        let both = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(one(both), Err(HttpError::Malformed));
        assert_eq!(
            one("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
            Err(HttpError::Malformed)
        );
        assert_eq!(
            one("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            Err(HttpError::Malformed)
        );
        assert_eq!(
            one("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"),
            Err(HttpError::UnknownCoding)
        );
    }

    #[test]
    fn the_headers_say_how_long_the_body_may_be() {
        let text = |bearer: &str| {
            format!(
                "POST / HTTP/1.1\r\nAuthorization: Bearer {bearer}\r\nContent-Length: 50\r\n\r\n{}",
                "x".repeat(50)
            )
        };
        let next = |bearer: &str| {
            next(&mut text(bearer).into_bytes(), |request| {
                if request.bearer.as_deref() == Some("good") {
                    50
                } else {
                    49
                }
            })
        };
        assert!(next("good").is_ok_and(|request| request.is_some()));
        assert_eq!(next("bad"), Err(HttpError::BodyTooLarge));
    }

    #[test]
    fn limits_hold() {
        assert_eq!(
            one("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"),
            Err(HttpError::BodyTooLarge)
        );
        assert_eq!(
            one("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"),
            Err(HttpError::BodyTooLarge)
        );
        let long = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(MAX_HEAD));
        assert_eq!(one(&long), Err(HttpError::HeadTooLarge));
    }

    #[test]
    fn only_addresses_and_localhost_are_local() {
        let with = |host: &str, origin: Option<&str>| Request {
            host: Some(host.to_string()),
            origin: origin.map(ToString::to_string),
            ..Request::default()
        };
        for host in [
            "localhost",
            "localhost:7000",
            "127.0.0.1:80",
            "[::1]:80",
            "[::1]",
            "10.0.2.15",
        ] {
            assert!(with(host, None).is_local(), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:7000",
            "127.0.0.1.evil.example",
            "",
            "localhost:x",
        ] {
            assert!(!with(host, None).is_local(), "{host}");
        }
        assert!(!with("localhost", Some("http://evil.example")).is_local());
        assert!(!Request::default().is_local());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = next(&mut bytes, |_| 100);
        }

        #[test]
        fn random_chunks_never_panic(body in "[0-9a-f;\r\n ]{0,100}") {
            let _ = one(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        }
    }
}
