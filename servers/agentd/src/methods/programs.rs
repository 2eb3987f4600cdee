//! `shell.run` and `pebble.eval`: a program of its own for each request, with captured output.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use libipc::{Deadline, Instant};
use protocols::process::{Exit, Limits, SpawnRequest, Streams};
use protocols::stream;
use serde_json::{Value, json};

use super::Context;
use super::declaration::{Access, By, Effect, Example, Method};
use super::processes::of_process;
use crate::shape::{Shape, U32, U64, member, optional};
use crate::system::{Answer, System, error, later};

/// Bytes of each output that are kept.
const CAPTURE_BYTES: u32 = 64 * 1024;
/// How long output may take to come after the program has ended.
const DRAIN_MS: u64 = 1_000;
/// The program that runs commands.
const SHELL: &str = "/system/shell.peb";

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "shell.run",
        summary: "Runs a command of the shell",
        access: Access::Scope("shell.run"),
        effect: Effect::Acts,
        params: &[
            member("cmd", Shape::Text).doc("as it would be typed"),
            optional("cwd", Shape::Text),
            optional("env", Shape::Map(&Shape::Text)),
        ],
        result: Shape::Object(&[
            member("exit_code", Shape::Nullable(&U32)),
            member("exit", Shape::Map(&Shape::Any)),
            member("stdout", Shape::Text),
            member("stderr", Shape::Text),
            member("truncated", Shape::Boolean),
        ]),
        errors: &[Code::LimitReached, Code::InvalidState, Code::NotFound],
        example: Example {
            params: r#"{"cmd": "echo one two | cat"}"#,
            result: r#"{"exit_code": 0, "exit": {"code": 0}, "stdout": "one two\\n", "stderr": "", "truncated": false}"#,
        },
        since: "0.2",
        by: By::Function(shell),
    },
    Method {
        name: "pebble.eval",
        summary: "Runs Pebble source",
        access: Access::Scope("pebble.eval"),
        effect: Effect::Acts,
        params: &[
            member("source", Shape::Text),
            optional("modules", Shape::Array(&Shape::Text)).doc("families of modules that it gets"),
        ],
        result: Shape::Object(&[
            member("stdout", Shape::Text),
            member("stderr", Shape::Text),
            member("truncated", Shape::Boolean),
            member("duration_ns", U64),
        ]),
        errors: &[Code::Pebble, Code::LimitReached],
        example: Example {
            params: r#"{"source": "print(6 * 7)"}"#,
            result: r#"{"stdout": "42\\n", "stderr": "", "truncated": false, "duration_ns": 30000000}"#,
        },
        since: "0.2",
        by: By::Function(eval),
    },
];

/// A program that runs or has run.
struct Run {
    outputs: [stream::Client; 2],
    captured: [Vec<u8>; 2],
    begun_ns: u64,
    deadline: Deadline,
    is_shell: bool,
    end: Option<Exit>,
}

/// `shell.run`
pub fn shell(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let command = params.string("cmd")?;
    let cwd = params.optional_string("cwd")?;
    let environment = params.optional_map("env")?.unwrap_or_default();
    params.finish()?;
    let request = SpawnRequest {
        program: SHELL.to_string(),
        arguments: vec!["-c".to_string(), command],
        environment,
        cwd: cwd.unwrap_or_else(|| "/".to_string()),
        limits: Limits::default(),
        group: None,
        source: None,
        modules: None,
    };
    begin(system, context, request, true)
}

/// `pebble.eval`
pub fn eval(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let source = params.string("source")?;
    let modules = params.optional_strings("modules")?;
    params.finish()?;
    let request = SpawnRequest {
        program: "eval".to_string(),
        arguments: Vec::new(),
        environment: Vec::new(),
        cwd: "/".to_string(),
        limits: Limits::default(),
        group: None,
        source: Some(source),
        modules,
    };
    begin(system, context, request, false)
}

fn begin(
    system: &mut System,
    context: &Context,
    request: SpawnRequest,
    is_shell: bool,
) -> Result<Answer, RpcError> {
    let pipe = |bytes, capture| {
        let made = system.process.pipe(System::soon(), bytes, capture);
        made.map_err(error("procd", of_process))
    };
    // Nobody keeps the end to write: the program reads the end at once.
    let (input, _) = pipe(64, false)?;
    let (output_reader, output) = pipe(CAPTURE_BYTES, true)?;
    let (error_reader, error_writer) = pipe(CAPTURE_BYTES, true)?;
    let streams = Streams {
        input,
        output,
        error: error_writer,
        terminal: None,
    };
    let deadline = context.deadline();
    let mut run = Box::new(Run {
        outputs: [
            stream::Client::adopt(output_reader),
            stream::Client::adopt(error_reader),
        ],
        captured: [Vec::new(), Vec::new()],
        begun_ns: Instant::now().as_ns(),
        deadline,
        is_shell,
        end: None,
    });
    let pending = system
        .process
        .start_spawn(&system.calls, deadline, &request, &streams);
    Ok(later(pending, "procd", move |outcome, system| {
        // From here on only the program can write, so its end is the end of the output.
        drop(streams);
        let pid = match outcome.map_err(error("procd", of_process)) {
            Ok(pid) => pid,
            Err(error) => return Answer::Now(Err(error)),
        };
        let pending = system.process.start_wait(&system.calls, run.deadline, pid);
        later(pending, "procd", move |outcome, system| match outcome {
            Ok(end) => {
                run.end = Some(end);
                drain(run, 0, system)
            }
            Err(failed) => {
                // Nobody waits for it any more; it may have ended just now, which is as well.
                let kill = protocols::process::Signal::Kill;
                let _ = system.process.signal(System::soon(), pid, kill, false);
                Answer::Now(Err(error("procd", of_process)(failed)))
            }
        })
    }))
}

/// Takes what was captured, one output after the other.
fn drain(mut run: Box<Run>, which: usize, system: &mut System) -> Answer {
    let (Some(output), Some(captured)) = (run.outputs.get(which), run.captured.get(which)) else {
        return Answer::Now(result(&run));
    };
    let (from, most) = (captured.len() as u64, stream::MAX_CHUNK_BYTES as u32);
    let pending = output.start_read(&system.calls, Deadline::after_ms(DRAIN_MS), from, most);
    later(pending, "procd", move |outcome, system| {
        let goes_on = match (outcome, run.captured.get_mut(which)) {
            (Ok(chunk), Some(captured)) if chunk.at == from => {
                captured.extend_from_slice(&chunk.data);
                !chunk.end && !chunk.data.is_empty()
            }
            _ => false,
        };
        drain(run, if goes_on { which } else { which + 1 }, system)
    })
}

fn result(run: &Run) -> Result<Value, RpcError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let [stdout, stderr] = &run.captured;
    let is_full = |bytes: &Vec<u8>| bytes.len() >= CAPTURE_BYTES as usize;
    let exit = run
        .end
        .as_ref()
        .map(super::processes::exit)
        .unwrap_or_default();
    let (output, errors) = (text(stdout), text(stderr));
    let truncated = is_full(stdout) || is_full(stderr);
    if run.is_shell {
        return Ok(json!({
            "exit_code": exit["code"],
            "exit": exit,
            "stdout": output,
            "stderr": errors,
            "truncated": truncated,
        }));
    }
    if !matches!(run.end, Some(Exit::Code(0))) {
        let message = errors
            .lines()
            .last()
            .unwrap_or("the program failed")
            .to_string();
        return Err(RpcError::new(Code::Pebble, message.clone())
            .with("message", message)
            .with("exit", exit)
            .with("stdout", output)
            .with("stderr", errors));
    }
    Ok(json!({
        "stdout": output,
        "stderr": errors,
        "truncated": truncated,
        "duration_ns": Instant::now().as_ns().saturating_sub(run.begun_ns),
    }))
}
