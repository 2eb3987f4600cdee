//! `service.*` and `fault.*`

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::{Params, wrong};
use agentd::rpc::{Code, RpcError};
use libipc::{Deadline, Failure, Pending};
use protocols::services::{Cause, Client, Error, Hang, Status, When};
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{CURSOR, Context, LIMIT, NEXT_CURSOR, of_services};
use crate::shape::{Member, Shape, U32, U64, member, optional};
use crate::system::{Answer, System, error, later};

/// The parameter that most of them have.
const NAME: Member = member("name", Shape::Text).doc("of a service");
/// Why an incarnation ended.
const CAUSE: Shape = Shape::Either(&[
    Shape::Null,
    Shape::Word(&["watchdog", "request"]),
    Shape::Object(&[member("exit", U64)]),
    Shape::Object(&[member(
        "fault",
        Shape::Object(&[
            member("kind", Shape::Text),
            member("address", U64),
            member("instruction_pointer", U64),
            member("panic", Shape::Nullable(&Shape::Text)),
        ]),
    )]),
]);

macro_rules! status {
    ($($more:expr),*) => {
        Shape::Object(&[
            NAME,
            member(
                "state",
                Shape::Word(&["lazy", "starting", "running", "restarting", "stopped", "failed"]),
            ),
            member("pid", Shape::Nullable(&U32)),
            member("restarts", U32),
            member("last_exit", CAUSE),
            member("provides", Shape::Array(&Shape::Text)).doc("protocols"),
            member("needs", Shape::Array(&Shape::Text)).doc("services"),
            member("health", Shape::Word(&["ok", "unknown"])),
            member("since_ns", U64).doc("since boot"),
            member("took_ns", U64).doc("from the last death, or request, to the first heartbeat"),
            member("cause", CAUSE),
            member("generation", U64).doc("incarnation, from 1"),
            member("memory", U64).doc("bytes"),
            member("cpu_ns", U64),
            member("handles", U64),
            member("cpu", U32),
            $($more),*
        ])
    };
}

/// One service.
const STATUS: Shape = status![];

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "service.list",
        summary: "The services",
        access: Access::Scope("svc.read"),
        effect: Effect::Reads,
        params: &[LIMIT, CURSOR],
        result: Shape::Object(&[member("services", Shape::Array(&STATUS)), NEXT_CURSOR]),
        errors: &[],
        example: Example {
            params: r#"{}"#,
            result: r#"{"services": [{"name": "logd", "state": "running", "pid": 3, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}], "next_cursor": null}"#,
        },
        since: "0.2",
        by: By::Function(list),
    },
    Method {
        name: "service.status",
        summary: "Everything about a service",
        access: Access::Scope("svc.read"),
        effect: Effect::Reads,
        params: &[NAME],
        result: status![member("manifest", Shape::Text)],
        errors: &[Code::NotFound, Code::Forbidden],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "running", "pid": 3, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0, "manifest": "name = \"logd\""}"#,
        },
        since: "0.2",
        by: By::Function(status),
    },
    Method {
        name: "service.start",
        summary: "Starts a service; answers when it runs",
        access: Access::Scope("svc.control"),
        effect: Effect::Sets,
        params: &[NAME],
        result: STATUS,
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "running", "pid": 3, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}"#,
        },
        since: "0.2",
        by: By::Function(start),
    },
    Method {
        name: "service.stop",
        summary: "Stops a service; it is not started again by itself",
        access: Access::Scope("svc.control"),
        effect: Effect::Sets,
        params: &[NAME],
        result: STATUS,
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "stopped", "pid": null, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}"#,
        },
        since: "0.2",
        by: By::Function(stop),
    },
    Method {
        name: "service.restart",
        summary: "Stops and starts a service",
        access: Access::Scope("svc.control"),
        effect: Effect::Acts,
        params: &[NAME],
        result: STATUS,
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "running", "pid": 3, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}"#,
        },
        since: "0.2",
        by: By::Function(restart),
    },
    Method {
        name: "fault.kill",
        summary: "Kills a service, now or at a point",
        access: Access::Scope("fault.inject"),
        effect: Effect::Acts,
        params: &[
            member("service", Shape::Text),
            optional(
                "when",
                Shape::Object(&[
                    optional("method", Shape::Text).doc("at its n-th call"),
                    optional("point", Shape::Text)
                        .doc("before or after, with a method; else a point of its code by name"),
                    optional("n", Shape::Integer(1, u32::MAX as u64)),
                ]),
            ),
        ],
        result: Shape::Object(&[member("id", Shape::Null)]),
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"service": "logd", "when": {"method": "read", "n": 3, "point": "after"}}"#,
            result: r#"{"id": null}"#,
        },
        since: "0.2",
        by: By::Function(kill),
    },
    Method {
        name: "fault.hang",
        summary: "Has a service stop answering, which the watchdog must notice",
        access: Access::Scope("fault.inject"),
        effect: Effect::Acts,
        params: &[
            member("service", Shape::Text),
            optional("ms", U32).doc("for so long"),
            optional("forever", Shape::Boolean).doc("instead of ms"),
            optional("how", Shape::Word(&["loops", "waits"]))
                .doc("by looping (if nothing is said), or by waiting for what nobody brings"),
        ],
        result: Shape::Object(&[member("id", Shape::Null)]),
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"service": "logd", "ms": 50}"#,
            result: r#"{"id": null}"#,
        },
        since: "0.2",
        by: By::Function(hang),
    },
];

fn allowed(context: &Context, name: &str) -> Result<(), RpcError> {
    match &context.subject {
        Some(token) if token.allows_service(name) => Ok(()),
        _ => Err(
            RpcError::new(Code::Forbidden, "this service is out of reach")
                .with("required", "services"),
        ),
    }
}

fn cause(cause: &Cause) -> Value {
    match cause {
        Cause::None => Value::Null,
        Cause::Exit { code } => json!({ "exit": code }),
        Cause::Fault {
            kind,
            address,
            instruction_pointer,
            panic,
        } => json!({
            "fault": { "kind": kind, "address": address, "instruction_pointer": instruction_pointer, "panic": panic },
        }),
        Cause::Watchdog => json!("watchdog"),
        Cause::Request => json!("request"),
    }
}

fn describe(status: &Status) -> Value {
    json!({
        "name": status.name,
        "state": format!("{:?}", status.state).to_lowercase(),
        "pid": status.pid,
        "restarts": status.restarts,
        "last_exit": cause(&status.last_exit),
        "provides": status.provides,
        "needs": status.needs,
        "health": if status.healthy { "ok" } else { "unknown" },
        "since_ns": status.since_ns,
        "took_ns": status.took_ns,
        "cause": cause(&status.last_exit),
        "generation": status.generation,
        "memory": status.memory_bytes,
        "cpu_ns": status.cpu_ns,
        "handles": status.handles,
        "cpu": status.cpu,
    })
}

/// Names of all services.
pub fn names(system: &System) -> Result<Vec<String>, RpcError> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let from = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let more = system
            .services
            .list(System::soon(), from)
            .map_err(error("init", of_services))?;
        if more.is_empty() {
            return Ok(names);
        }
        names.extend(more);
    }
}

/// `service.list`
pub fn list(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let page = super::page(params)?;
    params.finish()?;
    let mut names = names(system)?;
    names.retain(|name| *name > page.cursor);
    names.sort();
    let (mut services, mut next) = (Vec::new(), None::<String>);
    for name in names {
        if services.len() == page.limit {
            return Ok(Answer::Now(Ok(
                json!({ "services": services, "next_cursor": next }),
            )));
        }
        if allowed(context, &name).is_ok() {
            let status = system
                .services
                .status(System::soon(), &name)
                .map_err(error("init", of_services))?;
            services.push(describe(&status));
            next = Some(name);
        }
    }
    Ok(Answer::Now(Ok(
        json!({ "services": services, "next_cursor": null }),
    )))
}

/// `service.status`
pub fn status(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let name = params.string("name")?;
    params.finish()?;
    allowed(context, &name)?;
    let status = system
        .services
        .status(System::soon(), &name)
        .map_err(error("init", of_services))?;
    let mut value = describe(&status);
    let manifest = system
        .services
        .manifest(System::soon(), &name)
        .map_err(error("init", of_services))?;
    value["manifest"] = manifest.into();
    Ok(Answer::Now(Ok(value)))
}

fn steer(
    context: &Context,
    params: &mut Params,
    start: impl FnOnce(&str, Deadline) -> Result<Pending<Status, Error>, Failure>,
) -> Result<Answer, RpcError> {
    let name = params.string("name")?;
    params.finish()?;
    allowed(context, &name)?;
    let pending = start(&name, context.deadline());
    Ok(later(pending, "init", |outcome, _| {
        Answer::Now(
            outcome
                .map(|status| describe(&status))
                .map_err(error("init", of_services)),
        )
    }))
}

/// `service.start`
pub fn start(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let (client, calls): (&Client, _) = (&system.services, &system.calls);
    steer(context, params, |name, deadline| {
        client.start_start(calls, deadline, name)
    })
}

/// `service.stop`
pub fn stop(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let (client, calls) = (&system.services, &system.calls);
    steer(context, params, |name, deadline| {
        client.start_stop(calls, deadline, name)
    })
}

/// `service.restart`
pub fn restart(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let (client, calls) = (&system.services, &system.calls);
    steer(context, params, |name, deadline| {
        client.start_restart(calls, deadline, name)
    })
}

/// `fault.kill`
pub fn kill(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let name = params.string("service")?;
    let when = params.optional_object("when", |when| {
        let n = u32::try_from(
            when.optional_integer("n", 1..=u64::from(u32::MAX))?
                .unwrap_or(1),
        )
        .unwrap_or(1);
        let method = when.optional_string("method")?;
        match method {
            Some(method) => {
                let words = [("before", false), ("after", true)];
                let after = when.optional_word("point", &words)?.unwrap_or(false);
                Ok(When::Method { method, n, after })
            }
            None => match when.optional_string("point")? {
                Some(point) => Ok(When::Point { point, n }),
                None => Err(wrong("point", "method or point", None)),
            },
        }
    })?;
    params.finish()?;
    allowed(context, &name)?;
    let when = when.unwrap_or(When::Now);
    let pending = system
        .services
        .start_kill(&system.calls, context.deadline(), &name, when);
    Ok(later(pending, "init", |outcome, _| {
        Answer::Now(
            outcome
                .map(|()| json!({ "id": Value::Null }))
                .map_err(error("init", of_services)),
        )
    }))
}

/// `fault.hang`
pub fn hang(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let name = params.string("service")?;
    let ms = params.optional_integer("ms", 0..=u64::from(u32::MAX))?;
    let forever = params.flag("forever")?;
    let words = [("loops", Hang::Loops), ("waits", Hang::Waits)];
    let how = params.optional_word("how", &words)?.unwrap_or(Hang::Loops);
    params.finish()?;
    allowed(context, &name)?;
    if ms.is_some() == forever {
        return Err(wrong("ms", "ms or forever", None));
    }
    let ms = ms.and_then(|ms| u32::try_from(ms).ok());
    let pending = system
        .services
        .start_hang(&system.calls, context.deadline(), &name, how, ms);
    Ok(later(pending, "init", |outcome, _| {
        Answer::Now(
            outcome
                .map(|()| json!({ "id": Value::Null }))
                .map_err(error("init", of_services)),
        )
    }))
}
