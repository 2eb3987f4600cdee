//! `process.*`

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use protocols::client::{FIRST_USER_PID, INIT_PID};
use protocols::process::{Error, Exit, Info, Limits, Signal};
use protocols::services;
use serde_json::{Map, Value, json};

use super::declaration::{Access, Effect, Example, Method, Outcome, task};
use super::{CURSOR, Context, LIMIT, NEXT_CURSOR};
use crate::shape::{Member, Shape, U32, U64, member, optional};
use crate::system::System;

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
            member("state", Shape::Word(STATES)).doc("of a service: what init says of it"),
            member("argv", Shape::Array(&Shape::Text)),
            optional("cwd", Shape::Text).doc("services have none"),
            optional("threads", U32),
            member("cpu_ns", U64),
            member("mem_bytes", U64).doc("of its own"),
            optional("mapped_bytes", U64).doc("shared ones too"),
            member("handles", U32),
            member("start_ns", U64).doc("since boot"),
            member("cpu", U32),
            member("service", Shape::Boolean).doc("one of init's"),
            optional("depth", U32).doc("in the tree, if one was asked for"),
            $($more),*
        ])
    };
}

/// What a process does, and what a service does besides.
const STATES: &[&str] = &[
    "running",
    "sleeping",
    "stopped",
    "ended",
    "starting",
    "restarting",
    "failed",
    "lazy",
];
/// One process.
const PROCESS: Shape = process![];
/// What is used of what is allowed, by limit.
const LIMITS: Shape = Shape::Map(&Shape::Object(&[
    member("used", U64),
    member("cap", Shape::Nullable(&U64)).doc("null: no limit"),
]));
/// Limits that are asked for.
pub const SET_LIMITS: Shape = Shape::Object(&[
    optional("max_rss_kb", U64),
    optional("max_cpu_ms", U64),
    optional("max_wall_ms", U64),
    optional("max_fds", U32),
    optional("max_threads", U32),
    optional("max_children", U32),
]);
/// How a process ended.
pub const EXIT: Shape = Shape::Object(&[
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
        params: &[
            LIMIT,
            CURSOR,
            optional("user", Shape::Text).doc("only this one's"),
            optional("service", Shape::Text).doc("only the process of this service"),
            optional("tree", Shape::Boolean).doc("children after their parents, with their depth"),
        ],
        result: Shape::Object(&[member("processes", Shape::Array(&PROCESS)), NEXT_CURSOR]),
        errors: &[],
        example: Example {
            params: r#"{"limit": 10}"#,
            result: r#"{"processes": [{"pid": 100, "ppid": 8, "pgid": 100, "sid": 100, "uid": 0, "user": "root", "name": "shell", "state": "sleeping", "argv": ["/system/shell.peb"], "cwd": "/", "threads": 1, "cpu_ns": 40000000, "mem_bytes": 307200, "mapped_bytes": 2500000, "handles": 20, "start_ns": 900000000, "cpu": 1, "service": false}], "next_cursor": null}"#,
        },
        since: "0.2",
        by: task!(list),
    },
    Method {
        name: "process.info",
        summary: "Everything about a process",
        access: Access::Scope("proc.read"),
        effect: Effect::Reads,
        params: &[PID],
        result: process![
            member("limits", LIMITS),
            member("env", Shape::Map(&Shape::Text))
        ],
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"pid": 100}"#,
            result: r#"{"pid": 100, "ppid": 8, "pgid": 100, "sid": 100, "uid": 0, "user": "root", "name": "shell", "state": "sleeping", "argv": ["/system/shell.peb"], "cwd": "/", "threads": 1, "cpu_ns": 40000000, "mem_bytes": 307200, "mapped_bytes": 2500000, "handles": 20, "start_ns": 900000000, "cpu": 1, "service": false, "limits": {"max_rss_kb": {"used": 300, "cap": null}}, "env": {"HOME": "/"}}"#,
        },
        since: "0.2",
        by: task!(info),
    },
    Method {
        name: "process.wait",
        summary: "Waits for the end of a process",
        access: Access::Scope("proc.read"),
        effect: Effect::Reads,
        params: &[PID],
        result: Shape::Object(&[
            member("exit", EXIT),
            optional("stdout", Shape::Text).doc("if it was started with capture"),
            optional("stderr", Shape::Text).doc("if it was started with capture"),
            optional("stdout_truncated", Shape::Boolean),
            optional("stderr_truncated", Shape::Boolean),
        ]),
        errors: &[Code::NotFound, Code::InvalidState, Code::Forbidden],
        example: Example {
            params: r#"{"pid": 101}"#,
            result: r#"{"exit": {"code": 0}}"#,
        },
        since: "0.2",
        by: task!(wait),
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
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"pid": 101, "signal": "KILL"}"#,
            result: r#"{"delivered": 1}"#,
        },
        since: "0.2",
        by: task!(kill),
    },
    Method {
        name: "process.limits",
        summary: "Shows and tightens limits",
        access: Access::Scope("proc.control"),
        effect: Effect::Sets,
        params: &[PID, optional("set", SET_LIMITS).doc("no limit ever grows")],
        result: Shape::Object(&[member("limits", LIMITS)]),
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"pid": 101, "set": {"max_cpu_ms": 1000}}"#,
            result: r#"{"limits": {"max_cpu_ms": {"used": 40, "cap": 1000}}}"#,
        },
        since: "0.2",
        by: task!(limits),
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
        "user": user(info.uid),
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

/// The same for a service, which is a process of init's.
fn describe_service(pid: u32, status: &services::Status) -> Value {
    json!({
        "pid": pid,
        "ppid": if pid == INIT_PID { 0 } else { INIT_PID },
        "pgid": pid,
        "sid": pid,
        "uid": 0,
        "user": user(0),
        "name": status.name,
        "state": format!("{:?}", status.state).to_lowercase(),
        "argv": [status.name],
        "cpu_ns": status.cpu_ns,
        "mem_bytes": status.memory_bytes,
        "handles": status.handles,
        "start_ns": status.since_ns,
        "cpu": status.cpu,
        "service": true,
    })
}

fn user(uid: u32) -> String {
    match uid {
        0 => "root".to_string(),
        other => other.to_string(),
    }
}

fn pid(params: &mut Params) -> Result<u32, RpcError> {
    let pid = params.integer("pid", 1..=u64::from(u32::MAX))?;
    Ok(u32::try_from(pid).unwrap_or(u32::MAX))
}

/// The service that has this process.
async fn service_of(
    system: &System,
    context: &Context,
    pid: u32,
) -> Result<Option<services::Status>, RpcError> {
    if pid >= FIRST_USER_PID {
        return Ok(None);
    }
    let all = super::supervisor::statuses(system, context).await?;
    Ok(all.into_iter().find(|status| status.pid == Some(pid)))
}

/// Refuses the process of a service: init alone waits for it and ends it.
async fn refuse_service(system: &System, context: &Context, pid: u32) -> Result<(), RpcError> {
    match service_of(system, context, pid).await? {
        None => Ok(()),
        Some(status) => Err(RpcError::new(
            Code::InvalidState,
            format!("{} is a service of init's", status.name),
        )
        .with("service", status.name)),
    }
}

async fn info_of(system: &System, context: &Context, pid: u32) -> Result<Info, RpcError> {
    let started = system
        .process
        .start_info(&system.calls, context.deadline(), pid);
    system.ask("procd", started, of_process).await
}

async fn list(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let page = super::page(&mut params)?;
    let wanted_user = params.optional_string("user")?;
    let wanted_service = params.optional_string("service")?;
    let is_tree = params.flag("tree")?;
    params.finish()?;
    let after = match page.cursor.as_str() {
        "" => 0,
        cursor => cursor
            .parse::<u32>()
            .map_err(|_| super::bad_cursor(cursor))?,
    };
    let mut processes = Vec::new();
    for status in super::supervisor::statuses(&system, &context).await? {
        if let Some(pid) = status.pid {
            processes.push((pid, describe_service(pid, &status)));
        }
    }
    let mut last = 0;
    loop {
        let started = system
            .process
            .start_list(&system.calls, context.deadline(), last);
        let pids = system.ask("procd", started, of_process).await?;
        let Some(newest) = pids.last() else { break };
        last = *newest;
        for pid in pids {
            match info_of(&system, &context, pid).await {
                Ok(info) => processes.push((pid, describe(&info))),
                // It has ended meanwhile.
                Err(error) if error.code == Code::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    processes.sort_by_key(|(pid, _)| *pid);
    processes.retain(|(_, process)| {
        let is = |member: &str, wanted: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| process[member] == **wanted)
        };
        is("user", &wanted_user)
            && is("name", &wanted_service)
            && (wanted_service.is_none() || process["service"] == true)
    });
    if is_tree {
        processes = as_tree(processes);
    }
    let start = match after {
        0 => 0,
        after => processes
            .iter()
            .position(|(pid, _)| *pid == after)
            .map_or(processes.len(), |place| place + 1),
    };
    let page_end = processes.len().min(start + page.limit);
    let next = (page_end < processes.len())
        .then(|| processes.get(page_end - 1).map(|(pid, _)| pid.to_string()))
        .flatten();
    let chosen: Vec<Value> = processes
        .into_iter()
        .skip(start)
        .take(page.limit)
        .map(|(_, process)| process)
        .collect();
    Ok(json!({ "processes": chosen, "next_cursor": next }))
}

/// Children after their parents, with how deep they are.
fn as_tree(processes: Vec<(u32, Value)>) -> Vec<(u32, Value)> {
    let is_there = |pid: &Value| processes.iter().any(|(other, _)| pid == other);
    let roots = processes
        .iter()
        .filter(|(_, process)| !is_there(&process["ppid"]));
    let mut ahead: Vec<(u32, u64)> = roots.map(|(pid, _)| (*pid, 0)).rev().collect();
    let mut sorted: Vec<(u32, Value)> = Vec::new();
    while let Some((pid, depth)) = ahead.pop() {
        let Some((_, process)) = processes.iter().find(|(other, _)| *other == pid) else {
            continue;
        };
        let mut process = process.clone();
        process["depth"] = depth.into();
        sorted.push((pid, process));
        let children = processes
            .iter()
            .rev()
            .filter(|(child, process)| process["ppid"] == pid && *child != pid);
        ahead.extend(children.map(|(child, _)| (*child, depth + 1)));
    }
    sorted
}

async fn info(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let pid = pid(&mut params)?;
    params.finish()?;
    if let Some(status) = service_of(&system, &context, pid).await? {
        let mut value = describe_service(pid, &status);
        value["limits"] = json!({});
        value["env"] = json!({});
        return Ok(value);
    }
    let mut value = describe(&info_of(&system, &context, pid).await?);
    value["limits"] = usage(&system, &context, pid, Limits::default()).await?;
    value["env"] = environment(&system, &context, pid).await?;
    Ok(value)
}

async fn environment(system: &System, context: &Context, pid: u32) -> Outcome {
    let mut environment = Map::new();
    let mut from = 0;
    loop {
        let started =
            system
                .process
                .start_environment(&system.calls, context.deadline(), pid, from);
        let pairs = system.ask("procd", started, of_process).await?;
        if pairs.is_empty() {
            return Ok(Value::Object(environment));
        }
        from += u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        environment.extend(pairs.into_iter().map(|(name, value)| (name, value.into())));
    }
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
        // As shells have it: what a signal would have made of it.
        Exit::Fault { kind, address } => {
            json!({ "fault": { "kind": kind, "address": address }, "code": 128 + 11 })
        }
        Exit::Limit(which) => json!({ "limit": which, "code": 128 + 9 }),
    }
}

async fn wait(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let pid = pid(&mut params)?;
    params.finish()?;
    refuse_service(&system, &context, pid).await?;
    let started = system
        .process
        .start_wait(&system.calls, context.deadline(), pid);
    let end = system.ask("procd", started, of_process).await?;
    let mut result = json!({ "exit": exit(&end) });
    let job = system.jobs.borrow_mut().take(pid);
    if let Some(job) = job {
        super::programs::add_output(&system, job, &mut result).await;
    }
    Ok(result)
}

async fn kill(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let pid = pid(&mut params)?;
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
    refuse_service(&system, &context, pid).await?;
    let started =
        system
            .process
            .start_signal(&system.calls, context.deadline(), pid, signal, group);
    let delivered = system.ask("procd", started, of_process).await?;
    Ok(json!({ "delivered": delivered }))
}

/// procd's names of limits, and ours.
const LIMIT_NAMES: [(&str, &str); 6] = [
    ("memory_kib", "max_rss_kb"),
    ("cpu_ms", "max_cpu_ms"),
    ("wall_ms", "max_wall_ms"),
    ("handles", "max_fds"),
    ("threads", "max_threads"),
    ("children", "max_children"),
];

async fn usage(system: &System, context: &Context, pid: u32, set: Limits) -> Outcome {
    let started = system
        .process
        .start_limits(&system.calls, context.deadline(), pid, set);
    let usages = system.ask("procd", started, of_process).await?;
    let members: Map<String, Value> = usages
        .into_iter()
        .map(|usage| {
            let known = LIMIT_NAMES.iter().find(|(name, _)| *name == usage.name);
            let name = known.map_or(usage.name.as_str(), |(_, name)| *name);
            (
                name.to_string(),
                json!({ "used": usage.used, "cap": usage.cap }),
            )
        })
        .collect();
    Ok(Value::Object(members))
}

/// Takes limits out of their object.
pub fn take_limits(set: &mut Params) -> Result<Limits, RpcError> {
    let mut whole = |name| set.optional_integer(name, 0..=u64::MAX);
    let (memory_kib, cpu_ms, wall_ms) = (
        whole("max_rss_kb")?,
        whole("max_cpu_ms")?,
        whole("max_wall_ms")?,
    );
    let mut small = |name| {
        let number = set.optional_integer(name, 0..=u64::from(u32::MAX))?;
        Ok::<_, RpcError>(number.and_then(|number| u32::try_from(number).ok()))
    };
    Ok(Limits {
        memory_kib,
        cpu_ms,
        wall_ms,
        handles: small("max_fds")?,
        threads: small("max_threads")?,
        children: small("max_children")?,
    })
}

async fn limits(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let pid = pid(&mut params)?;
    let set = params.optional_object("set", take_limits)?;
    params.finish()?;
    refuse_service(&system, &context, pid).await?;
    let limits = usage(&system, &context, pid, set.unwrap_or_default()).await?;
    Ok(json!({ "limits": limits }))
}
