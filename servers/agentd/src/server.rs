//! Connections, the texts that came on them, and who waits for what.
//!
//! Every request is a task of its own. Its end is noted in [`Ended`] and acted on by [`Server::settle_ended`], so no task ever touches the connections.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::RefCell;

use libipc::executor::{Executor, TaskId};
use libipc::{Completed, Connection, Handle, Instant};
use protocols::socket::{IpAddress, SocketAddress, tcp};
use serde_json::{Value, json};

use crate::attempts::Attempts;
use crate::audit;
use crate::frame::{MAX_LINE, MAX_LINE_BEFORE_LOGIN, Transport};
use crate::http;
use crate::json;
use crate::link::{BigIntegers, Event, Link, Order};
use crate::methods::{self, Context};
use crate::replay::Outcome;
use crate::replies::Replies;
use crate::rpc::{self, Code, Element, Id, Incoming, Request, Response, RpcError};
use crate::system::System;
use crate::token::{self, Token};

mod login;
mod requests;

use login::Login;

/// Connections at once, at most.
pub const MAX_LINKS: usize = 64;
/// Requests of one connection under way, at most.
pub const MAX_IN_FLIGHT: usize = 32;
/// Requests of all connections under way, at most.
pub const MAX_IN_FLIGHT_IN_ALL: usize = 256;
/// How long the requests of a client that has closed its side may go on: it may only have nothing more to ask, and wait for answers.
const LINGER_NS: u64 = 10_000_000_000;

/// A text of which not all is answered yet.
struct Text {
    link: u64,
    left: usize,
    replies: Replies,
    /// Whether its reply waits for those of earlier texts.
    order: Order,
    /// Over HTTP: whether the connection goes on.
    http: Option<bool>,
}

/// A request under way.
struct Running {
    link: u64,
    text: u64,
    id: Option<Id>,
    task: Option<TaskId>,
    entry: audit::Entry,
    is_mutating: bool,
    /// Where the result is remembered, if it had a key.
    slot: Option<usize>,
}

/// What a task ended with.
enum End {
    /// A method's outcome.
    Outcome(Result<Value, RpcError>),
    /// The moment has come to look at a token.
    Login(Login),
    /// The client on this connection has said nothing more for long enough to be gone.
    Abandoned(u64),
}

/// Requests that have ended and were not acted on yet.
type Ended = Rc<RefCell<Vec<(u64, End)>>>;

/// Everything that goes on.
pub struct Server {
    system: System,
    executor: Executor,
    links: BTreeMap<u64, Link>,
    texts: BTreeMap<u64, Text>,
    requests: BTreeMap<u64, Running>,
    ended: Ended,
    attempts: Attempts<IpAddress>,
    next: u64,
}

impl Server {
    /// Nobody is connected yet. The tasks of `executor` are those that `system` waits with.
    pub fn new(system: System, executor: Executor) -> Self {
        Self {
            system,
            executor,
            links: BTreeMap::new(),
            texts: BTreeMap::new(),
            requests: BTreeMap::new(),
            ended: Ended::default(),
            attempts: Attempts::default(),
            next: 1,
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// The next moment that something waits for.
    pub fn next_moment(&self) -> Option<u64> {
        self.system.timers.first()
    }

    /// Time has passed.
    pub fn moment(&mut self, now: u64) {
        if self.system.timers.ring(now) {
            self.executor.run();
            self.settle_ended();
        }
    }

    /// Takes a new connection.
    pub fn accept(&mut self, connection: Handle<Connection>, from: SocketAddress) {
        let (number, tcp) = (self.number(), tcp::Client::adopt(connection));
        let system = &self.system;
        let open = system.open.clone();
        let mut link = Link::new(tcp, from.ip, system.calls.clone(), open, &system.memory);
        if self.links.len() >= MAX_LINKS {
            let error =
                RpcError::new(Code::Busy, "too many connections").with("retry_after_ms", 1000);
            // The first words on a connection always fit.
            let _ = link.send(refusal(error));
            link.is_closing = true;
            audit::connection(None, "refused: too many connections");
        }
        self.links.insert(number, link);
        self.tend(number);
    }

    /// Takes the end of a call.
    pub fn completed(&mut self, completed: Completed) {
        let id = completed.id();
        let owner = self.links.iter_mut().find(|(_, link)| link.owns(id));
        if let Some((&number, link)) = owner {
            match link.completed(completed) {
                Event::None => {}
                Event::Data(bytes) => {
                    let has_ended = link.has_ended;
                    self.read(number, &bytes);
                    if has_ended {
                        self.linger(number);
                    }
                }
                Event::Closed(why) => audit::connection(link.subject_id(), why),
            }
            self.tend(number);
        } else if let Some(completed) = self.executor.completed(completed) {
            // What was called off has no meaning any more, whatever came of it.
            drop(self.system.unclaimed(completed));
        }
        self.settle_ended();
    }

    fn tend(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        link.tend();
        if link.is_dead {
            // What it still waits for is called off, and so is what it asked for.
            link.tend();
            let is_gone = link.is_gone();
            self.call_off(number);
            if is_gone {
                self.links.remove(&number);
                self.system.handles.borrow_mut().forget(number);
            }
        }
    }

    /// Gives a client that has closed its side some time, if there is something that it may wait for.
    fn linger(&self, link: u64) {
        if self.links.get(&link).is_none_or(|link| link.in_flight == 0) {
            return;
        }
        let timer = self.system.timers.until(Instant::now().as_ns() + LINGER_NS);
        let ended = self.ended.clone();
        self.system.detach(async move {
            timer.await;
            ended.borrow_mut().push((0, End::Abandoned(link)));
        });
    }

    fn abandoned(&mut self, number: u64) {
        if let Some(link) = self.links.get_mut(&number)
            && link.in_flight > 0
        {
            audit::connection(link.subject_id(), "its client is gone");
            link.is_dead = true;
            self.tend(number);
        }
    }

    /// Ends every request of a connection without an answer.
    fn call_off(&mut self, link: u64) {
        let numbers: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, running)| running.link == link)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            self.stop(number);
        }
        self.texts.retain(|_, text| text.link != link);
    }

    fn read(&mut self, number: u64, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let Some(&first) = bytes.first() else {
            return;
        };
        let transport = *link.transport.get_or_insert(Transport::of(first));
        if !link.take(bytes, transport) {
            if transport != Transport::Unknown {
                audit::connection(link.subject_id(), "no memory for what it sends");
            }
            link.is_dead = true;
            return;
        }
        match transport {
            Transport::Lines => self.read_lines(number),
            Transport::Http => self.read_http(number),
            Transport::Unknown => {}
        }
    }

    fn read_lines(&mut self, number: u64) {
        while let Some(link) = self.links.get_mut(&number)
            && !link.is_closing
            && !link.is_dead
        {
            let limit = match link.session.subject {
                Some(_) => MAX_LINE,
                None => MAX_LINE_BEFORE_LOGIN,
            };
            match link.lines.next(limit) {
                Ok(Some(text)) => self.text(number, &text, None),
                Ok(None) => return,
                Err(too_long) => {
                    let error = RpcError::new(Code::TooLarge, "the line is too long")
                        .with("limit", too_long.limit)
                        .with("size", too_long.size);
                    self.send(number, refusal(error));
                    if let Some(link) = self.links.get_mut(&number) {
                        link.is_closing = true;
                    }
                }
            }
        }
    }

    fn send(&mut self, number: u64, bytes: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&number)
            && let Err(why) = link.send(bytes)
        {
            audit::connection(link.subject_id(), why);
        }
    }

    fn read_http(&mut self, number: u64) {
        // One request after the other: replies have no number.
        while let Some(link) = self.links.get_mut(&number)
            && !link.is_closing
            && !link.is_dead
            && !link.http.is_empty()
            && link.in_flight == 0
        {
            let system = &self.system;
            let limit = |request: &http::Request| match subject(system, request.bearer.as_deref()) {
                Some(_) => MAX_LINE,
                None => MAX_LINE_BEFORE_LOGIN,
            };
            match http::next(&mut link.http, limit) {
                Ok(Some(request)) => {
                    link.touch();
                    self.http(number, &request);
                }
                Ok(None) => return,
                Err(error) => self.respond(number, error.status(), "text/plain", b"", false),
            }
        }
    }

    fn respond(&mut self, number: u64, status: u16, kind: &str, body: &[u8], keep_alive: bool) {
        self.send(number, http::response(status, kind, body, keep_alive));
        if let Some(link) = self.links.get_mut(&number) {
            link.is_closing |= !keep_alive;
        }
    }

    fn http(&mut self, number: u64, request: &http::Request) {
        let keep = request.keep_alive;
        let verb = match request.path.as_str() {
            "/rpc" => "POST",
            "/healthz" | "/openrpc.json" => "GET",
            _ => return self.respond(number, 404, "text/plain", b"", keep),
        };
        if !request.is_local() {
            audit::connection(None, "refused: another origin or host");
            return self.respond(number, 403, "text/plain", b"", keep);
        }
        if request.verb != verb {
            return self.respond(number, 405, "text/plain", b"", keep);
        }
        if request.path == "/healthz" {
            return self.respond(number, 200, "text/plain", b"ok\n", keep);
        }
        let Some(subject) = self.bearer(number, request) else {
            return;
        };
        if request.path == "/openrpc.json" {
            let body = methods::discover::document(Some(&subject)).to_string();
            return self.respond(number, 200, "application/json", body.as_bytes(), keep);
        }
        if let Some(link) = self.links.get_mut(&number) {
            link.session.subject = Some(subject);
        }
        self.text(number, &request.body, Some(keep));
    }

    /// Who makes a request over HTTP; if that is nobody, it is answered.
    fn bearer(&mut self, number: u64, request: &http::Request) -> Option<Token> {
        let address = self.links.get(&number)?.address;
        let now = Instant::now().as_ns();
        if request.bearer.is_some() && self.attempts.delay_ns(address, now) > 0 {
            // Over HTTP nobody is kept waiting with a connection of ours: the next try has to come later.
            self.respond(number, 429, "text/plain", b"", false);
            return None;
        }
        let found = subject(&self.system, request.bearer.as_deref());
        if found.is_none() {
            if request.bearer.is_some() {
                self.attempts.failed(address, now);
            }
            audit::connection(None, "refused: no good token");
            self.respond(number, 401, "text/plain", b"", request.keep_alive);
        }
        found
    }

    fn text(&mut self, link: u64, bytes: &[u8], http: Option<bool>) {
        let (elements, is_batch) = match rpc::read(bytes) {
            Incoming::Single(element) => ([element].into(), false),
            Incoming::Batch(elements) => (elements, true),
        };
        let number = self.number();
        let mut order = Order::Completion;
        if let Some(link) = self.links.get_mut(&link) {
            link.in_flight += elements.len();
            order = link.session.order;
            if order == Order::Arrival {
                link.arrived(number);
            }
        }
        let text = Text {
            link,
            left: elements.len(),
            replies: Replies::new(is_batch, &self.system.memory),
            order,
            http,
        };
        self.texts.insert(number, text);
        for element in elements {
            self.element(link, number, element);
        }
    }

    /// Puts the answer to an element of a text where it belongs; the last one sends the reply.
    fn settle(&mut self, number: u64, id: Option<Id>, mut outcome: Result<Value, RpcError>) {
        let Some(text) = self.texts.get_mut(&number) else {
            return;
        };
        text.left = text.left.saturating_sub(1);
        let link_number = text.link;
        if let Some(link) = self.links.get_mut(&link_number) {
            link.in_flight = link.in_flight.saturating_sub(1);
            if link.session.big_integers == BigIntegers::Strings
                && let Ok(result) = &mut outcome
            {
                json::big_as_strings(result);
            }
        }
        if let Some(id) = id {
            text.replies.push(&Response { id, outcome });
        }
        if text.left == 0
            && let Some(text) = self.texts.remove(&number)
        {
            self.reply(number, text);
        }
    }

    fn reply(&mut self, number: u64, text: Text) {
        let bytes = text.replies.finish();
        let (link, order) = (text.link, text.order);
        match (text.http, bytes) {
            (Some(keep), Some(body)) => self.respond(link, 200, "application/json", &body, keep),
            (Some(keep), None) => self.respond(link, 202, "application/json", b"", keep),
            (None, bytes) => {
                let mut bytes = bytes.unwrap_or_default();
                if !bytes.is_empty() {
                    bytes.push(b'\n');
                }
                self.reply_line(link, order, number, bytes);
            }
        }
    }

    fn reply_line(&mut self, link: u64, order: Order, text: u64, bytes: Vec<u8>) {
        let Some(link) = self.links.get_mut(&link) else {
            return;
        };
        let sent = match order {
            Order::Arrival => link.reply_in_order(text, bytes),
            Order::Completion => link.send(bytes),
        };
        if let Err(why) = sent {
            audit::connection(link.subject_id(), why);
        }
    }
}

/// Who a token over HTTP belongs to.
fn subject(system: &System, bearer: Option<&str>) -> Option<Token> {
    match bearer {
        Some(bearer) => {
            let digest = token::digest(bearer);
            let state = system.state.borrow();
            state.tokens.find(&digest, Instant::now().as_ns()).cloned()
        }
        None => system.open.clone(),
    }
}

/// A line that says what is wrong with a whole connection or text.
fn refusal(error: RpcError) -> Vec<u8> {
    let outcome = Err(error);
    let id = Id::Null;
    let mut bytes = Response { id, outcome }.to_bytes();
    bytes.push(b'\n');
    bytes
}
