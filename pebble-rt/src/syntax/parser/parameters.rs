//! Parameter lists of functions, lambdas and records.

use super::expression::ExprParser;
use super::fragment::Parse;
use crate::syntax::ast::{Parameter, Parameters};
use crate::syntax::lexer::{Symbol, TokenKind};

const INVALID: &str = "invalid parameter list";

impl ExprParser<'_, '_> {
    /// A parameter list up to `closing`, which is not taken, or the end.
    pub(super) fn parameters(&mut self, closing: Symbol) -> Parse<Parameters> {
        let mut list = Parameters::default();
        let mut has_star = false;
        while !self.is_at(closing) && !self.is_at_end() {
            if list.keywords.is_some() {
                return Err(self.plain_error(INVALID));
            }
            if self.take(Symbol::DoubleStar) {
                list.keywords = Some(self.plain_parameter()?);
            } else if self.is_at(Symbol::Star) && !has_star {
                has_star = true;
                self.advance();
                if !self.is_at(Symbol::Comma) {
                    list.rest = Some(self.plain_parameter()?);
                }
            } else {
                let parameter = self.parameter()?;
                if has_star {
                    &mut list.keyword_only
                } else {
                    &mut list.positional
                }
                .push(parameter);
            }
            if !self.take(Symbol::Comma) {
                break;
            }
        }
        if !self.is_at(closing) && !self.is_at_end() {
            return Err(self.plain_error(INVALID));
        }
        self.check_parameters(&list, has_star)?;
        Ok(list)
    }

    fn plain_parameter(&mut self) -> Parse<Parameter> {
        match self.current().kind {
            TokenKind::Name(word) if !word.is_reserved() => {
                let (name, span) = self.name(INVALID)?;
                Ok(Parameter {
                    name,
                    default: None,
                    span,
                })
            }
            _ => Err(self.plain_error(INVALID)),
        }
    }

    fn parameter(&mut self) -> Parse<Parameter> {
        let mut parameter = self.plain_parameter()?;
        if self.take(Symbol::Assign) {
            parameter.default = Some(self.expression()?);
        }
        Ok(parameter)
    }

    fn check_parameters(&self, list: &Parameters, has_star: bool) -> Parse<()> {
        let mut names: alloc::vec::Vec<&str> = list
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.plain_error("duplicate parameter names are not allowed"));
        }
        let first_default = list
            .positional
            .iter()
            .position(|parameter| parameter.default.is_some());
        let has_gap = first_default.is_some_and(|first| {
            list.positional[first..]
                .iter()
                .any(|one| one.default.is_none())
        });
        if has_gap {
            return Err(
                self.plain_error("a parameter without a default follows one with a default")
            );
        }
        if has_star && list.rest.is_none() && list.keyword_only.is_empty() {
            return Err(self.plain_error(INVALID));
        }
        Ok(())
    }
}
