//! One TCP connection: bytes in by position, bytes out by position, and who logged in on it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use libipc::{CallError, CallId, Calls, Completed, Deadline, Failure, Instant, Pending};
use protocols::socket::{Chunk, Error, IpAddress, MAX_CHUNK_BYTES, tcp};

use crate::budget::{Budget, Reserved};
use crate::frame::{Lines, Transport};
use crate::outbox::Outbox;
use crate::token::Token;

/// Bytes of replies that wait, at most.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// How long somebody may take to log in.
const LOGIN_NS: u64 = 10_000_000_000;
/// How long a connection may say nothing.
const IDLE_MS: u64 = 600_000;
/// How long a peer may take no bytes.
const STALLED_MS: u64 = 30_000;

/// In which order replies are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// As requests end.
    #[default]
    Completion,
    /// As requests came.
    Arrival,
}

/// How integers beyond 2^53 − 1 are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BigIntegers {
    /// As numbers.
    #[default]
    Numbers,
    /// As decimal strings.
    Strings,
}

/// What a login settled.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Who.
    pub subject: Option<Token>,
    /// The client's name for itself.
    pub client: String,
    /// How it reads numbers.
    pub big_integers: BigIntegers,
    /// In which order it reads replies.
    pub order: Order,
}

/// A connection.
pub struct Link {
    tcp: tcp::Client,
    calls: Calls,
    receiving: Option<Pending<Chunk, Error>>,
    received: u64,
    sending: Option<Pending<u64, Error>>,
    sent: u64,
    waiting: Outbox,
    memory: Option<Reserved>,
    finishing: Option<Pending<(), Error>>,
    is_finished: bool,
    begun_ns: u64,
    arrivals: VecDeque<u64>,
    ready: BTreeMap<u64, Vec<u8>>,
    /// Where it comes from.
    pub address: IpAddress,
    /// What it speaks, once its first byte is known.
    pub transport: Option<Transport>,
    /// Bytes in lines.
    pub lines: Lines,
    /// Bytes of HTTP.
    pub http: Vec<u8>,
    /// Who is logged in.
    pub session: Session,
    /// Wrong tokens so far.
    pub failures: u32,
    /// Whether a login is under way.
    pub is_logging_in: bool,
    /// Elements of texts that are not answered.
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
    /// It was closed by us, for this reason.
    Closed(&'static str),
}

impl Link {
    /// Takes a connection over. What it holds is taken from `memory`.
    pub fn new(
        tcp: tcp::Client,
        address: IpAddress,
        calls: Calls,
        subject: Option<Token>,
        memory: &Budget,
    ) -> Self {
        Self {
            tcp,
            calls,
            receiving: None,
            received: 0,
            sending: None,
            sent: 0,
            waiting: Outbox::default(),
            memory: memory.reserve(0),
            finishing: None,
            is_finished: false,
            begun_ns: Instant::now().as_ns(),
            arrivals: VecDeque::new(),
            ready: BTreeMap::new(),
            address,
            transport: None,
            lines: Lines::default(),
            http: Vec::new(),
            session: Session {
                subject,
                ..Session::default()
            },
            failures: 0,
            is_logging_in: false,
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

    /// The number of who is logged in.
    pub fn subject_id(&self) -> Option<&str> {
        self.session.subject.as_ref().map(|token| token.id.as_str())
    }

    /// Bytes that were received and not used yet.
    fn unread(&self) -> usize {
        self.lines.pending() + self.http.len()
    }

    /// Accounts for what is held; `false` if there is no memory for more.
    fn account(&mut self) -> bool {
        let held =
            self.unread() + self.waiting.len() + self.ready.values().map(Vec::len).sum::<usize>();
        let Some(memory) = &mut self.memory else {
            return false;
        };
        match held.checked_sub(memory.bytes()) {
            Some(more) => memory.grow(more),
            None => {
                memory.shrink_to(held);
                true
            }
        }
    }

    /// Takes bytes that came; `false` if there is no memory for them.
    pub fn take(&mut self, bytes: &[u8], transport: Transport) -> bool {
        match transport {
            Transport::Lines => self.lines.push(bytes),
            Transport::Http => self.http.extend_from_slice(bytes),
            Transport::Unknown => return false,
        }
        self.account()
    }

    /// Notes that a text came whose reply has to keep its place.
    pub fn arrived(&mut self, text: u64) {
        self.arrivals.push_back(text);
    }

    /// Takes the reply to a text (nothing, if it has none) and sends what is due by the order of arrival. Why it has to be closed, if it can't.
    pub fn reply_in_order(&mut self, text: u64, bytes: Vec<u8>) -> Result<(), &'static str> {
        self.ready.insert(text, bytes);
        while let Some(first) = self.arrivals.front()
            && let Some(bytes) = self.ready.remove(first)
        {
            self.arrivals.pop_front();
            self.send(bytes)?;
        }
        if self.account() {
            Ok(())
        } else {
            Err(self.fail("no memory for its replies"))
        }
    }

    /// Puts bytes behind what waits to be sent.
    ///
    /// # Errors
    /// Why the connection has to be closed instead.
    pub fn send(&mut self, bytes: Vec<u8>) -> Result<(), &'static str> {
        if self.is_dead {
            return Ok(());
        }
        // One reply of the greatest size always fits, so that the limit is about a reader who does not keep up.
        let is_full = !self.waiting.is_empty()
            && self.waiting.len().saturating_add(bytes.len()) > MAX_WAITING_BYTES;
        if is_full {
            return Err(self.fail("it does not read its replies"));
        }
        self.waiting.push(bytes);
        if self.account() {
            Ok(())
        } else {
            Err(self.fail("no memory for its replies"))
        }
    }

    fn fail(&mut self, why: &'static str) -> &'static str {
        self.is_dead = true;
        why
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
            return self.received(pending.finish(completed));
        }
        if let Some(pending) = self.sending.take_if(|pending| pending.id() == id) {
            return self.sent(pending.finish(completed));
        }
        if let Some(pending) = self.finishing.take_if(|pending| pending.id() == id) {
            self.is_finished = true;
            // The connection goes in any case.
            let _ = pending.finish(completed);
        }
        Event::None
    }

    fn received(&mut self, outcome: Result<Chunk, CallError<Error>>) -> Event {
        match outcome {
            // A call that was made again may bring bytes that came before.
            Ok(chunk) if chunk.at == self.received => {
                self.received = self.received.saturating_add(chunk.data.len() as u64);
                self.has_ended |= chunk.end;
                Event::Data(chunk.data)
            }
            Err(CallError::Failed(Failure::DeadlinePassed { .. })) if self.is_busy() => Event::None,
            Err(CallError::Failed(Failure::DeadlinePassed { .. })) => {
                self.is_dead = true;
                Event::Closed("it says nothing")
            }
            _ => {
                self.is_dead = true;
                Event::None
            }
        }
    }

    /// Whether it may say nothing, because we have not said all.
    fn is_busy(&self) -> bool {
        self.in_flight > 0 || !self.waiting.is_empty()
    }

    fn sent(&mut self, outcome: Result<u64, CallError<Error>>) -> Event {
        match outcome {
            Ok(taken) => {
                let count = taken
                    .saturating_sub(self.sent)
                    .min(self.waiting.len() as u64);
                self.sent = self.sent.saturating_add(count);
                self.waiting.advance(count as usize);
                // It is less than before.
                self.account();
                Event::None
            }
            Err(CallError::Failed(Failure::DeadlinePassed { .. })) => {
                self.is_dead = true;
                Event::Closed("it does not read its replies")
            }
            Err(_) => {
                self.is_dead = true;
                Event::None
            }
        }
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
        self.tend_sending();
        self.tend_receiving();
        self.tend_end();
    }

    fn tend_sending(&mut self) {
        if self.sending.is_some() || self.waiting.is_empty() {
            return;
        }
        let terms = Deadline::after_ms(STALLED_MS);
        let bytes = self.waiting.first(MAX_CHUNK_BYTES);
        match self.tcp.start_send(&self.calls, terms, self.sent, bytes) {
            Ok(pending) => self.sending = Some(pending),
            Err(_) => self.is_dead = true,
        }
    }

    fn wants_more(&self) -> bool {
        !self.is_closing && !self.has_ended
    }

    fn tend_receiving(&mut self) {
        if !self.wants_more() || self.receiving.is_some() {
            return;
        }
        let terms = match self.session.subject {
            Some(_) => Deadline::after_ms(IDLE_MS),
            None if self.is_busy() => Deadline::after_ms(LOGIN_NS / 1_000_000),
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

    fn tend_end(&mut self) {
        let is_done = !self.wants_more() && self.waiting.is_empty() && self.in_flight == 0;
        if !is_done || self.sending.is_some() || self.finishing.is_some() {
            return;
        }
        if self.is_finished {
            self.is_dead = true;
            return;
        }
        let terms = Deadline::after_ms(STALLED_MS);
        match self.tcp.start_finish(&self.calls, terms) {
            Ok(pending) => self.finishing = Some(pending),
            Err(_) => self.is_dead = true,
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
