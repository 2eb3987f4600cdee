//! Processes as users see them.
//!
//! Served by procd. A Connection belongs to one process (or to agentd, a session), and what it may do follows from that: it spawns children of that process, waits for them and kills
//! what it may kill.

use libipc::prelude::*;

/// A process's number. 1 is init.
pub type Pid = u32;

/// Limits of a process; `None` leaves it to the parent's.
#[message]
#[derive(Default)]
pub struct Limits {
    /// Memory in KiB.
    pub memory_kib: Option<u64>,
    /// CPU time in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Wall time in milliseconds.
    pub wall_ms: Option<u64>,
    /// Open files and the like.
    pub handles: Option<u32>,
    /// Threads.
    pub threads: Option<u32>,
    /// Children alive.
    pub children: Option<u32>,
}

/// What is used of what is allowed.
#[message]
pub struct Usage {
    /// `memory_kib`, `cpu_ms`, `wall_ms`, `handles`, `threads`, `children`.
    pub name: String,
    /// In use.
    pub used: u64,
    /// Allowed; `None`: no limit.
    pub cap: Option<u64>,
}

/// How a process ended.
#[message]
pub enum Exit {
    /// By itself; the status.
    Code(u8),
    /// By a signal.
    Signal(Signal),
    /// By a fault.
    Fault {
        /// Its kind.
        kind: String,
        /// The address.
        address: u64,
    },
    /// It passed a limit; which.
    Limit(String),
}

/// Signals.
#[message]
#[derive(Copy, Eq)]
pub enum Signal {
    /// Interrupt (2): Ctrl-C.
    Interrupt,
    /// Kill (9): cannot be refused.
    Kill,
    /// Terminate (15).
    Terminate,
    /// Stop (20): Ctrl-Z.
    Stop,
    /// Continue (18).
    Continue,
    /// Hang up (1).
    HangUp,
}

/// What a process is doing.
#[message]
#[derive(Copy, Eq)]
pub enum State {
    /// Running or ready.
    Running,
    /// Waiting for something.
    Sleeping,
    /// Stopped.
    Stopped,
    /// Ended, not yet waited for.
    Ended,
}

/// One process.
#[message]
pub struct Info {
    /// Its number.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
    /// Its group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Its user.
    pub uid: u32,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Its arguments, the program first.
    pub argv: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// Threads.
    pub threads: u32,
    /// CPU time in ns.
    pub cpu_ns: u64,
    /// Bytes of memory of its own.
    pub private_bytes: u64,
    /// Bytes mapped, shared ones too.
    pub mapped_bytes: u64,
    /// Handles.
    pub handles: u32,
    /// When it started, in ns since boot.
    pub start_ns: u64,
    /// The CPU it lives on.
    pub cpu: u8,
    /// Whether it is a service of init's.
    pub service: bool,
}

/// What to start.
#[message]
pub struct SpawnRequest {
    /// The Pebble program's path (`/system/bin/echo.peb`).
    pub program: String,
    /// The arguments without the program's name.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// The working directory.
    pub cwd: String,
    /// Its limits.
    pub limits: Limits,
    /// Its group, from `new_group`; `None`: its parent's.
    pub group: Option<Pid>,
    /// Program text to run in place of the file at `program`.
    pub source: Option<String>,
    /// The modules (families) it gets; `None`: all that its parent has.
    pub modules: Option<Vec<String>>,
}

/// What the interpreter of a Pebble program is told beyond arguments and environment: its bootstrap's configuration.
#[message]
pub struct GuestConfig {
    /// The working directory.
    pub cwd: String,
    /// Program text to run in place of the file.
    pub source: Option<String>,
    /// The families of modules that it gets; `None`: all.
    pub modules: Option<Vec<String>>,
}

/// What a program reads from and writes to.
#[message]
pub struct Streams {
    /// Standard input.
    pub input: Handle<Connection>,
    /// Standard output.
    pub output: Handle<Connection>,
    /// Error output.
    pub error: Handle<Connection>,
    /// The controlling terminal.
    pub terminal: Option<Handle<Connection>>,
    /// Where a program that is run for its value writes its [`Report`]; such a program has no terminal.
    pub report: Option<Handle<Connection>>,
}

/// What became of a program that was run for its value: written in postcard to [`Streams::report`] when it ends by itself.
#[message]
pub struct Report {
    /// The value of the expression that is its last statement, as JSON; `None` if the last statement is none, or its value can't be written so.
    pub value: Option<String>,
    /// The same as the program itself would write it; `None` if the last statement is no expression.
    pub repr: Option<String>,
    /// Steps of the engine that it took.
    pub steps: u64,
    /// The error that ended it.
    pub thrown: Option<Thrown>,
}

/// An error that ended a program.
#[message]
pub struct Thrown {
    /// Its class.
    pub class: String,
    /// What happened.
    pub detail: String,
    /// The file, as its path from the root without the leading slash.
    pub file: String,
    /// The line, from 1; 0 if it is not known.
    pub line: u32,
    /// The calls that led there, outermost first: function (empty for the top level of a file), file, line.
    pub trace: Vec<(String, String, u32)>,
}

/// Errors of processes.
#[message]
pub enum Error {
    /// No such process.
    NotFound,
    /// The caller may not do this to it.
    NotPermitted,
    /// The program does not exist.
    NoProgram,
    /// More than a message or a limit can take.
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// A limit of the parent's, or the machine's, is reached; which.
    LimitReached(String),
    /// It is no child of the caller's, or was waited for already.
    NotAChild,
    /// The program could not be loaded.
    LoadFailed(String),
}

/// See the module.
#[protocol(name = "process", version = 1)]
pub trait Process {
    /// Starts a program with three standard streams (Connections that speak `stream`) and, if it has one, its terminal (speaks `terminal`).
    fn spawn(&mut self, request: SpawnRequest, streams: Streams) -> Result<Pid, Error>;

    /// Reserves a number for a new process group, to give to `spawn` and to the terminal.
    fn new_group(&mut self) -> Result<Pid, Error>;

    /// Waits for the end of a process; it can be asked again for a while (10 minutes, 1,024 processes).
    #[idempotent]
    #[deferred]
    fn wait(&mut self, pid: Pid) -> Result<Exit, Error>;

    /// Waits for the end of any child not yet reported by this method; `after` is the number of the last report the caller has. Answers the report's number, the child and its end.
    #[idempotent]
    #[deferred]
    fn wait_any(&mut self, after: u64) -> Result<(u64, Pid, Exit), Error>;

    /// Sends a signal; to the whole group with `group`. Answers how many processes got it.
    #[idempotent]
    fn signal(&mut self, pid: Pid, signal: Signal, group: bool) -> Result<u32, Error>;

    /// Numbers of all processes, from `after` (exclusive), as many as fit.
    #[idempotent]
    fn list(&mut self, after: Pid) -> Result<Vec<Pid>, Error>;

    /// Everything about one.
    #[idempotent]
    fn info(&mut self, pid: Pid) -> Result<Info, Error>;

    /// The environment it was started with, from entry `from`, as many as fit.
    #[idempotent]
    fn environment(&mut self, pid: Pid, from: u32) -> Result<Vec<(String, String)>, Error>;

    /// Its limits and what is used of them, after tightening those that are given. No limit ever grows.
    #[idempotent]
    fn limits(&mut self, pid: Pid, set: Limits) -> Result<Vec<Usage>, Error>;

    /// Changes the caller's own working directory, as `info` shows it.
    #[idempotent]
    fn set_cwd(&mut self, cwd: String) -> Result<(), Error>;

    /// Makes a pipe of `capacity` bytes: the end to read, the end to write. With `capture`, it never blocks the writer: what does not fit is dropped and counted.
    fn pipe(
        &mut self,
        capacity: u32,
        capture: bool,
    ) -> Result<(Handle<Connection>, Handle<Connection>), Error>;

    /// Waits for a signal to the caller itself; `after` is the number of the last one it has. A program that never asks is ended by Interrupt and Terminate.
    #[idempotent]
    #[deferred]
    fn next_signal(&mut self, after: u64) -> Result<(u64, Signal), Error>;
}
