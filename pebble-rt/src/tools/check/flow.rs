//! Code that is never reached.

use super::{Diagnostic, Severity};
use crate::syntax::ast::{Expr, ExprKind, Integer, Stmt, StmtKind};
use crate::tools::bindings::for_each_block;
use alloc::vec::Vec;

/// Reports the first statement of each block that nothing leads to.
pub(super) fn check_flow(body: &[Stmt], found: &mut Vec<Diagnostic>) {
    for pair in body.windows(2) {
        if ends(&pair[0]) {
            found.push(Diagnostic {
                severity: Severity::Warning,
                code: "unreachable",
                message: "this code is never reached".into(),
                span: pair[1].span,
                suggestion: None,
            });
            break;
        }
    }
    for statement in body {
        for_each_block(statement, &mut |block| check_flow(block, found));
        match &statement.kind {
            StmtKind::Function(function) => check_flow(&function.body, found),
            StmtKind::Class(class) => check_flow(&class.body, found),
            StmtKind::Record(record) => check_flow(&record.body, found),
            StmtKind::Enum(definition) => check_flow(&definition.body, found),
            _ => {}
        }
    }
}

/// True when nothing can run behind the statement.
fn ends(statement: &Stmt) -> bool {
    match &statement.kind {
        StmtKind::Return(_) | StmtKind::Raise(_) | StmtKind::Break | StmtKind::Continue => true,
        StmtKind::If {
            branches,
            otherwise: Some(otherwise),
        } => branches.iter().all(|(_, block)| block_ends(block)) && block_ends(otherwise),
        StmtKind::While {
            condition,
            body,
            otherwise: None,
        } => is_always_true(condition) && !breaks(body),
        StmtKind::Try(statement) => {
            let handlers_end = statement
                .handlers
                .iter()
                .all(|handler| block_ends(&handler.body));
            let body_ends = block_ends(&statement.body)
                || statement.otherwise.as_deref().is_some_and(block_ends);
            (body_ends && handlers_end) || statement.finally.as_deref().is_some_and(block_ends)
        }
        _ => false,
    }
}

fn block_ends(block: &[Stmt]) -> bool {
    block.iter().any(ends)
}

fn is_always_true(condition: &Expr) -> bool {
    match &condition.kind {
        ExprKind::Boolean(value) => *value,
        ExprKind::Integer(Integer::Small(value)) => *value != 0,
        _ => false,
    }
}

/// True when a `break` in the block ends the loop that the block belongs to.
fn breaks(block: &[Stmt]) -> bool {
    block.iter().any(|statement| match &statement.kind {
        StmtKind::Break => true,
        // A `break` in an inner loop's body is the inner loop's; one in its `else` is ours.
        StmtKind::While { otherwise, .. } | StmtKind::For { otherwise, .. } => {
            otherwise.as_deref().is_some_and(breaks)
        }
        _ => {
            let mut has_break = false;
            for_each_block(statement, &mut |inner| has_break |= breaks(inner));
            has_break
        }
    })
}
