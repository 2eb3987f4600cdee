//! Why a text is not a program.

use super::ast::Span;
use alloc::string::String;
use core::fmt;

/// A syntax error: the first one in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line that is reported, from 1.
    pub line: u32,
    /// What is wrong, without `line N: `.
    pub message: String,
    /// The expression in question, for errors that show it with a caret.
    pub excerpt: Option<Excerpt>,
    /// The place for editors: byte offsets into the source.
    pub span: Span,
    /// True when text added at the end could mend it: a bracket, a string or a block is open. A prompt asks for another line.
    pub is_incomplete: bool,
}

impl SyntaxError {
    /// An error of one line.
    pub(crate) fn plain(line: u32, span: Span, message: String) -> Self {
        Self {
            line,
            message,
            excerpt: None,
            span,
            is_incomplete: false,
        }
    }

    /// The same, marked as one that more text could mend.
    pub(crate) fn incomplete(mut self) -> Self {
        self.is_incomplete = true;
        self
    }
}

/// The expression that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Its text: of a logical line, so without line breaks outside strings.
    pub text: String,
    /// Where the caret goes, from 1.
    pub column: u32,
}

/// `line N: MESSAGE`, and for an expression two more lines: its text and a caret.
impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)?;
        match &self.excerpt {
            Some(excerpt) => write!(
                formatter,
                "\n{}\n{:>width$}",
                excerpt.text,
                "^",
                width = excerpt.column as usize
            ),
            None => Ok(()),
        }
    }
}

impl core::error::Error for SyntaxError {}
