//! The operations of the family `proc`. A process is a program run by an engine of its own on a thread of its own.

use std::sync::Arc;

use pebble_rt::modules::errno;
use pebble_rt::system::{Answer, Data, Request, SystemError};

use super::machine::{Machine, Process, ProcessSpec};
use super::operations::{Done, Outcome, integer, name_of, now, text};
use super::streams::{Descriptor, Input, Output, Streams};
use super::{HostSystem, launch};

/// Handles a request of the family.
pub fn handle(system: &mut HostSystem, request: &Request) -> Outcome {
    let machine = system.machine.clone();
    match request.operation {
        "self" => now(own_context(system)),
        "run" => run(system, request),
        "spawn" => spawn(system, request),
        "start_job" => start_job(system, request),
        "wait" => wait(system, integer(request, 0)?),
        "poll" => poll(&machine, integer(request, 0)?),
        "wait_child" => wait_child(system, integer(request, 0)?),
        "kill" => kill(
            &machine,
            integer(request, 0)?,
            integer(request, 1).unwrap_or(15),
        ),
        "records" => now(records(&machine, |_| true)),
        "jobs" => now(records(&machine, |process| process.is_background)),
        "foreground_group" => now(Data::Number(machine.foreground())),
        "set_foreground" => {
            machine.bring_forward(integer(request, 0)?);
            now(Data::None)
        }
        "catch_interrupts" => {
            machine.with_process(system.pid, |process| process.catches_interrupts = true);
            now(Data::None)
        }
        "setpgid" => set_group(&machine, request),
        "foreground_job" => foreground_job(system, integer(request, 0)?),
        "background_job" => background_job(&machine, integer(request, 0)?),
        "signals" => now(Data::List(machine.signals(false))),
        "drain_signals" => now(Data::List(machine.signals(true))),
        "history" => now(Data::List(Vec::new())),
        _ => Err(SystemError::unknown(request)),
    }
}

fn missing() -> SystemError {
    SystemError::new(errno::NOENT, "no such process")
}

fn texts(items: &[String]) -> Data {
    Data::List(items.iter().cloned().map(Data::Text).collect())
}

fn pairs(items: &[(String, String)]) -> Data {
    Data::Record(
        items
            .iter()
            .map(|(name, value)| (name.clone(), Data::Text(value.clone())))
            .collect(),
    )
}

fn own_context(system: &HostSystem) -> Data {
    let pid = system.pid;
    let context = system.machine.with_process(pid, |process| {
        let search = process
            .environment
            .iter()
            .find(|(name, _)| name == "PATH")
            .map_or("", |(_, value)| value);
        let number = |value: i64| Data::Number(value);
        Data::Record(vec![
            ("pid".into(), number(pid)),
            ("ppid".into(), number(process.ppid)),
            ("pgid".into(), number(process.pgid)),
            ("sid".into(), number(1)),
            ("cwd".into(), Data::Text(process.working_directory.clone())),
            ("argv".into(), texts(&process.arguments)),
            ("env".into(), pairs(&process.environment)),
            ("uid".into(), number(0)),
            ("gid".into(), number(0)),
            ("umask".into(), Data::Text("022".into())),
            (
                "path".into(),
                Data::List(
                    search
                        .split(':')
                        .map(|entry| Data::Text(entry.into()))
                        .collect(),
                ),
            ),
        ])
    });
    context.unwrap_or_default()
}

fn state_of(process: &Process, is_front: bool) -> &'static str {
    match &process.ending {
        Some(ending) => ending.state,
        None if is_front => "foreground",
        None => "running",
    }
}

fn record(pid: i64, process: &Process, is_front: bool) -> Data {
    let mut command = process.program.clone();
    for argument in &process.arguments {
        command.push(' ');
        command.push_str(argument);
    }
    let (status, error) = process
        .ending
        .as_ref()
        .map_or((-1, ""), |ending| (ending.status, ending.error.as_str()));
    Data::Record(vec![
        ("pid".into(), Data::Number(pid)),
        ("kind".into(), Data::Text("vm".into())),
        (
            "state".into(),
            Data::Text(state_of(process, is_front).into()),
        ),
        ("command".into(), Data::Text(command)),
        ("program".into(), Data::Text(process.program.clone())),
        ("argv".into(), texts(&process.arguments)),
        ("cwd".into(), Data::Text(process.working_directory.clone())),
        ("ppid".into(), Data::Number(process.ppid)),
        ("pgid".into(), Data::Number(process.pgid)),
        ("sid".into(), Data::Number(1)),
        ("attached".into(), Data::Number(i64::from(is_front))),
        ("exit_status".into(), Data::Number(status)),
        ("error".into(), Data::Text(error.into())),
    ])
}

fn records(machine: &Machine, wanted: impl Fn(&Process) -> bool) -> Data {
    let front = machine.foreground();
    let mut found = Vec::new();
    machine.for_each_process(|pid, process| {
        if wanted(process) {
            found.push(record(pid, process, pid == front));
        }
    });
    Data::List(found)
}

fn arguments_of(request: &Request, index: usize) -> Result<Vec<String>, SystemError> {
    let refused = || SystemError::new(errno::INVAL, "arguments must be strings");
    let Some(Data::List(items)) = request.arguments.get(index) else {
        return Err(refused());
    };
    let text = |item: &Data| match item {
        Data::Text(text) => Ok(text.clone()),
        Data::Number(number) => Ok(number.to_string()),
        _ => Err(refused()),
    };
    items.iter().map(text).collect()
}

/// A child of this process, not yet running.
fn child_of(system: &HostSystem, request: &Request) -> Result<ProcessSpec, SystemError> {
    let program = name_of(request, 0)?.to_string();
    if system.machine.sandbox().stat(&program)?.kind == "dir" {
        return Err(SystemError::new(errno::ISDIR, "is a directory"));
    }
    let environment = system
        .machine
        .with_process(system.pid, |process| process.environment.clone());
    Ok(ProcessSpec {
        ppid: system.pid,
        program,
        arguments: arguments_of(request, 1)?,
        environment: environment.unwrap_or_default(),
        working_directory: system.working_directory.clone(),
        is_background: false,
        collected: None,
    })
}

/// Starts a process and gives its number.
fn start(
    system: &HostSystem,
    spec: ProcessSpec,
    streams: Streams,
    report: launch::Report,
) -> Result<i64, SystemError> {
    let machine: Arc<Machine> = system.machine.clone();
    let pid = machine.add_process(spec)?;
    launch::start_thread(&machine, pid, streams, system.grants, report)?;
    Ok(pid)
}

/// Runs a program in front and waits; an uncaught error in it is the caller's.
fn run(system: &mut HostSystem, request: &Request) -> Outcome {
    let spec = child_of(system, request)?;
    system.streams.output.flush()?;
    let pid = start(
        system,
        spec,
        system.streams.clone(),
        launch::Report::ToParent,
    )?;
    let machine = system.machine.clone();
    Ok(Done::Later(system.on_thread(move || {
        let (_, process) = machine
            .wait_for(|candidate, _| candidate == pid)
            .ok_or_else(missing)?;
        let ending = process.ending.unwrap_or_default();
        if ending.error.is_empty() {
            return Ok(Data::Number(ending.status));
        }
        Err(SystemError {
            errno: errno::IO,
            text: ending.error,
            is_whole: true,
        })
    })))
}

fn option<'a>(request: &'a Request, name: &str) -> Option<&'a Data> {
    match request.arguments.get(2) {
        Some(Data::Record(fields)) => fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value),
        _ => None,
    }
}

fn spawn(system: &mut HostSystem, request: &Request) -> Outcome {
    let mut spec = child_of(system, request)?;
    if let Some(Data::Record(fields)) = option(request, "env") {
        let text = |value: &Data| match value {
            Data::Text(text) => text.clone(),
            Data::Number(number) => number.to_string(),
            _ => String::new(),
        };
        spec.environment = fields
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
    }
    if let Some(Data::Text(folder)) = option(request, "cwd") {
        spec.working_directory = folder.clone();
    }
    spec.is_background = matches!(
        option(request, "background"),
        Some(Data::Flag(true) | Data::Number(1))
    );
    let streams = Streams {
        input: input_for(system, option(request, "stdin"), spec.is_background)?,
        output: output_for(system, option(request, "stdout"), &system.streams.output)?,
        error: output_for(system, option(request, "stderr"), &system.streams.error)?,
    };
    system.streams.output.flush()?;
    let pid = start(system, spec, streams, launch::Report::ToErrorStream)?;
    now(Data::Number(pid))
}

/// The input a child was given; a background one without any reads nothing.
fn input_for(
    system: &HostSystem,
    given: Option<&Data>,
    is_background: bool,
) -> Result<Input, SystemError> {
    match given {
        Some(Data::Number(number)) => match system.descriptor(*number)? {
            Descriptor::Input(input) => Ok(input),
            Descriptor::File { file, .. } => Ok(Input::file(file)),
            Descriptor::Null | Descriptor::Output(_) => Ok(Input::nothing()),
        },
        _ if is_background => Ok(Input::nothing()),
        _ => Ok(system.streams.input.clone()),
    }
}

fn output_for(
    system: &HostSystem,
    given: Option<&Data>,
    inherited: &Output,
) -> Result<Output, SystemError> {
    match given {
        Some(Data::Number(number)) => match system.descriptor(*number)? {
            Descriptor::Output(output) => Ok(output),
            Descriptor::File { file, .. } => Ok(Output::file(file)),
            Descriptor::Null | Descriptor::Input(_) => Ok(Output::nothing()),
        },
        _ => Ok(inherited.clone()),
    }
}

fn start_job(system: &mut HostSystem, request: &Request) -> Outcome {
    text(request, 2)?;
    let mut spec = child_of(system, request)?;
    let output = Output::collecting();
    spec.is_background = true;
    spec.collected = Some(output.clone());
    let streams = Streams {
        input: Input::nothing(),
        output: output.clone(),
        error: output,
    };
    let pid = start(system, spec, streams, launch::Report::ToErrorStream)?;
    now(Data::Number(pid))
}

fn ended_record(pid: i64, process: &Process) -> Answer {
    Ok(record(pid, process, false))
}

fn wait(system: &mut HostSystem, pid: i64) -> Outcome {
    let machine = system.machine.clone();
    if machine.with_process(pid, |_| ()).is_none() || pid == system.pid {
        return Err(missing());
    }
    Ok(Done::Later(system.on_thread(move || {
        let (pid, process) = machine
            .wait_for(|candidate, _| candidate == pid)
            .ok_or_else(missing)?;
        ended_record(pid, &process)
    })))
}

fn poll(machine: &Machine, pid: i64) -> Outcome {
    if machine.with_process(pid, |_| ()).is_none() {
        return Err(missing());
    }
    match machine.take_ended(pid) {
        Some(process) => now(ended_record(pid, &process)?),
        None => now(Data::None),
    }
}

fn wait_child(system: &mut HostSystem, parent: i64) -> Outcome {
    let machine = system.machine.clone();
    Ok(Done::Later(system.on_thread(move || {
        let (pid, process) = machine
            .wait_for(|_, process| process.ppid == parent)
            .ok_or_else(missing)?;
        ended_record(pid, &process)
    })))
}

fn kill(machine: &Machine, pid: i64, signal: i64) -> Outcome {
    if signal != 0 && !machine.signal(pid, signal) {
        return Err(missing());
    }
    let front = machine.foreground();
    let found = machine
        .with_process(pid, |process| record(pid, process, pid == front))
        .ok_or_else(missing)?;
    let Data::Record(mut fields) = found else {
        return Err(missing());
    };
    if signal != 0 {
        for (name, value) in &mut fields {
            match name.as_str() {
                "state" => *value = Data::Text("terminated".into()),
                "exit_status" => *value = Data::Number(128 + signal),
                _ => {}
            }
        }
    }
    now(Data::Record(fields))
}

fn set_group(machine: &Machine, request: &Request) -> Outcome {
    let (pid, group) = (integer(request, 0)?, integer(request, 1)?);
    machine
        .with_process(pid, |process| process.pgid = group)
        .ok_or_else(missing)?;
    now(Data::None)
}

/// Brings a job to the front, waits for it, and gives the rest of its output and its state as lines.
fn foreground_job(system: &mut HostSystem, pid: i64) -> Outcome {
    let machine = system.machine.clone();
    let is_job = machine.with_process(pid, |process| process.is_background) == Some(true);
    if !is_job {
        return Err(missing());
    }
    machine.bring_forward(pid);
    Ok(Done::Later(system.on_thread(move || {
        let (pid, process) = machine
            .wait_for(|candidate, _| candidate == pid)
            .ok_or_else(missing)?;
        let printed = process
            .collected
            .as_ref()
            .map(Output::collected)
            .unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let mut lines: Vec<Data> = printed
            .lines()
            .map(|line| Data::Text(line.into()))
            .collect();
        lines.push(Data::Text(format!("[{pid}] {}", state_of(&process, false))));
        Ok(Data::List(lines))
    })))
}

fn background_job(machine: &Machine, pid: i64) -> Outcome {
    let program = machine.with_process(pid, |process| {
        process.is_background.then(|| process.program.clone())
    });
    let program = program.flatten().ok_or_else(missing)?;
    now(Data::List(vec![Data::Text(format!("[{pid}] {program}"))]))
}
