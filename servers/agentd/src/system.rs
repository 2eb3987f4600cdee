//! What the daemon reaches of the system, and what becomes of a call in JSON-RPC's terms.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use core::fmt::Debug;

use agentd::rpc::{Code, RpcError};
use agentd::token::{SCOPES, Token};
use libipc::{Boot, CallError, CallId, Calls, Completed, Deadline, Failure, Pending, StartError};
use protocols::{directory, log, platform, process, services};
use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::handles::Tables;

/// How long a short call may take.
const SHORT_MS: u64 = 2_000;
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

/// The services that methods use.
pub struct System {
    /// Where waiting calls end.
    pub calls: Calls,
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
    /// The token of whoever started the machine.
    pub root: Option<Token>,
    /// What somebody may do who has not logged in.
    pub open: Option<Token>,
}

impl System {
    /// Takes the connections out of what the process was given.
    ///
    /// # Errors
    /// One is missing.
    pub fn new(boot: &mut Boot, calls: Calls) -> Result<Self, StartError> {
        let platform = platform::Client::adopt(boot.service("platform")?);
        let (root, open) = (root_token(&platform), open_token(&platform));
        if root.is_none() {
            libipc::warn!("no token was given: nobody can log in");
        }
        Ok(Self {
            calls,
            services: services::Client::adopt(boot.service("services")?),
            process: process::Client::adopt(boot.service("process")?),
            directory: directory::Client::adopt(boot.service("directory")?),
            log: log::Client::adopt(boot.service("log")?),
            platform,
            catalogue: RefCell::default(),
            handles: RefCell::default(),
            generation: boot.incarnation(),
            started_ns: libipc::Instant::now().as_ns(),
            root,
            open,
        })
    }

    /// Until when a short call may take.
    pub fn soon() -> Deadline {
        Deadline::after_ms(SHORT_MS)
    }
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

/// An error of a call, with the method's own translated by `method`.
pub fn error<E: Debug>(
    service: &'static str,
    method: impl FnOnce(E) -> RpcError,
) -> impl FnOnce(CallError<E>) -> RpcError {
    move |error| match error {
        CallError::Method(error) => method(error),
        CallError::Failed(failure) => failed(service, failure),
    }
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
