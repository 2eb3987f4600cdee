//! Definitions: `def`, `class`, `record`, `enum`, and their decorators.

use super::fragment::{Fragment, FragmentKind, Parse};
use super::scope::Body;
use super::{Parser, Start, first_word, header, keyword};
use crate::syntax::ast::{
    Argument, Block, ClassDef, EnumDef, EnumMember, Expr, FunctionDef, Name, Parameters, RecordDef,
    Span,
};
use crate::syntax::ast::{Stmt, StmtKind};
use crate::syntax::lexer::{self, Symbol};
use crate::syntax::lines::LogicalLine;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

type Line<'line> = &'line LogicalLine<'line>;

/// The name in a header, and what follows it.
struct Heading<'line> {
    name: Name,
    span: Span,
    rest: Fragment<'line>,
}

impl<'line> Parser<'line> {
    /// `@decorator` lines and the definition below them.
    pub(super) fn decorated(&mut self, line: Line<'line>) -> Parse<StmtKind> {
        let mut decorators = Vec::new();
        while let Some(next) = self
            .line()
            .filter(|next| next.level == line.level && next.text.starts_with('@'))
        {
            decorators.push(self.expression(Fragment::whole(next).skip(1))?);
            self.at += 1;
        }
        match self.line().filter(|next| next.level == line.level) {
            Some(next) if matches!(keyword(&next.text), "def" | "class" | "record" | "enum") => {
                self.definition(next, decorators)
            }
            Some(next) => {
                Err(Fragment::whole(next).plain_error("expected a definition after the decorator"))
            }
            None => {
                let mut error =
                    Fragment::whole(line).plain_error("expected a definition after the decorator");
                error.is_incomplete = self.line().is_none();
                Err(error)
            }
        }
    }

    pub(super) fn definition(
        &mut self,
        line: Line<'line>,
        decorators: Vec<Expr>,
    ) -> Parse<StmtKind> {
        match keyword(&line.text) {
            "def" => self.function(line, decorators),
            "class" => self.class(line, decorators),
            "record" => self.record(line, decorators),
            _ => self.enumeration(line, decorators),
        }
    }

    fn function(&mut self, line: Line<'line>, decorators: Vec<Expr>) -> Parse<StmtKind> {
        let invalid = || Fragment::whole(line).plain_error("invalid function definition");
        let heading = header(line, "def").and_then(heading).ok_or_else(invalid)?;
        let inner = inside_parentheses(heading.rest).ok_or_else(invalid)?;
        let parameters = self.parameter_list(inner)?;
        self.at += 1;
        self.scope.enter(Body::Function);
        let body = self.block(line, Start::OfBody);
        let is_generator = self.scope.leave();
        let definition = FunctionDef {
            name: heading.name,
            name_span: heading.span,
            parameters,
            body: body?,
            decorators,
            is_generator,
        };
        Ok(StmtKind::Function(Box::new(definition)))
    }

    fn parameter_list(&mut self, inner: Fragment<'line>) -> Parse<Parameters> {
        let has_defaults = inner.text().contains('=');
        self.in_fragment(inner, FragmentKind::Expression, |parser| {
            parser.parameters(Symbol::RightParen)
        })
        .map_err(|error| {
            // Without defaults there is no expression to be wrong: the list itself is.
            if has_defaults || error.excerpt.is_none() {
                error
            } else {
                inner.plain_error("invalid parameter list")
            }
        })
    }

    fn class(&mut self, line: Line<'line>, decorators: Vec<Expr>) -> Parse<StmtKind> {
        let invalid = || Fragment::whole(line).plain_error("invalid class definition");
        let heading = header(line, "class")
            .and_then(heading)
            .ok_or_else(invalid)?;
        let bases = if heading.rest.is_empty() {
            Vec::new()
        } else {
            inside_parentheses(heading.rest).ok_or_else(invalid)?;
            self.bases(heading.rest)?
        };
        self.at += 1;
        let body = self.class_body(line)?;
        let definition = ClassDef {
            name: heading.name,
            name_span: heading.span,
            bases,
            body,
            decorators,
        };
        Ok(StmtKind::Class(Box::new(definition)))
    }

    fn bases(&mut self, rest: Fragment<'line>) -> Parse<Vec<Expr>> {
        let arguments = self.in_fragment(rest, FragmentKind::Expression, |parser| {
            parser.advance();
            parser.arguments()
        })?;
        arguments
            .into_iter()
            .map(|argument| match argument {
                Argument::Positional(base) => Ok(base),
                _ => Err(rest.plain_error("invalid class definition")),
            })
            .collect()
    }

    fn class_body(&mut self, line: Line<'line>) -> Parse<Block> {
        self.scope.enter(Body::Class);
        let body = self.block(line, Start::OfBody);
        self.scope.leave();
        body
    }

    // ---- record ----

    fn record(&mut self, line: Line<'line>, decorators: Vec<Expr>) -> Parse<StmtKind> {
        let whole = Fragment::whole(line);
        let invalid = || whole.plain_error("invalid record definition");
        let has_block = line.text.ends_with(':');
        let head = header(line, "record").unwrap_or(whole.skip("record".len()));
        let heading = heading(head).ok_or_else(invalid)?;
        let inner = inside_parentheses(heading.rest).ok_or_else(invalid)?;
        let fields = self.parameter_list(inner)?;
        if fields.rest.is_some() || fields.keywords.is_some() || !fields.keyword_only.is_empty() {
            return Err(invalid());
        }
        self.at += 1;
        let body = if has_block {
            self.class_body(line)?
        } else {
            Vec::new()
        };
        let definition = RecordDef {
            name: heading.name,
            name_span: heading.span,
            fields,
            body,
            decorators,
        };
        Ok(StmtKind::Record(Box::new(definition)))
    }

    // ---- enum ----

    fn enumeration(&mut self, line: Line<'line>, decorators: Vec<Expr>) -> Parse<StmtKind> {
        let whole = Fragment::whole(line);
        let invalid = || whole.plain_error("invalid enum definition");
        let has_block = line.text.ends_with(':');
        let head = header(line, "enum").unwrap_or(whole.skip("enum".len()));
        let heading = heading(head).ok_or_else(invalid)?;
        let mut members = Vec::new();
        if !heading.rest.is_empty() {
            let inner = inside_parentheses(heading.rest).ok_or_else(invalid)?;
            members = self.listed_members(inner)?;
        } else if !has_block {
            return Err(invalid());
        }
        self.at += 1;
        let body = if has_block {
            self.enum_body(line, &mut members)?
        } else {
            Vec::new()
        };
        if members.is_empty() {
            return Err(whole.plain_error("an enum needs at least one member"));
        }
        let mut names: Vec<&Name> = members.iter().map(|member| &member.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(whole.plain_error(format!("enum member '{}' is repeated", pair[0])));
        }
        let definition = EnumDef {
            name: heading.name,
            name_span: heading.span,
            members,
            body,
            decorators,
        };
        Ok(StmtKind::Enum(Box::new(definition)))
    }

    /// `A, B = 2, C`
    fn listed_members(&mut self, inner: Fragment<'line>) -> Parse<Vec<EnumMember>> {
        self.in_fragment(inner, FragmentKind::Expression, |parser| {
            let mut members = Vec::new();
            while !parser.is_at_end() {
                let (name, span) = parser.name("expected a member name")?;
                let value = if parser.take(Symbol::Assign) {
                    Some(parser.expression()?)
                } else {
                    None
                };
                members.push(EnumMember { name, value, span });
                if !parser.take(Symbol::Comma) {
                    break;
                }
            }
            Ok(members)
        })
    }

    /// Lines with members, then methods.
    fn enum_body(&mut self, line: Line<'line>, members: &mut Vec<EnumMember>) -> Parse<Block> {
        self.check_indentation(line)?;
        let level = line.level + 1;
        while let Some(next) = self
            .line()
            .filter(|next| next.level == level && !begins_method(next))
        {
            members.push(self.member(Fragment::whole(next))?);
            self.at += 1;
        }
        if self.line().is_none_or(|next| next.level < level) {
            return Ok(Vec::new());
        }
        let methods = self.class_body(line)?;
        match methods
            .iter()
            .find(|method| !matches!(method.kind, StmtKind::Function(_)))
        {
            Some(Stmt { span, .. }) => {
                let mut error =
                    Fragment::whole(line).plain_error("an enum holds members, then methods");
                error.line = span.line;
                error.span = *span;
                Err(error)
            }
            None => Ok(methods),
        }
    }

    fn member(&mut self, line: Fragment<'line>) -> Parse<EnumMember> {
        let invalid = || line.plain_error("expected a member name");
        let text = line.text();
        let name = first_word(text);
        if !lexer::is_name(name) {
            return Err(invalid());
        }
        let rest = line.skip(name.len());
        let value = match rest.text().strip_prefix('=') {
            Some(value) if !value.starts_with('=') => Some(self.expression_list(rest.skip(1))?),
            _ if rest.is_empty() => None,
            _ => return Err(invalid()),
        };
        Ok(EnumMember {
            name: Name::new(name),
            value,
            span: line.span(),
        })
    }
}

fn begins_method(line: Line<'_>) -> bool {
    line.text.starts_with('@') || keyword(&line.text) == "def"
}

/// The name that a header's text begins with.
fn heading(fragment: Fragment<'_>) -> Option<Heading<'_>> {
    let name = first_word(fragment.text());
    let span = fragment
        .line
        .span(fragment.start, fragment.start + name.len());
    lexer::is_name(name).then(|| Heading {
        name: Name::new(name),
        span,
        rest: fragment.skip(name.len()),
    })
}

/// What stands inside the parentheses that are all of `fragment`.
pub(super) fn inside_parentheses(fragment: Fragment<'_>) -> Option<Fragment<'_>> {
    use lexer::TokenKind;
    let tokens = lexer::tokens(&fragment.line.text, fragment.start, fragment.end);
    let mut depth = 0_u32;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol(Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace) => {
                depth += 1
            }
            TokenKind::Symbol(Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace) => {
                depth = depth.checked_sub(1)?;
            }
            _ => {}
        }
        let is_last = token.end == fragment.end;
        if depth == 0 {
            let is_whole =
                is_last && index > 0 && tokens[0].kind == TokenKind::Symbol(Symbol::LeftParen);
            return is_whole
                .then(|| Fragment::of(fragment.line, fragment.start + 1, fragment.end - 1));
        }
    }
    None
}
