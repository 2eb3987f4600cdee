//! The process that a Pebble program runs in: the engine, with its modules bound to the system's servers.
//!
//! procd starts it with the program's path and arguments, three streams and, if there is one, a terminal. What of the system it was given a Connection to, the program sees as
//! modules; the rest does not exist for it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]
#![allow(clippy::result_large_err, reason = "an error ends the program, once")]

extern crate alloc;

mod clock;
mod descriptors;
mod errors;
mod files;
mod guest;
mod network;
mod operations;
mod processes;
mod pumps;
mod services;
mod terminal;
mod value;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::{Boot, Connection, StartError};
use pebble_rt::engine::{Limits, ProgramError, Step};
use pebble_rt::system::{Data, ModuleContent, Stream};
use pebble_rt::vm::Vm;
use protocols::process::{GuestConfig, Report};
use protocols::stream;

use descriptors::Output;
use guest::Guest;

/// Steps between two looks at what else there is to do.
const FUEL: u64 = 1_000_000;
/// Memory of a program, at most; its quota may allow less, which it then notices by itself.
const MEMORY_BYTES: usize = 24 << 20;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<(), StartError> {
    let config: GuestConfig = boot.config()?;
    let label = boot.name().trim_start_matches('/').to_string();
    let arguments: Vec<String> = boot.arguments().to_vec();
    let environment: Vec<(String, String)> = boot.environment().to_vec();
    let report = boot
        .optional_handle::<Connection>("report")
        .map(|report| Output::new(stream::Client::adopt(report)));
    let guest = Guest::new(&mut boot, &config)?;
    let status = run(guest, &label, config, arguments, environment, report);
    libipc::exit(status)
}

/// Runs the program to its end and gives its exit status.
fn run(
    mut guest: Guest,
    label: &str,
    config: GuestConfig,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    report: Option<Output>,
) -> u64 {
    let program = match config.source {
        Some(source) => ModuleContent::Source(source),
        None => match guest.program(label) {
            Ok(content) => content,
            Err(error) => {
                guest.complain(&format!("{label}: {}\n", error.text));
                return 127;
            }
        },
    };
    let limits = Limits {
        memory_bytes: MEMORY_BYTES,
        ..Limits::default()
    };
    let mut vm = Vm::new(
        limits,
        arguments,
        Box::new(guest),
        &[&pebble_rt::modules::LIBRARY],
    );
    for (name, value) in globals(&config.cwd, &environment) {
        if vm.set_global(name, value).is_err() {
            return complain(&mut vm, "arguments and environment do not fit into memory");
        }
    }
    let kept = match &program {
        ModuleContent::Source(source) if report.is_some() => value::keeping_value(source),
        _ => None,
    };
    let has_value = kept.is_some();
    let outcome = execute(&mut vm, label, kept.map_or(program, ModuleContent::Source));
    if let Some(out) = report {
        let report = value::report(&mut vm, has_value, outcome.as_ref().err());
        send(&out, &report);
    }
    match outcome {
        Ok(status) => {
            // What was printed must be out before anybody hears of the end.
            vm.wait(pebble_rt::system::Patience::Poll);
            u64::from(status as u8)
        }
        Err(error) => complain(&mut vm, &error.to_string()),
    }
}

/// Runs what is there to run, and gives the status it ended with.
fn execute(vm: &mut Vm, label: &str, program: ModuleContent) -> Result<i32, ProgramError> {
    match program {
        ModuleContent::Source(source) => vm.load_source(label, &source)?,
        ModuleContent::Bytecode(bytes) => vm.load_bytecode(label, &bytes)?,
    }
    loop {
        match vm.run(FUEL) {
            Step::Yielded => {}
            Step::Blocked(patience) => vm.wait(patience),
            Step::Finished(status) => return Ok(status),
            Step::Failed(error) => return Err(error),
        }
    }
}

/// If nobody reads the report any more, nobody misses it.
fn send(out: &Output, report: &Report) {
    if let Ok(bytes) = postcard::to_allocvec(report) {
        let _ = out.write(&bytes).and_then(|()| out.flush());
    }
}

fn complain(vm: &mut Vm, text: &str) -> u64 {
    // If nobody listens to the error output either, the status has to do.
    let _ = vm.system().write(Stream::Error, &format!("{text}\n"));
    vm.wait(pebble_rt::system::Patience::Poll);
    1
}

/// What a program finds set when it starts.
fn globals(cwd: &str, environment: &[(String, String)]) -> [(&'static str, Data); 5] {
    let path = environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value);
    let pairs = environment
        .iter()
        .map(|(name, value)| (name.clone(), Data::Text(value.clone())));
    [
        ("CWD", Data::Text(cwd.into())),
        ("ENV", Data::Record(pairs.collect())),
        ("PATH", Data::Text(path.into())),
        ("FS_MODE", Data::Text("hostfs".into())),
        (
            "SYSTEM_RUNTIME_PATH",
            Data::Text("system/runtime.peb".into()),
        ),
    ]
}
