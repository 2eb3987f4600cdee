//! `pebble run` and `pebble exec`: one program in front.

use crate::arguments::Arguments;
use crate::complain;
use crate::launch::{self, Settings};
use pebble::system::{Machine, MachineOptions, run_program};
use pebble_rt::modules::path;
use pebble_rt::system::Grants;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const SWITCHES: [&str; 3] = ["--trace", "--profile", "--call"];

/// Runs a program with the rest of the command line as its arguments; its status is ours.
pub fn run(mut arguments: Arguments) -> ExitCode {
    let Some(file) = arguments.next_word() else {
        return complain("a file name is required");
    };
    if let Some(switch) = arguments.unknown_switch(&SWITCHES) {
        return complain(&format!("there is no option {switch}"));
    }
    launch::configure(Settings {
        shows_trace: arguments.has("--trace"),
        profiles: arguments.has("--profile"),
        call: arguments.value_of("--call").map(str::to_owned),
    });
    let (root, program) = match place(arguments.root.as_deref(), &file) {
        Ok(found) => found,
        Err(text) => return complain(&text),
    };
    let machine = match Machine::new(MachineOptions::for_root(&root), launch::launch) {
        Ok(machine) => machine,
        Err(error) => return complain(&format!("{}: {error}", root.display())),
    };
    match run_program(&machine, &program, arguments.into_rest(), Grants::ALL) {
        Ok(status) => exit_code(status),
        Err(_) => {
            eprintln!("file '{program}' does not exist");
            ExitCode::FAILURE
        }
    }
}

/// A program's status as ours: the system keeps eight bits of it.
fn exit_code(status: i32) -> ExitCode {
    ExitCode::from((status & 0xff) as u8)
}

/// The root and the program's storage name in it. Without `--root`, a file that is not below the current folder takes its own
/// folder for the root.
fn place(root: Option<&Path>, file: &str) -> Result<(PathBuf, String), String> {
    let folder = root.unwrap_or(Path::new("."));
    let name = path::storage_name(file, "/").map_err(|error| error.to_string());
    if let Ok(name) = &name
        && (root.is_some() || name.starts_with("system/") || folder.join(name).is_file())
    {
        return Ok((folder.to_path_buf(), name.clone()));
    }
    let host = Path::new(file);
    match (
        root,
        host.parent(),
        host.file_name().and_then(|last| last.to_str()),
    ) {
        (None, Some(parent), Some(last)) if host.is_file() => {
            Ok((parent.to_path_buf(), last.to_owned()))
        }
        _ => name.map(|name| (folder.to_path_buf(), name)),
    }
}
