//! JSON texts (RFC 8259): a reader that reports to a builder and a writer of its lexical parts.
//!
//! The reader keeps its own stack, so that nesting is bounded by [`MAX_DEPTH`] and not by the host's stack.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 1000;

/// Where and why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The text ends too early.
    UnexpectedEnd,
    /// A character that cannot stand here.
    Unexpected(char),
    /// A string is not closed on its line.
    UnterminatedString,
    /// An escape that JSON does not know, or half a surrogate pair.
    InvalidEscape,
    /// A number that is not written as JSON writes numbers.
    InvalidNumber,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More text follows the value.
    TrailingText,
}

impl core::fmt::Display for JsonError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.problem {
            Problem::UnexpectedEnd => f.write_str("unexpected end of text")?,
            Problem::Unexpected(c) => write!(f, "unexpected character '{c}'")?,
            Problem::UnterminatedString => f.write_str("unterminated string")?,
            Problem::InvalidEscape => f.write_str("invalid escape")?,
            Problem::InvalidNumber => f.write_str("invalid number")?,
            Problem::TooDeep => f.write_str("too deeply nested")?,
            Problem::TrailingText => f.write_str("text after the value")?,
        }
        write!(f, " at line {}, column {}", self.line, self.column)
    }
}

/// A leaf of a JSON text.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer's text: an optional minus sign and digits, of any length.
    Integer(&'a str),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A string with its escapes resolved.
    String(String),
}

/// Receives the parts of a text in order, and may stop the reader (out of memory, out of fuel).
pub trait JsonBuilder {
    /// The builder's own reason to stop.
    type Error;
    /// A leaf.
    fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), Self::Error>;
    /// `[`
    fn begin_array(&mut self) -> Result<(), Self::Error>;
    /// `{`
    fn begin_object(&mut self) -> Result<(), Self::Error>;
    /// The key of the next member.
    fn key(&mut self, key: String) -> Result<(), Self::Error>;
    /// The end of the innermost array or object.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// What stopped the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadError<E> {
    /// The text is not JSON.
    Syntax(JsonError),
    /// The builder refused.
    Builder(E),
}

/// Reads one value that fills the whole text.
pub fn read<B: JsonBuilder>(text: &str, builder: &mut B) -> Result<(), ReadError<B::Error>> {
    let mut reader = Reader {
        text,
        at: 0,
        open: Vec::new(),
    };
    reader.document(builder).map_err(|failure| match failure {
        Failure::Builder(error) => ReadError::Builder(error),
        Failure::Syntax(at, problem) => ReadError::Syntax(locate(text, at, problem)),
    })
}

fn locate(text: &str, at: usize, problem: Problem) -> JsonError {
    let before = &text[..at.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    JsonError {
        line: before.bytes().filter(|b| *b == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        problem,
    }
}

enum Failure<E> {
    Syntax(usize, Problem),
    Builder(E),
}

impl<E> From<(usize, Problem)> for Failure<E> {
    fn from((at, problem): (usize, Problem)) -> Self {
        Self::Syntax(at, problem)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Container>,
}

type Place = (usize, Problem);

impl<'a> Reader<'a> {
    fn document<B: JsonBuilder>(&mut self, builder: &mut B) -> Result<(), Failure<B::Error>> {
        loop {
            if self.value(builder)? {
                // A container was opened and is not empty: its first value follows.
                continue;
            }
            if !self.after_value(builder)? {
                break;
            }
        }
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(Problem::TrailingText).into()),
        }
    }

    /// Reads a leaf, an empty container, or the beginning of another; the latter gives `true`.
    fn value<B: JsonBuilder>(&mut self, builder: &mut B) -> Result<bool, Failure<B::Error>> {
        self.skip_blanks();
        match self.peek() {
            Some(b'[') => self.begin(Container::Array, builder),
            Some(b'{') => self.begin(Container::Object, builder),
            _ => {
                let scalar = self.scalar()?;
                builder.scalar(scalar).map_err(Failure::Builder)?;
                Ok(false)
            }
        }
    }

    fn begin<B: JsonBuilder>(
        &mut self,
        container: Container,
        builder: &mut B,
    ) -> Result<bool, Failure<B::Error>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fault(Problem::TooDeep).into());
        }
        self.at += 1;
        self.skip_blanks();
        let (begun, close) = match container {
            Container::Array => (builder.begin_array(), b']'),
            Container::Object => (builder.begin_object(), b'}'),
        };
        begun.map_err(Failure::Builder)?;
        if self.peek() == Some(close) {
            self.at += 1;
            builder.end().map_err(Failure::Builder)?;
            return Ok(false);
        }
        self.open.push(container);
        if container == Container::Object {
            self.member_key(builder)?;
        }
        Ok(true)
    }

    /// After a complete value: closes what ends here. `true` when another value follows.
    fn after_value<B: JsonBuilder>(&mut self, builder: &mut B) -> Result<bool, Failure<B::Error>> {
        while let Some(container) = self.open.last().copied() {
            self.skip_blanks();
            match (self.peek(), container) {
                (Some(b','), Container::Array) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Some(b','), Container::Object) => {
                    self.at += 1;
                    self.skip_blanks();
                    self.member_key(builder)?;
                    return Ok(true);
                }
                (Some(b']'), Container::Array) | (Some(b'}'), Container::Object) => {
                    self.at += 1;
                    self.open.pop();
                    builder.end().map_err(Failure::Builder)?;
                }
                _ => return Err(self.unexpected().into()),
            }
        }
        Ok(false)
    }

    fn member_key<B: JsonBuilder>(&mut self, builder: &mut B) -> Result<(), Failure<B::Error>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected().into());
        }
        let key = self.string()?;
        builder.key(key).map_err(Failure::Builder)?;
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected().into());
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<Scalar<'a>, Place> {
        match self.peek() {
            Some(b'"') => Ok(Scalar::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, scalar) in [
                    ("null", Scalar::Null),
                    ("true", Scalar::Bool(true)),
                    ("false", Scalar::Bool(false)),
                ] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(scalar);
                    }
                }
                Err(self.unexpected())
            }
        }
    }

    fn number(&mut self) -> Result<Scalar<'a>, Place> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.text.as_bytes()[self.at - whole] == b'0') {
            return Err((start, Problem::InvalidNumber));
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            is_integer = false;
            if self.digits() == 0 {
                return Err((start, Problem::InvalidNumber));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            is_integer = false;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err((start, Problem::InvalidNumber));
            }
        }
        let text = &self.text[start..self.at];
        if is_integer {
            return Ok(Scalar::Integer(text));
        }
        text.parse()
            .map(Scalar::Float)
            .map_err(|_| (start, Problem::InvalidNumber))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<String, Place> {
        let opening = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(b) if b != b'"' && b != b'\\' && b >= 0x20) {
                self.at += 1;
            }
            value.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                _ => return Err((opening, Problem::UnterminatedString)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Place> {
        let start = self.at;
        let kind = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        let c = match kind {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape().ok_or((start, Problem::InvalidEscape)),
            _ => return Err((start, Problem::InvalidEscape)),
        };
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.four_hex_digits()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return None;
        }
        self.at += 2;
        let second = self.four_hex_digits()?;
        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + low)
    }

    fn four_hex_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, problem: Problem) -> Place {
        (self.at, problem)
    }

    fn unexpected(&self) -> Place {
        let problem = match self.text[self.at..].chars().next() {
            Some(c) => Problem::Unexpected(c),
            None => Problem::UnexpectedEnd,
        };
        (self.at, problem)
    }
}

/// Appends a string in quotes, with what JSON requires to be escaped.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    /// Writes what it is told, as compact JSON.
    #[derive(Default)]
    struct Echo {
        out: String,
        open: Vec<(char, usize)>,
        after_key: bool,
    }

    impl Echo {
        fn separate(&mut self) {
            if core::mem::take(&mut self.after_key) {
                return;
            }
            if let Some((_, count)) = self.open.last_mut() {
                if *count > 0 {
                    self.out.push(',');
                }
                *count += 1;
            }
        }
    }

    impl JsonBuilder for Echo {
        type Error = ();

        fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), ()> {
            self.separate();
            match scalar {
                Scalar::Null => self.out.push_str("null"),
                Scalar::Bool(value) => self.out.push_str(&value.to_string()),
                Scalar::Integer(text) => self.out.push_str(text),
                Scalar::Float(value) => self.out.push_str(&crate::value::float_text(value)),
                Scalar::String(text) => push_string(&mut self.out, &text),
            }
            Ok(())
        }

        fn begin_array(&mut self) -> Result<(), ()> {
            self.separate();
            self.out.push('[');
            self.open.push((']', 0));
            Ok(())
        }

        fn begin_object(&mut self) -> Result<(), ()> {
            self.separate();
            self.out.push('{');
            self.open.push(('}', 0));
            Ok(())
        }

        fn key(&mut self, key: String) -> Result<(), ()> {
            self.separate();
            push_string(&mut self.out, &key);
            self.out.push(':');
            self.after_key = true;
            Ok(())
        }

        fn end(&mut self) -> Result<(), ()> {
            let (close, _) = self.open.pop().ok_or(())?;
            self.out.push(close);
            Ok(())
        }
    }

    fn echo(text: &str) -> Result<String, String> {
        let mut builder = Echo::default();
        match read(text, &mut builder) {
            Ok(()) => Ok(builder.out),
            Err(ReadError::Syntax(error)) => Err(error.to_string()),
            Err(ReadError::Builder(())) => Err("unbalanced".into()),
        }
    }

    #[test]
    fn values_of_every_kind_are_read() {
        let text =
            r#" {"a": [1, -2.5, 1e2, true, null, {}], "b\u00e9": "x\n\ud83d\ude00", "c": []} "#;
        assert_eq!(
            echo(text).as_deref(),
            Ok("{\"a\":[1,-2.5,100.0,true,null,{}],\"bé\":\"x\\n😀\",\"c\":[]}")
        );
        assert_eq!(
            echo("123456789012345678901234567890").as_deref(),
            Ok("123456789012345678901234567890")
        );
    }

    #[test]
    fn faults_say_where_they_are() {
        for (text, message) in [
            ("", "unexpected end of text at line 1, column 1"),
            ("[1,\n 2", "unexpected end of text at line 2, column 3"),
            ("[1 2]", "unexpected character '2' at line 1, column 4"),
            ("{\"a\" 1}", "unexpected character '1' at line 1, column 6"),
            ("{a: 1}", "unexpected character 'a' at line 1, column 2"),
            ("[1,]", "unexpected character ']' at line 1, column 4"),
            ("\"ab", "unterminated string at line 1, column 1"),
            ("\"\\x\"", "invalid escape at line 1, column 2"),
            ("\"\\ud800\"", "invalid escape at line 1, column 2"),
            ("01", "invalid number at line 1, column 1"),
            ("1 1", "text after the value at line 1, column 3"),
            ("1.", "invalid number at line 1, column 1"),
        ] {
            assert_eq!(echo(text), Err(message.to_string()), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(
            echo(&deep).map_err(|e| e.starts_with("too deeply nested")),
            Err(true)
        );
        let fits = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert_eq!(echo(&fits), Ok(fits));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}:,\"\\\\a-f0-9.eEu\\- \n\t-]{0,40}") {
            if let Ok(once) = echo(&text) {
                prop_assert_eq!(echo(&once), Ok(once));
            }
        }

        #[test]
        fn a_written_string_reads_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let mut written = String::new();
            push_string(&mut written, &text);
            prop_assert_eq!(echo(&written), Ok(written));
        }
    }
}
