//! `service.*` and `fault.*`

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::{Params, wrong};
use agentd::rpc::{Code, RpcError};
use libipc::{Deadline, Failure, Pending};
use protocols::services::{Cause, Error, Hang, Status, When};
use serde_json::{Value, json};

use super::declaration::{Access, Effect, Example, Method, Outcome, task};
use super::{CURSOR, Context, LIMIT, NEXT_CURSOR, of_services};
use crate::faults::{Kind, MAX_FAULTS};
use crate::shape::{Member, Shape, U32, U64, member, optional};
use crate::system::{System, error};

/// The parameter that most of them have.
const NAME: Member = member("name", Shape::Text).doc("of a service");
/// Whether to wait for the end of what was ordered.
const WAIT: Member =
    optional("wait", Shape::Boolean).doc("true; else the answer is what it was before");
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
        by: task!(list),
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
        by: task!(status),
    },
    Method {
        name: "service.start",
        summary: "Starts a service; answers when it runs",
        access: Access::Scope("svc.control"),
        effect: Effect::Sets,
        params: &[NAME, WAIT],
        result: STATUS,
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "running", "pid": 3, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}"#,
        },
        since: "0.2",
        by: task!(start),
    },
    Method {
        name: "service.stop",
        summary: "Stops a service; it is not started again by itself",
        access: Access::Scope("svc.control"),
        effect: Effect::Sets,
        params: &[NAME, WAIT],
        result: STATUS,
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "stopped", "pid": null, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}"#,
        },
        since: "0.2",
        by: task!(stop),
    },
    Method {
        name: "service.restart",
        summary: "Stops and starts a service",
        access: Access::Scope("svc.control"),
        effect: Effect::Acts,
        params: &[NAME, WAIT],
        result: STATUS,
        errors: &[Code::NotFound, Code::Forbidden, Code::InvalidState],
        example: Example {
            params: r#"{"name": "logd"}"#,
            result: r#"{"name": "logd", "state": "running", "pid": 3, "restarts": 0, "last_exit": null, "provides": ["log"], "needs": [], "health": "ok", "since_ns": 500000000, "took_ns": 3000000, "cause": null, "generation": 1, "memory": 1200000, "cpu_ns": 9000000, "handles": 40, "cpu": 0}"#,
        },
        since: "0.2",
        by: task!(restart),
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
        by: task!(kill),
    },
    Method {
        name: "fault.ipc",
        summary: "Has answers of a service to this daemon go wrong",
        access: Access::Scope("fault.inject"),
        effect: Effect::Acts,
        params: &[
            member("service", Shape::Text),
            member("error", Shape::Word(&["bad_reply", "interrupted"])),
            optional("count", Shape::Integer(1, u32::MAX as u64)).doc("of answers; 1"),
        ],
        result: Shape::Object(&[member("id", Shape::Null)]),
        errors: &[Code::NotFound, Code::Forbidden, Code::LimitReached],
        example: Example {
            params: r#"{"service": "logd", "error": "bad_reply"}"#,
            result: r#"{"id": null}"#,
        },
        since: "0.2",
        by: task!(ipc),
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
        by: task!(hang),
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

async fn status_of(system: &System, context: &Context, name: &str) -> Result<Status, RpcError> {
    let started = system
        .services
        .start_status(&system.calls, context.deadline(), name);
    system.ask("init", started, of_services).await
}

/// Everything about every service, in the order of their names.
pub async fn statuses(system: &System, context: &Context) -> Result<Vec<Status>, RpcError> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let from = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let started = system
            .services
            .start_list(&system.calls, context.deadline(), from);
        let more = system.ask("init", started, of_services).await?;
        if more.is_empty() {
            break;
        }
        names.extend(more);
    }
    names.sort();
    let mut statuses = Vec::new();
    for name in names {
        statuses.push(status_of(system, context, &name).await?);
    }
    Ok(statuses)
}

async fn list(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let page = super::page(&mut params)?;
    params.finish()?;
    let mut statuses = statuses(&system, &context).await?;
    statuses.retain(|status| status.name > page.cursor && allowed(&context, &status.name).is_ok());
    let next = (statuses.len() > page.limit)
        .then(|| {
            statuses
                .get(page.limit - 1)
                .map(|status| status.name.clone())
        })
        .flatten();
    let services: Vec<Value> = statuses.iter().take(page.limit).map(describe).collect();
    Ok(json!({ "services": services, "next_cursor": next }))
}

async fn status(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let name = params.string("name")?;
    params.finish()?;
    allowed(&context, &name)?;
    let mut value = describe(&status_of(&system, &context, &name).await?);
    let started = system
        .services
        .start_manifest(&system.calls, context.deadline(), &name);
    value["manifest"] = system.ask("init", started, of_services).await?.into();
    Ok(value)
}

type Steer = fn(&System, Deadline, &str) -> Result<Pending<Status, Error>, Failure>;

async fn steer(system: System, context: Rc<Context>, mut params: Params, order: Steer) -> Outcome {
    let name = params.string("name")?;
    let waits = params.flag_unless_denied("wait")?;
    params.finish()?;
    allowed(&context, &name)?;
    if waits {
        let started = order(&system, context.deadline(), &name);
        let status = system.ask("init", started, of_services).await?;
        return Ok(describe(&status));
    }
    // What it is now tells at least whether there is such a service.
    let before = status_of(&system, &context, &name).await?;
    let started = order(&system, context.deadline(), &name);
    let ordering = system.clone();
    system.detach(async move {
        if let Err(error) = ordering.ask("init", started, of_services).await {
            libipc::warn!("{name}: {}", error.message);
        }
    });
    Ok(describe(&before))
}

async fn start(system: System, context: Rc<Context>, params: Params) -> Outcome {
    let order: Steer =
        |system, deadline, name| system.services.start_start(&system.calls, deadline, name);
    steer(system, context, params, order).await
}

async fn stop(system: System, context: Rc<Context>, params: Params) -> Outcome {
    let order: Steer =
        |system, deadline, name| system.services.start_stop(&system.calls, deadline, name);
    steer(system, context, params, order).await
}

async fn restart(system: System, context: Rc<Context>, params: Params) -> Outcome {
    let order: Steer =
        |system, deadline, name| system.services.start_restart(&system.calls, deadline, name);
    steer(system, context, params, order).await
}

async fn kill(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let name = params.string("service")?;
    let when = params.optional_object("when", moment)?;
    params.finish()?;
    allowed(&context, &name)?;
    let when = when.unwrap_or(When::Now);
    let started = system
        .services
        .start_kill(&system.calls, context.deadline(), &name, when);
    system.ask("init", started, of_services).await?;
    Ok(json!({ "id": Value::Null }))
}

/// When a fault is to happen.
fn moment(when: &mut Params) -> Result<When, RpcError> {
    let n = when
        .optional_integer("n", 1..=u64::from(u32::MAX))?
        .unwrap_or(1);
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    match when.optional_string("method")? {
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
}

async fn ipc(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let service = params.string("service")?;
    let kinds = [
        ("bad_reply", Kind::BadReply),
        ("interrupted", Kind::Interrupted),
    ];
    let kind = params.optional_word("error", &kinds)?;
    let count = params
        .optional_integer("count", 1..=u64::from(u32::MAX))?
        .unwrap_or(1);
    params.finish()?;
    allowed(&context, &service)?;
    let kind = kind.ok_or_else(|| wrong("error", "bad_reply or interrupted", None))?;
    // There has to be one.
    status_of(&system, &context, &service).await?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if system.faults.borrow_mut().arm(&service, kind, count) {
        Ok(json!({ "id": Value::Null }))
    } else {
        Err(
            RpcError::new(Code::LimitReached, "too many faults are to happen")
                .with("limit", MAX_FAULTS),
        )
    }
}

async fn hang(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let name = params.string("service")?;
    let ms = params.optional_integer("ms", 0..=u64::from(u32::MAX))?;
    let forever = params.flag("forever")?;
    let words = [("loops", Hang::Loops), ("waits", Hang::Waits)];
    let how = params.optional_word("how", &words)?.unwrap_or(Hang::Loops);
    params.finish()?;
    allowed(&context, &name)?;
    if ms.is_some() == forever {
        return Err(wrong("ms", "ms or forever", None));
    }
    let ms = ms.and_then(|ms| u32::try_from(ms).ok());
    let started = system
        .services
        .start_hang(&system.calls, context.deadline(), &name, how, ms);
    system.ask("init", started, of_services).await?;
    Ok(json!({ "id": Value::Null }))
}
