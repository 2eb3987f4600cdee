//! The local machine as the system behind Pebble programs.
//!
//! [`Machine`] is what all programs of one command share: the folder that is their `/`, the process table and the
//! terminal. [`HostSystem`] is one process's view of it, and what the engine talks to. What would wait is done by a
//! helper thread that sends its answer back, so a program's other green threads run on.

mod files;
mod input;
mod keys;
mod launch;
mod machine;
mod network;
mod operations;
mod processes;
mod sandbox;
mod streams;
mod terminal;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use pebble_rt::modules::path;
use pebble_rt::system::{
    Answer, Data, Family, Grants, ModuleContent, ModuleText, Patience, Request, Started, Stream,
    System, SystemError, Token,
};

pub use launch::{Launch, run_program, run_session};
pub use machine::{Ending, Machine, MachineOptions};
pub use streams::Streams;

use operations::Done;

/// The text of a file of the embedded system tree, by its storage name (`system/lib/path.peb`).
pub fn system_text(name: &str) -> Option<&'static str> {
    std::str::from_utf8(tree::content(name)?).ok()
}

/// What a helper thread or the machine tells a waiting process.
#[derive(Debug)]
enum Event {
    /// A request has been answered.
    Answered(Token, Answer),
    /// Look again: a signal arrived.
    Wake,
}

/// The system as one process sees it.
pub struct HostSystem {
    machine: Arc<Machine>,
    pid: i64,
    working_directory: String,
    streams: Streams,
    descriptors: HashMap<i64, streams::Descriptor>,
    last_descriptor: i64,
    sockets: network::Sockets,
    grants: Grants,
    events: Receiver<Event>,
    sender: Sender<Event>,
    timers: Vec<(Instant, Token)>,
    cancelled: Vec<Token>,
    input_read: Option<InputRead>,
    kept_input: Option<Answer>,
    last_token: u64,
}

/// A read of the program's input that has not come back yet.
#[derive(Clone, Copy, Debug)]
struct InputRead {
    token: Token,
    /// Nobody waits for it any more; the next read takes it over, so no line is lost.
    is_abandoned: bool,
}

impl core::fmt::Debug for HostSystem {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("HostSystem")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl HostSystem {
    /// The view of process `pid`, which the machine's table already has.
    pub(crate) fn new(machine: Arc<Machine>, pid: i64, streams: Streams, grants: Grants) -> Self {
        let (sender, events) = channel();
        machine.set_waker(pid, sender.clone());
        Self {
            working_directory: machine.working_directory_of(pid),
            machine,
            pid,
            streams,
            descriptors: HashMap::new(),
            // The old descriptor functions count from 3 on their own; these never meet them.
            last_descriptor: 63,
            sockets: network::Sockets::default(),
            grants,
            events,
            sender,
            timers: Vec::new(),
            cancelled: Vec::new(),
            input_read: None,
            kept_input: None,
            last_token: 0,
        }
    }

    fn next_token(&mut self) -> Token {
        self.last_token += 1;
        Token(self.last_token)
    }

    /// Does work that may wait on a thread of its own.
    fn on_thread(&mut self, work: impl FnOnce() -> Answer + Send + 'static) -> Started {
        let token = self.next_token();
        let sender = self.sender.clone();
        let spawned = std::thread::Builder::new()
            .name("pebble-wait".into())
            .spawn(move || {
                // Nobody listens any more when the program has ended meanwhile.
                let _ = sender.send(Event::Answered(token, work()));
            });
        match spawned {
            Ok(_) => Started::Pending(token),
            Err(error) => Started::Ready(Err(files::io_error(&error))),
        }
    }

    /// Answers after so many milliseconds.
    fn after(&mut self, milliseconds: u64) -> Started {
        let token = self.next_token();
        let now = Instant::now();
        let deadline = now
            .checked_add(Duration::from_millis(milliseconds))
            .unwrap_or(now + Duration::from_secs(1 << 30));
        self.timers.push((deadline, token));
        Started::Pending(token)
    }

    fn expired_timers(&mut self) -> Vec<(Token, Answer)> {
        let now = Instant::now();
        let (expired, waiting) = std::mem::take(&mut self.timers)
            .into_iter()
            .partition(|(deadline, _)| *deadline <= now);
        self.timers = waiting;
        let mut expired: Vec<(Instant, Token)> = expired;
        expired.sort_unstable_by_key(|(deadline, _)| *deadline);
        expired
            .into_iter()
            .map(|(_, token)| (token, Ok(Data::None)))
            .collect()
    }

    fn accept(&mut self, event: Event, answers: &mut Vec<(Token, Answer)>) {
        if let Event::Answered(token, answer) = event {
            if let Some(read) = self.input_read.take_if(|read| read.token == token) {
                if read.is_abandoned {
                    self.kept_input = Some(answer);
                    return;
                }
                answers.push((token, answer));
                return;
            }
            match self
                .cancelled
                .iter()
                .position(|cancelled| *cancelled == token)
            {
                Some(place) => {
                    self.cancelled.swap_remove(place);
                }
                None => answers.push((token, answer)),
            }
        }
    }
}

impl System for HostSystem {
    fn grants(&self) -> Grants {
        self.grants
    }

    fn write(&mut self, stream: Stream, text: &str) -> Result<(), SystemError> {
        match stream {
            Stream::Output => self.streams.output.write(text.as_bytes()),
            Stream::Error => {
                self.streams.output.flush()?;
                self.streams.error.write(text.as_bytes())?;
                self.streams.error.flush()
            }
        }
    }

    fn start_input(&mut self, prompt: &str) -> Started {
        operations::read_input(self, prompt)
    }

    fn start(&mut self, request: Request) -> Started {
        if !self.grants.has(request.family) {
            return Started::Ready(Err(SystemError::unknown(&request)));
        }
        let done = match request.family {
            Family::Fs => files::handle(self, &request),
            Family::Proc => processes::handle(self, &request),
            Family::Term => terminal::handle(self, &request),
            Family::Clock => operations::clock(self, &request),
            Family::Net => network::handle(self, &request),
            Family::Service | Family::Core => Err(SystemError::unknown(&request)),
        };
        match done {
            Ok(Done::Now(data)) => Started::Ready(Ok(data)),
            Ok(Done::Later(started)) => started,
            Err(error) => Started::Ready(Err(error)),
        }
    }

    fn cancel(&mut self, token: Token) {
        if let Some(read) = self.input_read.as_mut().filter(|read| read.token == token) {
            read.is_abandoned = true;
            return;
        }
        let before = self.timers.len();
        self.timers.retain(|(_, timer)| *timer != token);
        if self.timers.len() == before {
            self.cancelled.push(token);
        }
    }

    fn wait(&mut self, patience: Patience) -> Vec<(Token, Answer)> {
        // What a program has printed is on the screen while it waits.
        let _ = self.streams.output.flush();
        let limit = match patience {
            Patience::Poll => Some(Duration::ZERO),
            Patience::Milliseconds(milliseconds) => Some(Duration::from_millis(milliseconds)),
            Patience::Forever => None,
        };
        let mut answers = self.expired_timers();
        if answers.is_empty() {
            let next_timer = self.timers.iter().map(|(deadline, _)| *deadline).min();
            let until_timer =
                next_timer.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let wait = match (limit, until_timer) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let event = match wait {
                Some(wait) => self.events.recv_timeout(wait).ok(),
                None => self.events.recv().ok(),
            };
            if let Some(event) = event {
                self.accept(event, &mut answers);
            }
            answers.extend(self.expired_timers());
        }
        while let Ok(event) = self.events.try_recv() {
            self.accept(event, &mut answers);
        }
        answers
    }

    fn monotonic_ms(&mut self) -> u64 {
        self.machine.milliseconds_since_start()
    }

    fn load_module(&mut self, parts: &[&str]) -> Result<Option<ModuleText>, SystemError> {
        let relative = format!("{}.peb", parts.join("/"));
        let mut candidates = Vec::new();
        if let Ok(name) = path::storage_name(&relative, &self.working_directory) {
            candidates.push(name);
        }
        if let [name] = parts {
            let library = format!("system/lib/{name}.peb");
            // A part of the standard library that is written in Pebble wins over the program's own files, as native
            // modules do.
            let place = if *name == "re" { 0 } else { candidates.len() };
            candidates.insert(place, library);
        }
        for label in candidates {
            if let Ok(bytes) = self.machine.sandbox().read(&label) {
                let source = String::from_utf8(bytes).map_err(|_| {
                    SystemError::new(
                        pebble_rt::modules::errno::INVAL,
                        format!("'{label}' is not UTF-8"),
                    )
                })?;
                return Ok(Some(ModuleText {
                    label,
                    content: ModuleContent::Source(source),
                }));
            }
        }
        Ok(None)
    }
}

impl Drop for HostSystem {
    fn drop(&mut self) {
        let _ = self.streams.output.flush();
        self.machine.leave_raw_mode(self.pid);
    }
}
