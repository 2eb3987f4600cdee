//! Running programs: each on a thread of its own, with an engine and a system of its own.

use std::sync::Arc;

use pebble_rt::modules::errno;
use pebble_rt::system::{Grants, SystemError};

use super::machine::{Ending, Machine, ProcessSpec};
use super::{HostSystem, Streams};

/// Runs the program of a process to its end.
pub type Launch = fn(Arc<Machine>, i64, HostSystem) -> Ending;

/// Stack of a program's thread. The engine itself needs little; the parser of a large program some.
const STACK_BYTES: usize = 16 << 20;

/// Who is told about an uncaught error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Whoever reads the process's error stream.
    ToErrorStream,
    /// The parent, which raises it.
    ToParent,
}

/// Starts the thread of a process that is in the table.
pub fn start_thread(
    machine: &Arc<Machine>,
    pid: i64,
    streams: Streams,
    grants: Grants,
    report: Report,
) -> Result<(), SystemError> {
    let shared = machine.clone();
    let builder = std::thread::Builder::new()
        .name(format!("pebble-{pid}"))
        .stack_size(STACK_BYTES);
    let spawned = builder.spawn(move || run_process(&shared, pid, streams, grants, report));
    if spawned.is_err() {
        machine.end_process(
            pid,
            Ending {
                state: "error",
                status: 1,
                error: String::new(),
            },
        );
        return Err(SystemError::new(errno::AGAIN, "too many processes"));
    }
    Ok(())
}

fn run_process(machine: &Arc<Machine>, pid: i64, streams: Streams, grants: Grants, report: Report) {
    let output = streams.output.clone();
    let error_output = streams.error.clone();
    let system = HostSystem::new(machine.clone(), pid, streams, grants);
    let ending = (machine.launch())(machine.clone(), pid, system);
    let _ = output.flush();
    if report == Report::ToErrorStream && !ending.error.is_empty() {
        let _ = error_output.write(format!("{}\n", ending.error).as_bytes());
    }
    // The streams are closed before anybody hears of the end, so that a reader of a pipe has seen all of it.
    drop((output, error_output));
    machine.end_process(pid, ending);
}

/// Runs a first program in front, on the command's own streams, and gives its exit status.
pub fn run_program(
    machine: &Arc<Machine>,
    program: &str,
    arguments: Vec<String>,
    grants: Grants,
) -> Result<i32, SystemError> {
    machine.sandbox().stat(program)?;
    run_in_front(machine, program, arguments, grants)
}

/// Runs a process without a program in front: a session, which the machine's [`Launch`] serves.
pub fn run_session(machine: &Arc<Machine>, grants: Grants) -> Result<i32, SystemError> {
    run_in_front(machine, "", Vec::new(), grants)
}

fn run_in_front(
    machine: &Arc<Machine>,
    program: &str,
    arguments: Vec<String>,
    grants: Grants,
) -> Result<i32, SystemError> {
    let spec = ProcessSpec {
        ppid: 0,
        program: program.to_string(),
        arguments,
        environment: machine.environment().to_vec(),
        working_directory: "/".into(),
        is_background: false,
        collected: None,
    };
    let pid = machine.add_process(spec)?;
    start_thread(
        machine,
        pid,
        Streams::standard(),
        grants,
        Report::ToErrorStream,
    )?;
    let ended = machine.wait_for(|candidate, _| candidate == pid);
    let ending = ended
        .and_then(|(_, process)| process.ending)
        .unwrap_or_default();
    if ending.state == "interrupted" {
        eprintln!("^C\n[system] program interrupted");
    }
    Ok(i32::try_from(ending.status).unwrap_or(1))
}
