//! The operations of the family `net`: names, sockets, and pages over plain HTTP.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pebble_rt::modules::errno;
use pebble_rt::system::{Answer, Data, Request, SystemError};

use super::HostSystem;
use super::files::io_error;
use super::operations::{Done, Outcome, bytes, integer, now, text};

/// The longest wait that a program may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// The most of a page that is read.
const MAX_PAGE_BYTES: u64 = 64 << 20;

/// How many times a page may say that it is elsewhere.
const MAX_REDIRECTS: usize = 5;

/// The sockets of a process.
#[derive(Debug, Default)]
pub struct Sockets {
    open: HashMap<i64, Socket>,
    last: i64,
}

#[derive(Clone, Debug)]
enum Socket {
    Stream(Arc<TcpStream>),
    Listener(Arc<TcpListener>),
}

impl Sockets {
    fn add(&mut self, socket: Socket) -> i64 {
        self.last += 1;
        self.open.insert(self.last, socket);
        self.last
    }

    fn stream(&self, number: i64) -> Result<Arc<TcpStream>, SystemError> {
        match self.open.get(&number) {
            Some(Socket::Stream(stream)) => Ok(stream.clone()),
            Some(Socket::Listener(_)) => Err(SystemError::new(
                errno::INVAL,
                "the socket is not connected",
            )),
            None => Err(SystemError::new(
                errno::INVAL,
                format!("socket {number} is not open"),
            )),
        }
    }
}

/// Handles a request of the family.
pub fn handle(system: &mut HostSystem, request: &Request) -> Outcome {
    match request.operation {
        "lookup" => {
            let host = text(request, 0)?.to_string();
            later(system, move || Ok(lookup(&host)))
        }
        "resolve" => {
            let host = text(request, 0)?.to_string();
            later(system, move || {
                let addresses = addresses_of(&host, 0).map_err(|error| io_error(&error))?;
                Ok(Data::List(
                    addresses
                        .iter()
                        .map(|address| Data::Text(address.ip().to_string()))
                        .collect(),
                ))
            })
        }
        "tcp_probe" => {
            let (host, port, wait) = (
                text(request, 0)?.to_string(),
                integer(request, 1)?,
                integer(request, 2)?,
            );
            later(system, move || Ok(probe(&host, port, milliseconds(wait))))
        }
        "http_get" => {
            let (url, wait) = (text(request, 0)?.to_string(), integer(request, 1)?);
            later(system, move || Ok(page(&url, milliseconds(wait))))
        }
        "ai_chat" => chat(system, request),
        "connect" => connect(system, request),
        "listen" => listen(system, request),
        "accept" => accept(system, request),
        "send" => send(system, request),
        "recv" => receive(system, request),
        "close" => close(system, request),
        _ => Err(SystemError::unknown(request)),
    }
}

fn later(system: &mut HostSystem, work: impl FnOnce() -> Answer + Send + 'static) -> Outcome {
    Ok(Done::Later(system.on_thread(work)))
}

fn milliseconds(wait: i64) -> Duration {
    Duration::from_millis(u64::try_from(wait).unwrap_or(0)).clamp(Duration::from_millis(1), LONGEST)
}

fn addresses_of(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.dedup();
    Ok(addresses)
}

fn flag(truth: bool) -> Data {
    Data::Number(i64::from(truth))
}

fn lookup(host: &str) -> Data {
    let found = addresses_of(host, 0);
    let error = found
        .as_ref()
        .err()
        .map_or(String::new(), |_| format!("cannot find host '{host}'"));
    let addresses = found.unwrap_or_default();
    Data::Record(vec![
        ("ok".into(), flag(error.is_empty())),
        ("host".into(), Data::Text(host.into())),
        (
            "addresses".into(),
            Data::List(
                addresses
                    .iter()
                    .map(|one| Data::Text(one.ip().to_string()))
                    .collect(),
            ),
        ),
        ("error".into(), Data::Text(error)),
    ])
}

fn open_stream(host: &str, port: u16, wait: Duration) -> Result<(TcpStream, SocketAddr), String> {
    let addresses = addresses_of(host, port).map_err(|_| format!("cannot find host '{host}'"))?;
    let mut failure = format!("cannot find host '{host}'");
    for address in addresses {
        match TcpStream::connect_timeout(&address, wait) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => {
                failure = match error.kind() {
                    io::ErrorKind::ConnectionRefused => "connection refused".into(),
                    io::ErrorKind::TimedOut => "timed out".into(),
                    _ => "cannot connect".into(),
                };
            }
        }
    }
    Err(failure)
}

fn probe(host: &str, port: i64, wait: Duration) -> Data {
    let started = Instant::now();
    let opened = match u16::try_from(port) {
        Ok(port) => open_stream(host, port, wait),
        Err(_) => Err("invalid port".into()),
    };
    let latency = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    let (address, error) = match opened {
        Ok((_, address)) => (address.ip().to_string(), String::new()),
        Err(error) => (String::new(), error),
    };
    Data::Record(vec![
        ("ok".into(), flag(error.is_empty())),
        ("host".into(), Data::Text(host.into())),
        ("address".into(), Data::Text(address)),
        ("port".into(), Data::Number(port)),
        ("latency_ms".into(), Data::Number(latency)),
        ("error".into(), Data::Text(error)),
    ])
}

/// A response of a web server.
#[derive(Debug, Default)]
struct Page {
    status: i64,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Page {
    fn header(&self, wanted: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
    }
}

/// The parts of `http://HOST[:PORT]/PATH`.
fn split_url(url: &str) -> Result<(String, u16, String), String> {
    if url.starts_with("https://") {
        return Err("https is not available here".into());
    }
    let rest = url.strip_prefix("http://").ok_or("unsupported URL")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| "invalid port")?),
        None => (authority, 80),
    };
    if host.is_empty() || url.contains(char::is_whitespace) {
        return Err("unsupported URL".into());
    }
    Ok((host.to_string(), port, path.to_string()))
}

fn exchange(
    url: &str,
    method: &str,
    extra: &str,
    body: &[u8],
    wait: Duration,
) -> Result<Page, String> {
    let (host, port, path) = split_url(url)?;
    let (mut stream, _) = open_stream(&host, port, wait)?;
    let failed = |_| "the connection broke".to_string();
    stream.set_read_timeout(Some(wait)).map_err(failed)?;
    stream.set_write_timeout(Some(wait)).map_err(failed)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: pebble\r\nAccept: */*\r\nConnection: close\r\n{extra}\r\n"
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .map_err(failed)?;
    let mut raw = Vec::new();
    match stream.take(MAX_PAGE_BYTES).read_to_end(&mut raw) {
        Ok(_) => parse_page(&raw),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ) =>
        {
            Err("timed out".into())
        }
        Err(_) => Err("the connection broke".into()),
    }
}

fn parse_page(raw: &[u8]) -> Result<Page, String> {
    let end = raw
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or("invalid response")?;
    let head = String::from_utf8_lossy(&raw[..end]);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let mut page = Page {
        status: status.ok_or("invalid response")?,
        ..Page::default()
    };
    for line in lines {
        if let Some((name, value)) = line.split_once(':') {
            page.headers
                .push((name.trim().to_string(), value.trim().to_string()));
        }
    }
    let body = &raw[end + 4..];
    let is_chunked = page
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = page
        .header("content-length")
        .and_then(|value| value.parse::<usize>().ok());
    page.body = match (is_chunked, length) {
        (true, _) => join_chunks(body).ok_or("invalid response")?,
        (false, Some(length)) => body[..length.min(body.len())].to_vec(),
        (false, None) => body.to_vec(),
    };
    Ok(page)
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = core::str::from_utf8(&rest[..end])
            .ok()?
            .split(';')
            .next()?
            .trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(joined);
        }
        joined.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

fn page(url: &str, wait: Duration) -> Data {
    let mut at = url.to_string();
    let mut fetched = Err("too many redirects".to_string());
    for _ in 0..=MAX_REDIRECTS {
        fetched = exchange(&at, "GET", "", &[], wait);
        let target = match &fetched {
            Ok(page) if (300..400).contains(&page.status) => {
                page.header("location").map(str::to_string)
            }
            _ => None,
        };
        match target {
            Some(target) => at = absolute(&at, &target),
            None => break,
        }
    }
    let (page, error) = match fetched {
        Ok(page) => (page, String::new()),
        Err(error) => (Page::default(), error),
    };
    let headers = page
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), Data::Text(value.clone())))
        .collect();
    Data::Record(vec![
        (
            "ok".into(),
            flag(error.is_empty() && (200..300).contains(&page.status)),
        ),
        ("status".into(), Data::Number(page.status)),
        (
            "body".into(),
            Data::Text(String::from_utf8_lossy(&page.body).into_owned()),
        ),
        ("headers".into(), Data::Record(headers)),
        ("url".into(), Data::Text(at)),
        ("error".into(), Data::Text(error)),
        ("insecure_tls".into(), flag(false)),
    ])
}

fn absolute(base: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_string();
    }
    let authority_end = base
        .get(7..)
        .and_then(|rest| rest.find('/'))
        .map_or(base.len(), |at| at + 7);
    format!(
        "{}{}{target}",
        &base[..authority_end],
        if target.starts_with('/') { "" } else { "/" }
    )
}

/// One question to a chat service: base, key, model, system prompt, history, prompt, milliseconds as text.
fn chat(system: &mut HostSystem, request: &Request) -> Outcome {
    let base = text(request, 0)?.trim_end_matches('/').to_string();
    let key = text(request, 1)?.to_string();
    let wait = milliseconds(text(request, 6)?.parse().unwrap_or(60_000));
    let mut messages = vec![message("system", text(request, 3)?)];
    if let Some(Data::List(history)) = request.arguments.get(4) {
        for entry in history {
            messages.extend(history_message(entry));
        }
    }
    messages.push(message("user", text(request, 5)?));
    let mut body = String::from("{\"model\":");
    pebble_rt::modules::json::push_string(&mut body, text(request, 2)?);
    body.push_str(",\"messages\":[");
    body.push_str(&messages.join(","));
    body.push_str("]}");
    if key.contains(['\r', '\n']) {
        return Err(SystemError::new(errno::INVAL, "invalid key"));
    }
    later(system, move || Ok(ask(&base, &key, &body, wait)))
}

fn message(role: &str, content: &str) -> String {
    let mut out = format!("{{\"role\":\"{role}\",\"content\":");
    pebble_rt::modules::json::push_string(&mut out, content);
    out.push('}');
    out
}

fn history_message(entry: &Data) -> Option<String> {
    let Data::Record(fields) = entry else {
        return None;
    };
    let field = |wanted: &str| {
        fields.iter().find_map(|(name, value)| match value {
            Data::Text(text) if name == wanted => Some(text.as_str()),
            _ => None,
        })
    };
    let role = if field("role")? == "assistant" {
        "assistant"
    } else {
        "user"
    };
    Some(message(role, field("content")?))
}

fn ask(base: &str, key: &str, body: &str, wait: Duration) -> Data {
    let url = format!("{base}/chat/completions");
    let extra = format!(
        "Content-Type: application/json\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n",
        body.len()
    );
    let answered = exchange(&url, "POST", &extra, body.as_bytes(), wait);
    let (status, content, error) = match answered {
        Ok(page) => {
            let text = String::from_utf8_lossy(&page.body).into_owned();
            match first_content(&text) {
                Some(content) if page.status == 200 => (page.status, content, String::new()),
                _ => (
                    page.status,
                    String::new(),
                    format!("the service answered with status {}", page.status),
                ),
            }
        }
        Err(error) => (0, String::new(), error),
    };
    Data::Record(vec![
        ("ok".into(), flag(error.is_empty())),
        ("status".into(), Data::Number(status)),
        ("content".into(), Data::Text(content)),
        ("url".into(), Data::Text(url)),
        ("error".into(), Data::Text(error)),
        ("insecure_tls".into(), flag(false)),
    ])
}

/// The text under the first key `content` of a JSON text.
fn first_content(text: &str) -> Option<String> {
    use pebble_rt::modules::json::{JsonBuilder, Scalar, read};
    #[derive(Default)]
    struct Finder {
        is_next: bool,
        found: Option<String>,
    }
    impl JsonBuilder for Finder {
        type Error = ();
        fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), ()> {
            if let (true, None, Scalar::String(text)) = (self.is_next, &self.found, scalar) {
                self.found = Some(text);
            }
            self.is_next = false;
            Ok(())
        }
        fn begin_array(&mut self) -> Result<(), ()> {
            self.is_next = false;
            Ok(())
        }
        fn begin_object(&mut self) -> Result<(), ()> {
            self.is_next = false;
            Ok(())
        }
        fn key(&mut self, key: String) -> Result<(), ()> {
            self.is_next = key == "content";
            Ok(())
        }
        fn end(&mut self) -> Result<(), ()> {
            Ok(())
        }
    }
    let mut finder = Finder::default();
    read(text, &mut finder).ok()?;
    finder.found
}

fn port_of(request: &Request, index: usize) -> Result<u16, SystemError> {
    u16::try_from(integer(request, index)?)
        .map_err(|_| SystemError::new(errno::INVAL, "invalid port"))
}

fn connect(system: &mut HostSystem, request: &Request) -> Outcome {
    let (host, port) = (text(request, 0)?.to_string(), port_of(request, 1)?);
    let wait = milliseconds(integer(request, 2).unwrap_or(10_000));
    // The number is given out once the connection stands, so this waits here: at most as long as was asked for.
    let (stream, _) =
        open_stream(&host, port, wait).map_err(|text| SystemError::new(errno::IO, text))?;
    now(Data::Number(
        system.sockets.add(Socket::Stream(Arc::new(stream))),
    ))
}

fn listen(system: &mut HostSystem, request: &Request) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port_of(request, 0)?))
        .map_err(|error| io_error(&error))?;
    now(Data::Number(
        system.sockets.add(Socket::Listener(Arc::new(listener))),
    ))
}

fn accept(system: &mut HostSystem, request: &Request) -> Outcome {
    let number = integer(request, 0)?;
    let Some(Socket::Listener(listener)) = system.sockets.open.get(&number).cloned() else {
        return Err(SystemError::new(errno::INVAL, "the socket does not listen"));
    };
    let (stream, _) = listener.accept().map_err(|error| io_error(&error))?;
    now(Data::Number(
        system.sockets.add(Socket::Stream(Arc::new(stream))),
    ))
}

fn send(system: &mut HostSystem, request: &Request) -> Outcome {
    let stream = system.sockets.stream(integer(request, 0)?)?;
    let content = bytes(request, 1)?.to_vec();
    later(system, move || {
        (&*stream)
            .write_all(&content)
            .map_err(|error| io_error(&error))?;
        Ok(Data::Number(
            i64::try_from(content.len()).unwrap_or(i64::MAX),
        ))
    })
}

fn receive(system: &mut HostSystem, request: &Request) -> Outcome {
    let stream = system.sockets.stream(integer(request, 0)?)?;
    let most = usize::try_from(integer(request, 1).unwrap_or(65_536))
        .unwrap_or(0)
        .clamp(1, 1 << 20);
    later(system, move || {
        let mut content = vec![0; most];
        let read = (&*stream)
            .read(&mut content)
            .map_err(|error| io_error(&error))?;
        content.truncate(read);
        Ok(Data::Bytes(content))
    })
}

fn close(system: &mut HostSystem, request: &Request) -> Outcome {
    let number = integer(request, 0)?;
    match system.sockets.open.remove(&number) {
        Some(Socket::Stream(stream)) => {
            let _ = stream.shutdown(Shutdown::Both);
            now(Data::None)
        }
        Some(Socket::Listener(_)) => now(Data::None),
        None => Err(SystemError::new(
            errno::INVAL,
            format!("socket {number} is not open"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_pages_are_taken_apart() {
        assert_eq!(
            split_url("http://h:81/a?b"),
            Ok(("h".into(), 81, "/a?b".into()))
        );
        assert_eq!(split_url("http://h"), Ok(("h".into(), 80, "/".into())));
        assert!(
            split_url("ftp://h").is_err()
                && split_url("http://").is_err()
                && split_url("http://a b/").is_err()
        );
        assert_eq!(absolute("http://h:81/a/b", "/c"), "http://h:81/c");
    }

    #[test]
    fn chunked_pages_are_joined() {
        let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert_eq!(
            parse_page(raw).map(|page| (page.status, page.body)),
            Ok((200, b"abcde".to_vec()))
        );
        assert!(parse_page(b"nonsense").is_err());
        assert!(
            parse_page(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"
            )
            .is_err()
        );
    }

    #[test]
    fn a_page_comes_over_loopback() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                .expect("the client reads");
        });
        let fetched = page(&format!("http://127.0.0.1:{port}/"), Duration::from_secs(5));
        server.join().expect("the server ends");
        let Data::Record(fields) = fetched else {
            panic!("a record")
        };
        assert!(fields.contains(&("body".to_string(), Data::Text("hello".into()))));
    }

    #[test]
    fn the_answer_of_a_chat_is_found() {
        let text = r#"{"choices":[{"message":{"role":"assistant","content":"hi"}}],"x":"content"}"#;
        assert_eq!(first_content(text).as_deref(), Some("hi"));
    }
}
