//! Listening: a port of netd's, asked for again whenever netd has no network yet or was restarted. The socket is kept in the capsule: who connects while we are
//! restarted waits for the next incarnation to take it up.

use libipc::{
    CallError, Calls, Completed, Connection, Deadline, Failure, Handle, Instant, Pending,
};
use protocols::socket::{self, Error, SocketAddress, tcp_listener};

use crate::system::System;

/// The port.
const PORT: u16 = 7000;
/// Connections that wait to be accepted, at most.
const BACKLOG: u16 = 8;
/// Between two tries.
const PAUSE_NS: u64 = 100_000_000;
/// How long netd may take to listen.
const PATIENCE_MS: u64 = 10_000;
/// How long one `accept` waits before it is asked for again.
const ACCEPT_MS: u64 = 3_600_000;

enum State {
    Idle {
        try_at: u64,
    },
    Asking(Pending<(Handle<Connection>, u16), Error>),
    Listening(tcp_listener::Client),
    Accepting(
        tcp_listener::Client,
        Pending<(Handle<Connection>, SocketAddress), Error>,
    ),
}

/// The listening socket.
pub struct Listener {
    socket: socket::Client,
    system: System,
    calls: Calls,
    state: State,
}

impl Listener {
    /// Goes on with the socket that the last incarnation had, or begins to listen at the next [`tend`](Self::tend).
    pub fn new(socket: socket::Client, system: System) -> Self {
        let kept = system.state.borrow().take_listener();
        let state = match kept {
            Some(listener) => State::Listening(tcp_listener::Client::adopt(listener)),
            None => State::Idle { try_at: 0 },
        };
        Self {
            socket,
            calls: system.calls.clone(),
            system,
            state,
        }
    }

    /// When to try again, if nothing is under way.
    pub fn next_try(&self) -> Option<u64> {
        match &self.state {
            State::Idle { try_at } => Some(*try_at),
            _ => None,
        }
    }

    fn later() -> State {
        State::Idle {
            try_at: Instant::now().as_ns().saturating_add(PAUSE_NS),
        }
    }

    /// The socket is of no use any more: netd was restarted, say.
    fn lost(&self) -> State {
        self.system.state.borrow().drop_listener();
        Self::later()
    }

    /// Starts what is due.
    pub fn tend(&mut self) {
        let state = core::mem::replace(&mut self.state, State::Idle { try_at: 0 });
        self.state = match state {
            State::Idle { try_at } if try_at <= Instant::now().as_ns() => {
                let terms = Deadline::after_ms(PATIENCE_MS);
                match self.socket.start_listen(&self.calls, terms, PORT, BACKLOG) {
                    Ok(pending) => State::Asking(pending),
                    Err(_) => Self::later(),
                }
            }
            State::Listening(client) => {
                match client.start_accept(&self.calls, Deadline::after_ms(ACCEPT_MS)) {
                    Ok(pending) => State::Accepting(client, pending),
                    Err(_) => self.lost(),
                }
            }
            other => other,
        };
    }

    /// Whether `completed` is the end of a call that the listener made.
    pub fn awaits(&self, completed: &Completed) -> bool {
        match &self.state {
            State::Asking(pending) => pending.id() == completed.id(),
            State::Accepting(_, pending) => pending.id() == completed.id(),
            State::Idle { .. } | State::Listening(_) => false,
        }
    }

    /// Takes the end of the call that the listener [`awaits`](Self::awaits): a new connection and where it comes from, if it brought one.
    pub fn completed(
        &mut self,
        completed: Completed,
    ) -> Option<(Handle<Connection>, SocketAddress)> {
        let mut accepted = None;
        self.state = match core::mem::replace(&mut self.state, Self::later()) {
            State::Asking(pending) => match pending.finish(completed) {
                Ok((listener, port)) => {
                    libipc::info!("listening on port {port}");
                    self.system.state.borrow().keep_listener(&listener);
                    State::Listening(tcp_listener::Client::adopt(listener))
                }
                Err(_) => Self::later(),
            },
            State::Accepting(client, pending) => match pending.finish(completed) {
                Ok(connection) => {
                    accepted = Some(connection);
                    State::Listening(client)
                }
                Err(CallError::Failed(Failure::DeadlinePassed { .. })) => State::Listening(client),
                Err(_) => self.lost(),
            },
            other => other,
        };
        accepted
    }
}
