//! Connections, the texts that came on them, and who waits for what.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

use agentd::frame::{MAX_LINE, MAX_LINE_BEFORE_LOGIN, Transport};
use agentd::http;
use agentd::rpc::{self, Code, Element, Id, Incoming, Request, Response, RpcError};
use agentd::token::{self, Token};
use libipc::{CallId, Completed, Connection, Handle};
use protocols::socket::tcp;
use serde_json::{Value, json};

use crate::link::{Event, Link};
use crate::methods::{self, Context};
use crate::system::{Answer, System, Then};

/// Connections at once, at most.
pub const MAX_LINKS: usize = 64;
/// Requests of one connection under way, at most.
pub const MAX_IN_FLIGHT: usize = 32;
/// Bytes of a reply, at most.
pub const MAX_REPLY: usize = 4 << 20;

/// A text of which not all is answered yet.
struct Text {
    link: u64,
    left: usize,
    replies: Vec<Value>,
    is_batch: bool,
    /// Over HTTP: whether the connection goes on.
    http: Option<bool>,
}

struct Waiting {
    text: u64,
    id: Option<Id>,
    then: Then,
}

/// Everything that goes on.
pub struct Server {
    system: System,
    links: BTreeMap<u64, Link>,
    texts: BTreeMap<u64, Text>,
    waiting: BTreeMap<CallId, Waiting>,
    next: u64,
}

impl Server {
    /// Nobody is connected yet.
    pub fn new(system: System) -> Self {
        Self {
            system,
            links: BTreeMap::new(),
            texts: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next: 1,
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Takes a new connection.
    pub fn accept(&mut self, connection: Handle<Connection>) {
        let (number, tcp) = (self.number(), tcp::Client::adopt(connection));
        let mut link = Link::new(tcp, self.system.calls.clone(), self.system.open.clone());
        if self.links.len() >= MAX_LINKS {
            let error =
                RpcError::new(Code::Busy, "too many connections").with("retry_after_ms", 1000);
            link.send(&line(&refusal(error)));
            link.is_closing = true;
        }
        self.links.insert(number, link);
        self.tend(number);
    }

    /// Takes the end of a call.
    pub fn completed(&mut self, completed: Completed) {
        let id = completed.id();
        if let Some(waiting) = self.waiting.remove(&id) {
            let link = self.texts.get(&waiting.text).map(|text| text.link);
            let answer = (waiting.then)(completed, &mut self.system);
            self.answered(waiting.text, waiting.id, answer);
            if let Some(link) = link {
                // Over HTTP the next request may have come meanwhile.
                self.read_http(link);
                self.tend(link);
            }
            return;
        }
        let Some((&number, link)) = self.links.iter_mut().find(|(_, link)| link.owns(id)) else {
            return;
        };
        if let Event::Data(bytes) = link.completed(completed) {
            self.read(number, &bytes);
        }
        self.tend(number);
    }

    fn tend(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        link.tend();
        if link.is_dead {
            // What it still waits for is called off.
            link.tend();
            // What it asked for is of no use to anybody any more.
            for (id, waiting) in &self.waiting {
                if self
                    .texts
                    .get(&waiting.text)
                    .is_some_and(|text| text.link == number)
                {
                    self.system.calls.cancel(*id);
                }
            }
            if link.is_gone() {
                self.links.remove(&number);
                self.system.handles.borrow_mut().forget(number);
            }
        }
    }

    fn read(&mut self, number: u64, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let Some(&first) = bytes.first() else {
            return;
        };
        match *link.transport.get_or_insert(Transport::of(first)) {
            Transport::Lines => {
                link.lines.push(bytes);
                self.read_lines(number);
            }
            Transport::Http => {
                link.http.extend_from_slice(bytes);
                self.read_http(number);
            }
            Transport::Unknown => link.is_dead = true,
        }
    }

    fn read_lines(&mut self, number: u64) {
        while let Some(link) = self.links.get_mut(&number)
            && !link.is_closing
            && !link.is_dead
        {
            let limit = match link.subject {
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
                    link.send(&line(&refusal(error)));
                    link.is_closing = true;
                }
            }
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
            match http::next(&mut link.http, MAX_LINE) {
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
        if let Some(link) = self.links.get_mut(&number) {
            link.send(&http::response(status, kind, body, keep_alive));
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
            return self.respond(number, 403, "text/plain", b"", keep);
        }
        if request.verb != verb {
            return self.respond(number, 405, "text/plain", b"", keep);
        }
        if request.path == "/healthz" {
            return self.respond(number, 200, "text/plain", b"ok\n", keep);
        }
        let subject = match &request.bearer {
            Some(bearer) => self.subject(bearer),
            None => self.system.open.clone(),
        };
        let Some(subject) = subject else {
            return self.respond(number, 401, "text/plain", b"", keep);
        };
        if request.path == "/openrpc.json" {
            let body = methods::discover::document(Some(&subject)).to_string();
            return self.respond(number, 200, "application/json", body.as_bytes(), keep);
        }
        if let Some(link) = self.links.get_mut(&number) {
            link.subject = Some(subject);
        }
        self.text(number, &request.body, Some(keep));
    }

    fn subject(&self, token: &str) -> Option<Token> {
        let digest = token::digest(token);
        let root = self.system.root.as_ref()?;
        token::same(&digest, &root.digest).then(|| root.clone())
    }

    fn text(&mut self, link: u64, bytes: &[u8], http: Option<bool>) {
        let (elements, is_batch) = match rpc::read(bytes) {
            Incoming::Single(element) => ([element].into(), false),
            Incoming::Batch(elements) => (elements, true),
        };
        let number = self.number();
        let text = Text {
            link,
            left: elements.len(),
            replies: Vec::new(),
            is_batch,
            http,
        };
        self.texts.insert(number, text);
        if let Some(link) = self.links.get_mut(&link) {
            link.in_flight += elements.len();
        }
        for element in elements {
            self.element(link, number, element);
        }
    }

    fn element(&mut self, link: u64, text: u64, element: Element) {
        let request = match element {
            Ok(request) => request,
            Err(response) => {
                let outcome = Answer::Now(response.outcome);
                return self.answered(text, Some(response.id), outcome);
            }
        };
        let id = request.id.clone();
        let under_way = self
            .waiting
            .values()
            .filter(|waiting| {
                self.texts
                    .get(&waiting.text)
                    .is_some_and(|text| text.link == link)
            })
            .count();
        let Some(link) = self.links.get_mut(&link) else {
            return;
        };
        if let Some(id) = &request.id
            && link.ids.contains(id)
        {
            let error = RpcError::new(Code::InvalidRequest, "this id is in flight")
                .with("kind", "duplicate_id");
            return self.complete(text, Some(id.clone()), Err(error), false);
        }
        if under_way >= MAX_IN_FLIGHT {
            let error = RpcError::new(Code::Busy, "too many requests in flight")
                .with("retry_after_ms", 100);
            return self.complete(text, id, Err(error), false);
        }
        if let Some(id) = &request.id {
            link.ids.insert(id.clone());
        }
        let answer = self.run(text, request);
        self.answered(text, id, answer);
    }

    fn run(&mut self, text: u64, request: Request) -> Answer {
        let Some((session, link)) = self
            .texts
            .get(&text)
            .and_then(|text| Some((text.link, self.links.get_mut(&text.link)?)))
        else {
            return Answer::Now(Err(RpcError::new(Code::Cancelled, "the connection ended")));
        };
        if request.method == "auth.login" {
            let outcome = login(&self.system, link, request);
            return Answer::Now(outcome);
        }
        let context = Context {
            subject: link.subject.clone(),
            session,
            meta: request.meta,
        };
        methods::call(&mut self.system, &context, &request.method, request.params)
    }

    fn answered(&mut self, text: u64, id: Option<Id>, answer: Answer) {
        match answer {
            Answer::Now(outcome) => self.complete(text, id, outcome, true),
            Answer::Later(call, then) => {
                self.waiting.insert(call, Waiting { text, id, then });
            }
        }
    }

    fn complete(
        &mut self,
        number: u64,
        id: Option<Id>,
        outcome: Result<Value, RpcError>,
        held: bool,
    ) {
        let Some(text) = self.texts.get_mut(&number) else {
            return;
        };
        text.left = text.left.saturating_sub(1);
        let link_number = text.link;
        if let Some(link) = self.links.get_mut(&link_number) {
            link.in_flight = link.in_flight.saturating_sub(1);
            if let Some(id) = &id
                && held
            {
                link.ids.remove(id);
            }
        }
        if let Some(id) = id {
            text.replies.push(Response { id, outcome }.to_json());
        }
        if text.left > 0 {
            return;
        }
        if let Some(text) = self.texts.remove(&number) {
            self.reply(text);
        }
        self.tend(link_number);
    }

    fn reply(&mut self, text: Text) {
        let mut replies = text.replies;
        let value = match (text.is_batch, replies.is_empty()) {
            (_, true) => None,
            (true, false) => Some(Value::Array(replies)),
            (false, false) => replies.pop(),
        };
        let mut bytes = value.map(|value| value.to_string().into_bytes());
        if let Some(bytes) = bytes.as_mut().filter(|bytes| bytes.len() > MAX_REPLY) {
            let error = RpcError::new(Code::TooLarge, "the reply is too large")
                .with("limit", MAX_REPLY)
                .with("size", bytes.len());
            *bytes = refusal(error).to_string().into_bytes();
        }
        match (text.http, bytes) {
            (Some(keep), Some(body)) => {
                self.respond(text.link, 200, "application/json", &body, keep)
            }
            (Some(keep), None) => self.respond(text.link, 202, "application/json", b"", keep),
            (None, Some(mut bytes)) => {
                bytes.push(b'\n');
                if let Some(link) = self.links.get_mut(&text.link) {
                    link.send(&bytes);
                }
            }
            (None, None) => {}
        }
    }
}

/// Wrong tokens on one connection before it is closed.
const MAX_FAILURES: u32 = 5;

fn login(system: &System, link: &mut Link, request: Request) -> Result<Value, RpcError> {
    let mut params = agentd::params::Params::new(request.params);
    let text = params.string("token")?;
    params.optional_string("client")?;
    params.finish()?;
    let digest = token::digest(&text);
    let found = system
        .root
        .as_ref()
        .filter(|root| token::same(&digest, &root.digest));
    match found {
        Some(root) => {
            link.subject = Some(root.clone());
            link.failures = 0;
            let mut answer = methods::auth::whoami(root);
            answer["session"] = json!(root.id);
            Ok(answer)
        }
        None => {
            link.failures += 1;
            link.is_closing |= link.failures >= MAX_FAILURES;
            libipc::warn!("a login was refused");
            Err(RpcError::new(
                Code::Unauthenticated,
                "the token is not good",
            ))
        }
    }
}

fn refusal(error: RpcError) -> Value {
    let outcome = Err(error);
    Response {
        id: Id::Null,
        outcome,
    }
    .to_json()
}

fn line(value: &Value) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}
