//! Operands: literals, names, brackets, and what may follow them (`.name`, `[index]`, `(arguments)`).

use super::expression::{ComprehensionNode, ExprParser};
use super::fragment::Parse;
use crate::syntax::ast::{
    Argument, ComprehensionElement, DictEntry, Expr, ExprKind, Integer, Name,
};
use crate::syntax::lexer::{self, Symbol, Token, TokenKind, Word};
use crate::syntax::strings;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// Digits of an integer literal, at most: its value takes time that grows with their square.
const MAX_INTEGER_DIGITS: usize = 100_000;

impl ExprParser<'_, '_> {
    /// An operand and everything that follows it without an operator.
    pub(super) fn postfix(&mut self) -> Parse<Expr> {
        let start = self.current();
        let mut object = self.primary()?;
        loop {
            let kind = match self.current().kind {
                TokenKind::Symbol(Symbol::Dot) => {
                    self.advance();
                    let (name, _) = self.name("expected attribute name after '.'")?;
                    ExprKind::Attribute {
                        object: Box::new(object),
                        name,
                    }
                }
                TokenKind::Symbol(Symbol::LeftSquare) => {
                    self.advance();
                    self.subscript(object)?
                }
                TokenKind::Symbol(Symbol::LeftParen) => {
                    self.advance();
                    ExprKind::Call {
                        callee: Box::new(object),
                        arguments: self.arguments()?,
                    }
                }
                _ => return Ok(object),
            };
            object = self.node(kind, start)?;
        }
    }

    fn primary(&mut self) -> Parse<Expr> {
        let token = self.current();
        let kind = match token.kind {
            TokenKind::Integer => self.integer(token)?,
            TokenKind::Float => self.float(token),
            TokenKind::String => return self.string_literal(),
            TokenKind::Name(Word::True) => ExprKind::Boolean(true),
            TokenKind::Name(Word::False) => ExprKind::Boolean(false),
            TokenKind::Name(Word::None) => ExprKind::None,
            TokenKind::Name(word) if !word.is_reserved() => {
                ExprKind::Name(Name::new(self.spelling(token)))
            }
            TokenKind::Symbol(Symbol::LeftParen) => return self.group(),
            TokenKind::Symbol(Symbol::LeftSquare) => return self.list(),
            TokenKind::Symbol(Symbol::LeftBrace) => return self.braces(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        self.node(kind, token)
    }

    // ---- Literals ----

    fn integer(&self, token: Token) -> Parse<ExprKind> {
        let spelling = self.spelling(token);
        let prefix = spelling
            .as_bytes()
            .get(..2)
            .and_then(lexer::radix_of_prefix);
        let digits = if prefix.is_some() {
            &spelling[2..]
        } else {
            spelling
        };
        let radix = prefix.unwrap_or(10);
        let digits: String = digits
            .chars()
            .filter(|character| *character != '_')
            .collect();
        if digits.len() > MAX_INTEGER_DIGITS {
            return Err(self.error(
                token,
                &format!("an integer has at most {MAX_INTEGER_DIGITS} digits"),
            ));
        }
        Ok(ExprKind::Integer(
            match i64::from_str_radix(&digits, radix) {
                Ok(value) => Integer::Small(value),
                Err(_) => Integer::Big {
                    digits: Rc::from(digits),
                    radix,
                },
            },
        ))
    }

    fn float(&self, token: Token) -> ExprKind {
        let spelling: String = self
            .spelling(token)
            .chars()
            .filter(|character| *character != '_')
            .collect();
        // The lexer lets through only what Rust reads too; a number out of range becomes infinite.
        ExprKind::Float(spelling.parse().unwrap_or(f64::INFINITY))
    }

    fn string_literal(&mut self) -> Parse<Expr> {
        let token = self.advance();
        let text = &self.fragment.line.text;
        let Some(literal) = strings::scan(text, token.start) else {
            return Err(self.unexpected());
        };
        let (start, end) = literal.content_range();
        let content = &text[start..end];
        let kind =
            if literal.prefix.is_format {
                ExprKind::Format(self.deeper(|parser| {
                    parser.format_parts(token, start, end, literal.prefix.is_raw)
                })?)
            } else if literal.prefix.is_bytes {
                match strings::decode_bytes(content, literal.prefix.is_raw) {
                    Some(bytes) => ExprKind::Bytes(Rc::from(bytes)),
                    None => {
                        return Err(
                            self.error(token, "a bytes literal holds ASCII characters and escapes")
                        );
                    }
                }
            } else {
                ExprKind::String(Rc::from(strings::decode(content, literal.prefix.is_raw)))
            };
        self.node(kind, token)
    }

    // ---- Brackets ----

    /// `(e)`, `()`, `(a, b)`, `(e for …)`, `(yield e)`.
    fn group(&mut self) -> Parse<Expr> {
        let start = self.advance();
        if self.take(Symbol::RightParen) {
            return self.node(ExprKind::Tuple(Vec::new()), start);
        }
        let yields = self.scope.yield_count();
        let first = if self.begins_yield() {
            self.deeper(Self::yield_expression)?
        } else {
            self.expression()?
        };
        if self.is_at_word(Word::For) {
            let comprehension =
                self.comprehension(start, ComprehensionElement::Generator(first), yields)?;
            return self.close_comprehension(
                comprehension,
                Symbol::RightParen,
                "expected ')' after generator expression",
            );
        }
        if !self.is_at(Symbol::Comma) {
            self.expect(Symbol::RightParen, "expected ')' after expression")?;
            return Ok(first);
        }
        let items = self.items_after(first, Symbol::RightParen, "expected ')' after tuple")?;
        self.node(ExprKind::Tuple(items), start)
    }

    /// `[a, b]`, `[e for …]`.
    fn list(&mut self) -> Parse<Expr> {
        const DETAIL: &str = "expected ']' after list literal";
        let start = self.advance();
        if self.take(Symbol::RightSquare) {
            return self.node(ExprKind::List(Vec::new()), start);
        }
        let yields = self.scope.yield_count();
        let first = self.expression()?;
        if self.is_at_word(Word::For) {
            let comprehension =
                self.comprehension(start, ComprehensionElement::List(first), yields)?;
            return self.close_comprehension(comprehension, Symbol::RightSquare, DETAIL);
        }
        let items = self.items_after(first, Symbol::RightSquare, DETAIL)?;
        self.node(ExprKind::List(items), start)
    }

    /// `{a: b}`, `{a, b}` and their comprehensions.
    fn braces(&mut self) -> Parse<Expr> {
        let start = self.advance();
        if self.take(Symbol::RightBrace) {
            return self.node(ExprKind::Dict(Vec::new()), start);
        }
        let yields = self.scope.yield_count();
        let first = self.expression()?;
        match self.current().kind {
            TokenKind::Symbol(Symbol::Comma | Symbol::RightBrace) => {
                let items =
                    self.items_after(first, Symbol::RightBrace, "expected '}' after set literal")?;
                self.node(ExprKind::Set(items), start)
            }
            TokenKind::Name(Word::For) => {
                let comprehension =
                    self.comprehension(start, ComprehensionElement::Set(first), yields)?;
                self.close_comprehension(
                    comprehension,
                    Symbol::RightBrace,
                    "expected '}' after set literal",
                )
            }
            _ => self.dict(start, first, yields),
        }
    }

    fn dict(&mut self, start: Token, first_key: Expr, yields: u32) -> Parse<Expr> {
        const DETAIL: &str = "expected '}' after dict literal";
        let value = self.dict_value()?;
        if self.is_at_word(Word::For) {
            let element = ComprehensionElement::Dict {
                key: first_key,
                value,
            };
            let comprehension = self.comprehension(start, element, yields)?;
            return self.close_comprehension(comprehension, Symbol::RightBrace, DETAIL);
        }
        let mut entries = Vec::from([DictEntry {
            key: first_key,
            value,
        }]);
        while self.take(Symbol::Comma) && !self.is_at(Symbol::RightBrace) {
            let key = self.expression()?;
            entries.push(DictEntry {
                key,
                value: self.dict_value()?,
            });
        }
        self.expect(Symbol::RightBrace, DETAIL)?;
        self.node(ExprKind::Dict(entries), start)
    }

    fn dict_value(&mut self) -> Parse<Expr> {
        self.expect(Symbol::Colon, "expected ':' in dict literal")?;
        self.expression()
    }

    /// The items behind the first, and the closing bracket.
    fn items_after(&mut self, first: Expr, closing: Symbol, detail: &str) -> Parse<Vec<Expr>> {
        let mut items = Vec::from([first]);
        while self.take(Symbol::Comma) && !self.is_at(closing) {
            items.push(self.expression()?);
        }
        self.expect(closing, detail)?;
        Ok(items)
    }

    fn close_comprehension(
        &mut self,
        node: ComprehensionNode,
        closing: Symbol,
        detail: &str,
    ) -> Parse<Expr> {
        self.expect(closing, detail)?;
        self.node(ExprKind::Comprehension(node.comprehension), node.start)
    }

    // ---- Indices and calls ----

    /// What follows the `[` behind an object.
    fn subscript(&mut self, object: Expr) -> Parse<ExprKind> {
        const DETAIL: &str = "expected ']' after index expression";
        let object = Box::new(object);
        if !self.is_at(Symbol::Colon) {
            let start = self.current();
            let first = self.expression()?;
            if self.is_at(Symbol::Comma) {
                let items = self.items_after(first, Symbol::RightSquare, DETAIL)?;
                return Ok(ExprKind::Index {
                    object,
                    index: Box::new(self.node(ExprKind::Tuple(items), start)?),
                });
            }
            if !self.is_at(Symbol::Colon) {
                self.expect(Symbol::RightSquare, DETAIL)?;
                return Ok(ExprKind::Index {
                    object,
                    index: Box::new(first),
                });
            }
            return self.slice(object, Some(Box::new(first)));
        }
        self.slice(object, None)
    }

    /// The slice from its first colon on.
    fn slice(&mut self, object: Box<Expr>, start: Option<Box<Expr>>) -> Parse<ExprKind> {
        self.advance();
        let stop = self.bound()?;
        let step = if self.take(Symbol::Colon) {
            self.bound()?
        } else {
            None
        };
        self.expect(Symbol::RightSquare, "expected ']' after slice")?;
        Ok(ExprKind::Slice {
            object,
            start,
            stop,
            step,
        })
    }

    fn bound(&mut self) -> Parse<Option<Box<Expr>>> {
        if self.is_at(Symbol::Colon) || self.is_at(Symbol::RightSquare) {
            return Ok(None);
        }
        Ok(Some(Box::new(self.expression()?)))
    }

    /// What follows the `(` of a call, its `)` included.
    pub(super) fn arguments(&mut self) -> Parse<Vec<Argument>> {
        const DETAIL: &str = "expected ')' after function arguments";
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.is_at(Symbol::RightParen) {
            let token = self.current();
            let argument = self.argument(&arguments)?;
            self.check_order(&arguments, &argument, token)?;
            arguments.push(argument);
            if !self.take(Symbol::Comma) {
                break;
            }
        }
        self.expect(Symbol::RightParen, DETAIL)?;
        Ok(arguments)
    }

    fn argument(&mut self, before: &[Argument]) -> Parse<Argument> {
        if self.take(Symbol::Star) {
            return Ok(Argument::Spread(self.expression()?));
        }
        if self.take(Symbol::DoubleStar) {
            return Ok(Argument::SpreadKeywords(self.expression()?));
        }
        if matches!(self.current().kind, TokenKind::Name(_))
            && self.ahead(1).kind == TokenKind::Symbol(Symbol::Assign)
        {
            let (name, span) = self.name("expected a parameter name before '='")?;
            self.advance();
            return Ok(Argument::Keyword {
                name,
                value: self.expression()?,
                span,
            });
        }
        let start = self.current();
        let yields = self.scope.yield_count();
        let value = self.expression()?;
        if !self.is_at_word(Word::For) || !before.is_empty() {
            return Ok(Argument::Positional(value));
        }
        let node = self.comprehension(start, ComprehensionElement::Generator(value), yields)?;
        Ok(Argument::Positional(self.node(
            ExprKind::Comprehension(node.comprehension),
            start,
        )?))
    }

    fn check_order(&self, before: &[Argument], argument: &Argument, token: Token) -> Parse<()> {
        match argument {
            Argument::Positional(_) | Argument::Spread(_)
                if before.iter().any(|one| {
                    matches!(one, Argument::Keyword { .. } | Argument::SpreadKeywords(_))
                }) =>
            {
                Err(self.error(token, "positional argument after keyword argument"))
            }
            Argument::Keyword { name, .. }
                if before.iter().any(
                    |one| matches!(one, Argument::Keyword { name: other, .. } if other == name),
                ) =>
            {
                Err(self.error(token, &format!("keyword argument '{name}' is repeated")))
            }
            _ => Ok(()),
        }
    }
}
