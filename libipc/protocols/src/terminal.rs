//! A terminal as the foreground program sees it, beyond the bytes of [`stream`](crate::stream): lines, keys, modes, size, and who is in front.
//!
//! Served by ttyd. Only who has an end that `open` gave reads and sets modes; a Connection that init minted, as services have, serves to open ends and to pass signals on, if its holder acts
//! for users (the grant `sessions`).

use libipc::prelude::*;

/// How input is handled.
#[message]
#[derive(Copy, Eq)]
pub enum Mode {
    /// Lines, edited and echoed by ttyd.
    Cooked,
    /// Keys, not echoed.
    Raw,
}

/// What a terminal is.
#[message]
pub struct State {
    /// Rows of the screen.
    pub rows: u16,
    /// Columns of the screen.
    pub columns: u16,
    /// The mode it is in.
    pub mode: Mode,
    /// The process group in front, 0 if none.
    pub foreground: u32,
    /// Whether a person may be there.
    pub is_interactive: bool,
}

/// What happened on the terminal that concerns whoever leads the session.
#[message]
#[derive(Copy, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z or F1.
    Suspend,
    /// The line is gone.
    HangUp,
}

/// A line that was read.
#[message]
pub struct Line {
    /// Its number, from 1; give it to the next `read_line` to say that you have it.
    pub sequence: u64,
    /// The text without its newline.
    pub text: String,
    /// End of input (Ctrl-D on an empty line).
    pub end: bool,
}

/// A key that was pressed.
#[message]
pub struct Key {
    /// Its number, from 1; give it to the next `read_key` to say that you have it.
    pub sequence: u64,
    /// Its name (`UP`, `ENTER`, `^X`, or the character); empty if the time passed.
    pub name: String,
}

/// Connections of one process to a terminal.
#[message]
pub struct Opened {
    /// Speaks `stream`: standard input and output.
    pub output: Handle<Connection>,
    /// Speaks `stream`: the error output.
    pub error: Handle<Connection>,
    /// Speaks `terminal`.
    pub terminal: Handle<Connection>,
}

/// Errors of terminals.
#[message]
pub enum Error {
    /// The caller is not in the foreground.
    Background,
    /// Ctrl-C ended the wait.
    Interrupted,
    /// Longer than a message.
    TooLong,
    /// No person is at this terminal.
    NotInteractive,
    /// The caller may not do this: it has no end of the terminal, or does not lead the session.
    NotPermitted,
}

/// See the module.
#[protocol(name = "terminal", version = 1)]
pub trait Terminal {
    /// Writes `prompt`, then gives the next line that was typed. `after` is the number of the last line the caller has (0: none). `history` allows the arrow keys to bring back earlier lines of this reader.
    #[idempotent]
    #[deferred]
    fn read_line(&mut self, prompt: String, after: u64, history: bool) -> Result<Line, Error>;

    /// Gives the next key, or one with an empty name after `timeout_ms` (`u32::MAX`: wait for ever).
    #[idempotent]
    #[deferred]
    fn read_key(&mut self, after: u64, timeout_ms: u32) -> Result<Key, Error>;

    /// Sets words that TAB completes to for this reader (first words of a line when `first`).
    #[idempotent]
    fn set_completions(&mut self, words: Vec<String>, first: bool) -> Result<(), Error>;

    /// Reads size, mode and foreground.
    #[idempotent]
    fn state(&mut self) -> Result<State, Error>;

    /// Sets the mode.
    #[idempotent]
    fn set_mode(&mut self, mode: Mode) -> Result<(), Error>;

    /// Puts a process group in front: its processes may read, Ctrl-C goes to it. Only the session leader may. 0 is the leader itself.
    #[idempotent]
    fn set_foreground(&mut self, group: u32) -> Result<(), Error>;

    /// Waits for Ctrl-C and the like aimed at the foreground; `after` as for lines. procd calls this and signals the group.
    #[idempotent]
    #[deferred]
    fn next_signal(&mut self, after: u64) -> Result<(u64, u32, Signal), Error>;

    /// Makes Connections to this terminal for a process of `group`: two that speak `stream` (one for standard input and output, one for the error output) and one that speaks `terminal`.
    /// Only procd and the session leader may; what procd opens leads the session.
    #[idempotent]
    fn open(&mut self, group: u32) -> Result<Opened, Error>;
}
