//! Expressions: operators by precedence, conditions, lambdas, comprehensions.

use super::fragment::{Fragment, FragmentKind, Parse};
use super::scope::{Body, Scope, SoftWord};
use crate::syntax::ast::{
    BinaryOperator, BinaryStep, CompareOperator, CompareStep, Comprehension, ComprehensionClause,
    ComprehensionElement, Expr, ExprKind, Lambda, LogicalOperator, MAX_EXPRESSION_HEIGHT, Name,
    Span, UnaryOperator,
};
use crate::syntax::error::SyntaxError;
use crate::syntax::lexer::{Symbol, Token, TokenKind, Word};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Parses one fragment. Every method leaves the parser behind what it has taken.
pub(super) struct ExprParser<'scope, 'line> {
    pub(super) fragment: Fragment<'line>,
    pub(super) kind: FragmentKind,
    pub(super) scope: &'scope mut Scope<'line>,
    tokens: Vec<Token>,
    at: usize,
    pub(super) depth: u16,
}

/// How tightly operators bind, loosest first.
mod level {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const COMPARE: u8 = 4;
    pub(super) const BIT_OR: u8 = 5;
    pub(super) const BIT_XOR: u8 = 6;
    pub(super) const BIT_AND: u8 = 7;
    pub(super) const SHIFT: u8 = 8;
    pub(super) const SUM: u8 = 9;
    pub(super) const TERM: u8 = 10;
}

#[derive(Clone, Copy)]
enum Infix {
    Logical(LogicalOperator),
    Compare(CompareOperator),
    Binary(BinaryOperator),
}

impl<'scope, 'line> ExprParser<'scope, 'line> {
    /// Takes the tokens of a fragment. What is no token is reported before anything else.
    pub(super) fn new(
        fragment: Fragment<'line>,
        kind: FragmentKind,
        scope: &'scope mut Scope<'line>,
    ) -> Parse<Self> {
        Self::part(fragment, kind, scope, fragment.start, fragment.end, 0)
    }

    /// A parser for a part of a fragment, `depth` levels deep in it.
    pub(super) fn part(
        fragment: Fragment<'line>,
        kind: FragmentKind,
        scope: &'scope mut Scope<'line>,
        start: usize,
        end: usize,
        depth: u16,
    ) -> Parse<Self> {
        let tokens = scope.tokens(fragment.line, start, end);
        let parser = Self {
            fragment,
            kind,
            scope,
            tokens,
            at: 0,
            depth,
        };
        for token in &parser.tokens {
            match token.kind {
                TokenKind::Unexpected => {
                    return Err(parser.error(
                        *token,
                        &format!("unexpected character '{}'", parser.spelling(*token)),
                    ));
                }
                TokenKind::Unterminated => {
                    return Err(parser.error(*token, "unterminated string literal"));
                }
                _ => {}
            }
        }
        Ok(parser)
    }

    // ---- Tokens ----

    pub(super) fn current(&self) -> Token {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, distance: usize) -> Token {
        let last = Token {
            kind: TokenKind::End,
            start: self.fragment.end,
            end: self.fragment.end,
        };
        self.tokens
            .get(self.at + distance)
            .or(self.tokens.last())
            .copied()
            .unwrap_or(last)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.current();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn spelling(&self, token: Token) -> &'line str {
        &self.fragment.line.text[token.start..token.end]
    }

    pub(super) fn is_at(&self, symbol: Symbol) -> bool {
        self.current().kind == TokenKind::Symbol(symbol)
    }

    pub(super) fn is_at_word(&self, word: Word) -> bool {
        self.current().kind == TokenKind::Name(word)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.current().kind == TokenKind::End
    }

    /// Takes the symbol if it is next.
    pub(super) fn take(&mut self, symbol: Symbol) -> bool {
        let is_next = self.is_at(symbol);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    /// Takes the word if it is next.
    pub(super) fn take_word(&mut self, word: Word) -> bool {
        let is_next = self.is_at_word(word);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    pub(super) fn expect(&mut self, symbol: Symbol, detail: &str) -> Parse<Token> {
        if self.is_at(symbol) {
            Ok(self.advance())
        } else {
            Err(self.error(self.current(), detail))
        }
    }

    /// Takes a name; any word that is not reserved will do.
    pub(super) fn name(&mut self, detail: &str) -> Parse<(Name, Span)> {
        let token = self.current();
        match token.kind {
            TokenKind::Name(word) if !word.is_reserved() => {
                self.at += 1;
                Ok((Name::new(self.spelling(token)), self.token_span(token)))
            }
            _ => Err(self.error(token, detail)),
        }
    }

    /// Refuses what is left over.
    pub(super) fn finish(&self) -> Parse<()> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    // ---- Errors and nodes ----

    pub(super) fn error(&self, token: Token, detail: &str) -> Box<SyntaxError> {
        self.fragment.error_at(self.kind, token, detail)
    }

    /// The error for a token that nothing can begin or go on with.
    pub(super) fn unexpected(&self) -> Box<SyntaxError> {
        let token = self.current();
        if token.kind == TokenKind::End {
            return self.error(token, "unexpected end of expression");
        }
        let spelling = self.spelling(token);
        let shown = spelling.split(['\n', '\r']).next().unwrap_or(spelling);
        self.error(token, &format!("unexpected token '{shown}'"))
    }

    pub(super) fn token_span(&self, token: Token) -> Span {
        self.fragment.line.span(token.start, token.end)
    }

    /// The place from `start` to the last token taken.
    pub(super) fn span_from(&self, start: Token) -> Span {
        let last = self
            .at
            .checked_sub(1)
            .and_then(|index| self.tokens.get(index))
            .copied()
            .unwrap_or(start);
        self.fragment
            .line
            .span(start.start, last.end.max(start.start))
    }

    /// Makes a node, unless it would be too tall.
    pub(super) fn node(&self, kind: ExprKind, start: Token) -> Parse<Expr> {
        let expression = Expr::new(kind, self.span_from(start));
        if expression.height() > MAX_EXPRESSION_HEIGHT {
            return Err(self.too_deep(start));
        }
        Ok(expression)
    }

    fn too_deep(&self, token: Token) -> Box<SyntaxError> {
        self.error(token, "the expression is nested too deeply")
    }

    /// Does `step` one level deeper.
    pub(super) fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_EXPRESSION_HEIGHT {
            return Err(self.too_deep(self.current()));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    // ---- Grammar ----

    /// `expression { "," expression } [","]`: a tuple when there is a comma.
    pub(super) fn expression_list(&mut self) -> Parse<Expr> {
        let start = self.current();
        let first = self.expression()?;
        if !self.is_at(Symbol::Comma) {
            return Ok(first);
        }
        let mut items = Vec::from([first]);
        while self.take(Symbol::Comma) && self.begins_expression() {
            items.push(self.expression()?);
        }
        self.node(ExprKind::Tuple(items), start)
    }

    /// What may stand on the right of `=` or as a statement: also a `yield`.
    pub(super) fn value_list(&mut self) -> Parse<Expr> {
        if self.begins_yield() {
            self.yield_expression()
        } else {
            self.expression_list()
        }
    }

    /// True unless the fragment or a bracket ends here, or an assignment sign follows.
    fn begins_expression(&self) -> bool {
        !matches!(
            self.current().kind,
            TokenKind::End
                | TokenKind::Symbol(
                    Symbol::RightParen
                        | Symbol::RightSquare
                        | Symbol::RightBrace
                        | Symbol::Colon
                        | Symbol::Assign
                )
        )
    }

    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Parse<Expr> {
        if self.begins_lambda() {
            return self.lambda();
        }
        let start = self.current();
        let then = self.operators(level::OR)?;
        if !self.take_word(Word::If) {
            return Ok(then);
        }
        let condition = Box::new(self.operators(level::OR)?);
        if !self.take_word(Word::Else) {
            return Err(self.error(self.current(), "expected 'else' after the condition"));
        }
        let otherwise = Box::new(self.expression()?);
        self.node(
            ExprKind::Conditional {
                condition,
                then: Box::new(then),
                otherwise,
            },
            start,
        )
    }

    /// An expression without `if … else` and lambda: what stands between `in` and `if` in a comprehension.
    fn operand(&mut self) -> Parse<Expr> {
        self.deeper(|parser| parser.operators(level::OR))
    }

    /// Operators that bind at least as tightly as `minimum`.
    fn operators(&mut self, minimum: u8) -> Parse<Expr> {
        let start = self.current();
        let mut left = if self.is_at_word(Word::Not) && minimum <= level::NOT {
            self.negation()?
        } else {
            self.unary()?
        };
        while let Some((infix, level)) = self.infix().filter(|(_, level)| *level >= minimum) {
            left = self.chain(start, left, infix, level)?;
        }
        Ok(left)
    }

    fn negation(&mut self) -> Parse<Expr> {
        let start = self.advance();
        let operand = Box::new(self.deeper(|parser| parser.operators(level::NOT))?);
        self.node(
            ExprKind::Unary {
                operator: UnaryOperator::Not,
                operand,
            },
            start,
        )
    }

    /// All operators of one level that follow `first`, as one node.
    fn chain(&mut self, start: Token, first: Expr, infix: Infix, level: u8) -> Parse<Expr> {
        let kind = match infix {
            Infix::Logical(operator) => {
                let mut operands = Vec::from([first]);
                while matches!(self.infix(), Some((_, next)) if next == level) {
                    self.advance();
                    operands.push(self.operators(level + 1)?);
                }
                ExprKind::Logical { operator, operands }
            }
            Infix::Compare(_) => {
                let mut rest = Vec::new();
                while let Some((Infix::Compare(operator), _)) = self.infix() {
                    self.advance();
                    if matches!(operator, CompareOperator::NotIn | CompareOperator::IsNot) {
                        self.advance();
                    }
                    rest.push(CompareStep {
                        operator,
                        operand: self.operators(level + 1)?,
                    });
                }
                ExprKind::Compare {
                    first: Box::new(first),
                    rest,
                }
            }
            Infix::Binary(_) => {
                let mut rest = Vec::new();
                while let Some((Infix::Binary(operator), next)) = self.infix()
                    && next == level
                {
                    self.advance();
                    rest.push(BinaryStep {
                        operator,
                        operand: self.operators(level + 1)?,
                    });
                }
                ExprKind::Binary {
                    first: Box::new(first),
                    rest,
                }
            }
        };
        self.node(kind, start)
    }

    fn infix(&self) -> Option<(Infix, u8)> {
        let next_kind = self.ahead(1).kind;
        match self.current().kind {
            TokenKind::Name(word) => Some(match word {
                Word::Or => (Infix::Logical(LogicalOperator::Or), level::OR),
                Word::And => (Infix::Logical(LogicalOperator::And), level::AND),
                Word::In => (Infix::Compare(CompareOperator::In), level::COMPARE),
                Word::Not if next_kind == TokenKind::Name(Word::In) => {
                    (Infix::Compare(CompareOperator::NotIn), level::COMPARE)
                }
                Word::Is if next_kind == TokenKind::Name(Word::Not) => {
                    (Infix::Compare(CompareOperator::IsNot), level::COMPARE)
                }
                Word::Is => (Infix::Compare(CompareOperator::Is), level::COMPARE),
                _ => return None,
            }),
            TokenKind::Symbol(symbol) => infix_symbol(symbol),
            _ => None,
        }
    }

    /// `-a`, `+a`, `~a`, and what binds tighter.
    fn unary(&mut self) -> Parse<Expr> {
        let operator = match self.current().kind {
            TokenKind::Symbol(Symbol::Minus) => UnaryOperator::Negate,
            TokenKind::Symbol(Symbol::Plus) => UnaryOperator::Plus,
            TokenKind::Symbol(Symbol::Tilde) => UnaryOperator::Invert,
            _ => return self.power(),
        };
        let start = self.advance();
        let operand = Box::new(self.deeper(Self::unary)?);
        self.node(ExprKind::Unary { operator, operand }, start)
    }

    /// `a ** b`: binds tighter than a sign on its left, looser than one on its right, and groups to the right.
    fn power(&mut self) -> Parse<Expr> {
        let start = self.current();
        let base = self.postfix()?;
        if !self.take(Symbol::DoubleStar) {
            return Ok(base);
        }
        let exponent = BinaryStep {
            operator: BinaryOperator::Power,
            operand: self.deeper(Self::unary)?,
        };
        self.node(
            ExprKind::Binary {
                first: Box::new(base),
                rest: Vec::from([exponent]),
            },
            start,
        )
    }

    // ---- Lambda, yield, comprehensions ----

    /// True at a word `lambda` that is no variable of the program's.
    pub(super) fn begins_lambda(&mut self) -> bool {
        self.is_at_word(Word::Lambda)
            && match self.ahead(1).kind {
                TokenKind::Name(Word::Plain | Word::As) => true,
                TokenKind::Symbol(Symbol::Colon | Symbol::Star | Symbol::DoubleStar) => {
                    !self.scope.binds(SoftWord::Lambda)
                }
                _ => false,
            }
    }

    fn lambda(&mut self) -> Parse<Expr> {
        let start = self.advance();
        let parameters = self.parameters(Symbol::Colon)?;
        self.expect(Symbol::Colon, "expected ':' after lambda parameters")?;
        self.scope.enter(Body::Function);
        let body = self.expression();
        let is_generator = self.scope.leave();
        self.node(
            ExprKind::Lambda(Box::new(Lambda {
                parameters,
                body: body?,
                is_generator,
            })),
            start,
        )
    }

    /// True at a word `yield` that is no variable of the program's.
    pub(super) fn begins_yield(&mut self) -> bool {
        self.is_at_word(Word::Yield)
            && match self.ahead(1).kind {
                TokenKind::Name(
                    Word::Plain | Word::Lambda | Word::Not | Word::None | Word::True | Word::False,
                )
                | TokenKind::Integer
                | TokenKind::Float
                | TokenKind::String => true,
                TokenKind::Symbol(Symbol::Assign | Symbol::AugmentedAssign | Symbol::Dot) => false,
                _ => self.scope.is_in_function() && !self.scope.binds(SoftWord::Yield),
            }
    }

    pub(super) fn yield_expression(&mut self) -> Parse<Expr> {
        let start = self.advance();
        if !self.scope.note_yield() {
            return Err(self.fragment.plain_error("yield outside function"));
        }
        let value = if self.begins_expression() {
            Some(Box::new(self.expression_list()?))
        } else {
            None
        };
        self.node(ExprKind::Yield(value), start)
    }

    /// The clauses behind an element, up to the closing bracket. `yields` is what the function yielded before the element.
    pub(super) fn comprehension(
        &mut self,
        start: Token,
        element: ComprehensionElement,
        yields: u32,
    ) -> Parse<ComprehensionNode> {
        let mut clauses = Vec::new();
        loop {
            if self.take_word(Word::For) {
                let target = self.target_list()?;
                if !self.take_word(Word::In) {
                    return Err(self.error(self.current(), "expected 'in' after the loop variable"));
                }
                clauses.push(ComprehensionClause::For {
                    target,
                    iterable: self.operand()?,
                });
            } else if self.take_word(Word::If) {
                clauses.push(ComprehensionClause::If(self.operand()?));
            } else {
                break;
            }
        }
        if self.scope.yield_count() != yields {
            return Err(self.fragment.plain_error("yield inside a comprehension"));
        }
        Ok(ComprehensionNode {
            start,
            comprehension: Box::new(Comprehension { element, clauses }),
        })
    }

    /// A name for errors about a whole line.
    pub(super) fn plain_error(&self, message: impl Into<String>) -> Box<SyntaxError> {
        self.fragment.plain_error(message)
    }
}

/// A comprehension whose closing bracket has yet to be taken.
pub(super) struct ComprehensionNode {
    pub(super) start: Token,
    pub(super) comprehension: Box<Comprehension>,
}

fn infix_symbol(symbol: Symbol) -> Option<(Infix, u8)> {
    use BinaryOperator as Binary;
    use CompareOperator as Compare;
    let compare = |operator| Some((Infix::Compare(operator), level::COMPARE));
    let binary = |operator, level| Some((Infix::Binary(operator), level));
    match symbol {
        Symbol::Equal => compare(Compare::Equal),
        Symbol::NotEqual => compare(Compare::NotEqual),
        Symbol::Less => compare(Compare::Less),
        Symbol::LessEqual => compare(Compare::LessEqual),
        Symbol::Greater => compare(Compare::Greater),
        Symbol::GreaterEqual => compare(Compare::GreaterEqual),
        Symbol::Bar => binary(Binary::BitOr, level::BIT_OR),
        Symbol::Caret => binary(Binary::BitXor, level::BIT_XOR),
        Symbol::Ampersand => binary(Binary::BitAnd, level::BIT_AND),
        Symbol::ShiftLeft => binary(Binary::ShiftLeft, level::SHIFT),
        Symbol::ShiftRight => binary(Binary::ShiftRight, level::SHIFT),
        Symbol::Plus => binary(Binary::Add, level::SUM),
        Symbol::Minus => binary(Binary::Subtract, level::SUM),
        Symbol::Star => binary(Binary::Multiply, level::TERM),
        Symbol::Slash => binary(Binary::Divide, level::TERM),
        Symbol::DoubleSlash => binary(Binary::FloorDivide, level::TERM),
        Symbol::Percent => binary(Binary::Remainder, level::TERM),
        _ => None,
    }
}
