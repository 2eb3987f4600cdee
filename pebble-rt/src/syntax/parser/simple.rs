//! Statements of one line: `print`, `return`, `import`, `del`, calls and the rest.

use super::definition::inside_parentheses;
use super::fragment::{Fragment, FragmentKind, Parse};
use super::scope::SoftWord;
use super::{Parser, first_word, is_effective, keyword};
use crate::syntax::ast::{Argument, Expr, ExprKind, ImportItem, ImportedName, Name, StmtKind};
use crate::syntax::lexer::{self, Token, TokenKind, Word};
use alloc::format;
use alloc::vec::Vec;

const EXPECTED_STATEMENT: &str = "expected assignment, print, if, while, for, def, class, return, raise, import, try, pass, \
                                  break, continue, or a function call";

const INVALID_IMPORT: &str = "invalid import target";

impl<'line> Parser<'line> {
    /// A statement without a block.
    pub(super) fn simple(
        &mut self,
        line: Fragment<'line>,
        may_be_docstring: bool,
    ) -> Parse<StmtKind> {
        let text = line.text();
        match text {
            "pass" => return Ok(StmtKind::Pass),
            "break" => return self.loop_exit(line, "break", StmtKind::Break),
            "continue" => return self.loop_exit(line, "continue", StmtKind::Continue),
            "print" => return Ok(StmtKind::Print(Vec::new())),
            "return" => return Ok(StmtKind::Return(None)),
            "raise" => return Ok(StmtKind::Raise(None)),
            _ => {}
        }
        let word = if text.starts_with("print\"") || text.starts_with("print'") {
            "print"
        } else {
            keyword(text)
        };
        let rest = line.skip(word.len());
        match word {
            "print" => {
                if let Some(kind) = self.print(line, rest)? {
                    return Ok(kind);
                }
            }
            "return" => return Ok(StmtKind::Return(Some(self.expression_list(rest)?))),
            "raise" => return Ok(StmtKind::Raise(Some(self.expression(rest)?))),
            "import" => return import(rest),
            "from" if begins_with_name(rest) => return from_import(rest),
            "global" if begins_with_name(rest) => {
                return Ok(StmtKind::Global(names(rest, "invalid global statement")?));
            }
            "nonlocal" if begins_with_name(rest) => {
                return Ok(StmtKind::Nonlocal(names(
                    rest,
                    "invalid nonlocal statement",
                )?));
            }
            "del" if self.is_statement_word(SoftWord::Delete, rest) => return self.delete(rest),
            "assert" if self.is_statement_word(SoftWord::Assert, rest) => return self.assert(rest),
            _ => {}
        }
        if let Some(assignment) = self.assignment(line)? {
            return Ok(assignment);
        }
        self.expression_statement(line, may_be_docstring)
    }

    fn loop_exit(&self, line: Fragment<'line>, word: &str, kind: StmtKind) -> Parse<StmtKind> {
        if self.scope.is_in_loop() {
            Ok(kind)
        } else {
            Err(line.plain_error(format!("{word} outside loop")))
        }
    }

    /// A call, or at a prompt any expression.
    fn expression_statement(
        &mut self,
        line: Fragment<'line>,
        may_be_docstring: bool,
    ) -> Parse<StmtKind> {
        let accepts_all = self.scope.allows_bare_expressions;
        let value = self.in_fragment(line, FragmentKind::Expression, |parser| {
            if accepts_all || parser.begins_yield() {
                parser.value_list()
            } else {
                parser.expression()
            }
        })?;
        let is_docstring = may_be_docstring && matches!(value.kind, ExprKind::String(_));
        if accepts_all || is_docstring || is_effective(&value.kind) {
            return Ok(StmtKind::Expression(value));
        }
        Err(line.plain_error(EXPECTED_STATEMENT))
    }

    /// `print` and its values. `None` where it is a call of the program's own `print`.
    fn print(&mut self, line: Fragment<'line>, rest: Fragment<'line>) -> Parse<Option<StmtKind>> {
        let is_call_form = line.text().starts_with("print(");
        if is_call_form && self.scope.binds(SoftWord::Print) {
            return Ok(None);
        }
        if is_call_form && inside_parentheses(rest).is_some() {
            return self.print_call(line).map(Some);
        }
        match self.printed_values(rest) {
            Ok(values) => Ok(Some(StmtKind::Print(values))),
            // Without a blank the line reads as a call, and its errors show it whole.
            Err(error) if is_call_form => Err(self.expression(line).err().unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// `print(a, b)`: a line that is one call as a whole.
    fn print_call(&mut self, line: Fragment<'line>) -> Parse<StmtKind> {
        let ExprKind::Call { arguments, .. } = self.expression(line)?.kind else {
            return Err(line.plain_error(EXPECTED_STATEMENT));
        };
        let value_of = |argument| match argument {
            Argument::Positional(value) => Ok(value),
            _ => Err(line.plain_error("print takes values only")),
        };
        Ok(StmtKind::Print(
            arguments.into_iter().map(value_of).collect::<Parse<_>>()?,
        ))
    }

    /// `a, b`; where the whole is one tuple in parentheses, its items.
    fn printed_values(&mut self, rest: Fragment<'line>) -> Parse<Vec<Expr>> {
        let values = self.in_fragment(rest, FragmentKind::Expression, |parser| {
            let mut values = Vec::from([parser.expression()?]);
            while parser.take(lexer::Symbol::Comma) {
                values.push(parser.expression()?);
            }
            Ok(values)
        })?;
        let place = rest.span();
        match <[Expr; 1]>::try_from(values) {
            Ok(
                [
                    Expr {
                        kind: ExprKind::Tuple(items),
                        span,
                        ..
                    },
                ],
            ) if span.start == place.start && span.end == place.end => Ok(items),
            Ok([value]) => Ok(Vec::from([value])),
            Err(values) => Ok(values),
        }
    }

    /// True when `word` at the start of a line is a statement and not a variable or a function of the program's.
    fn is_statement_word(&mut self, word: SoftWord, rest: Fragment<'line>) -> bool {
        let token = lexer::next_token(&rest.line.text, rest.start);
        match token.kind {
            TokenKind::Name(
                Word::Plain
                | Word::Not
                | Word::None
                | Word::True
                | Word::False
                | Word::Lambda
                | Word::Yield,
            )
            | TokenKind::Integer
            | TokenKind::Float
            | TokenKind::String => true,
            TokenKind::Symbol(
                lexer::Symbol::LeftParen
                | lexer::Symbol::LeftSquare
                | lexer::Symbol::LeftBrace
                | lexer::Symbol::Minus
                | lexer::Symbol::Tilde,
            ) => !has_assignment(rest) && !self.scope.binds(word),
            _ => false,
        }
    }

    fn delete(&mut self, rest: Fragment<'line>) -> Parse<StmtKind> {
        self.in_fragment(rest, FragmentKind::Target, |parser| {
            parser.deleted_targets()
        })
        .map(StmtKind::Delete)
    }

    fn assert(&mut self, rest: Fragment<'line>) -> Parse<StmtKind> {
        let (condition, message) = self.in_fragment(rest, FragmentKind::Expression, |parser| {
            let condition = parser.expression()?;
            let message = if parser.take(lexer::Symbol::Comma) {
                Some(parser.expression()?)
            } else {
                None
            };
            Ok((condition, message))
        })?;
        // `assert(condition, message)` reads like a call; a tuple, always true, is never meant.
        let place = rest.span();
        Ok(match (condition, message) {
            (
                Expr {
                    kind: ExprKind::Tuple(items),
                    span,
                    ..
                },
                None,
            ) if items.len() == 2 && span.start == place.start && span.end == place.end => {
                let mut items = items.into_iter();
                match (items.next(), items.next()) {
                    (Some(condition), message) => StmtKind::Assert { condition, message },
                    (None, _) => return Err(rest.plain_error("assert needs a condition")),
                }
            }
            (condition, message) => StmtKind::Assert { condition, message },
        })
    }
}

fn begins_with_name(fragment: Fragment<'_>) -> bool {
    !first_word(fragment.text()).is_empty()
}

fn has_assignment(fragment: Fragment<'_>) -> bool {
    super::assignment::signs(&lexer::tokens(
        &fragment.line.text,
        fragment.start,
        fragment.end,
    ))
    .next()
    .is_some()
}

/// `a.b, c as d`
fn import(rest: Fragment<'_>) -> Parse<StmtKind> {
    let mut items = Vec::new();
    for item in comma_separated(rest) {
        let (path, alias) = name_and_alias(rest, item)?;
        items.push(ImportItem {
            path: dotted(rest, path)?,
            alias,
            span: item.span(),
        });
    }
    Ok(StmtKind::Import(items))
}

/// `a.b import c, d as e`, the names possibly in parentheses.
fn from_import(rest: Fragment<'_>) -> Parse<StmtKind> {
    let tokens = lexer::tokens(&rest.line.text, rest.start, rest.end);
    let is_import = |token: &Token| &rest.line.text[token.start..token.end] == "import";
    let Some(import) = tokens.iter().skip(1).find(|token| is_import(token)) else {
        return Err(rest.plain_error(INVALID_IMPORT));
    };
    let module = dotted(rest, Fragment::of(rest.line, rest.start, import.start))?;
    let mut listed = Fragment::of(rest.line, import.end, rest.end);
    if listed.text().starts_with('(') && listed.text().ends_with(')') {
        listed = Fragment::of(listed.line, listed.start + 1, listed.end - 1);
        if listed.text().ends_with(',') {
            listed = Fragment::of(listed.line, listed.start, listed.end - 1);
        }
    }
    let mut names = Vec::new();
    for item in comma_separated(listed) {
        let (name, alias) = name_and_alias(rest, item)?;
        let name = valid_name(rest, name.text())?;
        names.push(ImportedName {
            name,
            alias,
            span: item.span(),
        });
    }
    Ok(StmtKind::FromImport { module, names })
}

/// `a as b` in its two parts.
fn name_and_alias<'line>(
    whole: Fragment<'line>,
    item: Fragment<'line>,
) -> Parse<(Fragment<'line>, Option<Name>)> {
    let text = item.text();
    let Some(at) = text.find(" as ") else {
        return Ok((item, None));
    };
    let name = Fragment::of(item.line, item.start, item.start + at);
    let alias = Fragment::of(item.line, item.start + at + " as ".len(), item.end);
    Ok((name, Some(valid_name(whole, alias.text())?)))
}

fn dotted(whole: Fragment<'_>, path: Fragment<'_>) -> Parse<Vec<Name>> {
    path.text()
        .split('.')
        .map(|part| valid_name(whole, part))
        .collect()
}

fn valid_name(whole: Fragment<'_>, text: &str) -> Parse<Name> {
    if lexer::is_name(text) {
        Ok(Name::new(text))
    } else {
        Err(whole.plain_error(INVALID_IMPORT))
    }
}

fn names(rest: Fragment<'_>, message: &'static str) -> Parse<Vec<Name>> {
    comma_separated(rest)
        .map(|item| {
            if lexer::is_name(item.text()) {
                Ok(Name::new(item.text()))
            } else {
                Err(rest.plain_error(message))
            }
        })
        .collect()
}

/// The pieces between commas, at least one, each without outer blanks. For texts without brackets and strings.
fn comma_separated<'line>(fragment: Fragment<'line>) -> impl Iterator<Item = Fragment<'line>> {
    let mut start = fragment.start;
    fragment.text().split(',').map(move |piece| {
        let item = Fragment::of(fragment.line, start, start + piece.len());
        start += piece.len() + 1;
        item
    })
}
