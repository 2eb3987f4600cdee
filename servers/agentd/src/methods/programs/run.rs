//! A program from its start to its end, with its input fed and its output taken meanwhile.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::pin::pin;

use agentd::rpc::{Code, RpcError};
use futures_util::future::{Either, join4, select};
use libipc::{CallError, Connection, Deadline, Handle, Instant};
use protocols::process::{self, Exit, Pid, Report, SpawnRequest, Streams};
use protocols::stream;

use super::super::Context;
use super::super::processes::of_process;
use crate::output::Captured;
use crate::system::{System, error};

/// Bytes that a pipe holds.
pub const PIPE_BYTES: u32 = 64 * 1024;
/// How long output may take to come after the program has ended: its children may go on writing for ever.
const DRAIN_NS: u64 = 1_000_000_000;
/// The same in milliseconds.
const DRAIN_MS: u64 = DRAIN_NS / 1_000_000;
/// How long a program that lives on by itself has to read its input.
const FEED_MS: u64 = 3_600_000;
/// Bytes of a report, at most.
const MAX_REPORT: usize = 4 << 20;

/// What becomes of the output of a program that nobody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// It is kept, as much as a pipe holds.
    Kept,
    /// It is lost.
    Lost,
}

/// A program that is to run.
pub struct Start {
    /// What.
    pub request: SpawnRequest,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Whether the value of its last expression is wanted.
    pub is_for_value: bool,
}

/// A program that has run.
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// Its output.
    pub stdout: Captured,
    /// Its error output.
    pub stderr: Captured,
    /// What it said of itself, if it was run for its value and ended by itself.
    pub report: Option<Report>,
    /// How long it ran.
    pub duration_ns: u64,
}

/// What an error of a start means.
pub fn of_spawn(failed: CallError<process::Error>) -> RpcError {
    error("procd", of_process)(failed)
}

async fn pipe(
    system: &System,
    context: &Context,
    capacity: u32,
    capture: bool,
) -> Result<(stream::Client, Handle<Connection>), RpcError> {
    let started = system
        .process
        .start_pipe(&system.calls, context.deadline(), capacity, capture);
    let (reader, writer) = system.ask("procd", started, of_process).await?;
    Ok((stream::Client::adopt(reader), writer))
}

/// What a program reads: `bytes`, and then the end. The second is the end to write them to, if there are any.
async fn input(
    system: &System,
    context: &Context,
    bytes: &[u8],
) -> Result<(Handle<Connection>, Option<stream::Client>), RpcError> {
    if !bytes.is_empty() {
        let (reader, writer) = pipe(system, context, PIPE_BYTES, false).await?;
        let feed = stream::Client::adopt(writer);
        return Ok((reader.into_connection(), Some(feed)));
    }
    // All that read nothing read the same nothing: there are not so many pipes.
    let known = system
        .empty
        .borrow()
        .as_ref()
        .and_then(|empty| empty.duplicate().ok());
    if let Some(empty) = known {
        return Ok((empty, None));
    }
    // Nobody keeps the end to write, so the end is there at once.
    let (reader, _) = pipe(system, context, 1, false).await?;
    let reader = reader.into_connection();
    *system.empty.borrow_mut() = reader.duplicate().ok();
    Ok((reader, None))
}

/// An end to write to that nobody reads.
async fn sink(system: &System, context: &Context) -> Result<Handle<Connection>, RpcError> {
    let known = system.sink.borrow().clone();
    let sink = match known {
        Some(sink) => sink,
        None => {
            let (reader, writer) = pipe(system, context, 1, true).await?;
            let sink = Rc::new((reader, stream::Client::adopt(writer)));
            *system.sink.borrow_mut() = Some(sink.clone());
            sink
        }
    };
    let started = sink.1.start_another(&system.calls, context.deadline());
    system
        .ask("procd", started, |error| {
            RpcError::new(
                Code::LimitReached,
                format!("no further end of a pipe: {error:?}"),
            )
            .with("limit", "pipes")
        })
        .await
}

/// The streams of a program that lives on by itself, and the ends from which its output can be read if it is kept.
pub async fn streams_for(
    system: &System,
    context: &Context,
    stdin: Vec<u8>,
    output: Output,
) -> Result<(Streams, Option<[stream::Client; 2]>), RpcError> {
    let (input, feed) = input(system, context, &stdin).await?;
    let (output, error, kept) = match output {
        Output::Kept => {
            let (stdout, output) = pipe(system, context, PIPE_BYTES, true).await?;
            let (stderr, error) = pipe(system, context, PIPE_BYTES, true).await?;
            (output, error, Some([stdout, stderr]))
        }
        Output::Lost => (
            sink(system, context).await?,
            sink(system, context).await?,
            None,
        ),
    };
    if let Some(feed) = feed {
        let feeding = system.clone();
        // It reads when it likes; when it ends, so does this.
        let deadline = Deadline::after_ms(FEED_MS);
        system.detach(async move { write_all(&feeding, &feed, &stdin, deadline).await });
    }
    let streams = Streams {
        input,
        output,
        error,
        terminal: None,
        report: None,
    };
    Ok((streams, kept))
}

/// Writes all of it, as long as somebody reads.
async fn write_all(system: &System, stream: &stream::Client, bytes: &[u8], deadline: Deadline) {
    let mut at = 0_usize;
    while at < bytes.len() {
        let chunk = &bytes[at..bytes.len().min(at + stream::MAX_CHUNK_BYTES)];
        let started = stream.start_write(&system.calls, deadline, at as u64, chunk);
        match system.call(started).await {
            Ok(taken) if taken as usize > at => at = (taken as usize).min(bytes.len()),
            // Nobody reads it.
            _ => return,
        }
    }
}

/// Reads until the end, or until nothing comes any more.
async fn read_all(
    system: &System,
    stream: &stream::Client,
    deadline: Deadline,
    mut take: impl FnMut(&[u8]) -> bool,
) {
    let mut at = 0_u64;
    loop {
        let most = stream::MAX_CHUNK_BYTES as u32;
        let started = stream.start_read(&system.calls, deadline, at, most);
        match system.call(started).await {
            Ok(chunk) if chunk.at == at && !chunk.data.is_empty() => {
                at += chunk.data.len() as u64;
                if !take(&chunk.data) || chunk.end {
                    return;
                }
            }
            _ => return,
        }
    }
}

async fn keep(
    system: &System,
    output: &stream::Client,
    deadline: Deadline,
    captured: &mut Captured,
) {
    read_all(system, output, deadline, |bytes| {
        captured.push(bytes);
        true
    })
    .await;
}

/// Reads what a program that has ended has written.
pub async fn drain(system: &System, output: &stream::Client, captured: &mut Captured) {
    keep(system, output, Deadline::after_ms(DRAIN_MS), captured).await;
}

/// A group of processes that ends with whoever holds this.
struct Held<'s> {
    system: &'s System,
    group: Option<Pid>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            self.system.kill_group(group);
        }
    }
}

impl Start {
    /// Runs the program. Who stops waiting ends it.
    ///
    /// # Errors
    /// It could not be started, or did not end in time.
    pub async fn run(mut self, system: &System, context: &Context) -> Result<Ended, RpcError> {
        let begun = Instant::now();
        let deadline = context.deadline();
        // What it starts is of its group, so that all of it can be ended together.
        let started = system.process.start_new_group(&system.calls, deadline);
        let group = system.ask("procd", started, of_process).await?;
        self.request.group = Some(group);
        let (input, feed) = input(system, context, &self.stdin).await?;
        let (stdout_end, output) = pipe(system, context, PIPE_BYTES, false).await?;
        let (stderr_end, error) = pipe(system, context, PIPE_BYTES, false).await?;
        let report = match self.is_for_value {
            true => Some(pipe(system, context, PIPE_BYTES, false).await?),
            false => None,
        };
        let (report_end, report) = report.unzip();
        let streams = Streams {
            input,
            output,
            error,
            terminal: None,
            report,
        };
        let pid = system
            .spawn(deadline, &self.request, streams)
            .await
            .map_err(of_spawn)?;
        let mut held = Held {
            system,
            group: Some(group),
        };
        let memory = &system.memory;
        let (mut stdout, mut stderr) = (Captured::new(memory), Captured::new(memory));
        let mut reported = Vec::new();
        let exit = {
            let started = system.process.start_wait(&system.calls, deadline, pid);
            let waiting = pin!(system.ask("procd", started, of_process));
            let feeding = async move {
                if let Some(feed) = feed {
                    write_all(system, &feed, &self.stdin, deadline).await;
                }
            };
            let reporting = async {
                if let Some(report) = &report_end {
                    read_all(system, report, deadline, |bytes| {
                        reported.extend_from_slice(bytes);
                        reported.len() <= MAX_REPORT
                    })
                    .await;
                }
            };
            let moving = pin!(join4(
                feeding,
                keep(system, &stdout_end, deadline, &mut stdout),
                keep(system, &stderr_end, deadline, &mut stderr),
                reporting,
            ));
            match select(waiting, moving).await {
                Either::Left((exit, moving)) => {
                    let late = Instant::now().as_ns().saturating_add(DRAIN_NS);
                    select(moving, system.timers.until(late)).await;
                    exit?
                }
                Either::Right((_, waiting)) => waiting.await?,
            }
        };
        held.group = None;
        Ok(Ended {
            exit,
            stdout,
            stderr,
            report: postcard::from_bytes(&reported).ok(),
            duration_ns: Instant::now().as_ns().saturating_sub(begun.as_ns()),
        })
    }
}
