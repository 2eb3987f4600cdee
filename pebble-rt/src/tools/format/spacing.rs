//! Which tokens have a blank between them.

use crate::syntax::lexer::{self, Symbol, Token, TokenKind, Word};
use alloc::vec::Vec;

/// Words at the start of a line that an expression or a name follows, never a call's parenthesis.
const STATEMENT_WORDS: [&str; 15] = [
    "if", "elif", "while", "for", "return", "raise", "import", "from", "global", "nonlocal",
    "except", "def", "class", "record", "enum",
];

/// Words that are a statement only in a line that ends in a colon.
const HEADER_WORDS: [&str; 3] = ["with", "match", "case"];

/// Words that may begin a statement or a call: a blank before a bracket stays as it was.
const EITHER_WORDS: [&str; 3] = ["print", "assert", "del"];

/// What surrounds the next token of a line.
pub(super) struct Spacing<'text> {
    text: &'text str,
    is_header: bool,
    brackets: Vec<Bracket>,
    previous: Option<Token>,
    /// True when the last token ends an operand, so that a sign behind it stands between two.
    ends_operand: bool,
    /// True when the last token is a sign of the operand behind it.
    is_sign: bool,
    lambda_colon: Option<usize>,
}

/// A bracket, or the line itself.
struct Bracket {
    is_square: bool,
    /// Lambdas whose colon has not come yet.
    lambdas: u32,
}

impl<'text> Spacing<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        Self {
            text,
            is_header: text.ends_with(':'),
            brackets: Vec::from([Bracket {
                is_square: false,
                lambdas: 0,
            }]),
            previous: None,
            ends_operand: false,
            is_sign: false,
            lambda_colon: None,
        }
    }

    /// Brackets open now.
    pub(super) fn depth(&self) -> usize {
        self.brackets.len().saturating_sub(1)
    }

    /// Takes the next token and says whether a blank stands before it.
    pub(super) fn needs_blank(&mut self, token: Token) -> bool {
        let needs_blank = self
            .previous
            .is_some_and(|previous| self.is_blank_between(previous, token));
        self.is_sign = false;
        match token.kind {
            TokenKind::Symbol(symbol) => self.note_symbol(symbol, token),
            TokenKind::Name(word) => self.ends_operand = self.is_operand(word, token),
            _ => self.ends_operand = true,
        }
        self.previous = Some(token);
        needs_blank
    }

    fn spelling(&self, token: Token) -> &'text str {
        &self.text[token.start..token.end]
    }

    fn is_blank_between(&self, previous: Token, next: Token) -> bool {
        let TokenKind::Symbol(symbol) = next.kind else {
            return self.is_blank_after(previous);
        };
        match symbol {
            Symbol::RightParen
            | Symbol::RightSquare
            | Symbol::RightBrace
            | Symbol::Comma
            | Symbol::Colon => {
                // Behind a sign that has no operand, as in `f(*, a)`, nothing changes either.
                false
            }
            // `1 .x`: without the blank the point would belong to the number.
            Symbol::Dot => previous.kind == TokenKind::Integer,
            Symbol::LeftParen | Symbol::LeftSquare if self.ends_operand => false,
            Symbol::LeftParen | Symbol::LeftSquare
                if previous.start == 0 && self.is_one_of(previous, &EITHER_WORDS) =>
            {
                previous.end < next.start
            }
            Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace => {
                self.is_blank_after(previous)
            }
            // `return=1` sets a variable, `return = 1` is a statement with a syntax error.
            Symbol::Assign | Symbol::AugmentedAssign if self.is_leading_keyword(previous) => {
                previous.end < next.start
            }
            Symbol::Assign => self.is_statement_level(),
            _ => self.ends_operand || self.is_blank_after(previous),
        }
    }

    /// True for the first word of a line if it would be a keyword before a blank.
    fn is_leading_keyword(&self, token: Token) -> bool {
        token.start == 0
            && (self.is_one_of(token, &STATEMENT_WORDS) || self.is_one_of(token, &EITHER_WORDS))
    }

    fn is_one_of(&self, token: Token, words: &[&str]) -> bool {
        words.contains(&self.spelling(token))
    }

    /// True outside brackets and outside a lambda's parameters.
    fn is_statement_level(&self) -> bool {
        self.depth() == 0
            && self
                .brackets
                .last()
                .is_some_and(|bracket| bracket.lambdas == 0)
    }

    /// Whether a blank stands before an operand that follows `previous`.
    fn is_blank_after(&self, previous: Token) -> bool {
        match previous.kind {
            TokenKind::Symbol(
                Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace | Symbol::Dot,
            ) => false,
            TokenKind::Symbol(Symbol::Colon) => {
                let is_slice = self
                    .brackets
                    .last()
                    .is_some_and(|bracket| bracket.is_square);
                !is_slice || self.lambda_colon == Some(previous.start)
            }
            TokenKind::Symbol(Symbol::Assign) => self.is_statement_level(),
            TokenKind::Symbol(_) => !self.is_sign,
            _ => true,
        }
    }

    fn note_symbol(&mut self, symbol: Symbol, token: Token) {
        match symbol {
            Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace => {
                self.brackets.push(Bracket {
                    is_square: symbol == Symbol::LeftSquare,
                    lambdas: 0,
                });
            }
            Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace => {
                if self.brackets.len() > 1 {
                    self.brackets.pop();
                }
                self.ends_operand = true;
                return;
            }
            Symbol::Colon => {
                if let Some(bracket) = self
                    .brackets
                    .last_mut()
                    .filter(|bracket| bracket.lambdas > 0)
                {
                    bracket.lambdas -= 1;
                    self.lambda_colon = Some(token.start);
                }
            }
            Symbol::Plus | Symbol::Minus | Symbol::Tilde | Symbol::Star | Symbol::DoubleStar => {
                self.is_sign = !self.ends_operand;
            }
            _ => {}
        }
        self.ends_operand = false;
    }

    /// True for a word that is a name here, false for one that an operand follows.
    fn is_operand(&mut self, word: Word, token: Token) -> bool {
        if token.start == 0 {
            let is_statement = self.is_one_of(token, &STATEMENT_WORDS)
                || self.is_one_of(token, &EITHER_WORDS)
                || (self.is_header && self.is_one_of(token, &HEADER_WORDS));
            if is_statement {
                return false;
            }
        }
        let follows_dot = self
            .previous
            .is_some_and(|previous| previous.kind == TokenKind::Symbol(Symbol::Dot));
        let is_defined = self.previous.is_some_and(|previous| {
            previous.start == 0 && self.is_one_of(previous, &["def", "class", "record", "enum"])
        });
        if follows_dot || is_defined {
            return true;
        }
        match word {
            Word::Plain | Word::True | Word::False | Word::None => true,
            Word::Lambda => {
                let next = lexer::next_token(self.text, token.end).kind;
                let goes_on = matches!(
                    next,
                    TokenKind::Name(Word::Plain)
                        | TokenKind::Symbol(Symbol::Colon | Symbol::Star | Symbol::DoubleStar)
                );
                if let Some(bracket) = self.brackets.last_mut().filter(|_| goes_on) {
                    bracket.lambdas += 1;
                }
                !goes_on
            }
            _ => false,
        }
    }
}
