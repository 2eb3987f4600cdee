//! Statements with blocks: `if`, loops, `try`, `with`, `match`.

use super::fragment::{Fragment, FragmentKind, Parse};
use super::{Parser, Start, has_only_colon, header};
use crate::syntax::ast::{
    Block, ExceptClause, ExceptFilter, Expr, ExprKind, MatchCase, Name, StmtKind, Target, TryStmt,
    WithItem,
};
use crate::syntax::lexer::{self, Symbol, TokenKind, Word};
use crate::syntax::lines::LogicalLine;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

type Line<'line> = &'line LogicalLine<'line>;

impl<'line> Parser<'line> {
    pub(super) fn if_statement(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        let mut branches = Vec::from([self.branch(line, "if")?]);
        while let Some(next) = self.line_with_word(line.level, "elif") {
            branches.push(self.branch(next, "elif")?);
        }
        Ok(StmtKind::If {
            branches,
            otherwise: self.else_block(line.level)?,
        })
    }

    fn branch(&mut self, line: Line<'line>, word: &str) -> Parse<(Expr, Block)> {
        let condition = self.condition(line, word, "if")?;
        self.at += 1;
        Ok((condition, self.block(line, Start::Inside)?))
    }

    fn condition(&mut self, line: Line<'line>, word: &str, name: &str) -> Parse<Expr> {
        let Some(condition) = header(line, word) else {
            return Err(
                Fragment::whole(line).plain_error(format!("{name} statements must end with ':'"))
            );
        };
        if condition.is_empty() {
            return Err(Fragment::whole(line).plain_error(format!("missing {name} condition")));
        }
        self.expression(condition)
    }

    fn else_block(&mut self, level: u32) -> Parse<Option<Block>> {
        match self
            .line_with_word(level, "else")
            .filter(|line| has_only_colon(line, "else"))
        {
            Some(line) => {
                self.at += 1;
                self.block(line, Start::Inside).map(Some)
            }
            None => Ok(None),
        }
    }

    pub(super) fn while_statement(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        let condition = self.condition(line, "while", "while")?;
        let body = self.loop_body(line)?;
        Ok(StmtKind::While {
            condition,
            body,
            otherwise: self.else_block(line.level)?,
        })
    }

    pub(super) fn for_statement(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        let invalid = || Fragment::whole(line).plain_error("invalid for loop syntax");
        let loop_header = header(line, "for").ok_or_else(invalid)?;
        let (target, iterable) = split_at_in(loop_header).ok_or_else(invalid)?;
        let target = self.loop_target(target).map_err(|_| invalid())?;
        let iterable = self.expression_list(iterable)?;
        let body = self.loop_body(line)?;
        Ok(StmtKind::For {
            target,
            iterable,
            body,
            otherwise: self.else_block(line.level)?,
        })
    }

    fn loop_target(&mut self, fragment: Fragment<'line>) -> Parse<Target> {
        self.in_fragment(fragment, FragmentKind::Target, |parser| {
            parser.target_list()
        })
    }

    fn loop_body(&mut self, line: Line<'line>) -> Parse<Block> {
        self.at += 1;
        self.scope.enter_loop();
        let body = self.block(line, Start::Inside);
        self.scope.leave_loop();
        body
    }

    // ---- try ----

    pub(super) fn try_statement(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        self.at += 1;
        let body = self.block(line, Start::Inside)?;
        let mut handlers: Vec<ExceptClause> = Vec::new();
        while let Some(next) = self.line_with_word(line.level, "except") {
            if handlers
                .last()
                .is_some_and(|handler| handler.filter == ExceptFilter::All)
            {
                return Err(Fragment::whole(next)
                    .plain_error("except after an except that takes all errors"));
            }
            handlers.push(self.except_clause(next)?);
        }
        let otherwise = if handlers.is_empty() {
            None
        } else {
            self.else_block(line.level)?
        };
        let finally = match self
            .line_with_word(line.level, "finally")
            .filter(|next| has_only_colon(next, "finally"))
        {
            Some(next) => {
                self.at += 1;
                Some(self.block(next, Start::Inside)?)
            }
            None => None,
        };
        if handlers.is_empty() && finally.is_none() {
            return Err(self.missing_except(line));
        }
        Ok(StmtKind::Try(Box::new(TryStmt {
            body,
            handlers,
            otherwise,
            finally,
        })))
    }

    fn missing_except(&self, line: Line<'line>) -> Box<crate::syntax::SyntaxError> {
        match self.line() {
            None => {
                let mut error = Fragment::whole(line).plain_error("try requires an except block");
                error.is_incomplete = true;
                error
            }
            Some(_) => Fragment::whole(line).plain_error("try requires a matching except block"),
        }
    }

    fn except_clause(&mut self, line: Line<'line>) -> Parse<ExceptClause> {
        let whole = Fragment::whole(line);
        let invalid = || whole.plain_error("invalid except binding name");
        let fragment = header(line, "except").ok_or_else(invalid)?;
        let filter = if fragment.is_empty() {
            ExceptFilter::All
        } else if lexer::is_name(fragment.text()) {
            ExceptFilter::Name(Name::new(fragment.text()))
        } else {
            let (types, binding) = self.except_types(fragment).map_err(|_| invalid())?;
            if !is_type_list(&types) {
                return Err(invalid());
            }
            ExceptFilter::Types { types, binding }
        };
        self.at += 1;
        Ok(ExceptClause {
            filter,
            body: self.block(line, Start::Inside)?,
            span: whole.span(),
        })
    }

    fn except_types(&mut self, fragment: Fragment<'line>) -> Parse<(Expr, Option<Name>)> {
        self.in_fragment(fragment, FragmentKind::Expression, |parser| {
            let types = parser.expression()?;
            let binding = if parser.take_word(Word::As) {
                Some(parser.name("expected a name after 'as'")?.0)
            } else {
                None
            };
            Ok((types, binding))
        })
    }

    // ---- with ----

    pub(super) fn with_statement(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        let fragment = header(line, "with")
            .ok_or_else(|| Fragment::whole(line).plain_error("invalid with statement"))?;
        let items = self.in_fragment(fragment, FragmentKind::Expression, |parser| {
            let mut items = Vec::new();
            loop {
                let context = parser.expression()?;
                let target = if parser.take_word(Word::As) {
                    Some(parser.target()?)
                } else {
                    None
                };
                items.push(WithItem { context, target });
                if !parser.take(Symbol::Comma) {
                    return Ok(items);
                }
            }
        })?;
        self.at += 1;
        Ok(StmtKind::With {
            items,
            body: self.block(line, Start::Inside)?,
        })
    }

    // ---- match ----

    pub(super) fn match_statement(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        let whole = Fragment::whole(line);
        let fragment =
            header(line, "match").ok_or_else(|| whole.plain_error("invalid match statement"))?;
        let subject = self.expression_list(fragment)?;
        self.at += 1;
        self.check_indentation(line)?;
        let level = line.level + 1;
        let mut cases = Vec::new();
        while let Some(next) = self.line_with_word(level, "case") {
            cases.push(self.match_case(next)?);
        }
        match self.line().filter(|next| next.level >= level) {
            Some(next) => Err(Fragment::whole(next).plain_error("expected 'case'")),
            None => Ok(StmtKind::Match { subject, cases }),
        }
    }

    fn match_case(&mut self, line: Line<'line>) -> Parse<MatchCase> {
        let whole = Fragment::whole(line);
        let fragment = header(line, "case")
            .ok_or_else(|| whole.plain_error("case statements must end with ':'"))?;
        let (pattern, guard) = self.in_fragment(fragment, FragmentKind::Pattern, |parser| {
            let pattern = parser.case_pattern()?;
            let guard = if parser.take_word(Word::If) {
                Some(parser.expression()?)
            } else {
                None
            };
            Ok((pattern, guard))
        })?;
        self.at += 1;
        // The block stands two levels below `match`: the cases' own level counts as a nesting of its own.
        Ok(MatchCase {
            pattern,
            guard,
            body: self.block(line, Start::Inside)?,
            span: whole.span(),
        })
    }
}

/// Splits `a, b in c` at the first `in` outside brackets that has something on both sides.
fn split_at_in(fragment: Fragment<'_>) -> Option<(Fragment<'_>, Fragment<'_>)> {
    let tokens = lexer::tokens(&fragment.line.text, fragment.start, fragment.end);
    let mut depth = 0_u32;
    let word = tokens.iter().skip(1).find(|token| {
        match token.kind {
            TokenKind::Symbol(Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace) => {
                depth += 1
            }
            TokenKind::Symbol(Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace) => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        depth == 0 && token.kind == TokenKind::Name(Word::In)
    })?;
    let target = Fragment::of(fragment.line, fragment.start, word.start);
    let iterable = Fragment::of(fragment.line, word.end, fragment.end);
    (!iterable.is_empty()).then_some((target, iterable))
}

/// A class, a dotted class or a tuple of such.
fn is_type_list(types: &Expr) -> bool {
    match &types.kind {
        ExprKind::Tuple(items) => !items.is_empty() && items.iter().all(is_type),
        _ => is_type(types),
    }
}

fn is_type(expression: &Expr) -> bool {
    match &expression.kind {
        ExprKind::Name(_) => true,
        ExprKind::Attribute { object, .. } => is_type(object),
        _ => false,
    }
}
