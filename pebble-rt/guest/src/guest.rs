//! The system as this process sees it, and the one place where it waits.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use libipc::object::Connection;
use libipc::{
    Boot, CallError, Calls, Completed, Deadline, Endpoint, Instant, Pending, StartError, Wake,
};
use pebble_rt::modules::{errno, path};
use pebble_rt::system::{
    Answer, Data, Family, Grants, ModuleContent, ModuleText, Patience, Request, Started, Stream,
    System, SystemError, Token,
};
use protocols::process::GuestConfig;
use protocols::{directory, log, platform, process, services, socket, stream, terminal};

use crate::descriptors::{Descriptors, Input, Output};
use crate::operations::Done;
use crate::processes::Jobs;
use crate::pumps::Pumps;
use crate::{
    clock, files, network, processes, services as service_family, terminal as terminal_family,
};

/// What a server may take for a short answer. A service that is being restarted is waited for in it.
pub const PATIENCE_MS: u64 = 10_000;
/// What a long question (a line, a key, an end) may take; it is asked again then.
pub const LONG_PATIENCE_MS: u64 = 3_600_000;

/// What is done with the end of a call.
type Handler = Box<dyn FnOnce(&mut Guest, Completed) -> Option<(Token, Answer)>>;
use alloc::boxed::Box;

/// The services this process was given.
pub struct Services {
    /// Files.
    pub directory: Option<directory::Client>,
    /// Processes.
    pub process: process::Client,
    /// The terminal.
    pub terminal: Option<terminal::Client>,
    /// The supervisor.
    pub services: Option<services::Client>,
    /// The log.
    pub log: Option<log::Client>,
    /// The network.
    pub socket: Option<socket::Client>,
    /// The board.
    pub platform: Option<platform::Client>,
}

/// The system behind the program.
pub struct Guest {
    /// Services.
    pub services: Services,
    /// Our number.
    pub pid: u32,
    /// Where we work.
    pub cwd: String,
    /// The environment that children get.
    pub environment: Vec<(String, String)>,
    /// The program and its arguments, as they were given.
    pub arguments: Vec<String>,
    /// Open files and streams.
    pub descriptors: Descriptors,
    /// Children.
    pub jobs: Jobs,
    /// Bytes moved between streams and files meanwhile.
    pub pumps: Pumps,
    /// Wall-clock time at boot in nanoseconds, once known.
    pub epoch_ns: Option<i64>,
    /// The number of the last line and key that we have.
    pub last_input: u64,
    /// Sockets.
    pub sockets: network::Sockets,
    /// Whether standard input is the terminal, once asked.
    reads_terminal: Option<bool>,
    grants: Grants,
    endpoint: Rc<RefCell<Endpoint>>,
    /// Calls that report their ends to our endpoint.
    pub calls: Calls,
    handlers: BTreeMap<libipc::CallId, Handler>,
    timers: Vec<(u64, Token)>,
    answers: Vec<(Token, Answer)>,
    cancelled: Vec<Token>,
    last_token: u64,
}

impl Guest {
    /// Takes what the process was given.
    ///
    /// # Errors
    /// If the streams or the process manager are missing.
    pub fn new(boot: &mut Boot, config: &GuestConfig) -> Result<Self, StartError> {
        let endpoint = Endpoint::create()?;
        let calls = endpoint.calls();
        let mut optional = |name: &str| boot.optional_handle::<Connection>(name);
        let services = Services {
            directory: optional("directory").map(directory::Client::adopt),
            terminal: optional("terminal").map(terminal::Client::adopt),
            services: optional("services").map(services::Client::adopt),
            log: optional("log").map(log::Client::adopt),
            socket: optional("socket").map(socket::Client::adopt),
            platform: optional("platform").map(platform::Client::adopt),
            process: process::Client::adopt(boot.handle("process")?),
        };
        let stream = |boot: &mut Boot, name: &str| boot.handle(name).map(stream::Client::adopt);
        let descriptors = Descriptors::new(
            Input::stream(stream(boot, "stdin")?),
            Output::new(stream(boot, "stdout")?),
            Output::new(stream(boot, "stderr")?),
        );
        let grants = grants(&services, config.modules.as_deref());
        Ok(Self {
            services,
            pid: boot.pid(),
            cwd: config.cwd.clone(),
            environment: boot.environment().to_vec(),
            arguments: boot.arguments().to_vec(),
            descriptors,
            jobs: Jobs::default(),
            pumps: Pumps::default(),
            epoch_ns: None,
            last_input: 0,
            sockets: network::Sockets::default(),
            reads_terminal: None,
            grants,
            endpoint: Rc::new(RefCell::new(endpoint)),
            calls,
            handlers: BTreeMap::new(),
            timers: Vec::new(),
            answers: Vec::new(),
            cancelled: Vec::new(),
            last_token: 0,
        })
    }

    /// Whether standard input is the terminal, and not a pipe or a file.
    pub fn reads_terminal(&mut self) -> bool {
        if self.services.terminal.is_none() {
            return false;
        }
        let input = &self.descriptors.input;
        *self
            .reads_terminal
            .get_or_insert_with(|| input.is_terminal())
    }

    /// A deadline for a short answer.
    pub fn soon() -> Deadline {
        Deadline::after_ms(PATIENCE_MS)
    }

    /// A deadline for a long question.
    pub fn late() -> Deadline {
        Deadline::after_ms(LONG_PATIENCE_MS)
    }

    /// The filesystem's client.
    ///
    /// # Errors
    /// If there is none.
    pub fn directory(&self) -> Result<&directory::Client, SystemError> {
        self.services
            .directory
            .as_ref()
            .ok_or_else(|| SystemError::new(errno::NOSYS, "no file system was granted"))
    }

    /// A token that was not used before.
    pub fn token(&mut self) -> Token {
        self.last_token += 1;
        Token(self.last_token)
    }

    /// Has `handler` called when the call ends.
    pub fn when_done<T, E>(
        &mut self,
        pending: Pending<T, E>,
        handler: impl FnOnce(&mut Self, Result<T, CallError<E>>) -> Option<(Token, Answer)> + 'static,
    ) where
        T: 'static,
        E: 'static,
    {
        let id = pending.id();
        self.handlers.insert(
            id,
            Box::new(move |guest, completed| handler(guest, pending.finish(completed))),
        );
    }

    /// Gives an answer at the next [`System::wait`].
    pub fn answer(&mut self, token: Token, answer: Answer) {
        self.answers.push((token, answer));
    }

    /// Answers after so many milliseconds.
    pub fn after(&mut self, milliseconds: u64) -> Token {
        let token = self.token();
        let at = Instant::now()
            .as_ns()
            .saturating_add(milliseconds.saturating_mul(1_000_000));
        self.timers.push((at, token));
        token
    }

    /// Writes to the error output, whatever becomes of it.
    pub fn complain(&mut self, text: &str) {
        let _ = self.descriptors.error.write(text.as_bytes());
        let _ = self.descriptors.error.flush();
    }

    /// The text of the program itself.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn program(&mut self, label: &str) -> Result<ModuleContent, SystemError> {
        let bytes = files::read_whole(self, &format!("/{label}"))?;
        content(label, bytes)
    }

    /// Waits for one thing and deals with it.
    fn step(&mut self, until: Option<u64>) -> bool {
        let endpoint = self.endpoint.clone();
        let completed = match endpoint.borrow_mut().receive(until.map(Instant::from_ns)) {
            Wake::Completed(completed) => Some(completed),
            Wake::Deadline(_) => return false,
            _ => None,
        };
        if let Some(completed) = completed
            && let Some(handler) = self.handlers.remove(&completed.id())
            && let Some((token, answer)) = handler(self, completed)
        {
            self.answers.push((token, answer));
        }
        true
    }

    fn expire_timers(&mut self) {
        let now = Instant::now().as_ns();
        self.timers.sort_unstable_by_key(|(at, _)| *at);
        let expired = self.timers.iter().take_while(|(at, _)| *at <= now).count();
        self.answers.extend(
            self.timers
                .drain(..expired)
                .map(|(_, token)| (token, Ok(Data::None))),
        );
    }

    fn take_answers(&mut self) -> Vec<(Token, Answer)> {
        let cancelled = core::mem::take(&mut self.cancelled);
        let answers = core::mem::take(&mut self.answers);
        let (dropped, kept): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .partition(|(token, _)| cancelled.contains(token));
        self.cancelled = cancelled
            .into_iter()
            .filter(|token| dropped.iter().all(|(gone, _)| gone != token))
            .collect();
        kept
    }
}

/// The families that the services at hand make possible, cut to those that were named.
fn grants(services: &Services, modules: Option<&[String]>) -> Grants {
    let mut grants = Grants::NONE.with(Family::Proc).with(Family::Clock);
    for (family, is_there) in [
        (Family::Fs, services.directory.is_some()),
        (Family::Term, true),
        (Family::Service, services.services.is_some()),
        (Family::Net, services.socket.is_some()),
    ] {
        if is_there {
            grants = grants.with(family);
        }
    }
    let Some(modules) = modules else {
        return grants;
    };
    let named = [
        ("fs", Family::Fs),
        ("proc", Family::Proc),
        ("term", Family::Term),
        ("clock", Family::Clock),
        ("service", Family::Service),
        ("net", Family::Net),
    ];
    for (name, family) in named {
        if modules.iter().all(|module| module != name) {
            grants = grants.without(family);
        }
    }
    grants
}

fn content(label: &str, bytes: Vec<u8>) -> Result<ModuleContent, SystemError> {
    if label.ends_with(".pbc") {
        return Ok(ModuleContent::Bytecode(bytes));
    }
    let source = String::from_utf8(bytes)
        .map_err(|_| SystemError::new(errno::INVAL, format!("'{label}' is not UTF-8")))?;
    Ok(ModuleContent::Source(source))
}

impl System for Guest {
    fn grants(&self) -> Grants {
        self.grants
    }

    fn write(&mut self, stream: Stream, text: &str) -> Result<(), SystemError> {
        match stream {
            Stream::Output => self.descriptors.output.write(text.as_bytes()),
            Stream::Error => {
                self.descriptors.output.flush()?;
                self.descriptors.error.write(text.as_bytes())?;
                self.descriptors.error.flush()
            }
        }
    }

    fn start_input(&mut self, prompt: &str) -> Started {
        started(terminal_family::read_line(self, prompt))
    }

    fn start(&mut self, request: Request) -> Started {
        if !self.grants.has(request.family) {
            return Started::Ready(Err(SystemError::unknown(&request)));
        }
        started(match request.family {
            Family::Fs => files::handle(self, &request),
            Family::Proc => processes::handle(self, &request),
            Family::Term => terminal_family::handle(self, &request),
            Family::Clock => clock::handle(self, &request),
            Family::Net => network::handle(self, &request),
            Family::Service => service_family::handle(self, &request),
            Family::Core => Err(SystemError::unknown(&request)),
        })
    }

    fn cancel(&mut self, token: Token) {
        let before = self.timers.len();
        self.timers.retain(|(_, timer)| *timer != token);
        if self.timers.len() == before {
            self.cancelled.push(token);
        }
    }

    fn wait(&mut self, patience: Patience) -> Vec<(Token, Answer)> {
        // What a program has printed is on the screen while it waits.
        let _ = self.descriptors.output.flush();
        let now = Instant::now().as_ns();
        let limit = match patience {
            Patience::Poll => now,
            Patience::Milliseconds(milliseconds) => {
                now.saturating_add(milliseconds.saturating_mul(1_000_000))
            }
            Patience::Forever => u64::MAX,
        };
        self.expire_timers();
        while self.answers.is_empty() {
            let timer = self
                .timers
                .iter()
                .map(|(at, _)| *at)
                .min()
                .unwrap_or(u64::MAX);
            let until = limit.min(timer);
            let has_come = self.step((until != u64::MAX).then_some(until));
            self.expire_timers();
            if !has_come && limit <= Instant::now().as_ns() {
                break;
            }
        }
        self.take_answers()
    }

    fn monotonic_ms(&mut self) -> u64 {
        Instant::now().as_ns() / 1_000_000
    }

    fn load_module(&mut self, parts: &[&str]) -> Result<Option<ModuleText>, SystemError> {
        let relative = format!("{}.peb", parts.join("/"));
        let mut candidates = vec![];
        if let Ok(name) = path::storage_name(&relative, &self.cwd) {
            candidates.push(name);
        }
        if let [name] = parts {
            candidates.push(format!("system/lib/{name}.peb"));
        }
        for label in candidates {
            match files::read_whole(self, &format!("/{label}")) {
                Ok(bytes) => {
                    return Ok(Some(ModuleText {
                        content: content(&label, bytes)?,
                        label: label.to_string(),
                    }));
                }
                Err(error)
                    if error.errno == errno::NOENT
                        || error.errno == errno::NOTDIR
                        || error.errno == errno::NOSYS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn started(outcome: Result<Done, SystemError>) -> Started {
    match outcome {
        Ok(Done::Now(data)) => Started::Ready(Ok(data)),
        Ok(Done::Later(token)) => Started::Pending(token),
        Err(error) => Started::Ready(Err(error)),
    }
}
