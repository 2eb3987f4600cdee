//! `pebble check`: findings of the checker, for people or (`--json`) one JSON object a line.

use crate::arguments::Arguments;
use crate::{complain, diagnostics, environment, sources};
use pebble_rt::syntax::SourceMap;
use pebble_rt::tools::check::{Severity, check};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks the named files, or all below the root. The status is 1 when there is an error, 0 with warnings only.
pub fn run(mut arguments: Arguments) -> ExitCode {
    let words = arguments.all_words();
    if let Some(switch) = arguments.unknown_switch(&["--json"]) {
        return complain(&format!("check has no option {switch}"));
    }
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("."));
    let files = match sources::find(&root, &words) {
        Ok(files) => files,
        Err(error) => return complain(&error.to_string()),
    };
    let environment = environment::standard();
    let mut has_errors = false;
    for path in files {
        let label = sources::label(&root, &path);
        let source = match fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) => return complain(&format!("{label}: {error}")),
        };
        let map = SourceMap::new(&source);
        for found in check(&source, &environment) {
            has_errors |= found.severity == Severity::Error;
            if arguments.has("--json") {
                match serde_json::to_string(&diagnostics::report(&label, &map, &found)) {
                    Ok(line) => println!("{line}"),
                    Err(error) => return complain(&error.to_string()),
                }
            } else {
                print!("{}", diagnostics::picture(&label, &map, &found));
            }
        }
    }
    ExitCode::from(u8::from(has_errors))
}
