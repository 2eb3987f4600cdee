//! Taking the colours out of what a terminal prints, so that tests compare text.

/// Removes control sequences (ECMA-48 §5.4) and carriage returns from a stream that comes in pieces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Plain {
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// Inside ESC `[` … until a final byte.
    Sequence,
    /// Inside ESC `]` … until BEL or ESC `\`.
    OperatingSystemCommand,
}

impl Plain {
    /// Appends to `text` what is printed of `bytes`.
    pub fn feed(&mut self, bytes: &[u8], text: &mut Vec<u8>) {
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Text, 0x1b) => State::Escape,
                (State::Text, b'\r') => State::Text,
                (State::Text, _) => {
                    text.push(byte);
                    State::Text
                }
                (State::Escape, b'[') => State::Sequence,
                (State::Escape, b']') => State::OperatingSystemCommand,
                (State::Escape, _) => State::Text,
                (State::Sequence, 0x40..=0x7e) => State::Text,
                (State::Sequence, _) => State::Sequence,
                (State::OperatingSystemCommand, 0x07) => State::Text,
                (State::OperatingSystemCommand, 0x1b) => State::Escape,
                (State::OperatingSystemCommand, _) => State::OperatingSystemCommand,
            };
        }
    }

    /// What is printed of the whole of `bytes`.
    pub fn of(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        Self::default().feed(bytes, &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_coloured_prompt_is_plain_text() {
        let prompt = b"\x1b[1;32mpebble@pebble-os\x1b[0m:\x1b[1;34m/\x1b[0m$ \r\n";
        assert_eq!(Plain::of(prompt), b"pebble@pebble-os:/$ \n");
    }

    #[test]
    fn a_window_title_is_not_text() {
        assert_eq!(Plain::of(b"a\x1b]0;title\x07b\x1b]0;other\x1b\\c"), b"abc");
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_as_the_whole(bytes: Vec<u8>, cut: usize) {
            let cut = cut % (bytes.len() + 1);
            let (mut plain, mut text) = (Plain::default(), Vec::new());
            plain.feed(&bytes[..cut], &mut text);
            plain.feed(&bytes[cut..], &mut text);
            prop_assert_eq!(text, Plain::of(&bytes));
        }
    }
}
