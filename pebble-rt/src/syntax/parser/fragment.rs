//! A stretch of a logical line that is parsed as a whole, and the errors that show it.

use crate::syntax::ast::Span;
use crate::syntax::error::{Excerpt, SyntaxError};
use crate::syntax::lexer::Token;
use crate::syntax::lines::LogicalLine;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

/// The result of a parsing step. Boxed, because errors are large and rare.
pub(super) type Parse<T> = Result<T, Box<SyntaxError>>;

/// A stretch of a line without outer blanks.
#[derive(Clone, Copy)]
pub(super) struct Fragment<'line> {
    pub(super) line: &'line LogicalLine<'line>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'line> Fragment<'line> {
    /// The whole line.
    pub(super) fn whole(line: &'line LogicalLine<'line>) -> Self {
        Self {
            line,
            start: 0,
            end: line.text.len(),
        }
    }

    /// A stretch of the line, given by offsets into its text.
    pub(super) fn of(line: &'line LogicalLine<'line>, start: usize, end: usize) -> Self {
        let text = &line.text[start..end];
        let leading = text.len() - text.trim_start_matches(' ').len();
        let trimmed = text.trim_matches(' ').len();
        Self {
            line,
            start: start + leading,
            end: start + leading + trimmed,
        }
    }

    /// What is left behind `length` bytes.
    pub(super) fn skip(&self, length: usize) -> Self {
        Self::of(self.line, self.start + length, self.end)
    }

    pub(super) fn text(&self) -> &'line str {
        &self.line.text[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn span(&self) -> Span {
        self.line.span(self.start, self.end)
    }

    /// An error of one line that concerns the fragment.
    pub(super) fn plain_error(&self, message: impl Into<String>) -> Box<SyntaxError> {
        Box::new(SyntaxError::plain(
            self.line.number,
            self.span(),
            message.into(),
        ))
    }

    /// An error that shows the fragment with a caret under `token`.
    pub(super) fn error_at(
        &self,
        kind: FragmentKind,
        token: Token,
        detail: &str,
    ) -> Box<SyntaxError> {
        let offset = token.start.clamp(self.start, self.end);
        let before = &self.line.text[self.start..offset];
        let column = before.chars().count() as u32 + 1;
        let message = format!("{} at column {column}: {detail}", kind.message());
        // A triple-quoted string has line ends inside; the caret needs the piece that it stands under.
        let piece_start = before
            .rfind(['\n', '\r'])
            .map_or(self.start, |line_end| self.start + line_end + 1);
        let piece = &self.line.text[piece_start..self.end];
        let text = String::from(piece.split(['\n', '\r']).next().unwrap_or(piece));
        let caret = self.line.text[piece_start..offset].chars().count() as u32 + 1;
        let mut error = SyntaxError::plain(
            self.line.number,
            self.line.span(offset, token.end.max(offset)),
            message,
        );
        error.excerpt = Some(Excerpt {
            text,
            column: caret,
        });
        Box::new(error)
    }
}

/// How errors in a fragment begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FragmentKind {
    Expression,
    Target,
    Pattern,
}

impl FragmentKind {
    fn message(self) -> &'static str {
        match self {
            Self::Expression => "invalid expression",
            Self::Target => "invalid assignment target",
            Self::Pattern => "invalid pattern",
        }
    }
}
