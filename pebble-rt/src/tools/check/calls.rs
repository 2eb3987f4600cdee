//! Calls with a wrong number of arguments.

use super::{Arity, Diagnostic, Severity};
use crate::syntax::ast::{Argument, Parameters, Span};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What is called, as far as it is known.
pub(super) struct Callee<'tree> {
    /// What errors call it: `function 'f'`.
    pub(super) title: String,
    pub(super) arity: Arity,
    /// Its parameters, where they are known by name.
    pub(super) parameters: Option<&'tree Parameters>,
    /// Arguments that the call does not show: 1 for `self`.
    pub(super) hidden: usize,
}

/// Reports what is wrong with the arguments.
pub(super) fn check_call(
    callee: &Callee<'_>,
    arguments: &[Argument],
    span: Span,
    found: &mut Vec<Diagnostic>,
) {
    let has_spread = arguments
        .iter()
        .any(|one| matches!(one, Argument::Spread(_) | Argument::SpreadKeywords(_)));
    if has_spread {
        return;
    }
    if let Some(message) = problem(callee, arguments) {
        found.push(Diagnostic {
            severity: Severity::Error,
            code: "arguments",
            message,
            span,
            suggestion: None,
        });
    }
}

fn problem(callee: &Callee<'_>, arguments: &[Argument]) -> Option<String> {
    let positional = arguments
        .iter()
        .filter(|one| matches!(one, Argument::Positional(_)))
        .count()
        + callee.hidden;
    let named = arguments.iter().filter_map(|one| match one {
        Argument::Keyword { name, .. } => Some(name),
        _ => None,
    });
    let mut given_by_name = 0;
    for name in named {
        let parameters = callee.parameters?;
        let is_positional = parameters
            .positional
            .iter()
            .any(|parameter| parameter.name == *name);
        let is_known = is_positional
            || parameters
                .keyword_only
                .iter()
                .any(|parameter| parameter.name == *name);
        if !is_known && parameters.keywords.is_none() {
            return Some(format!("{} has no parameter '{name}'", callee.title));
        }
        given_by_name += usize::from(is_positional);
    }
    if let Some(missing) = callee
        .parameters
        .and_then(|parameters| missing_keyword(parameters, arguments))
    {
        return Some(format!("{} needs the argument '{missing}'", callee.title));
    }
    let count = positional + given_by_name;
    (!callee.arity.accepts(count)).then(|| {
        format!(
            "{} expected {} but got {count}",
            callee.title,
            expectation(callee.arity)
        )
    })
}

fn missing_keyword<'tree>(
    parameters: &'tree Parameters,
    arguments: &[Argument],
) -> Option<&'tree str> {
    let is_given = |name: &str| {
        arguments.iter().any(
            |one| matches!(one, Argument::Keyword { name: given, .. } if given.as_str() == name),
        )
    };
    let mut needed = parameters
        .keyword_only
        .iter()
        .filter(|parameter| parameter.default.is_none());
    needed
        .find(|parameter| !is_given(&parameter.name))
        .map(|parameter| parameter.name.as_str())
}

fn expectation(arity: Arity) -> String {
    match arity.most {
        Some(most) if most == arity.least => format!("{most} arguments"),
        Some(most) => format!("{} to {most} arguments", arity.least),
        None => format!("at least {} arguments", arity.least),
    }
}
