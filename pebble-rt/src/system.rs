//! The world behind a program, as the embedder provides it.
//!
//! A native function that needs the world makes a [`Request`] and starts it. The system either answers at once or says
//! *pending* and gives the answer later, while other green threads run: the guest starts a call to a server and
//! collects its completion, the host does the work on the spot. What is not granted does not exist: the engine hides
//! the functions of a [`Family`] that [`System::grants`] leaves out, so a program cannot even name them.

use alloc::string::String;
use alloc::vec::Vec;

/// A group of functions that is granted as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// What needs nothing from the system; always there.
    Core = 0,
    /// Files and directories.
    Fs = 1,
    /// Processes, jobs, signals.
    Proc = 2,
    /// The terminal: keys, cursor, size.
    Term = 3,
    /// Wall clock, monotonic clock, sleeping.
    Clock = 4,
    /// Services: register, look up, start, stop.
    Service = 5,
    /// Sockets, names, HTTP.
    Net = 6,
}

/// Which families a program is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants(u8);

impl Grants {
    /// Only what needs nothing.
    pub const NONE: Grants = Grants(1);
    /// Every family.
    pub const ALL: Grants = Grants(0x7F);

    /// These and `family`.
    pub const fn with(self, family: Family) -> Grants {
        Grants(self.0 | 1 << family as u8)
    }

    /// These without `family`.
    pub const fn without(self, family: Family) -> Grants {
        Grants(self.0 & !(1 << family as u8) | 1)
    }

    /// Whether `family` is granted.
    pub const fn has(self, family: Family) -> bool {
        self.0 & 1 << family as u8 != 0
    }
}

/// Names a request that has not been answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// What is asked of the system: a family, an operation of it by name, and its arguments.
///
/// The operations, their arguments and what they answer are listed where they are made, in the native modules; a system
/// answers one it does not know with [`SystemError::unknown`].
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The family it belongs to.
    pub family: Family,
    /// The operation, `read_file` say.
    pub operation: &'static str,
    /// Its arguments.
    pub arguments: Vec<Data>,
}

/// Plain data that crosses the border between program and system.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Data {
    /// Nothing.
    #[default]
    None,
    /// Yes or no.
    Flag(bool),
    /// An integer.
    Number(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several of them.
    List(Vec<Data>),
    /// Named ones, in order.
    Record(Vec<(String, Data)>),
}

/// The system refused or failed.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemError {
    /// Number from the errno table (`ENOENT` is 2).
    pub errno: i32,
    /// For people: what the program shows.
    pub text: String,
    /// Whether the text is a whole one, `LABEL:N: DETAIL`, that gets no line of the caller's in front (what a program
    /// that was run ended with).
    pub is_whole: bool,
}

impl SystemError {
    /// An error with a text of its own.
    pub fn new(errno: i32, text: impl Into<String>) -> SystemError {
        SystemError {
            errno,
            text: text.into(),
            is_whole: false,
        }
    }

    /// The answer to an operation that this system does not have.
    pub fn unknown(request: &Request) -> SystemError {
        SystemError::new(
            38,
            alloc::format!("this system has no operation '{}'", request.operation),
        )
    }
}

/// The answer to a request.
pub type Answer = Result<Data, SystemError>;

/// What starting a request came to.
#[derive(Debug)]
pub enum Started {
    /// It is done.
    Ready(Answer),
    /// The answer comes later, from [`System::wait`] with this token.
    Pending(Token),
}

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: `print`.
    Output,
    /// Standard error: the message of an uncaught error.
    Error,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    Poll,
    /// Up to so many milliseconds.
    Milliseconds(u64),
    /// For as long as it takes.
    Forever,
}

/// The system as a program's engine sees it.
pub trait System {
    /// Which families the program is given.
    fn grants(&self) -> Grants;

    /// Writes text to a stream, in order and completely. The engine has checked the output limit.
    fn write(&mut self, stream: Stream, text: &str) -> Result<(), SystemError>;

    /// Starts `input(prompt)`: shows the prompt, then reads one line, cooked and without its newline, as
    /// [`Data::Text`]; [`Data::None`] at the end of the input.
    fn start_input(&mut self, prompt: &str) -> Started;

    /// Starts a request of a granted family.
    fn start(&mut self, request: Request) -> Started;

    /// Gives up on a pending request; its answer, if it still comes, is dropped.
    fn cancel(&mut self, token: Token);

    /// Waits for answers to pending requests. Returns early when interrupted; an empty list when none came in time.
    fn wait(&mut self, patience: Patience) -> Vec<(Token, Answer)>;

    /// Milliseconds on a clock that never goes back, for timed waits between green threads. It may stand still where
    /// no clock is granted.
    fn monotonic_ms(&mut self) -> u64;

    /// The text of a module, by its path parts (`["a", "b"]` for `import a.b`) and the label for errors (`a/b.peb`),
    /// searched as 16.2 says. `Ok(None)` when there is none.
    fn load_module(&mut self, path: &[&str]) -> Result<Option<ModuleText>, SystemError>;
}

/// A module that [`System::load_module`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleText {
    /// The path from the root without the leading slash: what errors show.
    pub label: String,
    /// Source text, or the content of a bytecode file.
    pub content: ModuleContent,
}

/// The two forms of a module.
#[derive(Clone, Debug, PartialEq)]
pub enum ModuleContent {
    /// Source text.
    Source(String),
    /// Bytecode.
    Bytecode(Vec<u8>),
}

/// A system with nothing: no files, no terminal. What is written is kept. For tests and for programs that only compute.
#[derive(Debug, Default)]
pub struct NoSystem {
    /// Everything written so far, both streams.
    pub written: String,
}

impl System for NoSystem {
    fn grants(&self) -> Grants {
        Grants::NONE
    }

    fn write(&mut self, _stream: Stream, text: &str) -> Result<(), SystemError> {
        self.written.push_str(text);
        Ok(())
    }

    fn start_input(&mut self, _prompt: &str) -> Started {
        Started::Ready(Ok(Data::None))
    }

    fn start(&mut self, request: Request) -> Started {
        Started::Ready(Err(SystemError::unknown(&request)))
    }

    fn cancel(&mut self, _token: Token) {}

    fn wait(&mut self, _patience: Patience) -> Vec<(Token, Answer)> {
        Vec::new()
    }

    fn monotonic_ms(&mut self) -> u64 {
        0
    }

    fn load_module(&mut self, _path: &[&str]) -> Result<Option<ModuleText>, SystemError> {
        Ok(None)
    }
}
