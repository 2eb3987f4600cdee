//! One TCP connection: bytes in by position, bytes out by position, and who logged in on it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use agentd::frame::{Lines, Outbox, Transport};
use agentd::rpc::Id;
use agentd::token::Token;
use libipc::{CallId, Calls, Completed, Deadline, Instant, Pending};
use protocols::socket::{Chunk, Error, MAX_CHUNK_BYTES, tcp};

/// Bytes of replies that wait, at most.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// How long somebody may take to log in.
const LOGIN_NS: u64 = 10_000_000_000;
/// How long a connection may say nothing.
const IDLE_MS: u64 = 600_000;
/// How long a peer may take no bytes.
const STALLED_MS: u64 = 30_000;

/// A connection.
pub struct Link {
    tcp: tcp::Client,
    calls: Calls,
    receiving: Option<Pending<Chunk, Error>>,
    received: u64,
    sending: Option<Pending<u64, Error>>,
    sent: u64,
    waiting: Outbox,
    finishing: Option<Pending<(), Error>>,
    is_finished: bool,
    begun_ns: u64,
    /// What it speaks, once its first byte is known.
    pub transport: Option<Transport>,
    /// Bytes in lines.
    pub lines: Lines,
    /// Bytes of HTTP.
    pub http: Vec<u8>,
    /// Who is logged in.
    pub subject: Option<Token>,
    /// Wrong tokens so far.
    pub failures: u32,
    /// Requests under way that have an id.
    pub ids: BTreeSet<Id>,
    /// Requests under way.
    pub in_flight: usize,
    /// Nothing more is read; it ends when everything is sent.
    pub is_closing: bool,
    /// The peer says nothing more.
    pub has_ended: bool,
    /// It is of no further use.
    pub is_dead: bool,
}

/// What the end of a call brought.
pub enum Event {
    /// Nothing to act on.
    None,
    /// Bytes.
    Data(Vec<u8>),
}

impl Link {
    /// Takes a connection over.
    pub fn new(tcp: tcp::Client, calls: Calls, subject: Option<Token>) -> Self {
        Self {
            tcp,
            calls,
            receiving: None,
            received: 0,
            sending: None,
            sent: 0,
            waiting: Outbox::default(),
            finishing: None,
            is_finished: false,
            begun_ns: Instant::now().as_ns(),
            transport: None,
            lines: Lines::default(),
            http: Vec::new(),
            subject,
            failures: 0,
            ids: BTreeSet::new(),
            in_flight: 0,
            is_closing: false,
            has_ended: false,
            is_dead: false,
        }
    }

    /// Somebody who makes requests has his time anew.
    pub fn touch(&mut self) {
        self.begun_ns = Instant::now().as_ns();
    }

    /// Puts bytes behind what waits to be sent.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.waiting.len().saturating_add(bytes.len()) > MAX_WAITING_BYTES {
            self.is_dead = true;
            return;
        }
        self.waiting.push(bytes);
    }

    /// Whether this call is one of its own.
    pub fn owns(&self, id: CallId) -> bool {
        let is = |other: Option<CallId>| other == Some(id);
        is(self.receiving.as_ref().map(Pending::id))
            || is(self.sending.as_ref().map(Pending::id))
            || is(self.finishing.as_ref().map(Pending::id))
    }

    /// Takes the end of one of its calls.
    pub fn completed(&mut self, completed: Completed) -> Event {
        let id = completed.id();
        if let Some(pending) = self.receiving.take_if(|pending| pending.id() == id) {
            match pending.finish(completed) {
                // A call that was made again may bring bytes that came before.
                Ok(chunk) if chunk.at == self.received => {
                    self.received = self.received.saturating_add(chunk.data.len() as u64);
                    self.has_ended |= chunk.end;
                    return Event::Data(chunk.data);
                }
                _ => self.is_dead = true,
            }
        } else if let Some(pending) = self.sending.take_if(|pending| pending.id() == id) {
            match pending.finish(completed) {
                Ok(taken) => {
                    let count = taken
                        .saturating_sub(self.sent)
                        .min(self.waiting.len() as u64);
                    self.sent = self.sent.saturating_add(count);
                    self.waiting.forget(count as usize);
                }
                Err(_) => self.is_dead = true,
            }
        } else if let Some(pending) = self.finishing.take_if(|pending| pending.id() == id) {
            self.is_finished = true;
            // The connection goes in any case.
            let _ = pending.finish(completed);
        }
        Event::None
    }

    /// Starts what is due: the next bytes out, the next bytes in, the end.
    pub fn tend(&mut self) {
        if self.is_dead {
            for id in [
                self.receiving.as_ref().map(Pending::id),
                self.sending.as_ref().map(Pending::id),
            ]
            .into_iter()
            .flatten()
            {
                self.calls.cancel(id);
            }
            return;
        }
        if self.sending.is_none() && !self.waiting.is_empty() {
            let terms = Deadline::after_ms(STALLED_MS);
            match self.tcp.start_send(
                &self.calls,
                terms,
                self.sent,
                self.waiting.first(MAX_CHUNK_BYTES),
            ) {
                Ok(pending) => self.sending = Some(pending),
                Err(_) => self.is_dead = true,
            }
        }
        let wants_more = !self.is_closing && !self.has_ended;
        if wants_more && self.receiving.is_none() {
            let terms = match self.subject {
                Some(_) => Deadline::after_ms(IDLE_MS),
                None => Deadline::at(Instant::from_ns(self.begun_ns.saturating_add(LOGIN_NS))),
            };
            let most = MAX_CHUNK_BYTES as u32;
            match self
                .tcp
                .start_receive(&self.calls, terms, self.received, most)
            {
                Ok(pending) => self.receiving = Some(pending),
                Err(_) => self.is_dead = true,
            }
        }
        let is_done = !wants_more && self.waiting.is_empty() && self.in_flight == 0;
        if is_done && self.sending.is_none() && self.finishing.is_none() {
            if self.is_finished {
                self.is_dead = true;
            } else if let Ok(pending) = self
                .tcp
                .start_finish(&self.calls, Deadline::after_ms(STALLED_MS))
            {
                self.finishing = Some(pending);
            } else {
                self.is_dead = true;
            }
        }
    }

    /// Whether it can be dropped: it is of no use, and no call of its own is under way.
    pub fn is_gone(&self) -> bool {
        self.is_dead
            && self.receiving.is_none()
            && self.sending.is_none()
            && self.finishing.is_none()
    }
}
