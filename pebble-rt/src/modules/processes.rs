//! Processes and jobs under their old names (system document section 4.1).
//!
//! | operation | arguments | answer |
//! |---|---|---|
//! | `run` | name, list of arguments | exit status; waits; a failed program's own message as a whole error |
//! | `start_job` | name, list of arguments, mode | process id |
//! | `jobs`, `records` | | list of records `pid kind state command program argv cwd ppid pgid sid attached exit_status error` |
//! | `wait_child` | parent | record, as `wait`; waits |
//! | `foreground_job`, `background_job` | id | list of lines |
//! | `foreground_group` | | number |
//! | `signals`, `drain_signals` | | list of records `signal pid pgid kind state` |
//! | `history` | | list of texts |

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{expects, integer, text};
use super::files::{Names, errno, field, file_error, number_of, resolve, value_of};
use super::text::argument_list;
use crate::error::NativeError;
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::system::{Answer, Data, Family, SystemError};
use crate::value::Value;

macro_rules! process_functions {
    ($($name:literal ($least:expr, $most:expr) $body:expr;)*) => {
        &[$(NativeFunction::new($name, $least, $most, $body).of(Family::Proc),)*]
    };
}

/// The plain functions.
pub static PLAIN: &[NativeFunction] = process_functions! {
    "run_program" (2, 2) |cx, args| run(cx, args, "run_program");
    "exec_program" (2, 2) |cx, args| run(cx, args, "exec_program");
    "start_background_job" (3, 3) start_job;
    "list_background_jobs" (0, 0) |cx, args| plain(cx, args, "jobs", job_lines);
    "list_processes" (0, 0) |cx, args| plain(cx, args, "records", process_lines);
    "list_process_records" (0, 0) |cx, args| plain(cx, args, "records", whole);
    "list_child_processes" (1, 1) children;
    "current_foreground_pgid" (0, 0) |cx, args| plain(cx, args, "foreground_group", |_, _, answer| number_of(answer));
    "foreground_job" (1, 1) |cx, args| of_job(cx, args, "foreground_job", "foreground_job");
    "background_job" (1, 1) |cx, args| of_job(cx, args, "background_job", "background_job");
    "wait_process" (1, 1) |cx, args| of_process(cx, args, "wait_process", "wait");
    "wait_child_process" (1, 1) wait_child;
    "reap_process" (1, 1) |cx, args| of_process(cx, args, "reap_process", "wait");
    "kill_process" (1, 1) kill;
    "list_signal_events" (0, 0) |cx, args| plain(cx, args, "signals", whole);
    "drain_signal_events" (0, 0) |cx, args| plain(cx, args, "drain_signals", whole);
    "shell_history" (0, 0) |cx, args| plain(cx, args, "history", whole);
    "runtime_process_context" (0, 0) |cx, args| plain(cx, args, "self", whole);
};

fn plain(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    operation: &'static str,
    resume: crate::native::Resume,
) -> NativeResult {
    cx.ask(args, Family::Proc, operation, Vec::new(), resume)
}

fn whole(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    value_of(cx, answer?)
}

fn run(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    text(args, 0, name, "a string program name and a list of strings")?;
    let arguments = argument_list(args, 1, name)?;
    let resolved = resolve(cx, args, 0, name, Names::Paths)?;
    let arguments = Data::List(arguments.into_iter().map(Data::Text).collect());
    cx.ask(
        args,
        Family::Proc,
        "run",
        vec![Data::Text(resolved), arguments],
        |_, args, answer| {
            let answer = answer.map_err(|error| file_error(args, error));
            number_of(Ok(answer?))
        },
    )
}

fn start_job(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = "start_background_job";
    let what = "a string program name, a list of strings and a mode";
    text(args, 0, name, what)?;
    let arguments = argument_list(args, 1, name)?;
    let mode = String::from(text(args, 2, name, what)?.as_str());
    if !matches!(mode.as_str(), "interp" | "bytecode" | "run" | "exec") {
        return Err(expects(name, "the mode 'interp' or 'bytecode'"));
    }
    let resolved = resolve(cx, args, 0, name, Names::Paths)?;
    let arguments = Data::List(arguments.into_iter().map(Data::Text).collect());
    cx.ask(
        args,
        Family::Proc,
        "start_job",
        vec![Data::Text(resolved), arguments, Data::Text(mode)],
        |_, args, answer| {
            let answer = answer.map_err(|error| file_error(args, error));
            number_of(Ok(answer?))
        },
    )
}

fn children(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    integer(args, 0, "list_child_processes", "an integer process id")?;
    plain(cx, args, "records", |cx, args, answer| {
        let parent = integer(args, 0, "list_child_processes", "an integer process id")?;
        let Data::List(records) = answer? else {
            return value_of(cx, Data::List(Vec::new()));
        };
        let is_child = |record: &Data| field(record, "ppid") == Some(&Data::Number(parent));
        value_of(
            cx,
            Data::List(records.into_iter().filter(is_child).collect()),
        )
    })
}

fn process_error(error: SystemError, text: String) -> NativeError {
    if error.errno == errno::NOENT {
        NativeError::system(text)
    } else {
        NativeError::from(error)
    }
}

fn of_process(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    operation: &'static str,
) -> NativeResult {
    let id = integer(args, 0, name, "an integer process id")?;
    cx.ask(
        args,
        Family::Proc,
        operation,
        vec![Data::Number(id)],
        process_record,
    )
}

fn process_record(cx: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    let id = integer(args, 0, "wait_process", "an integer process id")?;
    let record =
        answer.map_err(|error| process_error(error, format!("process {id} does not exist")))?;
    value_of(cx, record)
}

fn of_job(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    operation: &'static str,
) -> NativeResult {
    let id = integer(args, 0, name, "an integer job id")?;
    cx.ask(
        args,
        Family::Proc,
        operation,
        vec![Data::Number(id)],
        |cx, args, answer| {
            let id = integer(args, 0, "foreground_job", "an integer job id")?;
            let lines =
                answer.map_err(|error| process_error(error, format!("job {id} does not exist")))?;
            value_of(cx, lines)
        },
    )
}

fn wait_child(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let parent = integer(args, 0, "wait_child_process", "an integer process id")?;
    cx.ask(
        args,
        Family::Proc,
        "wait_child",
        vec![Data::Number(parent)],
        |cx, args, answer| {
            let parent = integer(args, 0, "wait_child_process", "an integer process id")?;
            let missing = format!("process {parent} has no child processes");
            let record = answer.map_err(|error| process_error(error, missing))?;
            value_of(cx, record)
        },
    )
}

fn kill(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = integer(args, 0, "kill_process", "an integer process id")?;
    cx.ask(
        args,
        Family::Proc,
        "kill",
        vec![Data::Number(id), Data::Number(15)],
        |cx, args, answer| {
            let id = integer(args, 0, "kill_process", "an integer process id")?;
            let record = answer
                .map_err(|error| process_error(error, format!("process {id} does not exist")))?;
            let kept = ["pid", "state", "kind", "exit_status"];
            let fields = kept
                .iter()
                .filter_map(|name| Some((String::from(*name), field(&record, name)?.clone())));
            let record = Data::Record(fields.collect());
            value_of(cx, record)
        },
    )
}

fn shown(record: &Data, name: &str) -> String {
    match field(record, name) {
        Some(Data::Text(text)) => text.clone(),
        Some(Data::Number(number)) => format!("{number}"),
        _ => String::new(),
    }
}

fn job_lines(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    lines(cx, answer, |record| {
        format!(
            "[{}] {} {}",
            shown(record, "pid"),
            shown(record, "state"),
            shown(record, "command")
        )
    })
}

fn process_lines(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    lines(cx, answer, |record| {
        let arguments = match field(record, "argv") {
            Some(Data::List(arguments)) => arguments.len(),
            _ => 0,
        };
        format!(
            "{} {} {} cwd={} argv={arguments} cmd={}",
            shown(record, "pid"),
            shown(record, "kind"),
            shown(record, "state"),
            shown(record, "cwd"),
            shown(record, "command"),
        )
    })
}

fn lines(
    cx: &mut NativeContext<'_>,
    answer: Answer,
    line: impl Fn(&Data) -> String,
) -> NativeResult {
    let Data::List(records) = answer? else {
        return value_of(cx, Data::List(Vec::new()));
    };
    value_of(
        cx,
        Data::List(
            records
                .iter()
                .map(|record| Data::Text(line(record)))
                .collect(),
        ),
    )
}
