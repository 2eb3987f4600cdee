//! The terminal's process: between the serial line's rings and whoever reads and writes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod ends;
mod rings;

use alloc::collections::VecDeque;
use core::convert::Infallible;

use libipc::capsule::{Part, Slots};
use libipc::prelude::*;
use libipc::{Badge, Boot, Instant, Minter, Protection, StartError, Wake, fault};
use protocols::client::{Client, Grants};
use protocols::stream::{self, MAX_CHUNK_BYTES};
use protocols::terminal::{self as protocol, Mode, Opened, State};
use ttyd::end::{End, Kind};
use ttyd::line::MAX_LINE_BYTES;
use ttyd::terminal::{Answer, Saved, Signal, Terminal, Wanted};

use ends::Ends;
use rings::Rings;

/// Index of each protocol in the manifest's `provides`.
const STREAM: u8 = 0;
const TERMINAL: u8 = 1;

/// Cookie of the notification that the serial driver signals.
const SERIAL: u64 = 1;

/// Room in the output ring that any write fits into: every byte may be a newline, and a line that is being typed may be drawn again.
const WRITE_ROOM: usize = 2 * MAX_CHUNK_BYTES + 4 * MAX_LINE_BYTES;

/// Bytes of the saved state, at most: the line, the history, what was typed ahead.
const SAVED_BYTES: usize = 48 * 1024;
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let capsule = boot.capsule()?;
    let memory = capsule.memory()?;
    let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
    let too_small = || StartError::Other("the capsule is too small".into());
    let (ends, rest) = Part::whole(mapping)
        .split(Ends::storage_bytes())
        .ok_or_else(too_small)?;
    let (saved, found) = Slots::open(rest, 1, 1, SAVED_BYTES).ok_or_else(too_small)?;
    if !found.bad.is_empty() {
        libipc::warn!("the saved line was damaged and is dropped");
    }
    let rings = Rings::open(&capsule, boot.service("serial")?)?;
    match endpoint.bind(rings.doorbell(), SERIAL) {
        // The doorbell outlives us, and so does its tie to the endpoint.
        Ok(()) | Err(SysError(libipc::outcome::Outcome::Busy)) => {}
        Err(error) => return Err(error.into()),
    }
    let state: Saved = saved.load(0).ok().flatten().unwrap_or_default();
    let mut ttyd = Ttyd {
        minter: endpoint.minter()?,
        ends: Ends::open(ends, rings.written()).ok_or_else(too_small)?,
        saved,
        terminal: Terminal::new(state),
        rings,
        blocked: VecDeque::new(),
        signals: Vec::new(),
    };
    ttyd.advance();

    loop {
        let deadline = ttyd.terminal.deadline().map(Instant::from_ns);
        match endpoint.receive(deadline) {
            Wake::Call(call) if call.badge().protocol() == STREAM => {
                stream::dispatch(&mut ttyd, call)
            }
            Wake::Call(call) if call.badge().protocol() == TERMINAL => {
                protocol::dispatch(&mut ttyd, call)
            }
            Wake::Call(call) => call.refuse(libipc::Refusal::WrongProtocol),
            Wake::Notified(_) | Wake::Deadline(_) | Wake::Completed(_) | Wake::Rung(_) => {}
            Wake::Closed(badge) => ttyd.forget(badge),
            Wake::Cancelled(cancelled) => ttyd.cancelled(&cancelled),
            Wake::Failed(error) => return Err(error.into()),
        }
        ttyd.advance();
    }
}

/// The right to answer a read.
enum Token {
    Line(Reply<protocol::Line, protocol::Error>),
    Key(Reply<protocol::Key, protocol::Error>),
    Bytes {
        from: u64,
        reply: Reply<stream::Chunk, stream::Error>,
    },
}

/// A write that waits for room.
struct Blocked {
    end: usize,
    at: u64,
    data: Vec<u8>,
    reply: Reply<u64, stream::Error>,
}

type SignalReply = Reply<(u64, u32, protocol::Signal), protocol::Error>;

struct Ttyd {
    minter: Minter,
    ends: Ends,
    saved: Slots<Part>,
    terminal: Terminal<Token>,
    rings: Rings,
    blocked: VecDeque<Blocked>,
    signals: Vec<(u64, SignalReply)>,
}

impl Ttyd {
    /// Moves everything that can move: input to readers, output to the line, answers to callers.
    fn advance(&mut self) {
        let now = Instant::now().as_ns();
        let input = self.rings.read_input();
        if !input.is_empty() {
            self.terminal.typed(&input, now);
        }
        self.terminal.on_time(now);
        let answers = self.terminal.take_answers();
        if !input.is_empty() || !answers.is_empty() {
            self.save();
        }
        for (token, answer) in answers {
            self.answer(token, answer);
        }
        self.answer_signals();
        self.rings.push(&self.terminal.take_output());
        loop {
            while self.rings.has_room(WRITE_ROOM)
                && let Some(blocked) = self.blocked.pop_front()
            {
                self.write_now(blocked);
            }
            if self.rings.settle(WRITE_ROOM, self.blocked.is_empty()) {
                return;
            }
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.saved.store(0, self.terminal.saved()) {
            libipc::warn!("the state of the terminal can't be saved: {error}");
        }
    }

    fn answer(&mut self, token: Token, answer: Answer) {
        match (token, answer) {
            (Token::Line(reply), Answer::Line(sequence, text, end)) => reply.ok(protocol::Line {
                sequence,
                text,
                end,
            }),
            (Token::Line(reply), _) => reply.err(protocol::Error::Interrupted),
            (Token::Key(reply), Answer::Key(sequence, name)) => {
                reply.ok(protocol::Key { sequence, name })
            }
            (Token::Key(reply), _) => reply.err(protocol::Error::Interrupted),
            (Token::Bytes { from, reply }, Answer::Bytes(data)) => reply.ok(stream::Chunk {
                at: from,
                end: data.is_empty(),
                data,
            }),
            (Token::Bytes { reply, .. }, _) => reply.err(stream::Error::Interrupted),
        }
    }

    fn answer_signals(&mut self) {
        let terminal = &self.terminal;
        let ready = |after: u64| terminal.signal_after(after);
        let mut index = 0;
        while index < self.signals.len() {
            match ready(self.signals[index].0) {
                None => index += 1,
                Some((sequence, group, signal)) => {
                    let (_, reply) = self.signals.swap_remove(index);
                    let signal = match signal {
                        Signal::Interrupt => protocol::Signal::Interrupt,
                        Signal::Suspend => protocol::Signal::Suspend,
                    };
                    reply.ok((sequence, group, signal));
                }
            }
        }
    }

    /// Writes what is new of a write, which fits the ring as a whole, then answers.
    fn write_now(
        &mut self,
        Blocked {
            end,
            at,
            data,
            reply,
        }: Blocked,
    ) {
        let position = self.position(end);
        let Some(known) = position.checked_sub(at) else {
            return reply.err(stream::Error::Gap { expected: position });
        };
        let news = data.get(known as usize..).unwrap_or_default();
        if !news.is_empty() {
            self.terminal.write(news);
            self.ends
                .begin(end, self.rings.written(), news.len() as u32);
            fault::point("ttyd.begun");
            self.rings.push(&self.terminal.take_output());
            fault::point("ttyd.written");
            self.ends.settle(end, self.rings.written());
        }
        reply.ok(self.position(end));
    }

    fn position(&self, end: usize) -> u64 {
        self.ends.get(end).map_or(0, |end| end.position())
    }

    /// The end that a call came through; only those that this server minted have one.
    fn end(&self, badge: Badge) -> Option<(usize, End)> {
        let index = badge.is_own().then(|| badge.number() as usize)?;
        self.ends.get(index).map(|end| (index, end))
    }

    /// The group of a program at the terminal. Services have a Connection too, but no part in who reads.
    fn group(&self, badge: Badge) -> Option<u32> {
        self.end(badge).map(|(_, end)| end.group)
    }

    fn leads(&self, badge: Badge) -> bool {
        self.end(badge).is_some_and(|(_, end)| end.leads)
    }

    /// Whether a service acts for users: it opens the terminal for them, and passes its signals on.
    fn hosts(badge: Badge) -> bool {
        Client::of(badge).is_some_and(|client| client.grants.has(Grants::SESSIONS))
    }

    fn mint(
        &mut self,
        kind: Kind,
        leads: bool,
        group: u32,
    ) -> Result<Handle<Connection>, protocol::Error> {
        let index = self
            .ends
            .add(End::new(kind, leads, group))
            .ok_or(protocol::Error::NotPermitted)?;
        let protocol = if kind == Kind::Stream {
            STREAM
        } else {
            TERMINAL
        };
        match self.minter.mint(Badge::own(protocol, index as u64)) {
            Ok(minted) => Ok(minted.client),
            Err(error) => {
                self.ends.remove(index);
                libipc::warn!("no further Connection to the terminal: {error}");
                Err(protocol::Error::NotPermitted)
            }
        }
    }

    fn forget(&mut self, badge: Badge) {
        if badge.is_own() {
            self.ends.remove(badge.number() as usize);
        }
    }

    fn cancelled(&mut self, cancelled: &libipc::Cancelled) {
        self.blocked
            .retain(|blocked| !blocked.reply.is_cancelled_by(cancelled));
        self.signals
            .retain(|(_, reply)| !reply.is_cancelled_by(cancelled));
        self.terminal.forget(|token| match token {
            Token::Line(reply) => reply.is_cancelled_by(cancelled),
            Token::Key(reply) => reply.is_cancelled_by(cancelled),
            Token::Bytes { reply, .. } => reply.is_cancelled_by(cancelled),
        });
    }
}

impl stream::Stream for Ttyd {
    fn write(&mut self, caller: Caller, at: u64, data: Vec<u8>, reply: Reply<u64, stream::Error>) {
        match self.end(caller.badge) {
            None => reply.err(stream::Error::WrongDirection),
            Some(_) if data.len() > MAX_CHUNK_BYTES => reply.err(stream::Error::TooLong),
            Some((end, _)) => {
                let blocked = Blocked {
                    end,
                    at,
                    data,
                    reply,
                };
                if self.rings.has_room(WRITE_ROOM) && self.blocked.is_empty() {
                    self.write_now(blocked)
                } else {
                    self.blocked.push_back(blocked)
                }
            }
        }
    }

    fn read(
        &mut self,
        caller: Caller,
        from: u64,
        max: u32,
        reply: Reply<stream::Chunk, stream::Error>,
    ) {
        let max = (max as usize).clamp(1, MAX_CHUNK_BYTES);
        let Some(group) = self.group(caller.badge) else {
            return reply.err(stream::Error::WrongDirection);
        };
        self.terminal.read(
            group,
            Wanted::Bytes { max },
            Token::Bytes { from, reply },
            Instant::now().as_ns(),
        );
    }

    fn another(&mut self, caller: Caller) -> Result<Handle<Connection>, stream::Error> {
        let (_, end) = self
            .end(caller.badge)
            .ok_or(stream::Error::WrongDirection)?;
        self.mint(end.kind, end.leads, end.group)
            .map_err(|_| stream::Error::LimitReached)
    }

    fn kind(&mut self, _caller: Caller) -> Result<stream::Kind, stream::Error> {
        Ok(stream::Kind::Terminal)
    }

    fn finish(&mut self, _caller: Caller) -> Result<(), stream::Error> {
        Ok(())
    }
}

impl protocol::Terminal for Ttyd {
    fn read_line(
        &mut self,
        caller: Caller,
        prompt: String,
        after: u64,
        history: bool,
        reply: Reply<protocol::Line, protocol::Error>,
    ) {
        let Some(group) = self.group(caller.badge) else {
            return reply.err(protocol::Error::NotPermitted);
        };
        self.terminal.read(
            group,
            Wanted::Line {
                prompt,
                after,
                history,
            },
            Token::Line(reply),
            Instant::now().as_ns(),
        );
    }

    fn read_key(
        &mut self,
        caller: Caller,
        after: u64,
        timeout_ms: u32,
        reply: Reply<protocol::Key, protocol::Error>,
    ) {
        let Some(group) = self.group(caller.badge) else {
            return reply.err(protocol::Error::NotPermitted);
        };
        let now = Instant::now().as_ns();
        let until =
            (timeout_ms != u32::MAX).then(|| now.saturating_add(u64::from(timeout_ms) * 1_000_000));
        self.terminal
            .read(group, Wanted::Key { after, until }, Token::Key(reply), now);
    }

    fn set_completions(
        &mut self,
        caller: Caller,
        words: Vec<String>,
        first: bool,
    ) -> Result<(), protocol::Error> {
        if !self.leads(caller.badge) {
            return Err(protocol::Error::NotPermitted);
        }
        self.terminal.set_completions(words, first);
        Ok(())
    }

    fn state(&mut self, _caller: Caller) -> Result<State, protocol::Error> {
        let saved = self.terminal.saved();
        let mode = match saved.mode {
            ttyd::terminal::Mode::Cooked => Mode::Cooked,
            ttyd::terminal::Mode::Raw => Mode::Raw,
        };
        Ok(State {
            rows: ROWS,
            columns: COLUMNS,
            mode,
            foreground: saved.foreground,
            is_interactive: true,
        })
    }

    fn set_mode(&mut self, caller: Caller, mode: Mode) -> Result<(), protocol::Error> {
        self.end(caller.badge)
            .ok_or(protocol::Error::NotPermitted)?;
        self.terminal.set_mode(match mode {
            Mode::Cooked => ttyd::terminal::Mode::Cooked,
            Mode::Raw => ttyd::terminal::Mode::Raw,
        });
        Ok(())
    }

    fn set_foreground(&mut self, caller: Caller, group: u32) -> Result<(), protocol::Error> {
        if !self.leads(caller.badge) {
            return Err(protocol::Error::NotPermitted);
        }
        self.terminal.set_foreground(group, Instant::now().as_ns());
        self.save();
        Ok(())
    }

    fn next_signal(&mut self, caller: Caller, after: u64, reply: SignalReply) {
        if !Self::hosts(caller.badge) {
            return reply.err(protocol::Error::NotPermitted);
        }
        self.signals.push((after, reply));
    }

    fn open(&mut self, caller: Caller, group: u32) -> Result<Opened, protocol::Error> {
        // What procd opens leads the session: the terminal knows the leader as group 0.
        let leads = Self::hosts(caller.badge);
        if !leads && !self.leads(caller.badge) {
            return Err(protocol::Error::NotPermitted);
        }
        let group = if leads { 0 } else { group };
        Ok(Opened {
            output: self.mint(Kind::Stream, leads, group)?,
            error: self.mint(Kind::Stream, leads, group)?,
            terminal: self.mint(Kind::Terminal, leads, group)?,
        })
    }
}
