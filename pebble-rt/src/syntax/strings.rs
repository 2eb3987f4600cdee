//! String literals: where they end and what they mean.

use alloc::string::String;
use alloc::vec::Vec;

/// Format strings inside one another, at most.
const MAX_NESTED_STRINGS: u32 = 16;

/// The letters before the opening quote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) is_raw: bool,
    pub(crate) is_format: bool,
    pub(crate) is_bytes: bool,
}

impl Prefix {
    /// The prefix that `letters` is, in upper or lower case and any order; bytes cannot be formatted.
    pub(crate) fn of(letters: &str) -> Option<Self> {
        let mut prefix = Self::default();
        for letter in letters.chars() {
            let flag = match letter {
                'r' | 'R' => &mut prefix.is_raw,
                'f' | 'F' => &mut prefix.is_format,
                'b' | 'B' => &mut prefix.is_bytes,
                _ => return None,
            };
            if core::mem::replace(flag, true) {
                return None;
            }
        }
        (!(prefix.is_format && prefix.is_bytes)).then_some(prefix)
    }
}

/// A literal's extent in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal {
    pub(crate) prefix: Prefix,
    /// The opening quote.
    pub(crate) quote_at: usize,
    /// 1, or 3 for a triple-quoted string.
    pub(crate) quote_length: usize,
    /// Past the closing quote, or where the search ended.
    pub(crate) end: usize,
    pub(crate) is_terminated: bool,
}

impl Literal {
    /// What stands between the quotes of a terminated literal.
    pub(crate) fn content_range(&self) -> (usize, usize) {
        (
            self.quote_at + self.quote_length,
            self.end - self.quote_length,
        )
    }
}

/// Finds the literal that begins at `start` with its prefix or quote; `None` when there is none.
pub(crate) fn scan(text: &str, start: usize) -> Option<Literal> {
    scan_nested(text, start, 0)
}

fn scan_nested(text: &str, start: usize, depth: u32) -> Option<Literal> {
    let bytes = text.as_bytes();
    let letters = bytes
        .get(start..)?
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let quote_at = start + letters;
    let quote = *bytes
        .get(quote_at)
        .filter(|byte| matches!(byte, b'"' | b'\''))?;
    let prefix = Prefix::of(text.get(start..quote_at)?)?;
    let is_triple = bytes[quote_at..].starts_with(&[quote; 3]);
    let quote_length = if is_triple { 3 } else { 1 };
    let mut scanner = Scanner {
        text,
        at: quote_at + quote_length,
        quote,
        is_triple,
        depth,
    };
    let is_terminated = scanner.body(prefix);
    Some(Literal {
        prefix,
        quote_at,
        quote_length,
        end: scanner.at,
        is_terminated,
    })
}

struct Scanner<'text> {
    text: &'text str,
    at: usize,
    quote: u8,
    is_triple: bool,
    depth: u32,
}

impl Scanner<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// At a line end that this string cannot cross, or the end of the text.
    fn is_cut_off(&self) -> bool {
        match self.byte() {
            None => true,
            Some(b'\n' | b'\r') => !self.is_triple,
            Some(_) => false,
        }
    }

    fn at_closing_quote(&self) -> bool {
        let rest = &self.text.as_bytes()[self.at.min(self.text.len())..];
        if self.is_triple {
            rest.starts_with(&[self.quote; 3])
        } else {
            rest.first() == Some(&self.quote)
        }
    }

    /// Moves past the closing quote and says whether there was one.
    fn body(&mut self, prefix: Prefix) -> bool {
        let is_format = prefix.is_format;
        while !self.is_cut_off() {
            if self.at_closing_quote() {
                self.at += if self.is_triple { 3 } else { 1 };
                return true;
            }
            match self.byte() {
                Some(b'\\') => {
                    self.at += 1;
                    let hides_brace = !(prefix.is_raw && is_format);
                    if !self.is_cut_off() && (hides_brace || self.byte() != Some(b'{')) {
                        self.skip_character();
                    }
                }
                Some(b'{') if is_format && self.text.as_bytes().get(self.at + 1) == Some(&b'{') => {
                    self.at += 2
                }
                Some(b'{') if is_format => {
                    if !self.field() {
                        return false;
                    }
                }
                _ => self.skip_character(),
            }
        }
        false
    }

    /// Moves past the `}` of a replacement field and says whether there was one.
    fn field(&mut self) -> bool {
        if self.depth >= MAX_NESTED_STRINGS {
            return false;
        }
        self.at += 1;
        let mut open = 0_u32;
        while !self.is_cut_off() {
            match self.byte() {
                Some(b'(' | b'[' | b'{') => open += 1,
                Some(b'}') if open == 0 => {
                    self.at += 1;
                    return true;
                }
                Some(b')' | b']' | b'}') => open = open.saturating_sub(1),
                Some(b':') if open == 0 => return self.specification(),
                Some(b'"' | b'\'') => {
                    if !self.nested_string() {
                        return false;
                    }
                    continue;
                }
                _ => {}
            }
            self.skip_character();
        }
        false
    }

    fn specification(&mut self) -> bool {
        self.depth += 1;
        let is_complete = self.specification_text();
        self.depth -= 1;
        is_complete
    }

    fn specification_text(&mut self) -> bool {
        while !self.is_cut_off() && !self.at_closing_quote() {
            match self.byte() {
                Some(b'}') => {
                    self.at += 1;
                    return true;
                }
                Some(b'{') => {
                    if !self.field() {
                        return false;
                    }
                }
                _ => self.skip_character(),
            }
        }
        false
    }

    fn nested_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let letters = bytes[..self.at]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let word = self.at - letters;
        let start = if Prefix::of(&self.text[word..self.at]).is_some() {
            word
        } else {
            self.at
        };
        match scan_nested(self.text, start, self.depth + 1) {
            Some(nested) if nested.is_terminated => {
                let crosses_line = bytes[self.at..nested.end]
                    .iter()
                    .any(|byte| matches!(byte, b'\n' | b'\r'));
                self.at = nested.end;
                self.is_triple || !crosses_line
            }
            _ => false,
        }
    }

    fn skip_character(&mut self) {
        self.at += 1;
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

/// The text that the content of a literal stands for.
pub(crate) fn decode(content: &str, is_raw: bool) -> String {
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\r' => {
                // A line end inside a triple-quoted string is one line feed, however the file spells it.
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                text.push('\n');
            }
            '\\' if !is_raw => {
                let (escaped, after) = escape(rest);
                text.extend(escaped);
                rest = after;
            }
            _ => text.push(character),
        }
    }
    text
}

/// What the text after a backslash stands for, and what follows it. An escape that is none loses its backslash.
fn escape(rest: &str) -> (Option<char>, &str) {
    let Some(letter) = rest.chars().next() else {
        return (None, rest);
    };
    let after = &rest[letter.len_utf8()..];
    let digits = match letter {
        'n' => return (Some('\n'), after),
        't' => return (Some('\t'), after),
        'r' => return (Some('\r'), after),
        '0' => return (Some('\0'), after),
        'a' => return (Some('\x07'), after),
        'b' => return (Some('\x08'), after),
        'e' => return (Some('\x1b'), after),
        '\r' => return (Some('\n'), after.strip_prefix('\n').unwrap_or(after)),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return (Some(letter), after),
    };
    match hexadecimal(after, digits).and_then(char::from_u32) {
        Some(character) => (Some(character), &after[digits..]),
        None => (Some(letter), after),
    }
}

fn hexadecimal(text: &str, digits: usize) -> Option<u32> {
    let digits = text.get(..digits)?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all_digits
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The bytes that the content of a bytes literal stands for; `None` when it holds more than ASCII.
pub(crate) fn decode_bytes(content: &str, is_raw: bool) -> Option<Vec<u8>> {
    if !content.is_ascii() {
        return None;
    }
    // Every escape that ASCII text can spell and that means a byte is below 256.
    decode(content, is_raw)
        .chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Option<usize> {
        scan(text, 0)
            .filter(|literal| literal.is_terminated)
            .map(|literal| literal.end)
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        assert_eq!(end(r#""a\"b" # c"#), Some(6));
        assert_eq!(end(r#"'it\'s'"#), Some(7));
        assert_eq!(end(r#"r"\" x"#), None);
    }

    #[test]
    fn a_plain_string_stays_on_its_line() {
        assert_eq!(end("\"a\nb\""), None);
        assert_eq!(end("\"\"\"a\nb\"\"\""), Some(9));
    }

    #[test]
    fn quotes_inside_a_replacement_field_belong_to_it() {
        assert_eq!(end(r#"f"{d["k"]}""#), Some(11));
        assert_eq!(end(r#"f"{x:>{w}}" "#), Some(11));
        assert_eq!(end(r#"f"{{" "#), Some(5));
        assert_eq!(end(r#"f"{x" "#), None);
    }

    #[test]
    fn escapes_that_are_none_lose_their_backslash() {
        assert_eq!(
            decode(r"\n\t\\\'\q\x1b\u00e9\U0001F600\e", false),
            "\n\t\\'q\x1bé😀\x1b"
        );
        assert_eq!(decode(r"\xZZ\u12\ud800", false), "xZZu12ud800");
        assert_eq!(decode(r"\n", true), r"\n");
        assert_eq!(decode("a\r\nb", false), "a\nb");
    }

    #[test]
    fn bytes_hold_ascii_and_escapes() {
        assert_eq!(
            decode_bytes(r"a\xff\0", false),
            Some(alloc::vec![b'a', 0xff, 0])
        );
        assert_eq!(decode_bytes("é", false), None);
        assert_eq!(decode_bytes(r"\u1234", false), None);
    }

    #[test]
    fn nesting_of_format_strings_is_bounded() {
        let text = "f\"{".repeat(1000);
        assert_eq!(end(&text), None);
    }
}
