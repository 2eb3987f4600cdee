//! What the daemon reaches of the system, and what becomes of a call in JSON-RPC's terms.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Debug;
use core::ops::Deref;
use core::pin::Pin;

use libipc::executor::Waiting;
use libipc::{
    Boot, CallError, CallId, Calls, Completed, Connection, Deadline, Failure, Handle, Instant,
    Pending, StartError,
};
use protocols::{directory, log, platform, process, services, stream};
use serde_json::Value;

use crate::budget::{Budget, Reserved};
use crate::catalogue::Catalogue;
use crate::faults::Faults;
use crate::handles::Tables;
use crate::jobs::Jobs;
use crate::locks::Locks;
use crate::rpc::{Code, RpcError};
use crate::state::State;
use crate::timers::Timers;
use crate::token::{SCOPES, Token};

/// How long a short call may take.
const SHORT_MS: u64 = 2_000;
/// Calls that requests may have under way together; the others are for connections.
const MAX_CALLS: usize = 300;
/// Bytes that connections and requests may hold together.
const MEMORY_BYTES: usize = 32 << 20;
/// Where the digest of the token is.
const TOKEN_FILE: &str = "opt/org.pebbleos/agentd-token";
/// Where the scopes of connections without a login are.
const OPEN_FILE: &str = "opt/org.pebbleos/agentd-open";

/// What goes on when a call has ended.
pub type Then = Box<dyn FnOnce(Completed, &mut System) -> Answer>;

/// What a method answers.
pub enum Answer {
    /// This.
    Now(Result<Value, RpcError>),
    /// What comes of the end of a call.
    Later(CallId, Then),
}

/// The system as methods see it. Clones are the same.
#[derive(Clone)]
pub struct System(Rc<Shared>);

/// What all methods share.
pub struct Shared {
    /// Where waiting calls end.
    pub calls: Calls,
    /// Where tasks wait for them.
    pub waiting: Waiting,
    /// Where they wait for time to pass.
    pub timers: Timers,
    /// What they may hold.
    pub memory: Budget,
    /// Files that are being replaced.
    pub locks: Locks,
    /// The supervisor.
    pub services: services::Client,
    /// Processes.
    pub process: process::Client,
    /// Names and files.
    pub directory: directory::Client,
    /// The log.
    pub log: log::Client,
    /// The board.
    pub platform: platform::Client,
    /// What the servers say of their interfaces.
    pub catalogue: RefCell<Catalogue>,
    /// Handles that sessions hold.
    pub handles: RefCell<Tables>,
    /// Which incarnation of the daemon this is.
    pub generation: u64,
    /// When it started.
    pub started_ns: u64,
    /// Wall-clock time at boot, in nanoseconds since 1970.
    pub epoch_ns: i64,
    /// What somebody may do who has not logged in.
    pub open: Option<Token>,
    /// What outlives the daemon.
    pub state: RefCell<State>,
    /// Programs that were started with their output kept.
    pub jobs: RefCell<Jobs>,
    /// An end to read from that has nothing.
    pub empty: RefCell<Option<Handle<Connection>>>,
    /// A pipe that takes everything and keeps nothing.
    pub sink: RefCell<Option<Rc<(stream::Client, stream::Client)>>>,
    /// Faults that are to happen.
    pub faults: RefCell<Faults>,
    /// Processes whose start nobody waits for any more.
    orphans: RefCell<Vec<Pending<process::Pid, process::Error>>>,
    detached: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>,
}

impl Deref for System {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl System {
    /// Takes the connections out of what the process was given.
    ///
    /// # Errors
    /// One is missing.
    pub fn new(boot: &mut Boot, calls: Calls, waiting: Waiting) -> Result<Self, StartError> {
        let platform = platform::Client::adopt(boot.service("platform")?);
        let (root, open) = (root_token(&platform), open_token(&platform));
        let state = State::open(boot, root)?;
        if state.tokens.is_empty() {
            libipc::warn!("no token was given: nobody can log in");
        }
        Ok(Self(Rc::new(Shared {
            calls,
            waiting,
            timers: Timers::default(),
            memory: Budget::new(MEMORY_BYTES),
            locks: Locks::default(),
            services: services::Client::adopt(boot.service("services")?),
            process: process::Client::adopt(boot.service("process")?),
            directory: directory::Client::adopt(boot.service("directory")?),
            log: log::Client::adopt(boot.service("log")?),
            catalogue: RefCell::default(),
            handles: RefCell::default(),
            generation: boot.incarnation(),
            started_ns: Instant::now().as_ns(),
            epoch_ns: epoch(&platform),
            platform,
            open,
            state: RefCell::new(state),
            jobs: RefCell::default(),
            empty: RefCell::default(),
            sink: RefCell::default(),
            faults: RefCell::default(),
            orphans: RefCell::default(),
            detached: RefCell::default(),
        })))
    }

    /// Until when a short call may take.
    pub fn soon() -> Deadline {
        Deadline::after_ms(SHORT_MS)
    }

    /// Reserves memory for what a request is going to hold.
    ///
    /// # Errors
    /// Others have it.
    pub fn reserve(&self, bytes: usize) -> Result<Reserved, RpcError> {
        self.memory.reserve(bytes).ok_or_else(|| {
            RpcError::new(Code::Busy, "other requests have the memory for this")
                .with("retry_after_ms", 100)
        })
    }

    /// Waits for a started call of `service`. Whoever stops waiting calls it off.
    ///
    /// # Errors
    /// The method's own, as `method` translates it, or what became of the call.
    pub async fn ask<T, E>(
        &self,
        service: &'static str,
        started: Result<Pending<T, E>, Failure>,
        method: impl FnOnce(E) -> RpcError,
    ) -> Result<T, RpcError> {
        self.call(started)
            .await
            .map_err(|error| match self.faults.borrow_mut().strike(service) {
                Some(failure) => failed(service, failure),
                None => translate(service, method, error),
            })
            .and_then(|value| match self.faults.borrow_mut().strike(service) {
                Some(failure) => Err(failed(service, failure)),
                None => Ok(value),
            })
    }

    /// Waits for the end of a started call, for whoever keeps its `Pending`. Whoever stops waiting calls it off.
    pub async fn end_of(&self, id: CallId) -> Completed {
        let guard = CalledOff {
            calls: &self.calls,
            id,
        };
        let completed = self.waiting.end_of(id).await;
        drop(guard);
        completed
    }

    /// Whether a token still counts.
    pub fn is_good(&self, token: &Token) -> bool {
        let is_open = self.open.as_ref().is_some_and(|open| open.id == token.id);
        is_open
            || self
                .state
                .borrow()
                .tokens
                .has(&token.id, Instant::now().as_ns())
    }

    /// Has a task run to its end that nobody waits for.
    pub fn detach(&self, task: impl Future<Output = ()> + 'static) {
        self.detached.borrow_mut().push(Box::pin(task));
    }

    /// The tasks that were detached since this was asked last.
    pub fn take_detached(&self) -> Vec<Pin<Box<dyn Future<Output = ()>>>> {
        self.detached.take()
    }

    /// As [`ask`](Self::ask), with what happened as it is.
    ///
    /// # Errors
    /// The method's own, or what became of the call.
    pub async fn call<T, E>(
        &self,
        started: Result<Pending<T, E>, Failure>,
    ) -> Result<T, CallError<E>> {
        let pending = started?;
        let guard = CalledOff {
            calls: &self.calls,
            id: pending.id(),
        };
        if self.calls.under_way() > MAX_CALLS {
            let error = libipc::SysError(libipc::outcome::Outcome::QuotaHandles);
            return Err(CallError::Failed(Failure::System(error)));
        }
        let outcome = self.waiting.on(pending).await;
        drop(guard);
        outcome
    }

    /// Starts a program.
    ///
    /// # Errors
    /// What procd says, or what became of the call.
    pub async fn spawn(
        &self,
        deadline: Deadline,
        request: &process::SpawnRequest,
        streams: process::Streams,
    ) -> Result<process::Pid, CallError<process::Error>> {
        let pending = self
            .process
            .start_spawn(&self.calls, deadline, request, &streams)?;
        let id = pending.id();
        let mut start = Starting {
            system: self,
            pending: Some(pending),
        };
        let completed = self.waiting.end_of(id).await;
        // From here on only the program has these streams, so its end is their end.
        drop(streams);
        match start.pending.take() {
            Some(pending) => pending.finish(completed),
            None => Err(CallError::Failed(Failure::BadReply)),
        }
    }

    /// Takes the end of a call that no task waits for: a process that was started for somebody who is gone has to go too.
    pub fn unclaimed(&self, completed: Completed) -> Option<Completed> {
        let mut orphans = self.orphans.borrow_mut();
        let Some(place) = orphans
            .iter()
            .position(|pending| pending.id() == completed.id())
        else {
            return Some(completed);
        };
        let pending = orphans.swap_remove(place);
        drop(orphans);
        if let Ok(pid) = pending.finish(completed) {
            self.kill(pid);
        }
        None
    }

    /// Kills a process without waiting for the answer.
    fn kill(&self, pid: process::Pid) {
        self.send_kill(pid, false);
    }

    /// Kills all processes of a group without waiting for the answer.
    pub fn kill_group(&self, group: process::Pid) {
        self.send_kill(group, true);
    }

    fn send_kill(&self, pid: process::Pid, group: bool) {
        let kill = process::Signal::Kill;
        let started = self
            .process
            .start_signal(&self.calls, Self::soon(), pid, kill, group);
        // If it has ended just now, that is as well.
        drop(started);
    }
}

/// Somebody waits for a process's start.
struct Starting<'s> {
    system: &'s System,
    pending: Option<Pending<process::Pid, process::Error>>,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.system.orphans.borrow_mut().push(pending);
        }
    }
}

/// Calls a call off that has not ended.
struct CalledOff<'c> {
    calls: &'c Calls,
    id: CallId,
}

impl Drop for CalledOff<'_> {
    fn drop(&mut self) {
        self.calls.cancel(self.id);
    }
}

fn epoch(platform: &platform::Client) -> i64 {
    let Ok((seconds, at_ns)) = platform.wall_clock(System::soon()) else {
        libipc::warn!("the clock can't be read: times of day are not known");
        return 0;
    };
    let boot = i128::from(seconds) * 1_000_000_000 - i128::from(at_ns);
    i64::try_from(boot).unwrap_or(0)
}

fn file(platform: &platform::Client, name: &str) -> Option<String> {
    let bytes = platform.firmware_file(System::soon(), name, 0_u32).ok()?;
    let text = core::str::from_utf8(&bytes).ok()?;
    Some(text.trim_end_matches('\0').trim().to_string())
}

fn root_token(platform: &platform::Client) -> Option<Token> {
    let text = file(platform, TOKEN_FILE)?;
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(Token::root("root", digest))
}

fn open_token(platform: &platform::Client) -> Option<Token> {
    let text = file(platform, OPEN_FILE)?;
    let words: BTreeSet<&str> = text
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return None;
    }
    let mut token = Token::root("open", [0; 32]);
    token.label = "open".to_string();
    token.scopes = SCOPES
        .iter()
        .filter(|scope| words.contains("all") || words.contains(*scope))
        .map(|scope| scope.to_string())
        .collect();
    Some(token)
}

/// A call that failed, as an error.
pub fn failed(service: &str, failure: Failure) -> RpcError {
    match failure {
        Failure::DeadlinePassed { delivered } => {
            RpcError::new(Code::Timeout, format!("{service}: {failure}"))
                .with("may_have_happened", delivered)
        }
        Failure::Cancelled { delivered } => {
            RpcError::new(Code::Cancelled, format!("{service}: {failure}"))
                .with("may_have_happened", delivered)
        }
        Failure::Interrupted { .. } => {
            RpcError::new(Code::PeerDied, format!("{service}: {failure}"))
                .with("service", service)
                .with("may_have_happened", true)
        }
        Failure::NotDelivered(_) => RpcError::new(Code::PeerDied, format!("{service}: {failure}"))
            .with("service", service)
            .with("may_have_happened", false)
            .retryable(true),
        Failure::System(_) => {
            RpcError::new(Code::Busy, format!("{service}: {failure}")).with("retry_after_ms", 100)
        }
        Failure::TooLarge => RpcError::new(Code::TooLarge, format!("{service}: {failure}")),
        Failure::Refused(_) | Failure::BadReply => {
            RpcError::new(Code::Internal, format!("{service}: {failure}"))
        }
    }
}

fn translate<E>(
    service: &str,
    method: impl FnOnce(E) -> RpcError,
    error: CallError<E>,
) -> RpcError {
    match error {
        CallError::Method(error) => method(error),
        CallError::Failed(failure) => failed(service, failure),
    }
}

/// An error of a call, with the method's own translated by `method`.
pub fn error<E: Debug>(
    service: &'static str,
    method: impl FnOnce(E) -> RpcError,
) -> impl FnOnce(CallError<E>) -> RpcError {
    move |error| translate(service, method, error)
}

/// Answers when a call has ended.
pub fn later<T: 'static, E: 'static>(
    started: Result<Pending<T, E>, Failure>,
    service: &'static str,
    then: impl FnOnce(Result<T, CallError<E>>, &mut System) -> Answer + 'static,
) -> Answer {
    match started {
        Ok(pending) => {
            let id = pending.id();
            Answer::Later(
                id,
                Box::new(move |completed, system| then(pending.finish(completed), system)),
            )
        }
        Err(failure) => Answer::Now(Err(failed(service, failure))),
    }
}
