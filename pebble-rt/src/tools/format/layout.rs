//! Lines: indentation, line breaks inside brackets, blank lines, comments.

use super::spacing::Spacing;
use crate::syntax::SyntaxError;
use crate::syntax::lexer::{self, Symbol, Token, TokenKind};
use crate::syntax::lines::{self, Comment, LogicalLine};
use alloc::string::String;

/// Blank lines in a row, at most.
const MAX_BLANK_LINES: usize = 2;

const INDENTATION: usize = 4;

pub(super) fn lay_out(source: &str) -> Result<String, SyntaxError> {
    let split = lines::split(source)?;
    let mut layout = Layout {
        source,
        comments: &split.comments,
        output: String::with_capacity(source.len() + 16),
    };
    layout.items(&split.lines);
    Ok(layout.output)
}

struct Layout<'split, 'source> {
    source: &'source str,
    comments: &'split [Comment],
    output: String,
}

impl<'split, 'source> Layout<'split, 'source> {
    fn items(&mut self, lines: &'split [LogicalLine<'source>]) {
        let mut previous: Option<&LogicalLine<'_>> = None;
        let mut previous_end = 0;
        for (index, line) in lines.iter().enumerate() {
            let start = line.span(0, 0).start as usize;
            self.comments_before(start, previous, Some(line), &mut previous_end);
            self.blank_lines(previous_end, start);
            let next_start = lines
                .get(index + 1)
                .map_or(self.source.len(), |next| next.span(0, 0).start as usize);
            self.logical_line(line, next_start);
            previous_end = self.source_end(line);
            previous = Some(line);
        }
        self.comments_before(self.source.len(), previous, None, &mut previous_end);
    }

    /// The comments that stand alone before `start`.
    fn comments_before(
        &mut self,
        start: usize,
        previous: Option<&LogicalLine<'_>>,
        next: Option<&LogicalLine<'_>>,
        previous_end: &mut usize,
    ) {
        while let Some((comment, rest)) = self
            .comments
            .split_first()
            .filter(|(one, _)| (one.span.start as usize) < start)
        {
            self.comments = rest;
            self.blank_lines(*previous_end, comment.span.start as usize);
            self.indent(comment_level(*comment, previous, next));
            self.comment_text(*comment);
            self.output.push('\n');
            *previous_end = comment.span.end as usize;
        }
    }

    /// The blank lines between two places of the source, no more than are allowed, none at the start.
    fn blank_lines(&mut self, from: usize, to: usize) {
        if self.output.is_empty() {
            return;
        }
        let between = self.source.get(from..to).unwrap_or("");
        let line_ends = between
            .replace("\r\n", "\n")
            .chars()
            .filter(|character| matches!(character, '\n' | '\r'))
            .count();
        for _ in 0..line_ends.saturating_sub(1).min(MAX_BLANK_LINES) {
            self.output.push('\n');
        }
    }

    fn source_end(&self, line: &LogicalLine<'_>) -> usize {
        line.span(0, line.text.len()).end as usize
    }

    fn indent(&mut self, level: usize) {
        self.output
            .extend(core::iter::repeat_n(' ', level * INDENTATION));
    }

    /// A comment without trailing blanks, with one blank behind its `#` unless it is made of signs (`#!`, `####`).
    fn comment_text(&mut self, comment: Comment) {
        let text = &self.source[comment.span.start as usize..comment.span.end as usize];
        let text = text.trim_end();
        let rest = &text[1..];
        self.output.push('#');
        if rest.starts_with(char::is_alphanumeric) {
            self.output.push(' ');
        }
        self.output.push_str(rest);
    }

    /// A logical line with the comments inside it and behind it.
    fn logical_line(&mut self, line: &LogicalLine<'_>, next_start: usize) {
        let base = line.level as usize;
        self.indent(base);
        let decorator = usize::from(line.text.starts_with('@'));
        if decorator == 1 {
            self.output.push('@');
        }
        let text = &line.text[decorator..];
        let text_start = text.len() - text.trim_start_matches(' ').len();
        let text = &text[text_start..];
        let offset = decorator + text_start;
        let mut spacing = Spacing::new(text);
        for token in lexer::tokens(text, 0, text.len()) {
            if token.kind == TokenKind::End {
                break;
            }
            let begins_part = line.begins_part(token.start + offset);
            self.comments_inside(
                line.source_offset(token.start + offset) as usize,
                base,
                spacing.depth(),
            );
            let needs_blank = spacing.needs_blank(token);
            if begins_part {
                self.break_line(base, token, &spacing);
            } else if needs_blank {
                self.output.push(' ');
            }
            self.output.push_str(&text[token.start..token.end]);
        }
        self.comment_behind(self.source_end(line), next_start);
        self.output.push('\n');
    }

    /// A new physical line inside brackets; one that begins with a closing bracket stands one step further out.
    fn break_line(&mut self, base: usize, token: Token, spacing: &Spacing<'_>) {
        let opens = matches!(
            token.kind,
            TokenKind::Symbol(Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace)
        );
        let depth = spacing.depth() - usize::from(opens && spacing.depth() > 0);
        if !self.output.ends_with('\n') {
            self.output.push('\n');
        }
        self.indent(base + depth);
    }

    /// Comments between the tokens of a line: behind one, or on lines of their own.
    fn comments_inside(&mut self, before: usize, base: usize, depth: usize) {
        while let Some((comment, rest)) = self
            .comments
            .split_first()
            .filter(|(one, _)| (one.span.start as usize) < before)
        {
            self.comments = rest;
            if comment.is_alone {
                if !self.output.ends_with('\n') {
                    self.output.push('\n');
                }
                self.indent(base + depth);
            } else {
                self.output.push_str("  ");
            }
            self.comment_text(*comment);
            self.output.push('\n');
        }
    }

    fn comment_behind(&mut self, end: usize, next_start: usize) {
        if let Some((comment, rest)) = self.comments.split_first() {
            let start = comment.span.start as usize;
            if !comment.is_alone && start >= end && start < next_start {
                self.comments = rest;
                self.output.push_str("  ");
                self.comment_text(*comment);
            }
        }
    }
}

/// The indentation of a comment between two lines: as near to its own as its surroundings allow.
fn comment_level(
    comment: Comment,
    previous: Option<&LogicalLine<'_>>,
    next: Option<&LogicalLine<'_>>,
) -> usize {
    let wanted = (comment.column as usize + INDENTATION / 2) / INDENTATION;
    let least = next.map_or(0, |line| line.level as usize);
    let deepest = previous.map_or(0, |line| {
        line.level as usize + usize::from(line.text.ends_with(':'))
    });
    wanted.clamp(least, deepest.max(least))
}

/// For tests: the comments of a source, in order.
#[cfg(test)]
pub(super) fn comment_texts(source: &str) -> alloc::vec::Vec<String> {
    let comments = lines::split(source)
        .map(|split| split.comments)
        .unwrap_or_default();
    comments
        .iter()
        .map(|one| source[one.span.start as usize..one.span.end as usize].replace(' ', ""))
        .collect()
}
