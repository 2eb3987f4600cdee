//! Memory: of the machine after boot, and of a program while it runs.

use alloc::format;
use alloc::string::ToString;

use libipc::prelude::*;
use libipc::{Badge, Endpoint, Instant, StartError, Wake};
use protocols::process::{self, Limits, SpawnRequest, Streams};
use protocols::stream::{self, Chunk, Error, Kind, Stream};

use crate::Bench;
use crate::calls::patience;

/// The program, and what it is to say.
const PROGRAM: &str = "/system/bin/echo.peb";
const ARGUMENT: &str = "hello";
/// It is dead if it says nothing for so long.
const PATIENCE_NS: u64 = 60_000_000_000;

/// Reports the memory in use.
pub fn report_machine(bench: &mut Bench) -> Result<(), StartError> {
    let machine = bench
        .services
        .machine(patience())
        .map_err(|error| StartError::Other(format!("no figures of the machine: {error}")))?;
    bench.report_memory("in_use", machine.memory_total - machine.memory_free);
    Ok(())
}

/// Reports what `echo` has for itself when it writes: it is stopped in the middle of its only write.
pub fn measure(bench: &mut Bench, processes: &process::Client) -> Result<(), StartError> {
    let mut endpoint = Endpoint::create()?;
    let connection = endpoint.mint(Badge::own(0, 1))?.client;
    let request = SpawnRequest {
        program: PROGRAM.into(),
        arguments: [ARGUMENT.to_string()].into(),
        environment: Default::default(),
        cwd: "/".into(),
        limits: Limits::default(),
        group: None,
        source: None,
        modules: None,
    };
    let streams = Streams {
        input: connection.duplicate()?,
        output: connection.duplicate()?,
        error: connection,
        terminal: None,
        report: None,
    };
    let failed = |error| StartError::Other(format!("{PROGRAM}: {error}"));
    let pid = processes
        .spawn(patience(), request, streams)
        .map_err(failed)?;
    let mut output = Output::default();
    let until = Instant::from_ns(Instant::now().as_ns() + PATIENCE_NS);
    while output.held.is_none() {
        match endpoint.receive(until) {
            Wake::Call(call) => stream::dispatch(&mut output, call),
            Wake::Deadline(_) => {
                return Err(StartError::Other(format!("{PROGRAM} says nothing")));
            }
            Wake::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
    let info = processes.info(patience(), pid).map_err(failed)?;
    bench.report_memory("echo", info.private_bytes);
    if let Some((position, reply)) = output.held.take() {
        reply.ok(position);
    }
    Ok(())
}

/// A stream whose first writer waits.
#[derive(Default)]
struct Output {
    held: Option<(u64, Reply<u64, Error>)>,
}

impl Stream for Output {
    fn write(&mut self, _caller: Caller, at: u64, data: Vec<u8>, reply: Reply<u64, Error>) {
        self.held = Some((at + data.len() as u64, reply));
    }

    fn read(&mut self, _caller: Caller, from: u64, _max: u32, reply: Reply<Chunk, Error>) {
        reply.ok(Chunk {
            at: from,
            data: Vec::new(),
            end: true,
        });
    }

    fn another(&mut self, _caller: Caller) -> Result<Handle<Connection>, Error> {
        Err(Error::LimitReached)
    }

    fn kind(&mut self, _caller: Caller) -> Result<Kind, Error> {
        Ok(Kind::Capture)
    }

    fn finish(&mut self, _caller: Caller) -> Result<(), Error> {
        Ok(())
    }
}
