//! The checker: what is wrong with a program before it runs.
//!
//! Reports syntax errors, names that nothing can bind, calls with a wrong number of arguments and code that is never reached.
//! Names are resolved at run time in Pebble, so a report is made only when no run could do otherwise: one definition that
//! might apply silences it.

mod calls;
mod environment;
mod flow;
mod names;

pub use environment::{Arity, Environment, Known};

use crate::syntax::ast::Span;
use crate::syntax::{SyntaxError, parse};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The program cannot run, or fails where it gets there.
    Error,
    /// Most likely not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something the checker has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of finding it is, for programs: `syntax`, `unknown-name`, `arguments`, `unreachable`.
    pub code: &'static str,
    /// What it is, for people.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// A name that was probably meant.
    pub suggestion: Option<String>,
}

impl Diagnostic {
    /// The message with the suggestion, if there is one.
    pub fn full_message(&self) -> String {
        match &self.suggestion {
            Some(name) => format!("{}; did you mean '{name}'?", self.message),
            None => self.message.clone(),
        }
    }
}

impl From<&SyntaxError> for Diagnostic {
    fn from(error: &SyntaxError) -> Self {
        Self {
            severity: Severity::Error,
            code: "syntax",
            message: error.message.clone(),
            span: error.span,
            suggestion: None,
        }
    }
}

/// Checks a program that will run in `environment`. The findings are in the order of the text.
pub fn check(source: &str, environment: &Environment) -> Vec<Diagnostic> {
    let module = match parse(source) {
        Ok(module) => module,
        Err(error) => return Vec::from([Diagnostic::from(&error)]),
    };
    let mut found = Vec::new();
    names::check_names(&module, environment, &mut found);
    flow::check_flow(&module.body, &mut found);
    found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.severity));
    found
}

#[cfg(test)]
mod tests;
