//! Runs one program of the machine's process table with an engine of its own.

use crate::{environment, profile, repl};
use pebble::system::{Ending, HostSystem, Machine};
use pebble_rt::engine::{Limits, ProgramError, Step, Vm};
use pebble_rt::modules::LIBRARY;
use pebble_rt::syntax::SourceMap;
use pebble_rt::system::Data;
use pebble_rt::tools::check::check;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

/// Steps between two looks at the outside.
const FUEL: u64 = 1_000_000;

/// What the command line asks of every program.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Show the calls that led to an uncaught error, below its line.
    pub shows_trace: bool,
    /// Count where the time goes.
    pub profiles: bool,
    /// A function to call when the program has run, as `pebble test` does.
    pub call: Option<String>,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Sets what holds for all programs of this command. The first call counts.
pub fn configure(settings: Settings) {
    let _ = SETTINGS.set(settings);
}

/// Runs process `pid` of the table to its end. A process without a program is a session at the prompt.
pub fn launch(machine: Arc<Machine>, pid: i64, system: HostSystem) -> Ending {
    let program = machine
        .with_process(pid, |process| process.program.clone())
        .unwrap_or_default();
    let mut vm = new_vm(&machine, pid, system);
    if program.is_empty() {
        return repl::session(&machine, pid, &mut vm);
    }
    let content = match machine.sandbox().read(&program) {
        Ok(content) => content,
        Err(error) => return failed(error.text),
    };
    let loaded = match std::str::from_utf8(&content) {
        Ok(source) => vm.load_source(&program, source),
        Err(_) => vm.load_bytecode(&program, &content),
    };
    match loaded
        .and_then(|()| run_until_stopped(&machine, pid, &mut vm))
        .and_then(|status| call(&mut vm, &program, status))
    {
        Ok(status) => Ending {
            state: "done",
            status: i64::from(status),
            error: String::new(),
        },
        Err(error) => ending_of(&machine, pid, &error),
    }
}

/// An engine for a process, with the variables that every program finds.
fn new_vm(machine: &Arc<Machine>, pid: i64, system: HostSystem) -> Vm {
    let (arguments, environment) = machine
        .with_process(pid, |process| {
            (process.arguments.clone(), process.environment.clone())
        })
        .unwrap_or_default();
    let mut vm = Vm::new(Limits::default(), arguments, Box::new(system), &[&LIBRARY]);
    machine.set_interrupt(pid, vm.interrupt_handle());
    let path = environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.clone())
        .unwrap_or_default();
    let environment = environment
        .into_iter()
        .map(|(name, value)| (name, Data::Text(value)))
        .collect();
    let variables = [
        ("CWD", Data::Text(machine.working_directory_of(pid))),
        ("ENV", Data::Record(environment)),
        ("PATH", Data::Text(path)),
        ("FS_MODE", Data::Text("hostfs".into())),
        (
            "SYSTEM_RUNTIME_PATH",
            Data::Text("system/runtime.peb".into()),
        ),
    ];
    for (name, value) in variables {
        // Fails only where the memory limit leaves no room for it; the program then finds out on its first step.
        let _ = vm.set_global(name, value);
    }
    vm
}

/// Runs what is loaded to its end.
pub fn run(vm: &mut Vm) -> Result<i32, ProgramError> {
    if SETTINGS.get().is_some_and(|settings| settings.profiles) {
        return profile::run(vm);
    }
    loop {
        match vm.run(FUEL) {
            Step::Finished(status) => return Ok(status),
            Step::Failed(error) => return Err(error),
            Step::Yielded => {}
            Step::Blocked(patience) => vm.wait(patience),
        }
    }
}

/// How often a program that was asked to end may go on, for its handlers.
const LAST_TURNS: u32 = 2;

/// As [`run`], but a program that goes on after it was asked to end is not run any further.
fn run_until_stopped(machine: &Machine, pid: i64, vm: &mut Vm) -> Result<i32, ProgramError> {
    if SETTINGS.get().is_some_and(|settings| settings.profiles) {
        return profile::run(vm);
    }
    let mut turns_left = LAST_TURNS;
    loop {
        let step = vm.run(FUEL);
        let is_asked = machine.stop_signal(pid) != 0;
        match step {
            Step::Finished(status) => return Ok(status),
            Step::Failed(error) => return Err(error),
            Step::Blocked(patience) if !is_asked => vm.wait(patience),
            Step::Yielded | Step::Blocked(_) => {}
        }
        if is_asked {
            turns_left -= 1;
            if turns_left == 0 {
                return Err(interrupted());
            }
        }
    }
}

/// What a program ends with that did not heed the request to end.
fn interrupted() -> ProgramError {
    ProgramError {
        label: String::new(),
        line: 0,
        detail: "interrupted".into(),
        class: "Interrupt".into(),
        excerpt: None,
        suggestion: None,
        trace: Vec::new(),
    }
}

/// Calls the function that the command line asks for, unless the program has failed.
fn call(vm: &mut Vm, program: &str, status: i32) -> Result<i32, ProgramError> {
    match SETTINGS.get().and_then(|settings| settings.call.as_ref()) {
        Some(function) if status == 0 => {
            vm.load_source(program, &format!("{function}()"))?;
            run(vm)
        }
        _ => Ok(status),
    }
}

fn failed(error: String) -> Ending {
    Ending {
        state: "error",
        status: 1,
        error,
    }
}

/// How a process ended that an error has ended: by a signal, or by a mistake.
fn ending_of(machine: &Machine, pid: i64, error: &ProgramError) -> Ending {
    match machine.stop_signal(pid) {
        2 if error.class == "Interrupt" => Ending {
            state: "interrupted",
            status: 130,
            error: String::new(),
        },
        signal if signal != 0 && error.class == "Interrupt" => Ending {
            state: "terminated",
            status: 143,
            error: String::new(),
        },
        _ => {
            let mut text = error.to_string();
            if SETTINGS.get().is_some_and(|settings| settings.shows_trace) {
                let source = machine.sandbox().read(&error.label).unwrap_or_default();
                let source = String::from_utf8_lossy(&source);
                text += &details(error, &source, likely_name(error, &source).as_deref());
            }
            failed(text)
        }
    }
}

/// What a person may want to know beyond an error's line: the line itself with a mark, what was probably meant, and the calls that
/// led there. `source` is the text of the file that the error names.
pub fn details(error: &ProgramError, source: &str, suggestion: Option<&str>) -> String {
    let mut text = String::new();
    if error.excerpt.is_none()
        && let Some(line) = SourceMap::new(source)
            .line(error.line)
            .filter(|line| !line.trim().is_empty())
    {
        let (start, width) = marked(line, &error.detail);
        let _ = write!(
            text,
            "\n  | {line}\n  | {}{}",
            " ".repeat(start),
            "^".repeat(width)
        );
    }
    if let Some(name) = error.suggestion.as_deref().or(suggestion) {
        let _ = write!(text, "\n  did you mean '{name}'?");
    }
    if error.trace.len() > 1 {
        text += "\n  calls, the last one last:";
        for entry in &error.trace {
            let function = if entry.function.is_empty() {
                "top level"
            } else {
                &entry.function
            };
            let _ = write!(text, "\n    {}:{} in {function}", entry.label, entry.line);
        }
    }
    text
}

/// The name that an unknown one in a program was probably meant to be: what the checker says of it.
fn likely_name(error: &ProgramError, source: &str) -> Option<String> {
    let message = format!("unknown name '{}'", unknown_name(&error.detail)?);
    let findings = check(source, &environment::standard());
    findings
        .into_iter()
        .find(|finding| finding.message == message)?
        .suggestion
}

/// The name that an error says is unknown.
pub fn unknown_name(detail: &str) -> Option<&str> {
    let prefixes = ["unknown variable '", "unknown builtin '"];
    prefixes
        .iter()
        .find_map(|prefix| detail.strip_prefix(prefix)?.strip_suffix('\''))
}

/// Where the mark under a line begins and how wide it is, in characters: under the name that the error quotes if it stands in the
/// line, else under all of it.
fn marked(line: &str, detail: &str) -> (usize, usize) {
    let quoted = detail.split('\'').nth(1).filter(|name| !name.is_empty());
    let found = quoted.and_then(|name| Some((find_word(line, name)?, name)));
    match found {
        Some((at, name)) => (line[..at].chars().count(), name.chars().count()),
        None => {
            let code = line.trim();
            (
                line.chars()
                    .take_while(|character| *character == ' ')
                    .count(),
                code.chars().count().max(1),
            )
        }
    }
}

/// The place of `word` in `line` where it is no part of a longer name.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let is_name_part = |character: char| character == '_' || character.is_alphanumeric();
    let stands_alone = |at: &usize| {
        let is_word = word.starts_with(is_name_part);
        let before = line[..*at].chars().next_back().is_some_and(is_name_part);
        let after = line[at + word.len()..]
            .chars()
            .next()
            .is_some_and(is_name_part);
        !is_word || (!before && !after)
    };
    line.match_indices(word)
        .map(|(at, _)| at)
        .find(stands_alone)
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn the_mark_stands_under_what_the_error_quotes() {
        assert_eq!(marked("    print xs + x", "unknown variable 'x'"), (15, 1));
        assert_eq!(marked("    é = 1 / 0", "division by zero"), (4, 9));
        assert_eq!(marked("", "division by zero"), (0, 1));
    }
}
