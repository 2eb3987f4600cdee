//! What can be assigned to: names, attributes, indices, slices, and shapes made of them.

use super::expression::ExprParser;
use super::fragment::Parse;
use crate::syntax::ast::{Expr, ExprKind, Target, TargetKind};
use crate::syntax::lexer::{Symbol, Token, TokenKind, Word};
use alloc::boxed::Box;
use alloc::vec::Vec;

const NO_TARGET: &str = "expected a name, attribute, or index target";

/// The items of a target list while it is being read.
#[derive(Default)]
struct Shape {
    before: Vec<Target>,
    rest: Option<Box<Target>>,
    after: Vec<Target>,
}

impl ExprParser<'_, '_> {
    /// `target { "," target } [","]`: a shape to unpack into when there is a comma or a star.
    pub(super) fn target_list(&mut self) -> Parse<Target> {
        let start = self.current();
        let mut shape = Shape::default();
        let mut has_comma = false;
        loop {
            self.target_item(&mut shape)?;
            if !self.take(Symbol::Comma) {
                break;
            }
            has_comma = true;
            if self.ends_target() {
                break;
            }
        }
        if !has_comma && shape.rest.is_none() {
            return match shape.before.pop() {
                Some(target) => Ok(target),
                None => Err(self.unexpected()),
            };
        }
        let Shape {
            before,
            rest,
            after,
        } = shape;
        Ok(Target {
            kind: TargetKind::Unpack {
                before,
                rest,
                after,
            },
            span: self.span_from(start),
        })
    }

    fn target_item(&mut self, shape: &mut Shape) -> Parse<()> {
        let token = self.current();
        if self.take(Symbol::Star) {
            if shape.rest.is_some() {
                return Err(self.error(token, "only one target can have a star"));
            }
            shape.rest = Some(Box::new(self.target()?));
        } else if shape.rest.is_some() {
            let target = self.target()?;
            shape.after.push(target);
        } else {
            let target = self.target()?;
            shape.before.push(target);
        }
        Ok(())
    }

    /// One target, possibly a shape in brackets.
    pub(super) fn target(&mut self) -> Parse<Target> {
        match self.current().kind {
            TokenKind::Symbol(open @ (Symbol::LeftParen | Symbol::LeftSquare))
                if self.is_shape() =>
            {
                self.deeper(|parser| parser.bracketed_target(open))
            }
            _ => {
                let start = self.current();
                let expression = self.postfix()?;
                self.to_target(expression, start)
            }
        }
    }

    fn bracketed_target(&mut self, open: Symbol) -> Parse<Target> {
        let start = self.advance();
        let inner = self.target_list()?;
        let closing = if open == Symbol::LeftParen {
            Symbol::RightParen
        } else {
            Symbol::RightSquare
        };
        self.expect(closing, "expected the closing bracket of the target")?;
        let span = self.span_from(start);
        let kind = match inner.kind {
            kind @ TargetKind::Unpack { .. } => kind,
            kind if open == Symbol::LeftParen => kind,
            kind => {
                let only = Target {
                    kind,
                    span: inner.span,
                };
                TargetKind::Unpack {
                    before: Vec::from([only]),
                    rest: None,
                    after: Vec::new(),
                }
            }
        };
        Ok(Target { kind, span })
    }

    /// True when the bracket here encloses targets: nothing that follows it makes it part of an expression.
    fn is_shape(&self) -> bool {
        let mut depth = 0_u32;
        for distance in 0.. {
            match self.ahead(distance).kind {
                TokenKind::Symbol(Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace) => {
                    depth += 1
                }
                TokenKind::Symbol(
                    Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace,
                ) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return follows_target(self.ahead(distance + 1));
                    }
                }
                TokenKind::End => return false,
                _ => {}
            }
        }
        false
    }

    fn ends_target(&self) -> bool {
        follows_target(self.current()) && !self.is_at(Symbol::Comma)
    }

    /// Refuses an expression that cannot be assigned to.
    pub(super) fn to_target(&self, expression: Expr, start: Token) -> Parse<Target> {
        let span = expression.span;
        let kind = match expression.kind {
            ExprKind::Name(name) => TargetKind::Name(name),
            ExprKind::Attribute { object, name } => TargetKind::Attribute { object, name },
            ExprKind::Index { object, index } => TargetKind::Index { object, index },
            ExprKind::Slice {
                object,
                start,
                stop,
                step,
            } => TargetKind::Slice {
                object,
                start,
                stop,
                step,
            },
            _ => return Err(self.error(start, NO_TARGET)),
        };
        Ok(Target { kind, span })
    }

    /// The target of an augmented assignment: one place.
    pub(super) fn single_target(&mut self) -> Parse<Target> {
        let start = self.current();
        let target = self.target()?;
        self.finish()?;
        match target.kind {
            TargetKind::Unpack { .. } => Err(self.error(start, NO_TARGET)),
            _ => Ok(target),
        }
    }

    /// What `del` removes: places, in brackets or not.
    pub(super) fn deleted_targets(&mut self) -> Parse<Vec<Target>> {
        let start = self.current();
        let list = self.target_list()?;
        self.finish()?;
        let mut targets = Vec::new();
        if flatten(list, &mut targets) {
            Ok(targets)
        } else {
            Err(self.error(start, "a star cannot be deleted"))
        }
    }
}

/// True for a token that can stand behind a complete target.
fn follows_target(token: Token) -> bool {
    matches!(
        token.kind,
        TokenKind::End
            | TokenKind::Name(Word::In)
            | TokenKind::Symbol(
                Symbol::Comma | Symbol::Assign | Symbol::RightParen | Symbol::RightSquare
            )
    )
}

/// Appends the places in a shape; false when one has a star. As deep as the shape, which the parser has bounded.
fn flatten(target: Target, targets: &mut Vec<Target>) -> bool {
    match target.kind {
        TargetKind::Unpack {
            before, rest: None, ..
        } => before.into_iter().all(|inner| flatten(inner, targets)),
        TargetKind::Unpack { .. } => false,
        _ => {
            targets.push(target);
            true
        }
    }
}
