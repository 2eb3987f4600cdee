//! The operations of the family `proc`.
//!
//! A child that the session's leader starts in front gets a process group of its own and the terminal; it gives the terminal back when it ends. A child of any other program
//! shares its parent's group.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use libipc::{Connection, Handle};
use pebble_rt::modules::errno;
use pebble_rt::system::{Answer, Data, Request, SystemError, Token};
use protocols::process::{Exit, Info, Limits, Signal, SpawnRequest, State, Streams};
use protocols::{stream, terminal};

use crate::descriptors::{Descriptor, OpenFile};
use crate::errors::{of_call, of_process};

use crate::guest::Guest;
use crate::operations::{Done, Outcome, integer, now, option, path_of, record, text};
use crate::pumps::{self, PumpId};

/// Bytes of a background job's output that are kept.
const JOB_OUTPUT_BYTES: u32 = 64 * 1024;

/// Children of this program.
#[derive(Default)]
pub struct Jobs {
    children: BTreeMap<u32, Child>,
    waiting: Vec<Waiting>,
}

struct Child {
    program: String,
    is_background: bool,
    holds_terminal: bool,
    pumps: Vec<PumpId>,
    /// Output of a background job.
    collected: Option<stream::Client>,
    ended: Option<Exit>,
}

/// Somebody waits for a child.
struct Waiting {
    pid: u32,
    token: Token,
    kind: Wait,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For its exit status; an uncaught error was shown already.
    Status,
    /// For its record.
    Record,
    /// For what it printed and its state.
    Job,
}

/// Handles a request of the family.
pub fn handle(guest: &mut Guest, request: &Request) -> Outcome {
    match request.operation {
        "self" => own_context(guest),
        "run" => run(guest, request),
        "spawn" => spawn(guest, request),
        "start_job" => start_job(guest, request),
        "wait" => wait(guest, pid_of(request, 0)?, Wait::Record),
        "poll" => poll(guest, pid_of(request, 0)?),
        "wait_child" => wait_child(guest),
        "kill" => kill(guest, request),
        "records" => records(guest),
        "jobs" => jobs(guest),
        "foreground_group" => {
            let state = guest
                .services
                .terminal
                .as_ref()
                .and_then(|terminal| terminal.state(Guest::soon()).ok());
            now(Data::Number(
                state.map_or(0, |state| i64::from(state.foreground)),
            ))
        }
        "set_foreground" | "setpgid" => now(Data::None),
        "foreground_job" => wait(guest, pid_of(request, 0)?, Wait::Job),
        "background_job" => background_job(guest, pid_of(request, 0)?),
        "signals" | "drain_signals" | "history" => now(Data::List(Vec::new())),
        _ => Err(SystemError::unknown(request)),
    }
}

fn pid_of(request: &Request, index: usize) -> Result<u32, SystemError> {
    u32::try_from(integer(request, index)?).map_err(|_| missing())
}

fn missing() -> SystemError {
    SystemError::new(errno::NOENT, "no such process")
}

fn texts(items: &[String]) -> Data {
    Data::List(items.iter().cloned().map(Data::Text).collect())
}

fn info(guest: &Guest, pid: u32) -> Result<Info, SystemError> {
    guest
        .services
        .process
        .info(Guest::soon(), pid)
        .map_err(|error| of_call(error, of_process))
}

fn own_context(guest: &mut Guest) -> Outcome {
    let own = info(guest, guest.pid)?;
    let environment = guest
        .environment
        .iter()
        .map(|(name, value)| (name.clone(), Data::Text(value.clone())));
    let search = guest
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value);
    now(record([
        ("pid", Data::Number(i64::from(own.pid))),
        ("ppid", Data::Number(i64::from(own.parent))),
        ("pgid", Data::Number(i64::from(own.group))),
        ("sid", Data::Number(i64::from(own.session))),
        ("cwd", Data::Text(guest.cwd.clone())),
        ("argv", texts(&guest.arguments)),
        ("env", Data::Record(environment.collect())),
        ("uid", Data::Number(i64::from(own.uid))),
        ("gid", Data::Number(i64::from(own.uid))),
        ("umask", Data::Text("022".into())),
        (
            "path",
            Data::List(
                search
                    .split(':')
                    .map(|entry| Data::Text(entry.into()))
                    .collect(),
            ),
        ),
    ]))
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Sleeping => "blocked-input",
        State::Stopped => "halted",
        State::Ended => "done",
    }
}

fn record_of(found: &Info) -> Data {
    record([
        ("pid", Data::Number(i64::from(found.pid))),
        ("kind", Data::Text("vm".into())),
        ("state", Data::Text(state_name(found.state).into())),
        ("command", Data::Text(found.argv.join(" "))),
        (
            "program",
            Data::Text(found.argv.first().cloned().unwrap_or_default()),
        ),
        ("argv", texts(found.argv.get(1..).unwrap_or_default())),
        ("cwd", Data::Text(found.cwd.clone())),
        ("ppid", Data::Number(i64::from(found.parent))),
        ("pgid", Data::Number(i64::from(found.group))),
        ("sid", Data::Number(i64::from(found.session))),
        ("attached", Data::Number(0)),
        ("exit_status", Data::Number(-1)),
        ("error", Data::Text(String::new())),
        ("cpu", Data::Number(i64::from(found.cpu))),
        ("memory", crate::operations::number(found.private_bytes)),
        (
            "cpu_ms",
            crate::operations::number(found.cpu_ns / 1_000_000),
        ),
    ])
}

/// The end of a process as a state and a status.
fn ending(exit: &Exit) -> (&'static str, i64) {
    match exit {
        Exit::Code(0) => ("done", 0),
        Exit::Code(code) => ("error", i64::from(*code)),
        Exit::Signal(Signal::Interrupt) => ("interrupted", 130),
        Exit::Signal(Signal::HangUp) => ("terminated", 129),
        Exit::Signal(Signal::Kill) => ("terminated", 137),
        Exit::Signal(_) => ("terminated", 143),
        Exit::Fault { .. } => ("error", 139),
        Exit::Limit(_) => ("error", 137),
    }
}

fn ended_record(pid: u32, child: &Child, exit: &Exit) -> Data {
    let (state, status) = ending(exit);
    let error = match exit {
        Exit::Fault { kind, address } => format!("{kind} at address {address:#x}"),
        Exit::Limit(limit) => format!("passed its limit of {limit}"),
        _ => String::new(),
    };
    record([
        ("pid", Data::Number(i64::from(pid))),
        ("kind", Data::Text("vm".into())),
        ("state", Data::Text(state.into())),
        ("command", Data::Text(child.program.clone())),
        ("program", Data::Text(child.program.clone())),
        ("argv", Data::List(Vec::new())),
        ("cwd", Data::Text(String::new())),
        ("ppid", Data::Number(0)),
        ("pgid", Data::Number(i64::from(pid))),
        ("sid", Data::Number(1)),
        ("attached", Data::Number(0)),
        ("exit_status", Data::Number(status)),
        ("error", Data::Text(error)),
    ])
}

fn records(guest: &mut Guest) -> Outcome {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let pids = guest
            .services
            .process
            .list(Guest::soon(), after)
            .map_err(|error| of_call(error, of_process))?;
        let Some(last) = pids.last() else { break };
        after = *last;
        // One that ended in between is none any more.
        found.extend(
            pids.iter()
                .filter_map(|pid| info(guest, *pid).ok())
                .map(|info| record_of(&info)),
        );
    }
    now(Data::List(found))
}

fn jobs(guest: &mut Guest) -> Outcome {
    let own: Vec<u32> = guest
        .jobs
        .children
        .iter()
        .filter(|(_, child)| child.is_background)
        .map(|(pid, _)| *pid)
        .collect();
    let records = own.into_iter().map(|pid| match &guest.jobs.children[&pid] {
        Child {
            ended: Some(exit), ..
        } => ended_record(pid, &guest.jobs.children[&pid], exit),
        _ => info(guest, pid).map_or(Data::None, |info| record_of(&info)),
    });
    now(Data::List(records.collect()))
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

/// What a child is to be, before its streams are known.
fn request_for(guest: &Guest, request: &Request) -> Result<SpawnRequest, SystemError> {
    let program = path_of(request, 0)?;
    let metadata = guest
        .directory()?
        .stat(Guest::soon(), &program)
        .map_err(|error| of_call(error, crate::errors::of_directory))?;
    if metadata.file_type == protocols::directory::FileType::Directory {
        return Err(SystemError::new(errno::ISDIR, "is a directory"));
    }
    Ok(SpawnRequest {
        program,
        arguments: arguments_of(request, 1)?,
        environment: guest.environment.clone(),
        cwd: guest.cwd.clone(),
        limits: Limits::default(),
        group: None,
        source: None,
        modules: None,
    })
}

/// The terminal for a child in front: a group and Connections of its own if we lead the session, else a share of ours.
fn terminal_for(
    guest: &mut Guest,
    in_front: bool,
) -> Result<(Option<u32>, Option<terminal::Opened>), SystemError> {
    let Some(terminal) = &guest.services.terminal else {
        return Ok((None, None));
    };
    let group = guest
        .services
        .process
        .new_group(Guest::soon())
        .map_err(|error| of_call(error, of_process))?;
    match terminal.open(Guest::soon(), group) {
        Ok(opened) => {
            if in_front {
                terminal
                    .set_foreground(Guest::soon(), group)
                    .map_err(|error| of_call(error, crate::errors::of_terminal))?;
            }
            Ok((Some(group), Some(opened)))
        }
        // Only the leader may; others share.
        Err(_) => Ok((None, None)),
    }
}

/// Where a child's stream comes from.
struct Wiring {
    pumps: Vec<PumpId>,
}

fn start(
    guest: &mut Guest,
    mut spawn: SpawnRequest,
    given: [Option<Descriptor>; 3],
    is_background: bool,
    collected: bool,
) -> Result<u32, SystemError> {
    guest.descriptors.output.flush()?;
    let (group, opened) = terminal_for(guest, !is_background)?;
    spawn.group = group;
    let holds_terminal = opened.is_some() && !is_background;
    let mut wiring = Wiring { pumps: Vec::new() };
    let [input, output, error] = given;
    let mut job = None;
    let (own_output, own_error, terminal) = match opened {
        Some(opened) => (
            Some(opened.output),
            Some(opened.error),
            Some(opened.terminal),
        ),
        None => (None, None, share_terminal(guest)?),
    };
    let input = match input {
        None if is_background => nothing_to_read(guest)?,
        None => match &own_output {
            Some(output) => duplicate(output)?,
            None => guest.descriptors.input.connection()?,
        },
        Some(descriptor) => readable(guest, descriptor, &mut wiring)?,
    };
    let (output, error) = if collected {
        let (reader, writer) = guest
            .services
            .process
            .pipe(Guest::soon(), JOB_OUTPUT_BYTES, true)
            .map_err(|error| of_call(error, of_process))?;
        job = Some(stream::Client::adopt(reader));
        let writer = stream::Client::adopt(writer);
        let error = writer
            .another(Guest::soon())
            .map_err(|error| of_call(error, crate::errors::of_stream))?;
        (writer.into_connection(), error)
    } else {
        let output = writable(guest, output, own_output, 1, &mut wiring)?;
        let error = writable(guest, error, own_error, 2, &mut wiring)?;
        (output, error)
    };
    let program = spawn.program.trim_start_matches('/').to_string();
    // A program that does not read from the terminal's stream gets no terminal to read lines from either.
    let streams = Streams {
        input,
        output,
        error,
        terminal: terminal.filter(|_| !is_background),
        report: None,
    };
    let pid = guest
        .services
        .process
        .spawn(Guest::soon(), spawn, streams)
        .map_err(|error| of_call(error, of_process))?;
    let child = Child {
        program,
        is_background,
        holds_terminal,
        pumps: wiring.pumps,
        collected: job,
        ended: None,
    };
    guest.jobs.children.insert(pid, child);
    watch(guest, pid)?;
    Ok(pid)
}

fn share_terminal(guest: &Guest) -> Result<Option<Handle<Connection>>, SystemError> {
    guest
        .services
        .terminal
        .as_ref()
        .map(|terminal| duplicate(terminal.connection()))
        .transpose()
}

fn duplicate(connection: &Handle<Connection>) -> Result<Handle<Connection>, SystemError> {
    connection
        .duplicate()
        .map_err(|error| SystemError::new(errno::AGAIN, format!("{error}")))
}

/// A pipe that nobody writes to.
fn nothing_to_read(guest: &Guest) -> Result<Handle<Connection>, SystemError> {
    let (reader, writer) = guest
        .services
        .process
        .pipe(Guest::soon(), 1, false)
        .map_err(|error| of_call(error, of_process))?;
    drop(writer);
    Ok(reader)
}

fn readable(
    guest: &mut Guest,
    descriptor: Descriptor,
    wiring: &mut Wiring,
) -> Result<Handle<Connection>, SystemError> {
    match descriptor {
        Descriptor::Input(input) => input.connection(),
        Descriptor::Null | Descriptor::Output(_) => nothing_to_read(guest),
        Descriptor::File(file) => {
            let (reader, writer) = pipe(guest)?;
            wiring.pumps.push(pumps::from_file(guest, file, writer)?);
            Ok(reader.into_connection())
        }
    }
}

fn writable(
    guest: &mut Guest,
    given: Option<Descriptor>,
    own: Option<Handle<Connection>>,
    number: i64,
    wiring: &mut Wiring,
) -> Result<Handle<Connection>, SystemError> {
    match (given, own) {
        (None, Some(own)) => Ok(own),
        (None, None) => match guest.descriptors.get(number)? {
            Descriptor::Output(output) => output.another(),
            _ => Err(missing()),
        },
        (Some(Descriptor::Output(output)), _) => output.another(),
        (Some(Descriptor::File(file)), _) => into_file(guest, file, wiring),
        (Some(Descriptor::Null | Descriptor::Input(_)), _) => {
            let (reader, writer) = pipe_of(guest, 1, true)?;
            // A capture that nobody reads drops everything.
            drop(reader);
            Ok(writer.into_connection())
        }
    }
}

fn into_file(
    guest: &mut Guest,
    file: OpenFile,
    wiring: &mut Wiring,
) -> Result<Handle<Connection>, SystemError> {
    let (reader, writer) = pipe(guest)?;
    wiring.pumps.push(pumps::into_file(guest, reader, file)?);
    Ok(writer.into_connection())
}

fn pipe(guest: &Guest) -> Result<(stream::Client, stream::Client), SystemError> {
    pipe_of(guest, JOB_OUTPUT_BYTES, false)
}

fn pipe_of(
    guest: &Guest,
    capacity: u32,
    capture: bool,
) -> Result<(stream::Client, stream::Client), SystemError> {
    let (reader, writer) = guest
        .services
        .process
        .pipe(Guest::soon(), capacity, capture)
        .map_err(|error| of_call(error, of_process))?;
    Ok((stream::Client::adopt(reader), stream::Client::adopt(writer)))
}

/// Asks to be told when a child ends.
fn watch(guest: &mut Guest, pid: u32) -> Result<(), SystemError> {
    let pending = guest
        .services
        .process
        .start_wait(&guest.calls, Guest::late(), pid)
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    guest.when_done(pending, move |guest, result| {
        match result {
            Ok(exit) => child_ended(guest, pid, exit),
            Err(libipc::CallError::Failed(_)) if watch(guest, pid).is_ok() => {}
            // It can't be waited for any more: what became of it is unknown.
            Err(_) => child_ended(guest, pid, Exit::Signal(Signal::Kill)),
        }
        None
    });
    Ok(())
}

fn child_ended(guest: &mut Guest, pid: u32, exit: Exit) {
    if let Some(child) = guest.jobs.children.get_mut(&pid) {
        let held = core::mem::take(&mut child.holds_terminal);
        child.ended = Some(exit);
        if held && let Some(terminal) = &guest.services.terminal {
            // Without it the next line would go to nobody; ttyd itself forgets groups that are gone.
            let _ = terminal.set_foreground(Guest::soon(), 0);
        }
    }
    pumps_advanced(guest);
}

/// Answers those who wait for children that have ended and whose pumps are done.
pub fn pumps_advanced(guest: &mut Guest) {
    for waiting in core::mem::take(&mut guest.jobs.waiting) {
        match finished_answer(guest, waiting.pid, waiting.kind) {
            Some(answer) => guest.answer(waiting.token, answer),
            None => guest.jobs.waiting.push(waiting),
        }
    }
}

/// The answer for whoever waits for a child, if it is over; the child is then forgotten.
fn finished_answer(guest: &mut Guest, pid: u32, kind: Wait) -> Option<Answer> {
    let Some(child) = guest.jobs.children.get(&pid) else {
        return Some(Err(missing()));
    };
    let exit = child.ended.clone()?;
    if guest.pumps.any_runs(&child.pumps) {
        return None;
    }
    let child = guest.jobs.children.remove(&pid)?;
    Some(Ok(match kind {
        Wait::Status => Data::Number(ending(&exit).1),
        Wait::Record => ended_record(pid, &child, &exit),
        Wait::Job => Data::List(job_lines(pid, &child, &exit)),
    }))
}

fn job_lines(pid: u32, child: &Child, exit: &Exit) -> Vec<Data> {
    let mut bytes = Vec::new();
    if let Some(collected) = &child.collected {
        while let Ok(chunk) = collected.read(Guest::soon(), bytes.len() as u64, 3072) {
            bytes.extend(chunk.data);
            if chunk.end {
                break;
            }
        }
    }
    let printed = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<Data> = printed
        .lines()
        .map(|line| Data::Text(line.into()))
        .collect();
    lines.push(Data::Text(format!("[{pid}] {}", ending(exit).0)));
    lines
}

fn wait(guest: &mut Guest, pid: u32, kind: Wait) -> Outcome {
    match guest.jobs.children.get(&pid) {
        None => return Err(missing()),
        Some(child) if kind == Wait::Job && !child.is_background => return Err(missing()),
        Some(_) => {}
    }
    let token = guest.token();
    guest.jobs.waiting.push(Waiting { pid, token, kind });
    pumps_advanced(guest);
    Ok(Done::Later(token))
}

fn wait_child(guest: &mut Guest) -> Outcome {
    let ended = guest
        .jobs
        .children
        .iter()
        .find(|(_, child)| child.ended.is_some());
    let first = ended
        .or_else(|| guest.jobs.children.iter().next())
        .map(|(pid, _)| *pid);
    wait(guest, first.ok_or_else(missing)?, Wait::Record)
}

fn poll(guest: &mut Guest, pid: u32) -> Outcome {
    if !guest.jobs.children.contains_key(&pid) {
        return Err(missing());
    }
    match finished_answer(guest, pid, Wait::Record) {
        Some(answer) => now(answer?),
        None => now(Data::None),
    }
}

fn run(guest: &mut Guest, request: &Request) -> Outcome {
    let spawn = request_for(guest, request)?;
    let pid = start(guest, spawn, [None, None, None], false, false)?;
    wait(guest, pid, Wait::Status)
}

fn spawn(guest: &mut Guest, request: &Request) -> Outcome {
    let mut spawn = request_for(guest, request)?;
    if let Some(Data::Record(fields)) = option(request, 2, "env") {
        let text = |value: &Data| match value {
            Data::Text(text) => text.clone(),
            Data::Number(number) => number.to_string(),
            _ => String::new(),
        };
        spawn.environment = fields
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
    }
    if let Some(Data::Text(folder)) = option(request, 2, "cwd") {
        spawn.cwd.clone_from(folder);
    }
    let is_background = matches!(
        option(request, 2, "background"),
        Some(Data::Flag(true) | Data::Number(1))
    );
    let mut given = [None, None, None];
    for (place, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
        if let Some(Data::Number(number)) = option(request, 2, name) {
            // The program's own streams are what it would get anyway.
            given[place] = if *number == place as i64 {
                None
            } else {
                Some(guest.descriptors.get(*number)?)
            };
        }
    }
    let pid = start(guest, spawn, given, is_background, false)?;
    now(Data::Number(i64::from(pid)))
}

fn start_job(guest: &mut Guest, request: &Request) -> Outcome {
    text(request, 2)?;
    let spawn = request_for(guest, request)?;
    let pid = start(guest, spawn, [None, None, None], true, true)?;
    now(Data::Number(i64::from(pid)))
}

fn kill(guest: &mut Guest, request: &Request) -> Outcome {
    let pid = pid_of(request, 0)?;
    let number = integer(request, 1).unwrap_or(15);
    let signal = match number {
        0 => None,
        1 => Some(Signal::HangUp),
        2 => Some(Signal::Interrupt),
        9 => Some(Signal::Kill),
        15 => Some(Signal::Terminate),
        18 => Some(Signal::Continue),
        19 | 20 => Some(Signal::Stop),
        _ => {
            return Err(SystemError::new(
                errno::INVAL,
                format!("there is no signal {number}"),
            ));
        }
    };
    let Data::Record(mut fields) = record_of(&info(guest, pid)?) else {
        return Err(missing());
    };
    if let Some(signal) = signal {
        guest
            .services
            .process
            .signal(Guest::soon(), pid, signal, false)
            .map_err(|error| of_call(error, of_process))?;
        if !matches!(signal, Signal::Stop | Signal::Continue) {
            for (name, value) in &mut fields {
                match name.as_str() {
                    "state" => *value = Data::Text("terminated".into()),
                    "exit_status" => *value = Data::Number(128 + number),
                    _ => {}
                }
            }
        }
    }
    now(Data::Record(fields))
}

fn background_job(guest: &mut Guest, pid: u32) -> Outcome {
    let child = guest
        .jobs
        .children
        .get(&pid)
        .filter(|child| child.is_background)
        .ok_or_else(missing)?;
    now(Data::List(vec![Data::Text(format!(
        "[{pid}] {}",
        child.program
    ))]))
}
