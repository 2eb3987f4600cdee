//! The verbs of `cargo xtask`: a file and a line each.

pub mod bench;
pub mod bench_pebble;
pub mod build;
pub mod ci;
pub mod console;
pub mod docs;
pub mod doctor;
pub mod fuzz;
pub mod image;
pub mod new;
pub mod qemu;
pub mod rpc;
pub mod sizes;
pub mod spec_coverage;
pub mod stop;
pub mod test;

use crate::arguments::Arguments;
use anyhow::Result;
use std::ffi::OsString;
use std::process::ExitCode;

/// Something that `cargo xtask` does.
pub struct Verb {
    /// How it is called.
    pub name: &'static str,
    /// What it takes, for the help.
    pub usage: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// Does it.
    pub run: fn(Arguments) -> Result<()>,
}

/// All verbs, in the order of the help.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "qemu",
        usage: qemu::USAGE,
        help: "Build everything and boot it; the terminal becomes its console",
        run: qemu::run,
    },
    Verb {
        name: "console",
        usage: "[NAME]",
        help: "Attach to the console of a running guest; Ctrl-] leaves it",
        run: console::run,
    },
    Verb {
        name: "stop",
        usage: "[NAME]...",
        help: "End running guests",
        run: stop::run,
    },
    Verb {
        name: "rpc",
        usage: rpc::USAGE,
        help: "Call a method of a running guest's agentd and print the result",
        run: rpc::run,
    },
    Verb {
        name: "test",
        usage: test::USAGE,
        help: "Style, host tests, the suite inside the guest, then the scenarios",
        run: test::run,
    },
    Verb {
        name: "bench",
        usage: bench::USAGE,
        help: "Count what operations cost, in instructions and switches of address spaces",
        run: bench::run,
    },
    Verb {
        name: "build",
        usage: build::USAGE,
        help: "Build the kernel and the guest's programs, all or those named",
        run: build::run,
    },
    Verb {
        name: "image",
        usage: "",
        help: "Build everything and make the boot image",
        run: image::run,
    },
    Verb {
        name: "doctor",
        usage: "",
        help: "Say what this host lacks, and install it",
        run: doctor::run,
    },
    Verb {
        name: "spec-coverage",
        usage: "",
        help: "Which paragraphs and errors of Pebble's definition have no program",
        run: spec_coverage::run,
    },
    Verb {
        name: "new",
        usage: new::USAGE,
        help: "Make a skeleton of a driver, a server or a protocol",
        run: new::run,
    },
    Verb {
        name: "docs",
        usage: docs::USAGE,
        help: "Make the reference of the code and the pages of the protocols",
        run: docs::run,
    },
    Verb {
        name: "sizes",
        usage: "",
        help: "Count the kernel's lines and the bytes of every program",
        run: sizes::run,
    },
    Verb {
        name: "fuzz",
        usage: fuzz::USAGE,
        help: "Run the property tests with many more cases than usual",
        run: fuzz::run,
    },
    Verb {
        name: "ci",
        usage: "",
        help: "Exactly what continuous integration runs",
        run: ci::run,
    },
];

/// Runs the verb that the command line names.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        print!("{}", help());
        return ExitCode::SUCCESS;
    };
    let name = name.to_string_lossy();
    if ["help", "--help", "-h"].contains(&name.as_ref()) {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        eprintln!("cargo xtask has no verb {name:?}\n\n{}", help());
        return ExitCode::FAILURE;
    };
    let mut words = words.peekable();
    if words.peek().is_some_and(|word| word == "--help") {
        println!(
            "usage: cargo xtask {} {}\n{}",
            verb.name, verb.usage, verb.help
        );
        return ExitCode::SUCCESS;
    }
    match Arguments::new(words).and_then(verb.run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let line = |verb: &Verb| format!("  {:<14} {}\n", verb.name, verb.help);
    let lines: String = VERBS.iter().map(line).collect();
    format!(
        "usage: cargo xtask VERB [ARGUMENT]...\n\n{lines}\n`cargo xtask VERB --help` shows the arguments of a verb.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_one_line_of_help() {
        for verb in VERBS {
            assert!(
                !verb.help.is_empty() && !verb.help.contains('\n'),
                "{}",
                verb.name
            );
            assert!(help().contains(verb.help), "{}", verb.name);
        }
    }

    #[test]
    fn the_documents_speak_of_verbs_and_options_that_there_are() {
        let root = crate::workspace::root();
        for path in ["README.md", "docs/GETTING_STARTED.md"] {
            let text = std::fs::read_to_string(root.join(path)).expect("it is there");
            for command in text.split("cargo xtask ").skip(1) {
                let command = command.split(['`', '\n', '#']).next().unwrap_or_default();
                let mut words = command.split_whitespace();
                let name = words.next().unwrap_or_default();
                let verb = VERBS.iter().find(|verb| verb.name == name);
                let verb = verb.unwrap_or_else(|| panic!("{path} speaks of the verb {name:?}"));
                for option in words.filter(|word| word.starts_with("--")) {
                    assert!(verb.usage.contains(option), "{path}: {name} {option}");
                }
            }
        }
    }

    #[test]
    fn no_verb_is_there_twice() {
        for (index, verb) in VERBS.iter().enumerate() {
            assert!(
                VERBS[..index].iter().all(|other| other.name != verb.name),
                "{}",
                verb.name
            );
        }
    }
}
