//! From bytes to keys: UTF-8, control characters and the escape sequences of ECMA-48 that terminals send.
//!
//! The names that programs see are those of the Pebble system: a printable character is itself, the others are words (`UP`, `ENTER`, `^X`). Bytes that make no sense are one `ESC` or
//! the replacement character; nothing a terminal sends is an error.

use alloc::string::{String, ToString};

/// A lone ESC counts as the key when nothing followed for so long.
pub const ESCAPE_PAUSE_NS: u64 = 50_000_000;
/// A sequence longer than this is nonsense.
const MAX_SEQUENCE: usize = 16;

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// A printable character, or a control character without a name of its own.
    Char(char),
    /// CR or LF.
    Enter,
    /// DEL or BS.
    Backspace,
    /// ESC alone, or a sequence that means nothing to us.
    Escape,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// To the start.
    Home,
    /// To the end.
    End,
    /// Delete under the cursor.
    Delete,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z or F1.
    Suspend,
}

impl Key {
    /// The name that `read_key` gives. `Interrupt` and `Suspend` are never given as keys.
    pub fn name(self) -> String {
        match self {
            Self::Char('\u{18}') => "^X".to_string(),
            Self::Char('\u{0f}') => "^O".to_string(),
            Self::Char(character) => character.to_string(),
            Self::Enter => "ENTER".to_string(),
            Self::Backspace => "BACKSPACE".to_string(),
            Self::Escape => "ESC".to_string(),
            Self::Up => "UP".to_string(),
            Self::Down => "DOWN".to_string(),
            Self::Left => "LEFT".to_string(),
            Self::Right => "RIGHT".to_string(),
            Self::Home => "HOME".to_string(),
            Self::End => "END".to_string(),
            Self::Delete => "DELETE".to_string(),
            Self::PageUp => "PAGEUP".to_string(),
            Self::PageDown => "PAGEDOWN".to_string(),
            Self::Interrupt => "^C".to_string(),
            Self::Suspend => "^Z".to_string(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ground,
    /// After ESC, since when.
    Escape(u64),
    /// In `ESC [ …`.
    Sequence,
    /// In `ESC O`.
    Function,
    /// In a UTF-8 character: what we have, and how many bytes are missing.
    Utf8 {
        value: u32,
        missing: u8,
        least: u32,
    },
}

/// The decoder of one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoder {
    state: State,
    sequence: [u8; MAX_SEQUENCE],
    length: usize,
    after_return: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::Ground,
            sequence: [0; MAX_SEQUENCE],
            length: 0,
            after_return: false,
        }
    }
}

impl Decoder {
    /// Takes a byte that came at `now`; hands the keys that it completes (at most two) to `out`.
    pub fn feed(&mut self, byte: u8, now: u64, mut out: impl FnMut(Key)) {
        match self.state {
            State::Ground => self.ground(byte, now, &mut out),
            State::Escape(since) if now.saturating_sub(since) >= ESCAPE_PAUSE_NS => {
                out(Key::Escape);
                self.state = State::Ground;
                self.ground(byte, now, &mut out);
            }
            State::Escape(_) => self.escape(byte, now, &mut out),
            State::Sequence => self.sequence(byte, now, &mut out),
            State::Function => {
                self.state = State::Ground;
                out(match byte {
                    b'P' => Key::Suspend,
                    b'A'..=b'D' | b'H' | b'F' => cursor(byte),
                    _ => Key::Escape,
                });
            }
            State::Utf8 {
                value,
                missing,
                least,
            } => self.utf8(byte, now, value, missing, least, &mut out),
        }
    }

    /// When [`Decoder::on_time`] is to be called, if nothing comes before.
    pub fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Escape(since) => Some(since.saturating_add(ESCAPE_PAUSE_NS)),
            _ => None,
        }
    }

    /// Time has passed: a lone ESC becomes a key.
    pub fn on_time(&mut self, now: u64) -> Option<Key> {
        if self.deadline().is_some_and(|at| now >= at) {
            self.state = State::Ground;
            return Some(Key::Escape);
        }
        None
    }

    fn ground(&mut self, byte: u8, now: u64, out: &mut impl FnMut(Key)) {
        let follows_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            // CR LF is one Enter.
            b'\n' if follows_return => {}
            b'\r' | b'\n' => out(Key::Enter),
            0x1b => self.state = State::Escape(now),
            0x7f | 0x08 => out(Key::Backspace),
            0x03 => out(Key::Interrupt),
            0x1a => out(Key::Suspend),
            0..=0x7f => out(Key::Char(char::from(byte))),
            0xc2..=0xdf => {
                self.state = State::Utf8 {
                    value: u32::from(byte & 0x1f),
                    missing: 1,
                    least: 0x80,
                }
            }
            0xe0..=0xef => {
                self.state = State::Utf8 {
                    value: u32::from(byte & 0x0f),
                    missing: 2,
                    least: 0x800,
                }
            }
            0xf0..=0xf4 => {
                self.state = State::Utf8 {
                    value: u32::from(byte & 0x07),
                    missing: 3,
                    least: 0x1_0000,
                }
            }
            _ => out(Key::Char(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn utf8(
        &mut self,
        byte: u8,
        now: u64,
        value: u32,
        missing: u8,
        least: u32,
        out: &mut impl FnMut(Key),
    ) {
        if byte & 0xc0 != 0x80 {
            self.state = State::Ground;
            out(Key::Char(char::REPLACEMENT_CHARACTER));
            return self.ground(byte, now, out);
        }
        let value = value << 6 | u32::from(byte & 0x3f);
        if missing > 1 {
            self.state = State::Utf8 {
                value,
                missing: missing - 1,
                least,
            };
            return;
        }
        self.state = State::Ground;
        let character = char::from_u32(value).filter(|_| value >= least);
        out(Key::Char(character.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }

    fn escape(&mut self, byte: u8, now: u64, out: &mut impl FnMut(Key)) {
        match byte {
            b'[' => {
                self.state = State::Sequence;
                self.length = 0;
            }
            b'O' => self.state = State::Function,
            0x1b => {
                out(Key::Escape);
                self.state = State::Escape(now);
            }
            _ => {
                out(Key::Escape);
                self.state = State::Ground;
                self.ground(byte, now, out);
            }
        }
    }

    fn sequence(&mut self, byte: u8, now: u64, out: &mut impl FnMut(Key)) {
        match byte {
            0x20..=0x3f if self.length < MAX_SEQUENCE => {
                self.sequence[self.length] = byte;
                self.length += 1;
            }
            0x40..=0x7e => {
                self.state = State::Ground;
                out(self.meaning(byte));
            }
            _ => {
                self.state = State::Ground;
                out(Key::Escape);
                if byte < 0x20 {
                    self.ground(byte, now, out);
                }
            }
        }
    }

    fn meaning(&self, last: u8) -> Key {
        match (&self.sequence[..self.length], last) {
            (b"", b'A'..=b'D' | b'H' | b'F') => cursor(last),
            (b"1" | b"7", b'~') => Key::Home,
            (b"4" | b"8", b'~') => Key::End,
            (b"3", b'~') => Key::Delete,
            (b"5", b'~') => Key::PageUp,
            (b"6", b'~') => Key::PageDown,
            (b"11", b'~') => Key::Suspend,
            _ => Key::Escape,
        }
    }
}

fn cursor(byte: u8) -> Key {
    match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => Key::Escape,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        let mut keys = Vec::new();
        for &byte in bytes {
            decoder.feed(byte, 0, |key| keys.push(key));
        }
        keys.extend(decoder.on_time(u64::MAX));
        keys
    }

    #[test]
    fn keys_have_the_names_that_programs_compare_with() {
        let cases: [(&[u8], &str); 17] = [
            (b"a", "a"),
            (b" ", " "),
            (b"\t", "\t"),
            (b"\r", "ENTER"),
            (b"\n", "ENTER"),
            (b"\r\n", "ENTER"),
            (b"\x7f", "BACKSPACE"),
            (b"\x1b", "ESC"),
            (b"\x1b[A", "UP"),
            (b"\x1b[D", "LEFT"),
            (b"\x1b[7~", "HOME"),
            (b"\x1b[F", "END"),
            (b"\x1b[3~", "DELETE"),
            (b"\x1b[6~", "PAGEDOWN"),
            (b"\x18", "^X"),
            (b"\x0f", "^O"),
            ("é".as_bytes(), "é"),
        ];
        for (bytes, name) in cases {
            let names: Vec<String> = keys(bytes).into_iter().map(Key::name).collect();
            assert_eq!(names, [name], "{bytes:?}");
        }
    }

    #[test]
    fn both_ways_to_leave_the_foreground_are_seen() {
        assert_eq!(
            keys(b"\x03\x1a\x1bOP"),
            [Key::Interrupt, Key::Suspend, Key::Suspend]
        );
    }

    #[test]
    fn an_escape_is_a_key_when_nothing_follows_in_time() {
        let mut decoder = Decoder::default();
        decoder.feed(0x1b, 1_000, |_| panic!("too early"));
        assert_eq!(decoder.on_time(1_000 + ESCAPE_PAUSE_NS - 1), None);
        assert_eq!(decoder.on_time(1_000 + ESCAPE_PAUSE_NS), Some(Key::Escape));
        let mut late = Vec::new();
        decoder.feed(0x1b, 2_000, |key| late.push(key));
        decoder.feed(b'[', 2_000 + ESCAPE_PAUSE_NS, |key| late.push(key));
        assert_eq!(late, [Key::Escape, Key::Char('[')]);
    }

    #[test]
    fn broken_utf8_is_replaced_and_the_next_character_kept() {
        assert_eq!(
            keys(b"\xc3a"),
            [Key::Char(char::REPLACEMENT_CHARACTER), Key::Char('a')]
        );
        assert_eq!(
            keys(b"\xe0\x80\x80"),
            [Key::Char(char::REPLACEMENT_CHARACTER)],
            "an overlong form"
        );
    }

    #[test]
    fn an_unknown_sequence_is_one_escape() {
        assert_eq!(keys(b"\x1b[99zx"), [Key::Escape, Key::Char('x')]);
    }

    proptest! {
        #[test]
        fn any_text_comes_through(text in "[ -~à-ÿ\u{4e00}-\u{4e10}]*") {
            let expected: Vec<Key> = text.chars().map(Key::Char).collect();
            prop_assert_eq!(keys(text.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(keys(&bytes).len() <= 2 * bytes.len() + 1);
        }
    }
}
