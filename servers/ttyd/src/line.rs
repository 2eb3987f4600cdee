//! The line editor of cooked mode: what a person types, how it shows, history and completion.
//!
//! The editor writes what changes on the screen to an output that is passed in; its state is plain data, so that a new incarnation of ttyd goes on with the line
//! where the old one was. The cursor is a place between characters; every character is taken to be one column wide.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::keys::Key;

/// Bytes of a line, at most; further characters ring the bell.
pub const MAX_LINE_BYTES: usize = 2048;
/// Lines of history that are kept.
pub const MAX_HISTORY: usize = 200;

/// A line being edited.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Editor {
    prompt: String,
    text: Vec<char>,
    cursor: usize,
    history: Vec<String>,
    /// Where in the history we are; its length: at the new line.
    recalled: usize,
    draft: Vec<char>,
    uses_history: bool,
}

/// What a key led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// The line goes on.
    Continue,
    /// The line is complete.
    Done(String),
    /// Ctrl-D on an empty line.
    EndOfInput,
    /// Ctrl-C: the line is dropped.
    Interrupt,
    /// Ctrl-Z or F1.
    Suspend,
}

/// Words to complete with.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Completions {
    /// For the first word of a line.
    pub commands: Vec<String>,
    /// For the others.
    pub words: Vec<String>,
}

impl Editor {
    /// Starts a new line. With `uses_history` the arrow keys bring back earlier lines, and the finished line is remembered.
    pub fn begin(&mut self, prompt: &str, uses_history: bool, out: &mut Vec<u8>) {
        self.prompt = String::from(prompt);
        self.text.clear();
        self.cursor = 0;
        self.recalled = self.history.len();
        self.draft.clear();
        self.uses_history = uses_history;
        out.extend_from_slice(prompt.as_bytes());
    }

    /// Shows the prompt and the line again, after something else was written or ttyd was restarted.
    pub fn redraw(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\x1b[K");
        out.extend_from_slice(self.prompt.as_bytes());
        push_chars(out, &self.text);
        move_left(out, self.text.len() - self.cursor);
    }

    /// The text typed so far.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// The lines remembered, oldest first.
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, completions: &Completions, out: &mut Vec<u8>) -> Edit {
        match key {
            Key::Enter => return self.finish(out),
            Key::Interrupt => {
                out.extend_from_slice(b"^C\r\n");
                self.text.clear();
                self.cursor = 0;
                return Edit::Interrupt;
            }
            Key::Suspend => return Edit::Suspend,
            Key::Char('\u{4}') if self.text.is_empty() => {
                out.extend_from_slice(b"\r\n");
                return Edit::EndOfInput;
            }
            Key::Char('\u{4}') | Key::Delete => self.delete(out),
            Key::Backspace => self.backspace(out),
            Key::Left | Key::Char('\u{2}') => self.move_to(self.cursor.saturating_sub(1), out),
            Key::Right | Key::Char('\u{6}') => {
                self.move_to((self.cursor + 1).min(self.text.len()), out)
            }
            Key::Home | Key::Char('\u{1}') => self.move_to(0, out),
            Key::End | Key::Char('\u{5}') => self.move_to(self.text.len(), out),
            Key::Char('\u{b}') => self.replace(self.cursor..self.text.len(), &[], out),
            Key::Char('\u{15}') => self.replace(0..self.cursor, &[], out),
            Key::Char('\u{17}') => self.replace(self.word_start()..self.cursor, &[], out),
            Key::Char('\u{c}') => {
                out.extend_from_slice(b"\x1b[2J\x1b[H");
                self.redraw(out);
            }
            Key::Up | Key::Char('\u{10}') => self.recall(self.recalled.checked_sub(1), out),
            Key::Down | Key::Char('\u{e}') => self.recall(Some(self.recalled + 1), out),
            Key::Char('\t') => self.complete(completions, out),
            Key::Char(character) if character >= ' ' => self.insert(&[character], out),
            Key::Char(_) | Key::Escape | Key::PageUp | Key::PageDown => {}
        }
        Edit::Continue
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Edit {
        out.extend_from_slice(b"\r\n");
        let line: String = self.text.drain(..).collect();
        self.cursor = 0;
        let is_news = !line.trim().is_empty() && self.history.last() != Some(&line);
        if self.uses_history && is_news {
            if self.history.len() == MAX_HISTORY {
                self.history.remove(0);
            }
            self.history.push(line.clone());
        }
        self.recalled = self.history.len();
        Edit::Done(line)
    }

    fn insert(&mut self, characters: &[char], out: &mut Vec<u8>) {
        let bytes: usize = self
            .text
            .iter()
            .chain(characters)
            .map(|character| character.len_utf8())
            .sum();
        if bytes > MAX_LINE_BYTES {
            out.push(0x07);
            return;
        }
        self.replace(self.cursor..self.cursor, characters, out);
    }

    fn backspace(&mut self, out: &mut Vec<u8>) {
        if let Some(before) = self.cursor.checked_sub(1) {
            self.replace(before..self.cursor, &[], out);
        }
    }

    fn delete(&mut self, out: &mut Vec<u8>) {
        if self.cursor < self.text.len() {
            self.replace(self.cursor..self.cursor + 1, &[], out);
        }
    }

    /// Replaces a part of the line, leaves the cursor after what is new, and repaints from there on.
    fn replace(&mut self, range: core::ops::Range<usize>, with: &[char], out: &mut Vec<u8>) {
        self.move_to(range.start, out);
        let removed = range.len();
        self.text.splice(range.clone(), with.iter().copied());
        push_chars(out, &self.text[range.start..]);
        if removed > with.len() {
            out.extend_from_slice(b"\x1b[K");
        }
        self.cursor = range.start + with.len();
        move_left(out, self.text.len() - self.cursor);
    }

    fn move_to(&mut self, to: usize, out: &mut Vec<u8>) {
        if to < self.cursor {
            move_left(out, self.cursor - to);
        } else {
            push_chars(out, &self.text[self.cursor..to]);
        }
        self.cursor = to;
    }

    fn word_start(&self) -> usize {
        let before = &self.text[..self.cursor];
        let blanks = before
            .iter()
            .rev()
            .take_while(|character| character.is_whitespace())
            .count();
        let word = before
            .iter()
            .rev()
            .skip(blanks)
            .take_while(|character| !character.is_whitespace())
            .count();
        self.cursor - blanks - word
    }

    fn recall(&mut self, to: Option<usize>, out: &mut Vec<u8>) {
        let Some(to) =
            to.filter(|&to| self.uses_history && to <= self.history.len() && to != self.recalled)
        else {
            return;
        };
        if self.recalled == self.history.len() {
            self.draft.clone_from(&self.text);
        }
        self.recalled = to;
        let line: Vec<char> = match self.history.get(to) {
            Some(line) => line.chars().collect(),
            None => self.draft.clone(),
        };
        self.replace(0..self.text.len(), &line, out);
    }

    /// Completes the word before the cursor as far as all candidates agree; a second TAB's worth of choice is shown when they don't.
    fn complete(&mut self, completions: &Completions, out: &mut Vec<u8>) {
        let start = self.cursor
            - self.text[..self.cursor]
                .iter()
                .rev()
                .take_while(|character| !character.is_whitespace())
                .count();
        let typed: String = self.text[start..self.cursor].iter().collect();
        let is_first = self.text[..start]
            .iter()
            .all(|character| character.is_whitespace());
        let list = if is_first {
            &completions.commands
        } else {
            &completions.words
        };
        let mut candidates: Vec<&str> = list
            .iter()
            .map(String::as_str)
            .filter(|word| word.starts_with(&typed))
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let Some(common) = common_prefix(&candidates) else {
            out.push(0x07);
            return;
        };
        let mut rest: Vec<char> = common[typed.len()..].chars().collect();
        if candidates.len() == 1 && !common.ends_with('/') {
            rest.push(' ');
        }
        if rest.is_empty() {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(candidates.join("  ").as_bytes());
            out.extend_from_slice(b"\r\n");
            self.redraw(out);
        } else {
            self.insert(&rest, out);
        }
    }
}

fn common_prefix<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (first, others) = words.split_first()?;
    let mut end = first.len();
    for other in others {
        let same = first
            .char_indices()
            .zip(other.chars())
            .take_while(|((_, a), b)| a == b);
        end = end.min(same.last().map_or(0, |((at, a), _)| at + a.len_utf8()));
    }
    Some(&first[..end])
}

fn push_chars(out: &mut Vec<u8>, characters: &[char]) {
    let mut buffer = [0; 4];
    for character in characters {
        out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
    }
}

fn move_left(out: &mut Vec<u8>, columns: usize) {
    out.extend(core::iter::repeat_n(0x08, columns));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Decoder;
    use alloc::vec;
    use proptest::prelude::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| String::from(word)).collect()
    }

    /// Types bytes into a fresh editor with a history and returns it, the last outcome and what was shown.
    fn typed(bytes: &[u8]) -> (Editor, Edit, Vec<u8>) {
        let completions = Completions {
            commands: words(&["cat", "cd", "clear", "echo"]),
            words: words(&["file.txt", "folder/"]),
        };
        let (mut editor, mut decoder, mut out) =
            (Editor::default(), Decoder::default(), Vec::new());
        editor.history = words(&["first", "second"]);
        editor.begin("> ", true, &mut out);
        let mut last = Edit::Continue;
        for &byte in bytes {
            decoder.feed(byte, 0, |key| {
                last = editor.key(key, &completions, &mut out)
            });
        }
        (editor, last, out)
    }

    /// Plays a terminal of one line: what a person would see after the prompt.
    fn shown(out: &[u8]) -> String {
        let (mut screen, mut column) = (Vec::<char>::new(), 0);
        let text = core::str::from_utf8(out).expect("the editor writes UTF-8");
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\u{8}' => column -= 1,
                '\r' => column = 0,
                '\n' => screen.clear(),
                '\u{7}' => {}
                '\u{1b}' => {
                    let sequence: String = characters.by_ref().take(2).collect();
                    assert_eq!(sequence, "[K", "the only sequence of these tests");
                    screen.truncate(column);
                }
                _ => {
                    if column < screen.len() {
                        screen[column] = character
                    } else {
                        screen.push(character)
                    }
                    column += 1;
                }
            }
        }
        screen.into_iter().collect()
    }

    #[test]
    fn a_line_is_what_was_typed() {
        assert_eq!(typed(b"echo hi\r").1, Edit::Done("echo hi".into()));
    }

    #[test]
    fn editing_keys_change_the_line_and_the_screen_alike() {
        let cases: [(&[u8], &str); 9] = [
            (b"abc\x7f", "ab"),
            (b"bc\x01a", "abc"),
            (b"abc\x1b[D\x1b[D\x1b[3~", "ac"),
            (b"one two\x17", "one "),
            (b"one two\x1b[D\x15", "o"),
            (b"one\x01\x0b", ""),
            ("añb\x1b[D\x7f".as_bytes(), "ab"),
            (b"\x1b[A", "second"),
            (b"new\x1b[A\x1b[A\x1b[B\x1b[B", "new"),
        ];
        for (bytes, text) in cases {
            let (editor, _, out) = typed(bytes);
            assert_eq!(editor.text(), text, "{bytes:?}");
            assert_eq!(shown(&out), alloc::format!("> {text}"), "{bytes:?}");
        }
    }

    #[test]
    fn words_are_completed_as_far_as_they_agree() {
        for (bytes, text) in [
            (&b"ec\t"[..], "echo "),
            (b"c\t", "c"),
            (b"cl\t", "clear "),
            (b"cat f\t", "cat f"),
            (b"cat fo\t", "cat folder/"),
            (b"x\t", "x"),
        ] {
            assert_eq!(typed(bytes).0.text(), text, "{bytes:?}");
        }
        let (_, _, out) = typed(b"c\t");
        assert!(
            String::from_utf8_lossy(&out).contains("cat  cd  clear"),
            "the choice is shown"
        );
    }

    #[test]
    fn ends_of_a_line_are_told_apart() {
        assert_eq!(typed(b"\x04").1, Edit::EndOfInput);
        assert_eq!(
            typed(b"ab\x01\x04").0.text(),
            "b",
            "Ctrl-D in a line deletes"
        );
        assert_eq!(typed(b"ab\x03").1, Edit::Interrupt);
        assert_eq!(typed(b"ab\x1a").1, Edit::Suspend);
    }

    #[test]
    fn a_line_that_is_too_long_rings_the_bell() {
        let (editor, _, out) = typed(&[b'x'; MAX_LINE_BYTES + 5]);
        assert_eq!(editor.text().len(), MAX_LINE_BYTES);
        assert_eq!(out.iter().filter(|&&byte| byte == 7).count(), 5);
    }

    #[test]
    fn history_has_no_blanks_and_no_repeats() {
        let (mut editor, mut out) = (Editor::default(), Vec::new());
        for line in ["a", "a", " ", "b"] {
            editor.begin("", true, &mut out);
            editor.insert(&line.chars().collect::<Vec<_>>(), &mut out);
            editor.key(Key::Enter, &Completions::default(), &mut out);
        }
        assert_eq!(editor.history(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn the_screen_always_shows_the_line(bytes in proptest::collection::vec(prop_oneof![
            Just(b"\x1b[D".to_vec()), Just(b"\x1b[C".to_vec()), Just(b"\x7f".to_vec()), Just(b"\x1b[A".to_vec()), Just(b"\x1b[B".to_vec()),
            Just(b"\x17".to_vec()), Just(b"\x15".to_vec()), Just(b"\x0b".to_vec()), Just(b"\x01".to_vec()), Just("ü".as_bytes().to_vec()), (b'a'..b'd').prop_map(|byte| vec![byte, b' ']),
        ], 0..80)) {
            let (editor, _, out) = typed(&bytes.concat());
            prop_assert_eq!(shown(&out), alloc::format!("> {}", editor.text()));
        }

        #[test]
        fn a_restart_goes_on_with_the_line(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let (editor, _, _) = typed(&bytes);
            let saved = postcard::to_allocvec(&editor).expect("serializable");
            prop_assert_eq!(postcard::from_bytes::<Editor>(&saved).expect("what was saved"), editor);
        }
    }
}
