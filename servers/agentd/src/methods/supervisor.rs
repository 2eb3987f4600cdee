//! `service.*` and `fault.kill`

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::{Params, wrong};
use agentd::rpc::{Code, RpcError};
use libipc::{Deadline, Failure, Pending};
use protocols::services::{Cause, Client, Error, Status, When};
use serde_json::{Value, json};

use super::{Context, of_services};
use crate::system::{Answer, System, error, later};

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
