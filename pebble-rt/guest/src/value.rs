//! A program that is run for its value: its last statement may be an expression, whose value is reported beside what was printed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use pebble_rt::engine::ProgramError;
use pebble_rt::syntax::ast::{ExprKind, StmtKind};
use pebble_rt::syntax::parse_interactive;
use pebble_rt::vm::Vm;
use protocols::process::{Report, Thrown};

/// Where the value is kept.
const VALUE: &str = "_";
/// Bytes of a value's text, at most.
const MAX_TEXT: usize = 1 << 20;
/// What the value is as text, made by the language itself, so that a program's own `__repr__` counts.
const DESCRIBE: &str = "\
import json
__repr = repr(_)
try:
    __json = json.stringify(_)
except Error:
    __json = \"\"
";

/// The program with its last statement kept as [`VALUE`], if that is an expression. Lines stay where they are.
pub fn keeping_value(source: &str) -> Option<String> {
    let module = parse_interactive(source).ok()?;
    let last = module.body.last()?;
    let StmtKind::Expression(value) = &last.kind else {
        return None;
    };
    if matches!(value.kind, ExprKind::Yield(_)) {
        return None;
    }
    let (before, rest) = source.split_at_checked(last.span.start as usize)?;
    Some(format!("{before}{VALUE} = {rest}"))
}

/// What there is to say about a program that has ended.
pub fn report(vm: &mut Vm, has_value: bool, error: Option<&ProgramError>) -> Report {
    let steps = vm.steps();
    let (repr, value) = if has_value && error.is_none() {
        describe(vm)
    } else {
        (None, None)
    };
    Report {
        value,
        repr,
        steps,
        thrown: error.map(thrown),
    }
}

fn describe(vm: &mut Vm) -> (Option<String>, Option<String>) {
    let described = vm
        .load_source("value", DESCRIBE)
        .and_then(|()| vm.run_to_end());
    let mut text = |name| {
        vm.global_text(name)
            .filter(|text| !text.is_empty() && text.len() <= MAX_TEXT)
    };
    match described {
        Ok(_) => (text("__repr"), text("__json")),
        // Its own methods fail: there is a value, and no text of it.
        Err(_) => (Some(String::new()), None),
    }
}

fn thrown(error: &ProgramError) -> Thrown {
    let trace: Vec<(String, String, u32)> = error
        .trace
        .iter()
        .map(|entry| (entry.function.clone(), entry.label.clone(), entry.line))
        .collect();
    Thrown {
        class: error.class.clone(),
        detail: error.detail.to_string(),
        file: error.label.clone(),
        line: error.line,
        trace,
    }
}
