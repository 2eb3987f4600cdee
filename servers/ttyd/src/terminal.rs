//! One terminal: who reads, who is in front, what was typed.
//!
//! Requests that wait carry a token `T` (in the system: the right to answer); the terminal hands tokens back with their answers and never looks inside. All that must
//! survive is in [`Saved`]; a waiting request does not have to, because its client asks again.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::keys::{Decoder, Key};
use crate::line::{Completions, Edit, Editor};

/// Keys that wait for a reader, at most; further ones are dropped.
pub const MAX_TYPED_AHEAD: usize = 4096;
/// Signals that are kept for whoever asks, at most.
const MAX_SIGNALS: usize = 32;

/// How input is handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Lines.
    #[default]
    Cooked,
    /// Keys.
    Raw,
}

/// What happened that concerns the leader of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z or F1.
    Suspend,
}

/// What survives a restart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    /// The process group in front; 0: the leader.
    pub foreground: u32,
    /// The mode.
    pub mode: Mode,
    editor: Editor,
    is_editing: bool,
    sequence: u64,
    /// Number, reader's group, text, end.
    last_line: Option<(u64, u32, String, bool)>,
    /// Number, reader's group, name.
    last_key: Option<(u64, u32, String)>,
    typed: VecDeque<SavedKey>,
    signals: VecDeque<(u64, u32, Signal)>,
    signal_sequence: u64,
    completions: Completions,
}

/// A key that waits, in a form that can be saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct SavedKey(u32);

const NAMED: [Key; 15] = [
    Key::Enter,
    Key::Backspace,
    Key::Escape,
    Key::Up,
    Key::Down,
    Key::Left,
    Key::Right,
    Key::Home,
    Key::End,
    Key::Delete,
    Key::PageUp,
    Key::PageDown,
    Key::Interrupt,
    Key::Suspend,
    Key::Char('\u{0}'),
];
/// Named keys are numbered above all characters.
const NAMED_BASE: u32 = 0x11_0000;

impl From<Key> for SavedKey {
    fn from(key: Key) -> Self {
        match (key, NAMED.iter().position(|named| *named == key)) {
            (_, Some(place)) => Self(NAMED_BASE + place as u32),
            (Key::Char(character), None) => Self(character as u32),
            (_, None) => Self(0x1b),
        }
    }
}

impl From<SavedKey> for Key {
    fn from(SavedKey(number): SavedKey) -> Self {
        match number.checked_sub(NAMED_BASE) {
            Some(place) => NAMED.get(place as usize).copied().unwrap_or(Self::Escape),
            None => Self::Char(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
}

/// What a reader waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A line.
    Line {
        /// What is written first.
        prompt: String,
        /// The number of the last line the reader has.
        after: u64,
        /// Whether earlier lines can be brought back.
        history: bool,
    },
    /// A key.
    Key {
        /// The number of the last key the reader has.
        after: u64,
        /// Until when, in nanoseconds since boot.
        until: Option<u64>,
    },
    /// Bytes: a line with its newline.
    Bytes {
        /// How many, at most.
        max: usize,
    },
}

/// What a reader gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A line; its number; whether the input has ended.
    Line(u64, String, bool),
    /// A key's name, empty if the time passed; its number.
    Key(u64, String),
    /// Bytes; empty at the end.
    Bytes(Vec<u8>),
    /// Ctrl-C.
    Interrupted,
}

struct Reader<T> {
    group: u32,
    wanted: Wanted,
    token: T,
}

/// The terminal.
pub struct Terminal<T> {
    saved: Saved,
    decoder: Decoder,
    readers: VecDeque<Reader<T>>,
    answers: Vec<(T, Answer)>,
    output: Vec<u8>,
    leftover: Vec<u8>,
}

impl<T> Terminal<T> {
    /// Goes on where `saved` stopped. A line that was being typed is shown again.
    pub fn new(saved: Saved) -> Self {
        let mut terminal = Self {
            saved,
            decoder: Decoder::default(),
            readers: VecDeque::new(),
            answers: Vec::new(),
            output: Vec::new(),
            leftover: Vec::new(),
        };
        if terminal.saved.is_editing {
            terminal.saved.editor.redraw(&mut terminal.output);
        }
        terminal
    }

    /// What survives, as it is now.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Takes what is to be shown.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Takes the requests that are answered.
    pub fn take_answers(&mut self) -> Vec<(T, Answer)> {
        core::mem::take(&mut self.answers)
    }

    /// Bytes that a program writes: newlines become CR LF, and a line that is being typed moves out of the way.
    pub fn write(&mut self, data: &[u8]) {
        if self.saved.is_editing {
            self.output.extend_from_slice(b"\r\x1b[K");
        }
        for &byte in data {
            if byte == b'\n' {
                self.output.push(b'\r');
            }
            self.output.push(byte);
        }
        if self.saved.is_editing {
            if data.last().is_some_and(|&byte| byte != b'\n') {
                self.output.extend_from_slice(b"\r\n");
            }
            self.saved.editor.redraw(&mut self.output);
        }
    }

    /// A process of `group` wants to read.
    pub fn read(&mut self, group: u32, wanted: Wanted, token: T, now: u64) {
        match &wanted {
            // It asks for what it was given before, but the answer got lost.
            Wanted::Line { after, .. } => {
                let is_theirs = |line: &(u64, u32, String, bool)| {
                    line.0 > *after && *after > 0 && line.1 == group
                };
                if let Some((sequence, _, text, end)) =
                    self.saved.last_line.clone().filter(is_theirs)
                {
                    return self
                        .answers
                        .push((token, Answer::Line(sequence, text, end)));
                }
            }
            Wanted::Key { after, .. } => {
                let is_theirs =
                    |key: &(u64, u32, String)| key.0 > *after && *after > 0 && key.1 == group;
                if let Some((sequence, _, name)) = self.saved.last_key.clone().filter(is_theirs) {
                    return self.answers.push((token, Answer::Key(sequence, name)));
                }
            }
            Wanted::Bytes { max } if !self.leftover.is_empty() => {
                let rest = self.leftover.split_off((*max).min(self.leftover.len()));
                let bytes = core::mem::replace(&mut self.leftover, rest);
                return self.answers.push((token, Answer::Bytes(bytes)));
            }
            Wanted::Bytes { .. } => {}
        }
        self.readers.push_back(Reader {
            group,
            wanted,
            token,
        });
        self.advance(now);
    }

    /// Gives up requests whose caller is gone.
    pub fn forget(&mut self, mut is_gone: impl FnMut(&T) -> bool) {
        let was_editing = self.editing_reader();
        self.readers.retain(|reader| !is_gone(&reader.token));
        if was_editing.is_some() && self.editing_reader().is_none() {
            self.saved.is_editing = false;
        }
    }

    /// Bytes that were typed.
    pub fn typed(&mut self, bytes: &[u8], now: u64) {
        for &byte in bytes {
            let mut keys = [None; 2];
            let mut count = 0;
            self.decoder.feed(byte, now, |key| {
                if let Some(slot) = keys.get_mut(count) {
                    *slot = Some(key);
                    count += 1;
                }
            });
            for key in keys.into_iter().flatten() {
                self.key(key, now);
            }
        }
    }

    /// When [`Terminal::on_time`] is due.
    pub fn deadline(&self) -> Option<u64> {
        let reader = self.reader().and_then(|reader| match reader.wanted {
            Wanted::Key { until, .. } => until,
            _ => None,
        });
        [self.decoder.deadline(), reader]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: u64) {
        if let Some(key) = self.decoder.on_time(now) {
            self.key(key, now);
        }
        let is_late = |reader: &Reader<T>| matches!(reader.wanted, Wanted::Key { until: Some(until), .. } if until <= now);
        while let Some(place) = self.readers.iter().position(is_late) {
            let Some(reader) = self.readers.remove(place) else {
                return;
            };
            self.answers.push((
                reader.token,
                Answer::Key(self.saved.sequence, String::new()),
            ));
        }
        self.advance(now);
    }

    /// Sets words that TAB completes to.
    pub fn set_completions(&mut self, words: Vec<String>, first: bool) {
        if first {
            self.saved.completions.commands = words;
        } else {
            self.saved.completions.words = words;
        }
    }

    /// Puts a group in front.
    pub fn set_foreground(&mut self, group: u32, now: u64) {
        self.saved.foreground = group;
        self.saved.is_editing = false;
        self.saved.mode = Mode::Cooked;
        self.advance(now);
    }

    /// Sets the mode.
    pub fn set_mode(&mut self, mode: Mode) {
        self.saved.mode = mode;
    }

    /// The first signal after number `after`: its number, the group, and what it is.
    pub fn signal_after(&self, after: u64) -> Option<(u64, u32, Signal)> {
        self.saved
            .signals
            .iter()
            .find(|signal| signal.0 > after)
            .copied()
    }

    /// The reader whose turn it is: the first of the group in front.
    fn reader(&self) -> Option<&Reader<T>> {
        self.readers
            .iter()
            .find(|reader| reader.group == self.saved.foreground)
    }

    fn editing_reader(&self) -> Option<()> {
        self.saved
            .is_editing
            .then(|| self.reader().map(drop))
            .flatten()
    }

    fn take_reader(&mut self) -> Option<Reader<T>> {
        let place = self
            .readers
            .iter()
            .position(|reader| reader.group == self.saved.foreground)?;
        self.readers.remove(place)
    }

    fn key(&mut self, key: Key, now: u64) {
        let leader_edits = self.saved.foreground == 0;
        match key {
            Key::Interrupt if !leader_edits => {
                self.output.extend_from_slice(b"^C\r\n");
                self.signal(Signal::Interrupt);
            }
            Key::Suspend if !leader_edits => self.signal(Signal::Suspend),
            _ => {
                if self.saved.typed.len() < MAX_TYPED_AHEAD {
                    self.saved.typed.push_back(key.into());
                }
                self.advance(now);
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.saved.typed.clear();
        self.saved.is_editing = false;
        self.saved.signal_sequence += 1;
        if self.saved.signals.len() == MAX_SIGNALS {
            self.saved.signals.pop_front();
        }
        self.saved
            .signals
            .push_back((self.saved.signal_sequence, self.saved.foreground, signal));
        if signal == Signal::Interrupt {
            while let Some(reader) = self.take_reader() {
                self.answers.push((reader.token, Answer::Interrupted));
            }
        }
    }

    /// Gives keys that were typed to whoever waits for them.
    fn advance(&mut self, _now: u64) {
        loop {
            let Some(reader) = self.reader() else { return };
            match &reader.wanted {
                Wanted::Key { .. } => {
                    self.saved.mode = Mode::Raw;
                    let Some(key) = self.saved.typed.pop_front() else {
                        return;
                    };
                    self.saved.sequence += 1;
                    let name = Key::from(key).name();
                    self.saved.last_key =
                        Some((self.saved.sequence, self.saved.foreground, name.clone()));
                    self.answer(Answer::Key(self.saved.sequence, name));
                }
                Wanted::Line {
                    prompt, history, ..
                } => {
                    let (prompt, history) = (prompt.clone(), *history);
                    if !self.edit(&prompt, history) {
                        return;
                    }
                }
                Wanted::Bytes { .. } => {
                    if !self.edit("", false) {
                        return;
                    }
                }
            }
        }
    }

    /// Lets the editor have the keys that were typed; true if the line came to an end.
    fn edit(&mut self, prompt: &str, history: bool) -> bool {
        self.saved.mode = Mode::Cooked;
        if !self.saved.is_editing {
            self.saved.editor.begin(prompt, history, &mut self.output);
            self.saved.is_editing = true;
        }
        while let Some(key) = self.saved.typed.pop_front() {
            match self
                .saved
                .editor
                .key(key.into(), &self.saved.completions, &mut self.output)
            {
                Edit::Continue | Edit::Suspend => {}
                Edit::Done(text) => return self.line(text, false),
                Edit::EndOfInput => return self.line(String::new(), true),
                Edit::Interrupt => {
                    self.saved.is_editing = false;
                    self.answer(Answer::Interrupted);
                    return true;
                }
            }
        }
        false
    }

    fn line(&mut self, text: String, end: bool) -> bool {
        self.saved.is_editing = false;
        let answer = match self.reader().map(|reader| &reader.wanted) {
            Some(Wanted::Bytes { max }) => {
                let mut bytes = if end {
                    Vec::new()
                } else {
                    (text + "\n").into_bytes()
                };
                self.leftover = bytes.split_off((*max).min(bytes.len()));
                Answer::Bytes(bytes)
            }
            _ => {
                self.saved.sequence += 1;
                self.saved.last_line = Some((
                    self.saved.sequence,
                    self.saved.foreground,
                    text.to_string(),
                    end,
                ));
                Answer::Line(self.saved.sequence, text, end)
            }
        };
        self.answer(answer);
        true
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(reader) = self.take_reader() {
            self.answers.push((reader.token, answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(prompt: &str) -> Wanted {
        Wanted::Line {
            prompt: prompt.to_string(),
            after: 0,
            history: false,
        }
    }

    fn terminal() -> Terminal<u8> {
        Terminal::new(Saved::default())
    }

    #[test]
    fn what_is_typed_ahead_is_read_in_order() {
        let mut terminal = terminal();
        terminal.typed(b"one\rtwo\rx", 0);
        terminal.read(0, line("> "), 1, 0);
        terminal.read(0, line("> "), 2, 0);
        terminal.read(
            0,
            Wanted::Key {
                after: 0,
                until: None,
            },
            3,
            0,
        );
        let expected = [
            (1, Answer::Line(1, "one".into(), false)),
            (2, Answer::Line(2, "two".into(), false)),
            (3, Answer::Key(3, "x".into())),
        ];
        assert_eq!(terminal.take_answers(), expected);
    }

    #[test]
    fn only_the_foreground_reads() {
        let mut terminal = terminal();
        terminal.read(7, line(""), 7, 0);
        terminal.read(0, line(""), 0, 0);
        terminal.typed(b"a\r", 0);
        assert_eq!(
            terminal.take_answers(),
            [(0, Answer::Line(1, "a".into(), false))]
        );
        terminal.set_foreground(7, 0);
        terminal.typed(b"b\r", 0);
        assert_eq!(
            terminal.take_answers(),
            [(7, Answer::Line(2, "b".into(), false))]
        );
    }

    #[test]
    fn an_interrupt_is_a_signal_for_a_program_and_an_answer_for_the_leader() {
        let mut terminal = terminal();
        terminal.read(0, line("$ "), 1, 0);
        terminal.typed(b"abc\x03", 0);
        assert_eq!(terminal.take_answers(), [(1, Answer::Interrupted)]);
        assert_eq!(terminal.signal_after(0), None);
        terminal.set_foreground(5, 0);
        terminal.read(5, line(""), 2, 0);
        terminal.typed(b"\x03", 0);
        assert_eq!(terminal.signal_after(0), Some((1, 5, Signal::Interrupt)));
        assert_eq!(terminal.take_answers(), [(2, Answer::Interrupted)]);
        assert_eq!(terminal.signal_after(1), None);
    }

    #[test]
    fn a_key_that_does_not_come_in_time_has_no_name() {
        let mut terminal = terminal();
        terminal.read(
            0,
            Wanted::Key {
                after: 0,
                until: Some(100),
            },
            1,
            0,
        );
        assert_eq!(terminal.deadline(), Some(100));
        terminal.on_time(99);
        assert_eq!(terminal.take_answers(), []);
        terminal.on_time(100);
        assert_eq!(
            terminal.take_answers(),
            [(1, Answer::Key(0, String::new()))]
        );
    }

    #[test]
    fn a_restart_keeps_the_line_and_what_was_answered() {
        let mut first = terminal();
        first.read(0, line("$ "), 1, 0);
        first.typed(b"ls\rec", 0);
        first.take_answers();
        first.read(
            0,
            Wanted::Line {
                prompt: "$ ".to_string(),
                after: 1,
                history: false,
            },
            2,
            0,
        );
        let saved = postcard::to_allocvec(first.saved()).expect("serializable");

        let mut second: Terminal<u8> =
            Terminal::new(postcard::from_bytes(&saved).expect("what was saved"));
        assert!(
            String::from_utf8_lossy(&second.take_output()).ends_with("$ ec"),
            "the line is shown again"
        );
        second.read(
            0,
            Wanted::Line {
                prompt: "$ ".to_string(),
                after: 1,
                history: false,
            },
            3,
            0,
        );
        second.typed(b"ho\r", 0);
        assert_eq!(
            second.take_answers(),
            [(3, Answer::Line(2, "echo".into(), false))]
        );
        second.read(
            0,
            Wanted::Line {
                prompt: "$ ".to_string(),
                after: 1,
                history: false,
            },
            4,
            0,
        );
        assert_eq!(
            second.take_answers(),
            [(4, Answer::Line(2, "echo".into(), false))],
            "it did not say that it has it"
        );
    }

    #[test]
    fn a_line_of_another_reader_is_not_given_again() {
        let mut terminal = terminal();
        terminal.typed(b"a\r", 0);
        terminal.read(0, line(""), 1, 0);
        terminal.set_foreground(5, 0);
        terminal.read(5, line(""), 2, 0);
        terminal.typed(b"b\r", 0);
        terminal.set_foreground(0, 0);
        terminal.take_answers();
        terminal.read(
            0,
            Wanted::Line {
                prompt: String::new(),
                after: 1,
                history: false,
            },
            3,
            0,
        );
        assert_eq!(terminal.take_answers(), []);
    }

    #[test]
    fn output_moves_the_line_out_of_the_way() {
        let mut terminal = terminal();
        terminal.read(0, line("$ "), 1, 0);
        terminal.typed(b"ab", 0);
        terminal.take_output();
        terminal.write(b"job done\n");
        assert_eq!(
            String::from_utf8_lossy(&terminal.take_output()),
            "\r\x1b[Kjob done\r\n\r\x1b[K$ ab"
        );
    }

    #[test]
    fn bytes_are_lines_with_their_ends_in_pieces_of_the_size_wanted() {
        let mut terminal = terminal();
        terminal.typed(b"abc\r\x04", 0);
        for token in 0..3 {
            terminal.read(0, Wanted::Bytes { max: 3 }, token, 0);
        }
        let expected = [
            (0, Answer::Bytes(b"abc".to_vec())),
            (1, Answer::Bytes(b"\n".to_vec())),
            (2, Answer::Bytes(Vec::new())),
        ];
        assert_eq!(terminal.take_answers(), expected);
    }
}
