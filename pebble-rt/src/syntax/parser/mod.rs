//! From logical lines to the tree.
//!
//! Statements are recognised by their first word and by where the line ends, expressions by tokens. A word that is no keyword
//! of the language's first version is one only where that version would have refused the line, so that programs which use it
//! as a name keep their meaning.
//!
//! - `mod.rs`: entry points, blocks
//! - `compound.rs`, `definition.rs`, `simple.rs`, `assignment.rs`: statements
//! - `expression.rs`, `primary.rs`, `format.rs`: expressions
//! - `target.rs`, `parameters.rs`, `pattern.rs`: the other things that stand in a line
//! - `fragment.rs`, `scope.rs`: what errors show, and what surrounds a line

mod assignment;
mod compound;
mod definition;
mod expression;
mod format;
mod fragment;
mod parameters;
mod pattern;
mod primary;
mod scope;
mod simple;
mod target;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_added;

use super::ast::{Block, Expr, ExprKind, MAX_BLOCK_DEPTH, Module, Stmt, StmtKind};
use super::error::SyntaxError;
use super::lexer;
use super::lines::{self, LogicalLine};
use alloc::format;
use alloc::vec::Vec;
use expression::ExprParser;
use fragment::{Fragment, FragmentKind, Parse};
use scope::Scope;

/// Parses a whole source file.
pub fn parse(source: &str) -> Result<Module, SyntaxError> {
    parse_lines(source, false)
}

/// Parses what was typed at a prompt: a statement may also be an expression that is no call, as `1 + 2`.
pub fn parse_interactive(source: &str) -> Result<Module, SyntaxError> {
    parse_lines(source, true)
}

/// Parses a single expression, such as a debugger or an embedder asks for.
pub fn parse_expression(source: &str) -> Result<Expr, SyntaxError> {
    let split = lines::split(source)?;
    let mut scope = Scope::new(&split.lines, true);
    let Some(line) = split.lines.first() else {
        let message = "invalid expression at column 1: unexpected end of expression".into();
        return Err(SyntaxError::plain(1, super::ast::Span::default(), message));
    };
    if let Some(second) = split.lines.get(1) {
        return Err(*Fragment::whole(second).plain_error("expected a single expression"));
    }
    let mut parser = ExprParser::new(Fragment::whole(line), FragmentKind::Expression, &mut scope)
        .map_err(|error| *error)?;
    let value = parser.expression_list().map_err(|error| *error)?;
    parser.finish().map_err(|error| *error)?;
    Ok(value)
}

fn parse_lines(source: &str, allows_bare_expressions: bool) -> Result<Module, SyntaxError> {
    let split = lines::split(source)?;
    let scope = Scope::new(&split.lines, allows_bare_expressions);
    let mut parser = Parser {
        lines: &split.lines,
        at: 0,
        depth: 0,
        scope,
    };
    let body = parser
        .statements(0, Start::OfBody)
        .map_err(|error| *error)?;
    Ok(Module { body })
}

/// Where in a body a block stands; a file, function or class may begin with a lone string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    OfBody,
    Inside,
}

struct Parser<'line> {
    lines: &'line [LogicalLine<'line>],
    at: usize,
    depth: usize,
    scope: Scope<'line>,
}

impl<'line> Parser<'line> {
    fn line(&self) -> Option<&'line LogicalLine<'line>> {
        self.lines.get(self.at)
    }

    /// The line at `level` that is next, if it begins with `word`.
    fn line_with_word(&self, level: u32, word: &str) -> Option<&'line LogicalLine<'line>> {
        self.line()
            .filter(|line| line.level == level && keyword(&line.text) == word)
    }

    /// The block below `header`, which has been passed.
    fn block(&mut self, header: &'line LogicalLine<'line>, start: Start) -> Parse<Block> {
        if self.depth >= MAX_BLOCK_DEPTH {
            return Err(Fragment::whole(header).plain_error("blocks are nested too deeply"));
        }
        self.check_indentation(header)?;
        self.depth += 1;
        let body = self.statements(header.level + 1, start);
        self.depth -= 1;
        body
    }

    fn check_indentation(&self, header: &'line LogicalLine<'line>) -> Parse<()> {
        let expected = header.level + 1;
        match self.line() {
            None => {
                let mut error = Fragment::whole(header).plain_error("expected an indented block");
                error.is_incomplete = true;
                Err(error)
            }
            Some(line) if line.level < expected => Err(Fragment::whole(header).plain_error("expected an indented block")),
            Some(line) if line.level > expected => Err(Fragment::whole(line).plain_error(format!(
                "indentation must increase by exactly four spaces; expected level {expected}, got level {}",
                line.level
            ))),
            Some(_) => Ok(()),
        }
    }

    /// All statements at `level` up to a line that stands further out.
    fn statements(&mut self, level: u32, start: Start) -> Parse<Block> {
        let mut body = Vec::new();
        while let Some(line) = self.line().filter(|line| line.level >= level) {
            if line.level > level {
                return Err(Fragment::whole(line).plain_error(format!(
                    "unexpected indentation; expected level {level}, got level {}",
                    line.level
                )));
            }
            let may_be_docstring = start == Start::OfBody && body.is_empty();
            body.push(self.statement(line, may_be_docstring)?);
        }
        Ok(body)
    }

    /// The statement whose first line is next.
    fn statement(
        &mut self,
        line: &'line LogicalLine<'line>,
        may_be_docstring: bool,
    ) -> Parse<Stmt> {
        let whole = Fragment::whole(line);
        let kind = match self.compound(line)? {
            Some(kind) => kind,
            None => {
                self.at += 1;
                self.simple(whole, may_be_docstring)?
            }
        };
        Ok(Stmt {
            kind,
            span: whole.span(),
        })
    }

    /// A statement that has blocks, taken whole; `None` when the line is no header.
    fn compound(&mut self, line: &'line LogicalLine<'line>) -> Parse<Option<StmtKind>> {
        if line.text.starts_with('@') {
            return self.decorated(line).map(Some);
        }
        let word = keyword(&line.text);
        Ok(Some(match word {
            "if" => self.if_statement(line)?,
            "while" => self.while_statement(line)?,
            "for" => self.for_statement(line)?,
            "def" | "class" => self.definition(line, Vec::new())?,
            "try" if has_only_colon(line, word) => self.try_statement(line)?,
            "elif" => return Err(Fragment::whole(line).plain_error("elif without matching if")),
            "else" if has_only_colon(line, word) => {
                return Err(Fragment::whole(line).plain_error("else without matching if"));
            }
            "except" => {
                return Err(Fragment::whole(line).plain_error("except without matching try"));
            }
            "finally" if has_only_colon(line, word) => {
                return Err(Fragment::whole(line).plain_error("finally without matching try"));
            }
            "with" if ends_with_colon(line) => self.with_statement(line)?,
            "match" if ends_with_colon(line) => self.match_statement(line)?,
            "record" | "enum" if begins_with_two_names(line) => {
                self.definition(line, Vec::new())?
            }
            _ => return Ok(None),
        }))
    }

    /// The expression that `fragment` is.
    fn expression(&mut self, fragment: Fragment<'line>) -> Parse<Expr> {
        self.in_fragment(fragment, FragmentKind::Expression, |parser| {
            parser.expression()
        })
    }

    /// The expression that `fragment` is; a tuple when it has commas.
    fn expression_list(&mut self, fragment: Fragment<'line>) -> Parse<Expr> {
        self.in_fragment(fragment, FragmentKind::Expression, |parser| {
            parser.expression_list()
        })
    }

    /// Parses all of `fragment` with `step`.
    fn in_fragment<T>(
        &mut self,
        fragment: Fragment<'line>,
        kind: FragmentKind,
        step: impl FnOnce(&mut ExprParser<'_, 'line>) -> Parse<T>,
    ) -> Parse<T> {
        let mut parser = ExprParser::new(fragment, kind, &mut self.scope)?;
        let value = step(&mut parser)?;
        parser.finish()?;
        Ok(value)
    }
}

/// The word that a line begins with, if a blank, a colon or an opening parenthesis follows it, else "".
fn keyword(text: &str) -> &str {
    let word = first_word(text);
    if text[word.len()..].starts_with([' ', ':', '(']) {
        word
    } else {
        ""
    }
}

fn first_word(text: &str) -> &str {
    if !text.starts_with(lexer::is_name_start) {
        return "";
    }
    let end = text
        .find(|character| !lexer::is_name_part(character))
        .unwrap_or(text.len());
    &text[..end]
}

fn has_only_colon(line: &LogicalLine<'_>, word: &str) -> bool {
    line.text[word.len()..].trim_matches(' ') == ":"
}

fn ends_with_colon(line: &LogicalLine<'_>) -> bool {
    line.text.ends_with(':')
}

fn begins_with_two_names(line: &LogicalLine<'_>) -> bool {
    let rest = line.text[first_word(&line.text).len()..].trim_start_matches(' ');
    let second = first_word(rest);
    !second.is_empty()
        && !matches!(
            second,
            "and" | "or" | "not" | "in" | "is" | "if" | "else" | "for"
        )
}

/// The part of a header between its first word and its final colon; `None` without a colon.
fn header<'line>(line: &'line LogicalLine<'line>, word: &str) -> Option<Fragment<'line>> {
    let end = line.text.strip_suffix(':')?.len();
    (end >= word.len()).then(|| Fragment::of(line, word.len(), end))
}

/// True for an expression that does something when it stands alone.
fn is_effective(kind: &ExprKind) -> bool {
    matches!(kind, ExprKind::Call { .. } | ExprKind::Yield(_))
}
