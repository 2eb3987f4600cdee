//! From source text to logical lines: line ends, comments, indentation, brackets that span lines.
//!
//! Follows section 1 of the language. Everything found here is reported before anything is parsed.

use super::ast::Span;
use super::error::SyntaxError;
use super::strings;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A statement's text, or the header of a compound one.
#[derive(Clone, Debug)]
pub(crate) struct LogicalLine<'source> {
    /// Number of its first physical line, from 1.
    pub(crate) number: u32,
    /// Its indentation in steps of four blanks.
    pub(crate) level: u32,
    /// Its parts without comments and outer blanks, joined by one blank. Never empty.
    pub(crate) text: Cow<'source, str>,
    parts: Vec<Part>,
}

/// A piece of a logical line that stands in the source in one go.
#[derive(Clone, Copy, Debug)]
struct Part {
    in_text: usize,
    in_source: usize,
}

impl LogicalLine<'_> {
    /// The place in the source of a range of the text.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let last = end.saturating_sub(1).max(start);
        Span {
            line: self.number,
            start: self.source_offset(start),
            end: self.source_offset(last) + (end - last) as u32,
        }
    }

    /// True when a physical line of the source begins at this offset of the text, the first one excepted.
    pub(crate) fn begins_part(&self, offset: usize) -> bool {
        offset > 0
            && self
                .parts
                .binary_search_by_key(&offset, |part| part.in_text)
                .is_ok()
    }

    /// The place in the source of an offset of the text.
    pub(crate) fn source_offset(&self, offset: usize) -> u32 {
        let index = self
            .parts
            .partition_point(|part| part.in_text <= offset)
            .saturating_sub(1);
        let part = self.parts.get(index).copied().unwrap_or(Part {
            in_text: 0,
            in_source: 0,
        });
        (part.in_source + offset.saturating_sub(part.in_text)) as u32
    }
}

/// A comment, for the formatter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    /// Its physical line.
    pub(crate) line: u32,
    /// From the `#` to the end of the line.
    pub(crate) span: Span,
    /// True when nothing stands before it on its line.
    pub(crate) is_alone: bool,
    /// Blanks before it on its line.
    pub(crate) column: u32,
}

/// The logical lines of a source, and its comments.
pub(crate) struct SplitSource<'source> {
    pub(crate) lines: Vec<LogicalLine<'source>>,
    pub(crate) comments: Vec<Comment>,
}

/// Splits `source` into logical lines.
pub(crate) fn split(source: &str) -> Result<SplitSource<'_>, SyntaxError> {
    if u32::try_from(source.len()).is_err() {
        return Err(SyntaxError::plain(
            1,
            Span::default(),
            "the source is larger than 4 GiB".into(),
        ));
    }
    let mut splitter = Splitter::new(source);
    while splitter.at < source.len() {
        splitter.physical_line()?;
    }
    splitter.finish()
}

#[derive(Clone, Copy)]
struct OpenBracket {
    character: char,
    line: u32,
    /// What its column is counted from. The column itself is made when an error needs it: a line may hold many brackets.
    column_base: usize,
    at: usize,
}

struct Splitter<'source> {
    source: &'source str,
    at: usize,
    number: u32,
    /// First character of the current physical line that is no blank: what columns are counted from.
    column_base: usize,
    brackets: Vec<OpenBracket>,
    current: Option<LogicalLine<'source>>,
    output: SplitSource<'source>,
}

impl<'source> Splitter<'source> {
    fn new(source: &'source str) -> Self {
        // A byte order mark is no part of the text.
        let at = if source.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let output = SplitSource {
            lines: Vec::new(),
            comments: Vec::new(),
        };
        Self {
            source,
            at,
            number: 1,
            column_base: at,
            brackets: Vec::new(),
            current: None,
            output,
        }
    }

    /// Takes one physical line, or several when a triple-quoted string spans them, up to the next line's first byte.
    fn physical_line(&mut self) -> Result<(), SyntaxError> {
        self.refuse_tabs(self.at)?;
        let start = self.at;
        let bytes = self.source.as_bytes();
        while bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.column_base = self.at;
        match bytes.get(self.at) {
            None | Some(b'\n' | b'\r') => {}
            Some(b'#') => self.comment(start, true),
            Some(_) => self.part(start)?,
        }
        self.line_end();
        Ok(())
    }

    fn part(&mut self, line_start: usize) -> Result<(), SyntaxError> {
        let start = self.at;
        if self.current.is_none() {
            let blanks = start - line_start;
            if !blanks.is_multiple_of(4) {
                return Err(self.error(
                    line_start,
                    start,
                    "indentation must use multiples of four spaces".into(),
                ));
            }
            let text = Cow::Borrowed("");
            self.current = Some(LogicalLine {
                number: self.number,
                level: (blanks / 4) as u32,
                text,
                parts: Vec::new(),
            });
        }
        let code_end = self.scan_code()?;
        self.add_part(start, code_end);
        if self.source.as_bytes().get(self.at) == Some(&b'#') {
            self.comment(line_start, false);
        }
        if self.brackets.is_empty() {
            self.output.lines.extend(self.current.take());
        }
        Ok(())
    }

    /// Moves to the line's end or its comment, and returns where the code ends.
    fn scan_code(&mut self) -> Result<usize, SyntaxError> {
        let bytes = self.source.as_bytes();
        let mut code_end = self.at;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\n' | b'\r' | b'#' => break,
                b' ' => {
                    self.at += 1;
                    continue;
                }
                b'(' | b'[' | b'{' => self.open(char::from(byte)),
                b')' | b']' | b'}' => self.close(char::from(byte))?,
                b'"' | b'\'' => self.string(self.at)?,
                _ if byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii() => {
                    self.word()?
                }
                _ => self.at += 1,
            }
            code_end = self.at;
        }
        Ok(code_end)
    }

    fn word(&mut self) -> Result<(), SyntaxError> {
        let bytes = self.source.as_bytes();
        let start = self.at;
        while bytes
            .get(self.at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii())
        {
            self.at += 1;
        }
        let opens_string = matches!(bytes.get(self.at), Some(b'"' | b'\''));
        if opens_string && strings::Prefix::of(&self.source[start..self.at]).is_some() {
            self.string(start)?;
        }
        Ok(())
    }

    fn string(&mut self, start: usize) -> Result<(), SyntaxError> {
        let Some(literal) = strings::scan(self.source, start) else {
            self.at += 1;
            return Ok(());
        };
        if literal.quote_length == 3 && !literal.is_terminated {
            let message = format!(
                "unterminated triple-quoted string opened at column {}",
                self.column(start)
            );
            return Err(self.error(start, literal.end, message).incomplete());
        }
        if literal.quote_length == 3 {
            self.lines_within(start, literal.end)?;
        }
        self.at = literal.end;
        Ok(())
    }

    /// Counts the physical lines that a triple-quoted string goes over.
    fn lines_within(&mut self, start: usize, end: usize) -> Result<(), SyntaxError> {
        let mut at = start;
        while let Some(next) = line_after(self.source, at).filter(|next| *next < end) {
            self.number += 1;
            self.refuse_tabs(next)?;
            self.column_base = next;
            at = next;
        }
        Ok(())
    }

    fn add_part(&mut self, start: usize, end: usize) {
        let Some(line) = &mut self.current else {
            return;
        };
        let part = &self.source[start..end];
        if line.parts.is_empty() {
            line.parts.push(Part {
                in_text: 0,
                in_source: start,
            });
            line.text = Cow::Borrowed(part);
        } else {
            let text = line.text.to_mut();
            text.push(' ');
            line.parts.push(Part {
                in_text: text.len(),
                in_source: start,
            });
            text.push_str(part);
        }
    }

    fn comment(&mut self, line_start: usize, is_alone: bool) {
        let end = end_of_line(self.source, self.at);
        let span = Span {
            line: self.number,
            start: self.at as u32,
            end: end as u32,
        };
        let column = (self.at - line_start) as u32;
        self.output.comments.push(Comment {
            line: self.number,
            span,
            is_alone,
            column,
        });
        self.at = end;
    }

    fn line_end(&mut self) {
        self.at = line_after(self.source, self.at).unwrap_or(self.source.len());
        self.number = self.number.saturating_add(1);
    }

    fn open(&mut self, character: char) {
        let bracket = OpenBracket {
            character,
            line: self.number,
            column_base: self.column_base,
            at: self.at,
        };
        self.brackets.push(bracket);
        self.at += 1;
    }

    fn close(&mut self, character: char) -> Result<(), SyntaxError> {
        let message = match self.brackets.pop() {
            None => format!(
                "unmatched closing bracket '{character}' at column {}",
                self.column(self.at)
            ),
            Some(open) if closing(open.character) != character => format!(
                "closing bracket '{character}' at column {} does not match '{}' opened at line {} column {}",
                self.column(self.at),
                open.character,
                open.line,
                self.column_from(open.column_base, open.at)
            ),
            Some(_) => {
                self.at += 1;
                return Ok(());
            }
        };
        Err(self.error(self.at, self.at + 1, message))
    }

    fn finish(mut self) -> Result<SplitSource<'source>, SyntaxError> {
        let Some(bracket) = self.brackets.pop() else {
            return Ok(self.output);
        };
        let number = self
            .current
            .as_ref()
            .map_or(bracket.line, |line| line.number);
        let OpenBracket {
            character,
            line,
            column_base,
            at,
        } = bracket;
        let column = self.column_from(column_base, at);
        let message = format!(
            "unterminated bracketed expression; '{character}' opened at line {line} column {column}"
        );
        let span = Span {
            line: number,
            start: at as u32,
            end: at as u32 + 1,
        };
        Err(SyntaxError::plain(number, span, message).incomplete())
    }

    fn refuse_tabs(&self, start: usize) -> Result<(), SyntaxError> {
        let end = end_of_line(self.source, start);
        match self.source.as_bytes()[start..end]
            .iter()
            .position(|byte| *byte == b'\t')
        {
            Some(tab) => {
                let at = start + tab;
                Err(self.error(at, at + 1, "tabs are not allowed; use four spaces".into()))
            }
            None => Ok(()),
        }
    }

    fn column(&self, at: usize) -> u32 {
        self.column_from(self.column_base, at)
    }

    fn column_from(&self, base: usize, at: usize) -> u32 {
        self.source
            .get(base..at)
            .map_or(0, |before| before.chars().count()) as u32
            + 1
    }

    fn error(&self, start: usize, end: usize, message: String) -> SyntaxError {
        let span = Span {
            line: self.number,
            start: start as u32,
            end: end as u32,
        };
        SyntaxError::plain(self.number, span, message)
    }
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

fn end_of_line(source: &str, start: usize) -> usize {
    let bytes = &source.as_bytes()[start..];
    bytes
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(source.len(), |length| start + length)
}

/// The first byte of the line after the one that `start` is in; `None` when there is no line end.
fn line_after(source: &str, start: usize) -> Option<usize> {
    let end = end_of_line(source, start);
    match source.as_bytes().get(end..)? {
        [b'\r', b'\n', ..] => Some(end + 2),
        [_, ..] => Some(end + 1),
        [] => None,
    }
}
