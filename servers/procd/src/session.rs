//! The session on the terminal: a shell that is started when there is none, and signals from the keyboard.
//!
//! All of it is by Call, so a terminal that is being restarted makes nobody wait.

use alloc::string::String;
use alloc::vec::Vec;

use libipc::{Boot, Calls, Completed, Deadline, Instant, Pending};
use protocols::terminal::{self, Opened};

/// The program of the session.
pub const SHELL: &str = "/system/shell.peb";
/// How long a shell that ended is waited for before the next one starts.
const PAUSE_NS: u64 = 500_000_000;
/// How long a question to the terminal may take; it is asked again then.
const PATIENCE_MS: u64 = 600_000;

enum Opening {
    /// Nobody wants a terminal.
    No,
    /// It is to be asked for at this time.
    At(u64),
    /// It was asked for.
    Asked(Pending<Opened, terminal::Error>),
    /// A shell has it.
    Open,
}

/// The session.
pub struct Session {
    terminal: Option<terminal::Client>,
    calls: Calls,
    opening: Opening,
    signal: Option<Pending<(u64, u32, terminal::Signal), terminal::Error>>,
    last_signal: u64,
    next_question: u64,
    /// The shell.
    pub leader: Option<u32>,
}

/// What the session wants done.
pub enum Wish {
    /// Start a shell on this terminal.
    StartShell(Opened),
    /// Signal a group (0: the leader's).
    Signal(u32, terminal::Signal),
}

impl Session {
    /// Takes the terminal's Connection, if there is one.
    pub fn new(boot: &mut Boot, calls: Calls) -> Self {
        let terminal = boot
            .optional_handle::<libipc::object::Connection>("terminal")
            .map(terminal::Client::adopt);
        // In the other modes a program of init's has the terminal.
        let is_normal = boot.variable("mode").is_none_or(|mode| mode == "normal");
        let terminal = terminal.filter(|_| is_normal);
        let wants_shell = terminal.is_some();
        Self {
            terminal,
            calls,
            opening: if wants_shell {
                Opening::At(0)
            } else {
                Opening::No
            },
            signal: None,
            last_signal: 0,
            next_question: 0,
            leader: None,
        }
    }

    /// A shell of the last incarnation still has the terminal.
    pub fn continue_with(&mut self, leader: u32) {
        self.leader = Some(leader);
        self.opening = Opening::Open;
    }

    /// The shell has ended, or could not be started.
    pub fn leader_ended(&mut self) {
        self.leader = None;
        self.opening = Opening::At(Instant::now().as_ns() + PAUSE_NS);
    }

    /// When [`Session::tend`] is to be called again.
    pub fn deadline(&self) -> u64 {
        let opening = if let Opening::At(at) = self.opening {
            at
        } else {
            u64::MAX
        };
        let question = if self.signal.is_none() && self.terminal.is_some() {
            self.next_question
        } else {
            u64::MAX
        };
        opening.min(question)
    }

    /// Asks the terminal what there is to ask.
    pub fn tend(&mut self) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        let now = Instant::now().as_ns();
        if matches!(self.opening, Opening::At(at) if at <= now) {
            match terminal.start_open(&self.calls, Deadline::after_ms(PATIENCE_MS), 0) {
                Ok(pending) => self.opening = Opening::Asked(pending),
                Err(error) => {
                    libipc::warn!("the terminal can't be asked: {error}");
                    self.opening = Opening::At(now + PAUSE_NS);
                }
            }
        }
        if self.signal.is_none() && self.next_question <= now {
            match terminal.start_next_signal(
                &self.calls,
                Deadline::after_ms(PATIENCE_MS),
                self.last_signal,
            ) {
                Ok(pending) => self.signal = Some(pending),
                Err(error) => {
                    libipc::warn!("the terminal can't be asked for signals: {error}");
                    self.next_question = now + PAUSE_NS;
                }
            }
        }
    }

    /// A call of ours has ended.
    pub fn completed(&mut self, completed: Completed) -> Option<Wish> {
        if matches!(&self.opening, Opening::Asked(pending) if pending.id() == completed.id()) {
            let Opening::Asked(pending) = core::mem::replace(&mut self.opening, Opening::Open)
            else {
                return None;
            };
            return match pending.finish(completed) {
                Ok(opened) => Some(Wish::StartShell(opened)),
                Err(error) => {
                    libipc::warn!("the terminal does not open: {error}");
                    self.leader_ended();
                    None
                }
            };
        }
        if self
            .signal
            .as_ref()
            .is_none_or(|pending| pending.id() != completed.id())
        {
            return None;
        }
        let pending = self.signal.take()?;
        match pending.finish(completed) {
            Ok((sequence, group, signal)) => {
                self.last_signal = sequence;
                Some(Wish::Signal(group, signal))
            }
            Err(_) => {
                // Time ran out, or the terminal was restarted twice: ask again, not at once.
                self.next_question = Instant::now().as_ns() + PAUSE_NS / 10;
                None
            }
        }
    }
}

/// The environment of a session.
pub fn environment() -> Vec<(String, String)> {
    let pairs = [
        ("PATH", "/system/bin:/system/sbin:/bin"),
        ("HOME", "/"),
        ("USER", "root"),
        ("SHELL", "/system/bin/sh.peb"),
        ("TERM", "xterm"),
        ("PEBBLE_COLOR", "1"),
    ];
    pairs
        .iter()
        .map(|(name, value)| (String::from(*name), String::from(*value)))
        .collect()
}
