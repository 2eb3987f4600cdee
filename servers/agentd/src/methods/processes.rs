//! `process.*`

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use protocols::process::{Error, Exit, Info, Limits, Signal};
use serde_json::{Map, Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{CURSOR, Context, LIMIT, NEXT_CURSOR};
use crate::shape::{Member, Shape, U32, U64, member, optional};
use crate::system::{Answer, System, error, later};

/// The parameter that most of them have.
const PID: Member = member("pid", Shape::Integer(1, u32::MAX as u64));

macro_rules! process {
    ($($more:expr),*) => {
        Shape::Object(&[
            PID,
            member("ppid", U32).doc("its parent"),
            member("pgid", U32).doc("its group"),
            member("sid", U32).doc("its session"),
            member("uid", U32),
            member("user", Shape::Text),
            member("name", Shape::Text),
            member("state", Shape::Word(&["running", "sleeping", "stopped", "ended"])),
            member("argv", Shape::Array(&Shape::Text)),
            member("cwd", Shape::Text),
            member("threads", U32),
            member("cpu_ns", U64),
            member("mem_bytes", U64).doc("of its own"),
            member("mapped_bytes", U64).doc("shared ones too"),
            member("handles", U32),
            member("start_ns", U64).doc("since boot"),
            member("cpu", U32),
            member("service", Shape::Boolean).doc("one of init's"),
            $($more),*
        ])
    };
}

/// One process.
const PROCESS: Shape = process![];
/// What is used of what is allowed, by limit.
const LIMITS: Shape = Shape::Map(&Shape::Object(&[
    member("used", U64),
    member("cap", Shape::Nullable(&U64)).doc("null: no limit"),
]));
/// How a process ended.
const EXIT: Shape = Shape::Object(&[
    optional("code", U32).doc("0 to 255; killed by a signal: 128 + its number"),
    optional("signal", Shape::Text),
    optional(
        "fault",
        Shape::Object(&[member("kind", Shape::Text), member("address", U64)]),
    ),
    optional("limit", Shape::Text).doc("the one it passed"),
]);
/// Signals by name.
const SIGNALS: &[&str] = &["TERM", "KILL", "INT", "HUP", "STOP", "CONT"];

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "process.list",
        summary: "The processes",
        access: Access::Scope("proc.read"),
        effect: Effect::Reads,
        params: &[LIMIT, CURSOR],
        result: Shape::Object(&[member("processes", Shape::Array(&PROCESS)), NEXT_CURSOR]),
        errors: &[],
        example: Example {
            params: r#"{"limit": 10}"#,
            result: r#"{"processes": [{"pid": 100, "ppid": 8, "pgid": 100, "sid": 100, "uid": 0, "user": "root", "name": "shell", "state": "sleeping", "argv": ["/system/shell.peb"], "cwd": "/", "threads": 1, "cpu_ns": 40000000, "mem_bytes": 307200, "mapped_bytes": 2500000, "handles": 20, "start_ns": 900000000, "cpu": 1, "service": false}], "next_cursor": null}"#,
        },
        since: "0.2",
        by: By::Function(list),
    },
    Method {
        name: "process.info",
        summary: "Everything about a process",
        access: Access::Scope("proc.read"),
        effect: Effect::Reads,
        params: &[PID],
        result: process![member("limits", LIMITS)],
        errors: &[Code::NotFound, Code::Forbidden],
        example: Example {
            params: r#"{"pid": 100}"#,
            result: r#"{"pid": 100, "ppid": 8, "pgid": 100, "sid": 100, "uid": 0, "user": "root", "name": "shell", "state": "sleeping", "argv": ["/system/shell.peb"], "cwd": "/", "threads": 1, "cpu_ns": 40000000, "mem_bytes": 307200, "mapped_bytes": 2500000, "handles": 20, "start_ns": 900000000, "cpu": 1, "service": false, "limits": {"memory_kib": {"used": 300, "cap": null}}}"#,
        },
        since: "0.2",
        by: By::Function(info),
    },
    Method {
        name: "process.wait",
        summary: "Waits for the end of a process",
        access: Access::Scope("proc.read"),
        effect: Effect::Reads,
        params: &[PID],
        result: Shape::Object(&[member("exit", EXIT)]),
        errors: &[Code::NotFound, Code::InvalidState, Code::Forbidden],
        example: Example {
            params: r#"{"pid": 101}"#,
            result: r#"{"exit": {"code": 0}}"#,
        },
        since: "0.2",
        by: By::Function(wait),
    },
    Method {
        name: "process.kill",
        summary: "Sends a signal",
        access: Access::Scope("proc.control"),
        effect: Effect::Acts,
        params: &[
            PID,
            optional("signal", Shape::Word(SIGNALS)).doc("TERM if it is not said"),
            optional("group", Shape::Boolean).doc("to its whole group"),
        ],
        result: Shape::Object(&[member("delivered", U32).doc("how many got it")]),
        errors: &[Code::NotFound, Code::Forbidden],
        example: Example {
            params: r#"{"pid": 101, "signal": "KILL"}"#,
            result: r#"{"delivered": 1}"#,
        },
        since: "0.2",
        by: By::Function(kill),
    },
    Method {
        name: "process.limits",
        summary: "Shows and tightens limits",
        access: Access::Scope("proc.control"),
        effect: Effect::Sets,
        params: &[
            PID,
            optional(
                "set",
                Shape::Object(&[
                    optional("memory_kib", U64),
                    optional("cpu_ms", U64),
                    optional("wall_ms", U64),
                    optional("handles", U32),
                    optional("threads", U32),
                    optional("children", U32),
                ]),
            )
            .doc("no limit ever grows"),
        ],
        result: Shape::Object(&[member("limits", LIMITS)]),
        errors: &[Code::NotFound, Code::Forbidden],
        example: Example {
            params: r#"{"pid": 101, "set": {"cpu_ms": 1000}}"#,
            result: r#"{"limits": {"cpu_ms": {"used": 40, "cap": 1000}}}"#,
        },
        since: "0.2",
        by: By::Function(limits),
    },
];

/// An error of procd's.
pub fn of_process(error: Error) -> RpcError {
    match error {
        Error::NotFound => RpcError::new(Code::NotFound, "no such process").with("what", "process"),
        Error::NoProgram => {
            RpcError::new(Code::NotFound, "no such program").with("what", "program")
        }
        Error::NotPermitted => RpcError::new(Code::Forbidden, "procd does not allow it"),
        Error::TooLarge { limit } => {
            RpcError::new(Code::TooLarge, "too large").with("limit", limit)
        }
        Error::LimitReached(which) => {
            RpcError::new(Code::LimitReached, format!("a limit is reached: {which}"))
                .with("limit", which)
        }
        Error::NotAChild => RpcError::new(Code::InvalidState, "the process is not yours"),
        Error::LoadFailed(why) => RpcError::new(Code::InvalidState, format!("not loaded: {why}")),
    }
}

fn describe(info: &Info) -> Value {
    json!({
        "pid": info.pid,
        "ppid": info.parent,
        "pgid": info.group,
        "sid": info.session,
        "uid": info.uid,
        "user": if info.uid == 0 { "root".to_string() } else { info.uid.to_string() },
        "name": info.name,
        "state": format!("{:?}", info.state).to_lowercase(),
        "argv": info.argv,
        "cwd": info.cwd,
        "threads": info.threads,
        "cpu_ns": info.cpu_ns,
        "mem_bytes": info.private_bytes,
        "mapped_bytes": info.mapped_bytes,
        "handles": info.handles,
        "start_ns": info.start_ns,
        "cpu": info.cpu,
        "service": info.service,
    })
}

fn pid(params: &mut Params) -> Result<u32, RpcError> {
    let pid = params.integer("pid", 1..=u64::from(u32::MAX))?;
    Ok(u32::try_from(pid).unwrap_or(u32::MAX))
}

/// `process.list`
pub fn list(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let page = super::page(params)?;
    params.finish()?;
    let mut after = match page.cursor.as_str() {
        "" => 0,
        cursor => cursor
            .parse::<u32>()
            .map_err(|_| super::bad_cursor(cursor))?,
    };
    let mut processes = Vec::new();
    loop {
        let pids = system
            .process
            .list(System::soon(), after)
            .map_err(error("procd", of_process))?;
        if pids.is_empty() {
            return Ok(Answer::Now(Ok(
                json!({ "processes": processes, "next_cursor": null }),
            )));
        }
        for pid in pids {
            if processes.len() == page.limit {
                let next = after.to_string();
                return Ok(Answer::Now(Ok(
                    json!({ "processes": processes, "next_cursor": next }),
                )));
            }
            // It may have ended meanwhile.
            if let Ok(info) = system.process.info(System::soon(), pid) {
                processes.push(describe(&info));
            }
            after = pid;
        }
    }
}

/// `process.info`
pub fn info(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let pid = pid(params)?;
    params.finish()?;
    let info = system
        .process
        .info(System::soon(), pid)
        .map_err(error("procd", of_process))?;
    let mut value = describe(&info);
    value["limits"] = usage(system, pid, Limits::default())?;
    Ok(Answer::Now(Ok(value)))
}

/// How a process ended, as JSON.
pub fn exit(exit: &Exit) -> Value {
    match exit {
        Exit::Code(code) => json!({ "code": code }),
        Exit::Signal(signal) => {
            let (name, number) = match signal {
                Signal::HangUp => ("HUP", 1),
                Signal::Interrupt => ("INT", 2),
                Signal::Kill => ("KILL", 9),
                Signal::Terminate => ("TERM", 15),
                Signal::Continue => ("CONT", 18),
                Signal::Stop => ("STOP", 20),
            };
            json!({ "signal": name, "code": 128 + number })
        }
        Exit::Fault { kind, address } => json!({ "fault": { "kind": kind, "address": address } }),
        Exit::Limit(which) => json!({ "limit": which }),
    }
}

/// `process.wait`
pub fn wait(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let pid = pid(params)?;
    params.finish()?;
    let pending = system
        .process
        .start_wait(&system.calls, context.deadline(), pid);
    Ok(later(pending, "procd", |outcome, _| {
        Answer::Now(
            outcome
                .map(|end| json!({ "exit": exit(&end) }))
                .map_err(error("procd", of_process)),
        )
    }))
}

/// `process.kill`
pub fn kill(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let pid = pid(params)?;
    let words = [
        ("TERM", Signal::Terminate),
        ("KILL", Signal::Kill),
        ("INT", Signal::Interrupt),
        ("HUP", Signal::HangUp),
        ("STOP", Signal::Stop),
        ("CONT", Signal::Continue),
    ];
    let signal = params
        .optional_word("signal", &words)?
        .unwrap_or(Signal::Terminate);
    let group = params.flag("group")?;
    params.finish()?;
    let delivered = system
        .process
        .signal(System::soon(), pid, signal, group)
        .map_err(error("procd", of_process))?;
    Ok(Answer::Now(Ok(json!({ "delivered": delivered }))))
}

fn usage(system: &System, pid: u32, set: Limits) -> Result<Value, RpcError> {
    let usages = system
        .process
        .limits(System::soon(), pid, set)
        .map_err(error("procd", of_process))?;
    let members: Map<String, Value> = usages
        .into_iter()
        .map(|usage| (usage.name, json!({ "used": usage.used, "cap": usage.cap })))
        .collect();
    Ok(Value::Object(members))
}

/// `process.limits`
pub fn limits(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let pid = pid(params)?;
    let set = params.optional_object("set", |set| {
        let mut whole = |name| set.optional_integer(name, 0..=u64::MAX);
        let (memory_kib, cpu_ms, wall_ms) =
            (whole("memory_kib")?, whole("cpu_ms")?, whole("wall_ms")?);
        let mut small = |name| {
            let number = set.optional_integer(name, 0..=u64::from(u32::MAX))?;
            Ok::<_, RpcError>(number.and_then(|number| u32::try_from(number).ok()))
        };
        Ok(Limits {
            memory_kib,
            cpu_ms,
            wall_ms,
            handles: small("handles")?,
            threads: small("threads")?,
            children: small("children")?,
        })
    })?;
    params.finish()?;
    let limits = usage(system, pid, set.unwrap_or_default())?;
    Ok(Answer::Now(Ok(json!({ "limits": limits }))))
}
