//! `pebble dis`: the bytecode of a program, for people.

use crate::arguments::Arguments;
use crate::{complain, sources};
use pebble_rt::engine::disassemble;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Lists the named file's functions.
pub fn run(mut arguments: Arguments) -> ExitCode {
    let Some(word) = arguments.next_word() else {
        return complain("dis needs a file");
    };
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("."));
    let source = match fs::read_to_string(sources::resolve(&root, &word)) {
        Ok(source) => source,
        Err(error) => return complain(&format!("{word}: {error}")),
    };
    match disassemble(&source) {
        Ok(listing) => {
            print!("{listing}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "{}",
                error.to_string().replacen("line ", &format!("{word}:"), 1)
            );
            ExitCode::FAILURE
        }
    }
}
