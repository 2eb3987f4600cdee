//! The names of keys (system document section 9.2).

use std::time::Duration;

/// How long an ESC waits for the rest of a sequence.
const SEQUENCE_TIME: Duration = Duration::from_millis(50);

/// Reads one key from bytes that `next` fetches within a time; `first` is already there. `None` for a key that has no
/// name because it acts on the program itself.
pub fn decode(first: u8, next: &mut dyn FnMut(Duration) -> Option<u8>) -> Option<String> {
    Some(match first {
        b'\r' | b'\n' => "ENTER".into(),
        0x7f | 0x08 => "BACKSPACE".into(),
        0x18 => "^X".into(),
        0x0f => "^O".into(),
        0x1b => return escape_sequence(next),
        byte if byte < 0x80 => char::from(byte).to_string(),
        byte => character(byte, next),
    })
}

/// The rest of a UTF-8 character; a broken one is the replacement character.
fn character(first: u8, next: &mut dyn FnMut(Duration) -> Option<u8>) -> String {
    let more = match first {
        0xc0..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf7 => 3,
        _ => 0,
    };
    let mut bytes = vec![first];
    for _ in 0..more {
        match next(SEQUENCE_TIME) {
            Some(byte) => bytes.push(byte),
            None => break,
        }
    }
    String::from_utf8_lossy(&bytes)
        .chars()
        .next()
        .unwrap_or('\u{fffd}')
        .to_string()
}

fn escape_sequence(next: &mut dyn FnMut(Duration) -> Option<u8>) -> Option<String> {
    let name = match next(SEQUENCE_TIME) {
        Some(b'[') => control_sequence(next),
        // F1 detaches; there is nothing to detach from here.
        Some(b'O') => match next(SEQUENCE_TIME) {
            Some(b'P') => return None,
            Some(letter) => letter_name(letter),
            None => "ESC",
        },
        _ => "ESC",
    };
    Some(name.into())
}

fn control_sequence(next: &mut dyn FnMut(Duration) -> Option<u8>) -> &'static str {
    let mut parameters = Vec::new();
    while let Some(byte) = next(SEQUENCE_TIME) {
        match byte {
            b'0'..=b'9' | b';' if parameters.len() < 16 => parameters.push(byte),
            b'~' => {
                return match parameters.as_slice() {
                    b"1" | b"7" => "HOME",
                    b"4" | b"8" => "END",
                    b"3" => "DELETE",
                    b"5" => "PAGEUP",
                    b"6" => "PAGEDOWN",
                    _ => "ESC",
                };
            }
            letter => return letter_name(letter),
        }
    }
    "ESC"
}

fn letter_name(letter: u8) -> &'static str {
    match letter {
        b'A' => "UP",
        b'B' => "DOWN",
        b'C' => "RIGHT",
        b'D' => "LEFT",
        b'H' => "HOME",
        b'F' => "END",
        _ => "ESC",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<String> {
        let mut rest = bytes.iter().copied();
        let mut names = Vec::new();
        while let Some(first) = rest.next() {
            names.extend(decode(first, &mut |_| rest.next()));
        }
        names
    }

    #[test]
    fn keys_have_their_documented_names() {
        assert_eq!(
            keys(b"a \r\n\x7f\x18\x0f\t"),
            ["a", " ", "ENTER", "ENTER", "BACKSPACE", "^X", "^O", "\t"]
        );
        assert_eq!(
            keys(b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F"),
            ["UP", "DOWN", "RIGHT", "LEFT", "HOME", "END"]
        );
        assert_eq!(
            keys(b"\x1b[1~\x1b[7~\x1b[4~\x1b[8~\x1b[3~\x1b[5~\x1b[6~"),
            ["HOME", "HOME", "END", "END", "DELETE", "PAGEUP", "PAGEDOWN"]
        );
        assert_eq!(keys("é€😀".as_bytes()), ["é", "€", "😀"]);
    }

    #[test]
    fn unknown_and_unfinished_sequences_are_escapes() {
        assert_eq!(keys(b"\x1b"), ["ESC"]);
        assert_eq!(keys(b"\x1b[99~"), ["ESC"]);
        assert_eq!(keys(b"\x1b["), ["ESC"]);
        assert_eq!(keys(b"\x1bOP"), Vec::<String>::new());
        assert_eq!(keys(&[0xff, b'a']), ["\u{fffd}", "a"]);
    }
}
