//! The host command `pebble`: run, check, format and test Pebble programs, and serve editors.
#![forbid(unsafe_code)]
#![allow(
    clippy::result_large_err,
    reason = "an error ends a program, so its size costs nothing"
)]

mod arguments;
mod check;
mod diagnostics;
mod dis;
mod environment;
mod format;
mod launch;
mod lsp;
mod profile;
mod repl;
mod run;
mod sources;
mod test;

use arguments::Arguments;
use std::process::ExitCode;

/// What was asked for makes no sense: a usage error.
const USAGE_STATUS: u8 = 2;

/// Something the command can do.
struct Verb {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    run: fn(Arguments) -> ExitCode,
}

const VERBS: [Verb; 8] = [
    Verb {
        name: "run",
        usage: "[--trace] [--profile] FILE [ARG…]",
        help: "Run a program",
        run: run::run,
    },
    Verb {
        name: "exec",
        usage: "[--trace] [--profile] FILE [ARG…]",
        help: "Run a program; the original system's second way to do it",
        run: run::run,
    },
    Verb {
        name: "repl",
        usage: "",
        help: "Try things at a prompt",
        run: repl::run,
    },
    Verb {
        name: "test",
        usage: "[FILE…]",
        help: "Run every *_test.peb and the functions test_… in it",
        run: test::run,
    },
    Verb {
        name: "check",
        usage: "[--json] [FILE…]",
        help: "Find mistakes without running",
        run: check::run,
    },
    Verb {
        name: "format",
        usage: "[--check] [FILE…]",
        help: "Lay programs out in one way",
        run: format::run,
    },
    Verb {
        name: "dis",
        usage: "FILE",
        help: "Show the bytecode of a program",
        run: dis::run,
    },
    Verb {
        name: "lsp",
        usage: "",
        help: "Serve an editor on standard input and output",
        run: lsp::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_command_line();
    let Some(word) = arguments.next_word() else {
        print!("{}", overview());
        return ExitCode::from(USAGE_STATUS);
    };
    match VERBS.iter().find(|verb| verb.name == word) {
        Some(verb) => (verb.run)(arguments),
        None if matches!(word.as_str(), "help" | "-h") => {
            print!("{}", overview());
            ExitCode::SUCCESS
        }
        None => complain(&format!(
            "there is no '{word}'; `pebble help` lists what there is"
        )),
    }
}

/// Reports a usage error.
fn complain(text: &str) -> ExitCode {
    eprintln!("pebble: {text}");
    ExitCode::from(USAGE_STATUS)
}

fn overview() -> String {
    let mut text = String::from("usage: pebble [--root DIR] COMMAND …\n\n");
    for verb in &VERBS {
        text += &format!(
            "  {:38} {}\n",
            format!("{} {}", verb.name, verb.usage),
            verb.help
        );
    }
    text += "\nThe folder DIR, by default the current one, is the program's `/`; FILE is looked up in it.\n";
    text
}
