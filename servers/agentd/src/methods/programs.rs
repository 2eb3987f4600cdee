//! `process.spawn`, `shell.run` and `pebble.eval`: programs, each a process of its own.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use agentd::params::{Params, wrong};
use agentd::rpc::{Code, RpcError};
use libipc::Instant;
use protocols::process::{Exit, Limits, SpawnRequest};
use serde_json::{Value, json};

use super::Context;
use super::declaration::{Access, Effect, Example, Method, Outcome, task};
use super::processes::{EXIT, SET_LIMITS, exit, take_limits};
use crate::jobs::{Job, MAX_JOBS};
use crate::output::{Captured, records};
use crate::shape::{Shape, U32, U64, member, optional};
use crate::system::System;

mod run;

use run::{Ended, Output, PIPE_BYTES, Start, drain, of_spawn, streams_for};

/// The program that runs commands.
const SHELL: &str = "/system/shell.peb";
/// What errors call source text.
const EVAL: &str = "eval";
/// Bytes of a program's text that fit the message that starts it.
const MAX_SOURCE: u64 = 3_000;
/// The environment of programs, if the request does not say otherwise.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("PATH", "/system/bin:/system/sbin:/bin"),
    ("HOME", "/"),
    ("USER", "root"),
];
/// How a command's output is given.
const OUTPUTS: &[&str] = &["auto", "text", "records"];
/// Programs that a policy leaves alone.
const POLICIES: &[&str] = &["minimal", "compute", "inherit"];

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "process.spawn",
        summary: "Starts a program, which lives on by itself",
        access: Access::Scope("proc.spawn"),
        effect: Effect::Acts,
        params: &[
            member("argv", Shape::Array(&Shape::Text)).doc("the program's path first"),
            optional("env", Shape::Map(&Shape::Text)).doc("besides PATH, HOME and USER"),
            optional("cwd", Shape::Text),
            optional("stdin", Shape::Text).doc("64 KiB at most"),
            optional("policy", Shape::Word(POLICIES)).doc("what it gets; inherit: what you have"),
            optional("limits", SET_LIMITS),
            optional("capture", Shape::Boolean)
                .doc("its output is kept and given by process.wait; else it is lost"),
        ],
        result: Shape::Object(&[
            member("pid", U32),
            member("job_id", Shape::Nullable(&U32)).doc("null without capture"),
        ]),
        errors: &[
            Code::NotFound,
            Code::Forbidden,
            Code::InvalidState,
            Code::LimitReached,
        ],
        example: Example {
            params: r#"{"argv": ["/system/bin/echo.peb", "x"], "capture": true}"#,
            result: r#"{"pid": 101, "job_id": 101}"#,
        },
        since: "0.2",
        by: task!(spawn),
    },
    Method {
        name: "shell.run",
        summary: "Runs a command of the shell",
        access: Access::Scope("shell.run"),
        effect: Effect::Acts,
        params: &[
            member("cmd", Shape::Text).doc("as it would be typed"),
            optional("stdin", Shape::Text),
            optional("cwd", Shape::Text),
            optional("env", Shape::Map(&Shape::Text)).doc("besides PATH, HOME and USER"),
            optional("output", Shape::Word(OUTPUTS))
                .doc("records: lines of output that are JSON objects; auto: if all are"),
        ],
        result: Shape::Object(&[
            member("exit_code", Shape::Nullable(&U32)),
            member("exit", EXIT),
            member("stdout", Shape::Text),
            member("stderr", Shape::Text),
            member("stdout_truncated", Shape::Boolean),
            member("stderr_truncated", Shape::Boolean),
            member("truncated", Shape::Boolean).doc("one of them"),
            member("duration_ns", U64),
            optional("records", Shape::Array(&Shape::Map(&Shape::Any))),
            optional("bad_lines", U64).doc("that are no records"),
        ]),
        errors: &[
            Code::LimitReached,
            Code::InvalidState,
            Code::NotFound,
            Code::Forbidden,
        ],
        example: Example {
            params: r#"{"cmd": "echo one two | cat"}"#,
            result: r#"{"exit_code": 0, "exit": {"code": 0}, "stdout": "one two\\n", "stderr": "", "stdout_truncated": false, "stderr_truncated": false, "truncated": false, "duration_ns": 30000000}"#,
        },
        since: "0.2",
        by: task!(shell),
    },
    Method {
        name: "pebble.eval",
        summary: "Runs Pebble source and gives the value of its last expression",
        access: Access::Scope("pebble.eval"),
        effect: Effect::Acts,
        params: &[
            member("source", Shape::Text),
            optional("stdin", Shape::Text),
            optional("timeout_ms", Shape::Integer(1, 600_000)).doc("if it is to end earlier"),
            optional("modules", Shape::Array(&Shape::Text)).doc("families of modules that it gets"),
        ],
        result: Shape::Object(&[
            member("value", Shape::Any).doc("null if there is none, or JSON has no such value"),
            member("repr", Shape::Nullable(&Shape::Text)).doc("null if there is no value"),
            member("exit", EXIT),
            member("stdout", Shape::Text),
            member("stderr", Shape::Text),
            member("stdout_truncated", Shape::Boolean),
            member("stderr_truncated", Shape::Boolean),
            member("truncated", Shape::Boolean).doc("one of them"),
            member("duration_ns", U64),
            member("steps", U64).doc("of the engine"),
        ]),
        errors: &[Code::Pebble, Code::LimitReached, Code::InvalidState],
        example: Example {
            params: r#"{"source": "print(\"out\")\n6 * 7"}"#,
            result: r#"{"value": 42, "repr": "42", "exit": {"code": 0}, "stdout": "out\n", "stderr": "", "stdout_truncated": false, "stderr_truncated": false, "truncated": false, "duration_ns": 30000000, "steps": 9}"#,
        },
        since: "0.2",
        by: task!(eval),
    },
];

/// The environment of a program.
fn environment(params: &mut Params) -> Result<Vec<(String, String)>, RpcError> {
    let given = params.optional_map("env")?.unwrap_or_default();
    let is_given = |name: &str| given.iter().any(|(given, _)| given == name);
    let usual = ENVIRONMENT
        .iter()
        .filter(|(name, _)| !is_given(name))
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Ok(usual.chain(given.iter().cloned()).collect())
}

/// The families of modules that a program of this subject may have: what its scopes allow, and no more.
///
/// Programs that are given `proc` start others, whose modules nobody checks against theirs, so they need all of it.
fn families(context: &Context) -> Option<Vec<String>> {
    let token = context.subject.as_ref()?;
    let is_unbound = token.constraints.paths.is_empty() && token.constraints.services.is_empty();
    let all = |scopes: &[&str]| is_unbound && scopes.iter().all(|scope| token.allows(scope));
    let pairs: [(&str, &[&str]); 3] = [
        ("fs", &["fs.read", "fs.write"]),
        ("net", &["net.read", "net.use"]),
        ("service", &["svc.read", "svc.control", "log.read"]),
    ];
    let has_all = pairs.iter().all(|(_, scopes)| all(scopes))
        && all(&["proc.read", "proc.spawn", "proc.control"]);
    if has_all {
        return None;
    }
    let some = pairs.iter().filter(|(_, scopes)| all(scopes));
    let mut families: Vec<String> = some.map(|(name, _)| name.to_string()).collect();
    families.extend(["clock", "term"].map(String::from));
    Some(families)
}

/// Both restrictions together.
fn restricted(allowed: Option<Vec<String>>, wanted: Option<Vec<String>>) -> Option<Vec<String>> {
    match (allowed, wanted) {
        (Some(allowed), Some(wanted)) => Some(
            wanted
                .into_iter()
                .filter(|name| allowed.contains(name))
                .collect(),
        ),
        (allowed, wanted) => allowed.or(wanted),
    }
}

/// The text of a program that can't read it itself, because it gets no files.
async fn text_of(system: &System, context: &Context, program: &str) -> Result<String, RpcError> {
    if !context.allows("fs.read") {
        return Err(
            RpcError::new(Code::Forbidden, "you may not read the program's file")
                .with("required", "fs.read"),
        );
    }
    let path = super::files::reachable(context, program)?;
    let bytes = super::files::whole(system, context, &path, MAX_SOURCE).await?;
    String::from_utf8(bytes)
        .map_err(|_| RpcError::new(Code::InvalidState, "the program is not text"))
}

async fn spawn(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let mut argv = params.strings("argv")?.into_iter();
    let environment = environment(&mut params)?;
    let cwd = params.optional_string("cwd")?;
    let stdin = params.optional_string("stdin")?.unwrap_or_default();
    let policies = [
        ("minimal", Some(Vec::new())),
        ("compute", Some(vec!["clock".to_string()])),
        ("inherit", None),
    ];
    let policy = params.optional_string("policy")?;
    let limits = params.optional_object("limits", take_limits)?;
    let captures = params.flag("capture")?;
    params.finish()?;
    let program = argv
        .next()
        .ok_or_else(|| wrong("argv", "at least a program", None))?;
    let policy = match &policy {
        None => None,
        Some(wanted) => policies
            .iter()
            .find(|(name, _)| name == wanted)
            .ok_or_else(|| wrong("policy", "one of minimal, compute, inherit", None))?
            .1
            .clone(),
    };
    if captures && !system.jobs.borrow().has_room() {
        return Err(RpcError::new(
            Code::LimitReached,
            "too many programs have their output kept",
        )
        .with("limit", MAX_JOBS));
    }
    let modules = restricted(families(&context), policy);
    let source = match &modules {
        Some(modules) if modules.iter().all(|module| module != "fs") => {
            Some(text_of(&system, &context, &program).await?)
        }
        _ => None,
    };
    let request = SpawnRequest {
        program,
        arguments: argv.collect(),
        environment,
        cwd: cwd.unwrap_or_else(|| "/".to_string()),
        limits: limits.unwrap_or_default(),
        group: None,
        source,
        modules,
    };
    let output = if captures { Output::Kept } else { Output::Lost };
    let (streams, outputs) = streams_for(&system, &context, stdin.into_bytes(), output).await?;
    let pid = system
        .spawn(context.deadline(), &request, streams)
        .await
        .map_err(of_spawn)?;
    let job = outputs.map(|outputs| system.jobs.borrow_mut().add(pid, outputs));
    Ok(json!({ "pid": pid, "job_id": job.map(|()| pid) }))
}

/// Adds the output of a program that has ended to what is said about its end.
pub async fn add_output(system: &System, job: Job, result: &mut Value) {
    let mut captured = [(); 2].map(|()| Captured::new(&system.memory));
    for (output, captured) in job.outputs.iter().zip(&mut captured) {
        drain(system, output, captured).await;
    }
    let [stdout, stderr] = &captured;
    add_texts(result, stdout, stderr);
    // A full pipe may have dropped what came then.
    for (member, captured) in [("stdout_truncated", stdout), ("stderr_truncated", stderr)] {
        if captured.total() >= u64::from(PIPE_BYTES) {
            result[member] = true.into();
        }
    }
}

fn add_texts(result: &mut Value, stdout: &Captured, stderr: &Captured) {
    result["stdout"] = stdout.text().into();
    result["stderr"] = stderr.text().into();
    result["stdout_truncated"] = stdout.is_truncated().into();
    result["stderr_truncated"] = stderr.is_truncated().into();
}

/// What both ways of running something say of it.
fn describe(ended: &Ended) -> Value {
    let mut result = json!({
        "exit": exit(&ended.exit),
        "truncated": ended.stdout.is_truncated() || ended.stderr.is_truncated(),
        "duration_ns": ended.duration_ns,
    });
    add_texts(&mut result, &ended.stdout, &ended.stderr);
    result
}

async fn shell(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let command = params.string("cmd")?;
    let stdin = params.optional_string("stdin")?;
    let cwd = params.optional_string("cwd")?;
    let environment = environment(&mut params)?;
    let outputs = [("auto", 0), ("text", 1), ("records", 2)];
    let output = params.optional_word("output", &outputs)?;
    params.finish()?;
    if families(&context).is_some() {
        // The shell starts programs, and they may do what any program may.
        return Err(RpcError::new(
            Code::Forbidden,
            "the shell needs a token without constraints on files, processes, services and the network",
        )
        .with("required", "fs.write"));
    }
    let is_bare = context.client == "adventos" && output.is_none();
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
    let start = Start {
        request,
        stdin: stdin.unwrap_or_default().into_bytes(),
        is_for_value: false,
    };
    let ended = start.run(&system, &context).await?;
    let mut result = describe(&ended);
    result["exit_code"] = result["exit"]["code"].clone();
    let (found, bad) = records(&ended.stdout.text());
    if is_bare {
        return Ok(Value::Array(found));
    }
    let wants_records = match output {
        Some(2) => true,
        Some(1) => false,
        _ => bad == 0 && !found.is_empty(),
    };
    if wants_records {
        result["records"] = Value::Array(found);
        result["bad_lines"] = bad.into();
    }
    Ok(result)
}

async fn eval(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let source = params.string("source")?;
    let stdin = params.optional_string("stdin")?;
    let timeout_ms = params.optional_integer("timeout_ms", 1..=600_000)?;
    let modules = params.optional_strings("modules")?;
    params.finish()?;
    let request = SpawnRequest {
        program: EVAL.to_string(),
        arguments: Vec::new(),
        environment: ENVIRONMENT
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        cwd: "/".to_string(),
        limits: Limits {
            wall_ms: timeout_ms,
            ..Limits::default()
        },
        group: None,
        source: Some(source),
        modules: restricted(families(&context), modules),
    };
    let start = Start {
        request,
        stdin: stdin.unwrap_or_default().into_bytes(),
        is_for_value: true,
    };
    let begun = Instant::now();
    let ended = start.run(&system, &context).await?;
    value_of(&ended).map_err(|error| match (&ended.exit, timeout_ms) {
        (Exit::Limit(which), Some(timeout_ms)) if which == "wall_ms" => {
            let passed = Instant::now().since(begun).as_millis() as u64;
            RpcError::new(Code::Timeout, "the program was not done in time")
                .with("may_have_happened", true)
                .with("timeout_ms", timeout_ms)
                .with("passed_ms", passed)
        }
        _ => error,
    })
}

/// The result of a program that ran for its value, or its error.
fn value_of(ended: &Ended) -> Outcome {
    let mut result = describe(ended);
    let Some(report) = &ended.report else {
        // It did not end by itself.
        let message = alloc::format!("the program was ended: {}", result["exit"]);
        let error = RpcError::new(Code::Pebble, message.clone());
        return Err(add_details(error, "Killed", &message, &result));
    };
    if let Some(thrown) = &report.thrown {
        let message = alloc::format!("{}:{}: {}", thrown.file, thrown.line, thrown.detail);
        let trace: Vec<Value> = thrown
            .trace
            .iter()
            .map(|(function, file, line)| json!({ "function": function, "file": file, "line": line }))
            .collect();
        let error = RpcError::new(Code::Pebble, message)
            .with("file", thrown.file.as_str())
            .with("line", thrown.line)
            .with("traceback", trace);
        return Err(add_details(error, &thrown.class, &thrown.detail, &result));
    }
    let value = report.value.as_ref().map(|text| serde_json::from_str(text));
    result["value"] = value.and_then(Result::ok).unwrap_or_default();
    result["repr"] = report.repr.clone().into();
    result["steps"] = report.steps.into();
    Ok(result)
}

fn add_details(error: RpcError, exception: &str, message: &str, result: &Value) -> RpcError {
    let mut error = error.with("exception", exception).with("message", message);
    for member in ["exit", "stdout", "stderr"] {
        error = error.with(member, result[member].clone());
    }
    error
}
