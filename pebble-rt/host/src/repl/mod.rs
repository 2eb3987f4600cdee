//! `pebble repl`: a prompt. What is defined stays; the value of a lone expression is shown.

mod completion;
mod input;

use crate::arguments::Arguments;
use crate::{complain, environment, launch};
use completion::Names;
use input::{Asked, Source};
use pebble::system::{Ending, Machine, MachineOptions, run_session};
use pebble_rt::engine::{ProgramError, Vm};
use pebble_rt::syntax::ast::{ExprKind, StmtKind};
use pebble_rt::syntax::parse_interactive;
use pebble_rt::system::{Grants, Stream};
use pebble_rt::tools::suggest;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What errors call the input.
const LABEL: &str = "input";

/// Serves a person, or a file of inputs, until the end of the input.
pub fn run(mut arguments: Arguments) -> ExitCode {
    if let Some(word) = arguments.next_word() {
        return complain(&format!("repl does not take '{word}'"));
    }
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("."));
    let machine = match Machine::new(MachineOptions::for_root(&root), launch::launch) {
        Ok(machine) => machine,
        Err(error) => return complain(&format!("{}: {error}", root.display())),
    };
    match run_session(&machine, Grants::ALL) {
        Ok(status) => ExitCode::from((status & 0xff) as u8),
        Err(error) => complain(&error.text),
    }
}

/// One session on the command's own input and output.
pub fn session(machine: &Arc<Machine>, pid: i64, vm: &mut Vm) -> Ending {
    let mut source = Source::standard(Names::standard());
    loop {
        // Ctrl-C ended what ran before, not the session.
        machine.with_process(pid, |process| process.stop_signal = 0);
        let input = match source.ask() {
            Asked::Ended => break,
            Asked::Interrupted => continue,
            Asked::Input(input) => input,
        };
        match input.trim() {
            "" => continue,
            "exit" | "quit" => break,
            _ => {}
        }
        match evaluate(vm, &input) {
            Ok(None) => {}
            Ok(Some(status)) => {
                return Ending {
                    state: "done",
                    status: i64::from(status),
                    error: String::new(),
                };
            }
            Err(error) => {
                let meant = likely_name(vm, &error);
                let details = launch::details(&error, text_of(&error, &input), meant.as_deref());
                let text = format!("{}{details}\n", shown(&error));
                // Where nobody reads errors, nobody misses this one.
                let _ = vm.system().write(Stream::Error, &text);
            }
        }
        // Writing an error, even an empty one, brings out what was printed before.
        let _ = vm.system().write(Stream::Error, "");
        source.learn(vm.global_names().into_iter());
    }
    Ending {
        state: "done",
        status: 0,
        error: String::new(),
    }
}

/// The text that an error's line is a line of, where it is known.
fn text_of<'input>(error: &ProgramError, input: &'input str) -> &'input str {
    if error.label == LABEL && input.trim_end().contains('\n') {
        input
    } else {
        ""
    }
}

/// The name that an unknown one was probably meant to be.
fn likely_name(vm: &Vm, error: &ProgramError) -> Option<String> {
    let name = launch::unknown_name(&error.detail)?;
    let globals = vm.global_names();
    let environment = environment::standard();
    let candidates = globals
        .iter()
        .map(String::as_str)
        .chain(environment.names());
    suggest(name, candidates).map(str::to_owned)
}

/// Runs one input. A status is what `exit` asked for.
fn evaluate(vm: &mut Vm, input: &str) -> Result<Option<i32>, ProgramError> {
    let source = echoing(input).unwrap_or_else(|| input.to_owned());
    vm.load_source(LABEL, &source)?;
    let status = launch::run(vm)?;
    Ok((status != 0).then_some(status))
}

/// The input with what shows its value, if it is one expression. `_` keeps the value. A call that gives nothing (`None`, or the 0
/// of a function without `return`) shows nothing.
fn echoing(input: &str) -> Option<String> {
    let module = parse_interactive(input).ok()?;
    let [statement] = module.body.as_slice() else {
        return None;
    };
    let StmtKind::Expression(value) = &statement.kind else {
        return None;
    };
    let text = input.get(statement.span.start as usize..statement.span.end as usize)?;
    let show = "print repr(_)";
    Some(match value.kind {
        ExprKind::Call { .. } => {
            format!("_ = {text}\nif str(_) != \"None\" and str(_) != \"0\":\n    {show}\n")
        }
        ExprKind::Yield(_) => return None,
        _ => format!("_ = {text}\n{show}\n"),
    })
}

/// An error without the label where it is about the input itself, which has one line in most cases.
fn shown(error: &ProgramError) -> String {
    let text = error.to_string();
    match text
        .strip_prefix(LABEL)
        .and_then(|rest| rest.strip_prefix(':'))
    {
        Some(rest) => format!("line {rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::echoing;

    #[test]
    fn only_lone_expressions_are_shown() {
        assert_eq!(
            echoing("1 + 2\n").as_deref(),
            Some("_ = 1 + 2\nprint repr(_)\n")
        );
        assert_eq!(
            echoing("(1 +\n 2) # c\n").as_deref(),
            Some("_ = (1 +\n 2)\nprint repr(_)\n")
        );
        assert!(echoing("f(1)\n").is_some_and(|text| text.contains("if str(_)")));
        assert_eq!(echoing("x = 1\n"), None);
        assert_eq!(echoing("print 1\n"), None);
        assert_eq!(echoing("x = = 1\n"), None);
    }
}
