//! Assignments, plain and augmented.

use super::Parser;
use super::fragment::{Fragment, FragmentKind, Parse};
use crate::syntax::ast::{BinaryOperator, StmtKind};
use crate::syntax::lexer::{Symbol, Token, TokenKind, Word};
use alloc::vec::Vec;

impl<'line> Parser<'line> {
    /// An assignment, if the line has an assignment sign outside strings and brackets.
    pub(super) fn assignment(&mut self, line: Fragment<'line>) -> Parse<Option<StmtKind>> {
        let signs: Vec<Token> = signs(self.scope.line_tokens(line.line)).collect();
        let Some(first) = signs.first() else {
            return Ok(None);
        };
        if first.kind == TokenKind::Symbol(Symbol::AugmentedAssign) {
            return self.augmented_assignment(line, *first).map(Some);
        }
        let mut targets = Vec::new();
        let mut start = line.start;
        let is_plain = |sign: &Token| sign.kind == TokenKind::Symbol(Symbol::Assign);
        for sign in signs.iter().take_while(|sign| is_plain(sign)) {
            let fragment = Fragment::of(line.line, start, sign.start);
            let target = self.in_fragment(fragment, FragmentKind::Target, |parser| {
                parser.target_list()
            });
            match target {
                Ok(target) => targets.push(target),
                Err(error) if targets.is_empty() => return Err(error),
                // No chain of targets, then: all behind the first sign is the value, and it is wrong.
                Err(error) => {
                    let value = Fragment::of(line.line, first.end, line.end);
                    return Err(self.expression_list(value).err().unwrap_or(error));
                }
            }
            start = sign.end;
        }
        let value = Fragment::of(line.line, start, line.end);
        let value = self.in_fragment(value, FragmentKind::Expression, |parser| {
            parser.value_list()
        })?;
        Ok(Some(StmtKind::Assign { targets, value }))
    }

    fn augmented_assignment(&mut self, line: Fragment<'line>, sign: Token) -> Parse<StmtKind> {
        let target = Fragment::of(line.line, line.start, sign.start);
        let target = self.in_fragment(target, FragmentKind::Target, |parser| {
            parser.single_target()
        })?;
        let value = Fragment::of(line.line, sign.end, line.end);
        let value = self.in_fragment(value, FragmentKind::Expression, |parser| {
            parser.value_list()
        })?;
        let operator = operator_of(&line.line.text[sign.start..sign.end]);
        Ok(StmtKind::AugmentedAssign {
            target,
            operator,
            value,
        })
    }
}

/// The assignment signs outside brackets. What follows a `lambda` is its own: its defaults have such signs too.
pub(super) fn signs(tokens: &[Token]) -> impl Iterator<Item = Token> {
    let lambda = tokens.windows(2).position(|pair| {
        let goes_on = matches!(
            pair[1].kind,
            TokenKind::Name(Word::Plain | Word::As)
                | TokenKind::Symbol(Symbol::Colon | Symbol::Star | Symbol::DoubleStar)
        );
        pair[0].kind == TokenKind::Name(Word::Lambda) && goes_on
    });
    let mut depth = 0_u32;
    tokens[..lambda.unwrap_or(tokens.len())]
        .iter()
        .copied()
        .filter(move |token| {
            let TokenKind::Symbol(symbol) = token.kind else {
                return false;
            };
            match symbol {
                Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace => depth += 1,
                Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace => {
                    depth = depth.saturating_sub(1)
                }
                Symbol::Assign | Symbol::AugmentedAssign => return depth == 0,
                _ => {}
            }
            false
        })
}

fn operator_of(sign: &str) -> BinaryOperator {
    match sign {
        "-=" => BinaryOperator::Subtract,
        "*=" => BinaryOperator::Multiply,
        "/=" => BinaryOperator::Divide,
        "//=" => BinaryOperator::FloorDivide,
        "%=" => BinaryOperator::Remainder,
        "**=" => BinaryOperator::Power,
        "&=" => BinaryOperator::BitAnd,
        "|=" => BinaryOperator::BitOr,
        "^=" => BinaryOperator::BitXor,
        "<<=" => BinaryOperator::ShiftLeft,
        ">>=" => BinaryOperator::ShiftRight,
        _ => BinaryOperator::Add,
    }
}
