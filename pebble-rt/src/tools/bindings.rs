//! Which names a stretch of code binds.

use crate::syntax::ast::{
    ExceptFilter, ExprKind, FunctionDef, Name, Pattern, PatternKind, Span, Stmt, StmtKind, Target,
};
use alloc::string::{String, ToString};

/// What a name is bound to, as far as the place where it is bound tells.
#[derive(Clone, Copy)]
pub enum Binding<'tree> {
    /// By an assignment, a loop, a pattern or the like.
    Variable,
    /// By `import`: the module's dotted name is in the statement.
    Module,
    /// By `def`.
    Function(&'tree FunctionDef),
    /// By `class`.
    Class(&'tree crate::syntax::ast::ClassDef),
    /// By `record`.
    Record(&'tree crate::syntax::ast::RecordDef),
    /// By `enum`.
    Enum(&'tree crate::syntax::ast::EnumDef),
}

/// Calls `visit` with each name that the statements bind in their own scope: blocks inside them are, functions and classes inside
/// them are not looked into. Names that a `global` or `nonlocal` gives away count too; see [`given_away`].
pub fn for_each_binding<'tree>(
    body: &'tree [Stmt],
    visit: &mut dyn FnMut(&'tree Name, Span, Binding<'tree>),
) {
    for statement in body {
        bindings_of(statement, visit);
        for_each_block(statement, &mut |block| for_each_binding(block, visit));
    }
}

fn bindings_of<'tree>(
    statement: &'tree Stmt,
    visit: &mut dyn FnMut(&'tree Name, Span, Binding<'tree>),
) {
    let mut target_names = |target: &'tree Target| {
        target.for_each_name(&mut |name, span| visit(name, span, Binding::Variable));
    };
    match &statement.kind {
        StmtKind::Assign { targets, .. } => targets.iter().for_each(target_names),
        StmtKind::AugmentedAssign { target, .. } | StmtKind::For { target, .. } => {
            target_names(target)
        }
        StmtKind::With { items, .. } => items
            .iter()
            .filter_map(|item| item.target.as_ref())
            .for_each(target_names),
        StmtKind::Import(items) => {
            for item in items {
                if let Some(name) = item.alias.as_ref().or(item.path.first()) {
                    visit(name, item.span, Binding::Module);
                }
            }
        }
        StmtKind::FromImport { names, .. } => {
            for imported in names {
                visit(
                    imported.alias.as_ref().unwrap_or(&imported.name),
                    imported.span,
                    Binding::Variable,
                );
            }
        }
        StmtKind::Function(function) => visit(
            &function.name,
            function.name_span,
            Binding::Function(function),
        ),
        StmtKind::Class(class) => visit(&class.name, class.name_span, Binding::Class(class)),
        StmtKind::Record(record) => visit(&record.name, record.name_span, Binding::Record(record)),
        StmtKind::Enum(definition) => visit(
            &definition.name,
            definition.name_span,
            Binding::Enum(definition),
        ),
        StmtKind::Try(statement) => {
            for handler in &statement.handlers {
                match &handler.filter {
                    ExceptFilter::Name(name)
                    | ExceptFilter::Types {
                        binding: Some(name),
                        ..
                    } => {
                        visit(name, handler.span, Binding::Variable);
                    }
                    ExceptFilter::All | ExceptFilter::Types { binding: None, .. } => {}
                }
            }
        }
        StmtKind::Match { cases, .. } => {
            for case in cases {
                pattern_names(&case.pattern, &mut |name, span| {
                    visit(name, span, Binding::Variable)
                });
            }
        }
        _ => {}
    }
}

/// Calls `visit` with each name that a pattern binds.
fn pattern_names<'tree>(pattern: &'tree Pattern, visit: &mut dyn FnMut(&'tree Name, Span)) {
    match &pattern.kind {
        PatternKind::Wildcard | PatternKind::Value(_) | PatternKind::Star(None) => {}
        PatternKind::Capture(name) | PatternKind::Star(Some(name)) => visit(name, pattern.span),
        PatternKind::Sequence(items) | PatternKind::Or(items) => {
            items.iter().for_each(|item| pattern_names(item, visit))
        }
        PatternKind::Mapping { entries, rest } => {
            entries
                .iter()
                .for_each(|(_, value)| pattern_names(value, visit));
            if let Some(name) = rest {
                visit(name, pattern.span);
            }
        }
        PatternKind::Class(class) => {
            class
                .positional
                .iter()
                .for_each(|item| pattern_names(item, visit));
            class
                .keywords
                .iter()
                .for_each(|(_, value)| pattern_names(value, visit));
        }
        PatternKind::As {
            pattern: inner,
            name,
        } => {
            pattern_names(inner, visit);
            visit(name, pattern.span);
        }
    }
}

/// Calls `visit` with each block of a statement that is not a scope of its own.
pub fn for_each_block<'tree>(statement: &'tree Stmt, visit: &mut dyn FnMut(&'tree [Stmt])) {
    match &statement.kind {
        StmtKind::If {
            branches,
            otherwise,
        } => {
            branches.iter().for_each(|(_, body)| visit(body));
            otherwise.iter().for_each(|body| visit(body));
        }
        StmtKind::While {
            body, otherwise, ..
        }
        | StmtKind::For {
            body, otherwise, ..
        } => {
            visit(body);
            otherwise.iter().for_each(|body| visit(body));
        }
        StmtKind::Try(statement) => {
            visit(&statement.body);
            statement
                .handlers
                .iter()
                .for_each(|handler| visit(&handler.body));
            statement
                .otherwise
                .iter()
                .chain(&statement.finally)
                .for_each(|body| visit(body));
        }
        StmtKind::With { body, .. } => visit(body),
        StmtKind::Match { cases, .. } => cases.iter().for_each(|case| visit(&case.body)),
        _ => {}
    }
}

/// Calls `visit` with each name that a `global` or `nonlocal` statement of this scope names.
pub fn given_away<'tree>(body: &'tree [Stmt], visit: &mut dyn FnMut(&'tree Name, GivenTo)) {
    for statement in body {
        match &statement.kind {
            StmtKind::Global(names) => names.iter().for_each(|name| visit(name, GivenTo::Module)),
            StmtKind::Nonlocal(names) => names
                .iter()
                .for_each(|name| visit(name, GivenTo::Enclosing)),
            _ => for_each_block(statement, &mut |block| given_away(block, visit)),
        }
    }
}

/// Where a name that a scope gives away belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GivenTo {
    /// `global`
    Module,
    /// `nonlocal`
    Enclosing,
}

/// A function's head as a person would write it.
pub fn signature(function: &FunctionDef) -> String {
    let mut text = String::from(function.name.as_str());
    text.push('(');
    text.push_str(&parameter_text(&function.parameters));
    text.push(')');
    text
}

/// A parameter list as a person would write it; defaults that are no literals are shown as `…`.
pub fn parameter_text(parameters: &crate::syntax::ast::Parameters) -> String {
    let with_default = |parameter: &crate::syntax::ast::Parameter| {
        let mut text = parameter.name.to_string();
        if let Some(default) = &parameter.default {
            text.push('=');
            text.push_str(&literal_text(&default.kind));
        }
        text
    };
    let mut parts: alloc::vec::Vec<String> =
        parameters.positional.iter().map(with_default).collect();
    match &parameters.rest {
        Some(rest) => parts.push(alloc::format!("*{}", rest.name)),
        None if !parameters.keyword_only.is_empty() => parts.push("*".into()),
        None => {}
    }
    parts.extend(parameters.keyword_only.iter().map(with_default));
    parts.extend(
        parameters
            .keywords
            .iter()
            .map(|keywords| alloc::format!("**{}", keywords.name)),
    );
    parts.join(", ")
}

fn literal_text(kind: &ExprKind) -> String {
    match kind {
        ExprKind::None => "None".into(),
        ExprKind::Boolean(true) => "True".into(),
        ExprKind::Boolean(false) => "False".into(),
        ExprKind::Integer(crate::syntax::ast::Integer::Small(value)) => value.to_string(),
        ExprKind::Float(value) => value.to_string(),
        ExprKind::String(text) => alloc::format!("{text:?}"),
        ExprKind::Name(name) => name.to_string(),
        ExprKind::List(items) if items.is_empty() => "[]".into(),
        ExprKind::Dict(entries) if entries.is_empty() => "{}".into(),
        _ => "…".into(),
    }
}
