//! Format strings: `f"text {value!conversion:specification}"`.

use super::expression::ExprParser;
use super::fragment::Parse;
use crate::syntax::ast::{Conversion, FormatPart};
use crate::syntax::lexer::{self, Symbol, Token, TokenKind};
use crate::syntax::strings;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// Where the text of a format string is being read.
struct Cursor {
    at: usize,
    end: usize,
    is_raw: bool,
}

/// The parts found so far; neighbouring text is one part.
#[derive(Default)]
struct Parts {
    done: Vec<FormatPart>,
    text: String,
}

impl Parts {
    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.done.push(FormatPart::Literal(Rc::from(core::mem::take(
                &mut self.text,
            ))));
        }
    }

    fn finish(mut self) -> Vec<FormatPart> {
        self.flush();
        self.done
    }
}

impl ExprParser<'_, '_> {
    /// The parts of a format string whose content is `start..end` of the line's text.
    pub(super) fn format_parts(
        &mut self,
        token: Token,
        start: usize,
        end: usize,
        is_raw: bool,
    ) -> Parse<Vec<FormatPart>> {
        let mut cursor = Cursor {
            at: start,
            end,
            is_raw,
        };
        let mut parts = Parts::default();
        while cursor.at < end {
            let rest = &self.fragment.line.text[cursor.at..end];
            if let Some(doubled) = ["{{", "}}"].into_iter().find(|pair| rest.starts_with(pair)) {
                parts.text.push_str(&doubled[..1]);
                cursor.at += 2;
            } else if rest.starts_with('{') {
                self.field(&mut cursor, &mut parts)?;
            } else if rest.starts_with('}') {
                return Err(self.error(token, "single '}' in format string"));
            } else {
                self.literal_text(&mut cursor, &mut parts);
            }
        }
        Ok(parts.finish())
    }

    /// Text up to the next brace or the end.
    fn literal_text(&mut self, cursor: &mut Cursor, parts: &mut Parts) {
        let rest = &self.fragment.line.text[cursor.at..cursor.end];
        let length = text_length(rest, cursor.is_raw);
        parts
            .text
            .push_str(&strings::decode(&rest[..length], cursor.is_raw));
        cursor.at += length;
    }

    /// `{value!conversion:specification}`, from its opening brace on.
    fn field(&mut self, cursor: &mut Cursor, parts: &mut Parts) -> Parse<()> {
        let text = &self.fragment.line.text;
        let value_start = cursor.at + 1;
        let (value_end, mut stop) = self.end_of_value(value_start, cursor.end)?;
        let mut conversion = None;
        let mut is_shown = false;
        if stop.kind == TokenKind::Symbol(Symbol::Assign) {
            is_shown = true;
            parts.text.push_str(&text[value_start..stop.end]);
            stop = lexer::next_token(&text[..cursor.end], stop.end);
        }
        let value = self.field_value(value_start, value_end, stop)?;
        cursor.at = stop.end;
        if stop.kind == TokenKind::Unexpected {
            conversion = Some(self.conversion(cursor)?);
            cursor.at += 1;
            stop = lexer::next_token(&text[..cursor.end], cursor.at);
            cursor.at = stop.end;
        }
        let mut specification = Vec::new();
        if stop.kind == TokenKind::Symbol(Symbol::Colon) {
            specification = self.deeper(|parser| parser.specification(cursor))?;
        } else if stop.kind != TokenKind::Symbol(Symbol::RightBrace) {
            return Err(self.error(stop, "expected '}' in format string"));
        }
        if is_shown && conversion.is_none() && specification.is_empty() {
            conversion = Some(Conversion::Repr);
        }
        parts.flush();
        parts.done.push(FormatPart::Value {
            value: Box::new(value),
            conversion,
            specification,
        });
        Ok(())
    }

    /// Where the value that begins at `start` ends, and the token that ends it: `}`, `:`, `!`, or the `=` of `{value=}`.
    fn end_of_value(&self, start: usize, end: usize) -> Parse<(usize, Token)> {
        let text = &self.fragment.line.text[..end];
        let mut open = 0_u32;
        let mut at = start;
        loop {
            let token = lexer::next_token(text, at);
            match token.kind {
                TokenKind::End => return Err(self.error(token, "expected '}' in format string")),
                TokenKind::Unterminated => {
                    return Err(self.error(token, "unterminated string literal"));
                }
                TokenKind::Symbol(Symbol::LeftParen | Symbol::LeftSquare | Symbol::LeftBrace) => {
                    open += 1
                }
                TokenKind::Symbol(Symbol::RightBrace | Symbol::Colon) if open == 0 => {
                    return Ok((token.start, token));
                }
                TokenKind::Symbol(
                    Symbol::RightParen | Symbol::RightSquare | Symbol::RightBrace,
                ) => {
                    open = open.saturating_sub(1);
                }
                TokenKind::Unexpected if open == 0 && text[token.start..].starts_with('!') => {
                    return Ok((token.start, token));
                }
                TokenKind::Symbol(Symbol::Assign) if open == 0 => return Ok((token.start, token)),
                _ => {}
            }
            at = token.end;
        }
    }

    fn field_value(
        &mut self,
        start: usize,
        end: usize,
        stop: Token,
    ) -> Parse<crate::syntax::ast::Expr> {
        if self.fragment.line.text[start..end]
            .trim_matches([' ', '\n', '\r'])
            .is_empty()
        {
            return Err(self.error(stop, "empty value in format string"));
        }
        let (fragment, kind, depth) = (self.fragment, self.kind, self.depth);
        let mut inner = ExprParser::part(fragment, kind, self.scope, start, end, depth)?;
        let value = inner.value_list()?;
        inner.finish()?;
        Ok(value)
    }

    fn conversion(&self, cursor: &Cursor) -> Parse<Conversion> {
        match self.fragment.line.text.as_bytes().get(cursor.at) {
            Some(b's') => Ok(Conversion::Text),
            Some(b'r') => Ok(Conversion::Repr),
            _ => {
                let token = lexer::next_token(&self.fragment.line.text[..cursor.end], cursor.at);
                Err(self.error(token, "expected 's' or 'r' after '!' in format string"))
            }
        }
    }

    /// What follows the colon, the closing brace included.
    fn specification(&mut self, cursor: &mut Cursor) -> Parse<Vec<FormatPart>> {
        let mut parts = Parts::default();
        loop {
            let rest = &self.fragment.line.text[cursor.at..cursor.end];
            if rest.starts_with('}') {
                cursor.at += 1;
                return Ok(parts.finish());
            }
            if rest.starts_with('{') {
                self.field(cursor, &mut parts)?;
            } else if rest.is_empty() {
                let end = Token {
                    kind: TokenKind::End,
                    start: cursor.at,
                    end: cursor.at,
                };
                return Err(self.error(end, "expected '}' in format string"));
            } else {
                self.literal_text(cursor, &mut parts);
            }
        }
    }
}

/// Bytes before the next brace that is not escaped.
fn text_length(text: &str, is_raw: bool) -> usize {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '{' | '}' => return at,
            '\\' if !is_raw => {
                characters.next();
            }
            _ => {}
        }
    }
    text.len()
}
