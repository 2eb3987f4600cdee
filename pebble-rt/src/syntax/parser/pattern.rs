//! The patterns of `match`.

use super::expression::ExprParser;
use super::fragment::Parse;
use crate::syntax::ast::{ClassPattern, Expr, ExprKind, Name, Pattern, PatternKind, UnaryOperator};
use crate::syntax::lexer::{Symbol, Token, TokenKind, Word};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

impl ExprParser<'_, '_> {
    /// The pattern of a `case`: without brackets, commas make a sequence.
    pub(super) fn case_pattern(&mut self) -> Parse<Pattern> {
        let start = self.current();
        let first = self.sequence_item()?;
        if !self.is_at(Symbol::Comma) && !matches!(first.kind, PatternKind::Star(_)) {
            return Ok(first);
        }
        let items = self.sequence_after(first)?;
        Ok(self.pattern_node(PatternKind::Sequence(items), start))
    }

    fn pattern_node(&self, kind: PatternKind, start: Token) -> Pattern {
        Pattern {
            kind,
            span: self.span_from(start),
        }
    }

    /// `a | b as name`
    fn pattern(&mut self) -> Parse<Pattern> {
        self.deeper(Self::named_pattern)
    }

    fn named_pattern(&mut self) -> Parse<Pattern> {
        let start = self.current();
        let mut pattern = self.alternatives()?;
        while self.take_word(Word::As) {
            let (name, _) = self.name("expected a name after 'as'")?;
            pattern = self.pattern_node(
                PatternKind::As {
                    pattern: Box::new(pattern),
                    name,
                },
                start,
            );
        }
        Ok(pattern)
    }

    fn alternatives(&mut self) -> Parse<Pattern> {
        let start = self.current();
        let first = self.closed_pattern()?;
        if !self.is_at(Symbol::Bar) {
            return Ok(first);
        }
        let mut choices = Vec::from([first]);
        while self.take(Symbol::Bar) {
            choices.push(self.closed_pattern()?);
        }
        Ok(self.pattern_node(PatternKind::Or(choices), start))
    }

    fn closed_pattern(&mut self) -> Parse<Pattern> {
        let start = self.current();
        let kind = match start.kind {
            TokenKind::Symbol(Symbol::LeftParen) => return self.group_pattern(),
            TokenKind::Symbol(Symbol::LeftSquare) => {
                self.advance();
                PatternKind::Sequence(self.items_until(Symbol::RightSquare)?)
            }
            TokenKind::Symbol(Symbol::LeftBrace) => self.mapping_pattern()?,
            TokenKind::Name(word) if !word.is_reserved() => self.name_pattern()?,
            _ => PatternKind::Value(self.literal_value()?),
        };
        Ok(self.pattern_node(kind, start))
    }

    /// A literal, with a sign where it is a number.
    fn literal_value(&mut self) -> Parse<Expr> {
        let start = self.current();
        if self.take(Symbol::Minus) {
            let operand = Box::new(self.literal_value()?);
            if !matches!(operand.kind, ExprKind::Integer(_) | ExprKind::Float(_)) {
                return Err(self.error(start, "expected a number after '-'"));
            }
            return self.node(
                ExprKind::Unary {
                    operator: UnaryOperator::Negate,
                    operand,
                },
                start,
            );
        }
        match start.kind {
            TokenKind::Integer
            | TokenKind::Float
            | TokenKind::String
            | TokenKind::Name(Word::True | Word::False | Word::None) => {
                let value = self.postfix()?;
                match value.kind {
                    ExprKind::Attribute { .. }
                    | ExprKind::Index { .. }
                    | ExprKind::Call { .. }
                    | ExprKind::Slice { .. } => {
                        Err(self.error(start, "a pattern holds literals and names only"))
                    }
                    ExprKind::Format(_) => Err(self.error(start, "a format string is no pattern")),
                    _ => Ok(value),
                }
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `_`, `name`, `dotted.name` or `Class(…)`.
    fn name_pattern(&mut self) -> Parse<PatternKind> {
        let start = self.current();
        let (first, _) = self.name("expected a name")?;
        let is_wildcard = first == "_";
        let mut class = self.node(ExprKind::Name(first.clone()), start)?;
        let mut is_dotted = false;
        while self.take(Symbol::Dot) {
            is_dotted = true;
            let (name, _) = self.name("expected attribute name after '.'")?;
            class = self.node(
                ExprKind::Attribute {
                    object: Box::new(class),
                    name,
                },
                start,
            )?;
        }
        if self.take(Symbol::LeftParen) {
            return self.class_pattern(class);
        }
        Ok(match (is_dotted, is_wildcard) {
            (true, _) => PatternKind::Value(class),
            (false, true) => PatternKind::Wildcard,
            (false, false) => PatternKind::Capture(first),
        })
    }

    fn class_pattern(&mut self, class: Expr) -> Parse<PatternKind> {
        let mut positional = Vec::new();
        let mut keywords: Vec<(Name, Pattern)> = Vec::new();
        while !self.is_at(Symbol::RightParen) {
            let token = self.current();
            if self.ahead(1).kind == TokenKind::Symbol(Symbol::Assign) {
                let (name, _) = self.name("expected a field name before '='")?;
                if keywords.iter().any(|(other, _)| *other == name) {
                    return Err(self.error(token, &format!("field '{name}' is repeated")));
                }
                self.advance();
                keywords.push((name, self.pattern()?));
            } else if keywords.is_empty() {
                positional.push(self.pattern()?);
            } else {
                return Err(self.error(token, "positional pattern after a named one"));
            }
            if !self.take(Symbol::Comma) {
                break;
            }
        }
        self.expect(Symbol::RightParen, "expected ')' after class pattern")?;
        Ok(PatternKind::Class(Box::new(ClassPattern {
            class,
            positional,
            keywords,
        })))
    }

    /// `(p)` is `p`; `()`, `(p,)` and `(p, q)` are sequences.
    fn group_pattern(&mut self) -> Parse<Pattern> {
        let start = self.advance();
        if self.take(Symbol::RightParen) {
            return Ok(self.pattern_node(PatternKind::Sequence(Vec::new()), start));
        }
        let first = self.sequence_item()?;
        if !self.is_at(Symbol::Comma) && !matches!(first.kind, PatternKind::Star(_)) {
            self.expect(Symbol::RightParen, "expected ')' after pattern")?;
            return Ok(first);
        }
        let items = self.sequence_after(first)?;
        self.expect(Symbol::RightParen, "expected ')' after pattern")?;
        Ok(self.pattern_node(PatternKind::Sequence(items), start))
    }

    fn items_until(&mut self, closing: Symbol) -> Parse<Vec<Pattern>> {
        if self.take(closing) {
            return Ok(Vec::new());
        }
        let first = self.sequence_item()?;
        let items = self.sequence_after(first)?;
        self.expect(closing, "expected ']' after pattern")?;
        Ok(items)
    }

    /// The items behind the first, up to what ends the sequence.
    fn sequence_after(&mut self, first: Pattern) -> Parse<Vec<Pattern>> {
        let mut items = Vec::from([first]);
        while self.take(Symbol::Comma) && !self.ends_sequence() {
            let token = self.current();
            let item = self.sequence_item()?;
            let has_star = items
                .iter()
                .any(|other| matches!(other.kind, PatternKind::Star(_)));
            if has_star && matches!(item.kind, PatternKind::Star(_)) {
                return Err(self.error(token, "only one item can have a star"));
            }
            items.push(item);
        }
        Ok(items)
    }

    fn ends_sequence(&self) -> bool {
        matches!(
            self.current().kind,
            TokenKind::End
                | TokenKind::Name(Word::If)
                | TokenKind::Symbol(Symbol::RightParen | Symbol::RightSquare)
        )
    }

    fn sequence_item(&mut self) -> Parse<Pattern> {
        let start = self.current();
        if !self.take(Symbol::Star) {
            return self.pattern();
        }
        let (name, _) = self.name("expected a name after '*'")?;
        let name = (name != "_").then_some(name);
        Ok(self.pattern_node(PatternKind::Star(name), start))
    }

    /// `{key: pattern, **rest}`
    fn mapping_pattern(&mut self) -> Parse<PatternKind> {
        self.advance();
        let mut entries = Vec::new();
        let mut rest = None;
        while !self.is_at(Symbol::RightBrace) && rest.is_none() {
            if self.take(Symbol::DoubleStar) {
                rest = Some(self.name("expected a name after '**'")?.0);
            } else {
                let key = self.mapping_key()?;
                self.expect(Symbol::Colon, "expected ':' in mapping pattern")?;
                entries.push((key, self.pattern()?));
            }
            if !self.take(Symbol::Comma) {
                break;
            }
        }
        self.expect(Symbol::RightBrace, "expected '}' after mapping pattern")?;
        Ok(PatternKind::Mapping { entries, rest })
    }

    fn mapping_key(&mut self) -> Parse<Expr> {
        let start = self.current();
        match start.kind {
            TokenKind::Name(word) if !word.is_reserved() => match self.name_pattern()? {
                PatternKind::Value(value) => Ok(value),
                _ => Err(self.error(start, "a key is a literal or a dotted name")),
            },
            _ => self.literal_value(),
        }
    }
}
