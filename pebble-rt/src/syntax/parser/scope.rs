//! What the parser must know about the code around the place it is at.

use crate::syntax::lexer::{self, Symbol, Token, TokenKind, Word};
use crate::syntax::lines::LogicalLine;
use alloc::vec::Vec;

/// What a stretch of code belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Module,
    Class,
    Function,
}

struct Frame {
    body: Body,
    loops: u32,
    yields: u32,
}

/// The functions and loops around the current place, and the program's own use of words that later became keywords.
pub(super) struct Scope<'line> {
    lines: &'line [LogicalLine<'line>],
    frames: Vec<Frame>,
    bound: [Option<bool>; SoftWord::COUNT],
    /// The tokens of the line that was asked about last.
    line_tokens: Vec<Token>,
    tokenized_line: Option<&'line LogicalLine<'line>>,
    /// Accept expressions that are no calls as statements, as a prompt does.
    pub(super) allows_bare_expressions: bool,
}

/// Words that mean something new in a place where an old program could have used them as a name.
#[derive(Clone, Copy)]
pub(super) enum SoftWord {
    Print,
    Assert,
    Delete,
    Yield,
    Lambda,
}

impl SoftWord {
    const COUNT: usize = 5;

    fn text(self) -> &'static str {
        match self {
            Self::Print => "print",
            Self::Assert => "assert",
            Self::Delete => "del",
            Self::Yield => "yield",
            Self::Lambda => "lambda",
        }
    }
}

impl<'line> Scope<'line> {
    pub(super) fn new(lines: &'line [LogicalLine<'line>], allows_bare_expressions: bool) -> Self {
        let frames = Vec::from([Frame {
            body: Body::Module,
            loops: 0,
            yields: 0,
        }]);
        Self {
            lines,
            frames,
            bound: [None; SoftWord::COUNT],
            line_tokens: Vec::new(),
            tokenized_line: None,
            allows_bare_expressions,
        }
    }

    /// The tokens of all of a line. Most lines are asked about several times.
    pub(super) fn line_tokens(&mut self, line: &'line LogicalLine<'line>) -> &[Token] {
        if !self
            .tokenized_line
            .is_some_and(|known| core::ptr::eq(known, line))
        {
            self.line_tokens = lexer::tokens(&line.text, 0, line.text.len());
            self.tokenized_line = Some(line);
        }
        &self.line_tokens
    }

    /// The tokens of a stretch of a line, with one [`TokenKind::End`] behind them.
    pub(super) fn tokens(
        &mut self,
        line: &'line LogicalLine<'line>,
        start: usize,
        end: usize,
    ) -> Vec<Token> {
        let all = self.line_tokens(line);
        let first = all.partition_point(|token| token.start < start);
        let last = all.partition_point(|token| token.end <= end && token.kind != TokenKind::End);
        // A stretch that cuts a token in two is read on its own, as is one that begins inside a string.
        let is_cut = all.get(last).is_some_and(|token| token.start < end)
            || first
                .checked_sub(1)
                .and_then(|index| all.get(index))
                .is_some_and(|token| token.end > start);
        if is_cut || first > last {
            return lexer::tokens(&line.text, start, end);
        }
        let mut tokens = Vec::with_capacity(last - first + 1);
        tokens.extend_from_slice(&all[first..last]);
        tokens.push(Token {
            kind: TokenKind::End,
            start: end,
            end,
        });
        tokens
    }

    /// True when the program itself makes a variable, parameter, function or class of that name anywhere. Then the old
    /// meaning wins wherever both would do.
    pub(super) fn binds(&mut self, word: SoftWord) -> bool {
        let lines = self.lines;
        *self.bound[word as usize]
            .get_or_insert_with(|| lines.iter().any(|line| line_binds(&line.text, word.text())))
    }

    pub(super) fn enter(&mut self, body: Body) {
        self.frames.push(Frame {
            body,
            loops: 0,
            yields: 0,
        });
    }

    /// Leaves a body and says whether it had a `yield` of its own.
    pub(super) fn leave(&mut self) -> bool {
        self.frames.pop().is_some_and(|frame| frame.yields > 0)
    }

    pub(super) fn enter_loop(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.loops += 1;
        }
    }

    pub(super) fn leave_loop(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.loops = frame.loops.saturating_sub(1);
        }
    }

    pub(super) fn is_in_loop(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.loops > 0)
    }

    /// True inside a function's own code.
    pub(super) fn is_in_function(&self) -> bool {
        self.frames
            .last()
            .is_some_and(|frame| frame.body == Body::Function)
    }

    /// Notes a `yield` and says whether one may stand here.
    pub(super) fn note_yield(&mut self) -> bool {
        match self.frames.last_mut() {
            Some(frame) if frame.body == Body::Function => {
                frame.yields += 1;
                true
            }
            _ => false,
        }
    }

    /// How many times the current function yields so far.
    pub(super) fn yield_count(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.yields)
    }
}

/// True when the line makes `word` a name: defines, imports or assigns it, or lists it as a parameter.
fn line_binds(text: &str, word: &str) -> bool {
    if !text.contains(word) {
        return false;
    }
    let tokens = lexer::tokens(text, 0, text.len());
    let spelling = |index: usize| {
        tokens
            .get(index)
            .map_or("", |token| &text[token.start..token.end])
    };
    let header = spelling(0);
    let is_definition = matches!(
        header,
        "def" | "class" | "record" | "enum" | "import" | "from"
    );
    let assignment = assignment_end(&tokens);
    let loop_end = if header == "for" {
        position_of(&tokens, TokenKind::Name(Word::In))
    } else {
        0
    };
    (0..tokens.len())
        .filter(|index| spelling(*index) == word)
        .any(|index| {
            let is_attribute = index > 0 && spelling(index - 1) == ".";
            let is_bound_after =
                index > 0 && matches!(spelling(index - 1), "as" | "except" | "global" | "nonlocal");
            let is_whole_target = matches!(spelling(index + 1), "=" | "," | ")" | "]")
                || spelling(index + 1).ends_with('=');
            !is_attribute
                && (is_bound_after
                    || (is_definition && index > 0)
                    || (index > 0 && index < loop_end)
                    || (index < assignment && is_whole_target))
        })
}

/// The index of the last assignment sign outside brackets, 0 if there is none.
fn assignment_end(tokens: &[Token]) -> usize {
    let mut depth = 0_i32;
    let mut last = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol(Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace) => {
                depth += 1
            }
            TokenKind::Symbol(Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace) => {
                depth -= 1
            }
            TokenKind::Symbol(Symbol::Assign | Symbol::AugmentedAssign) if depth == 0 => {
                last = index
            }
            _ => {}
        }
    }
    last
}

fn position_of(tokens: &[Token], kind: TokenKind) -> usize {
    tokens
        .iter()
        .position(|token| token.kind == kind)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::line_binds;

    #[test]
    fn a_word_is_bound_where_a_name_is_made() {
        for line in [
            "def print(x):",
            "def f(a, print):",
            "print = 5",
            "a, print = 1, 2",
            "for print in x:",
            "import a as print",
            "except print:",
        ] {
            assert!(line_binds(line, "print"), "{line}");
        }
    }

    #[test]
    fn a_word_is_not_bound_where_it_is_used() {
        for line in [
            "print(a)",
            "x = print",
            "a.print = 5",
            "printer = 5",
            "for x in print:",
            "x = [print]",
            "'print = 5'",
        ] {
            assert!(!line_binds(line, "print"), "{line}");
        }
    }
}
