//! `pebble format`: lays programs out in place; with `--check` only says which are not.

use crate::arguments::Arguments;
use crate::{complain, sources};
use pebble_rt::tools::format;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Formats the named files (`-` is standard input to standard output), or all below the root.
pub fn run(mut arguments: Arguments) -> ExitCode {
    let words = arguments.all_words();
    if let Some(switch) = arguments.unknown_switch(&["--check"]) {
        return complain(&format!("format has no option {switch}"));
    }
    if words == ["-"] {
        return format_input();
    }
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("."));
    let files = match sources::find(&root, &words) {
        Ok(files) => files,
        Err(error) => return complain(&error.to_string()),
    };
    let mut is_clean = true;
    for path in files {
        let label = sources::label(&root, &path);
        let source = match fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) => return complain(&format!("{label}: {error}")),
        };
        match format(&source) {
            Ok(formatted) if formatted == source => {}
            Ok(_) if arguments.has("--check") => {
                is_clean = false;
                println!("{label}");
            }
            Ok(formatted) => match fs::write(&path, formatted) {
                Ok(()) => println!("{label}"),
                Err(error) => return complain(&format!("{label}: {error}")),
            },
            Err(error) => {
                is_clean = false;
                eprintln!(
                    "{}",
                    error.to_string().replacen("line ", &format!("{label}:"), 1)
                );
            }
        }
    }
    ExitCode::from(u8::from(!is_clean))
}

fn format_input() -> ExitCode {
    let mut source = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut source) {
        return complain(&error.to_string());
    }
    match format(&source) {
        Ok(formatted) => match io::stdout().write_all(formatted.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error.to_string()),
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
