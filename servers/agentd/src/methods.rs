//! The methods, and who may call them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, Meta, RpcError};
use agentd::token::Token;
use libipc::{Deadline, Instant};
use protocols::services;
use serde_json::{Map, Value, json};

use crate::system::{Answer, System};

mod files;
mod interfaces;
mod machine;
mod processes;
mod programs;
mod supervisor;

/// Members of one answer of a list, at most.
const MAX_LIST: usize = 1000;
/// Members of one answer of a list, if the request names no number.
const USUAL_LIST: usize = 200;

/// Which part of a list a request wants.
struct Page {
    /// Members at most.
    limit: usize,
    /// Where the answer before this one ended; empty: from the start.
    cursor: String,
}

/// Takes `limit` and `cursor` out of the parameters of a list.
fn page(params: &mut Params) -> Result<Page, RpcError> {
    let limit = params.optional_integer("limit", 1..=MAX_LIST as u64)?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    Ok(Page {
        limit: limit.unwrap_or(USUAL_LIST),
        cursor: params.optional_string("cursor")?.unwrap_or_default(),
    })
}

/// The refusal of a cursor that no answer gave.
fn bad_cursor(cursor: &str) -> RpcError {
    RpcError::new(
        Code::InvalidParams,
        format!("no answer gave the cursor {cursor:?}"),
    )
    .with("path", "/cursor")
}

/// Who asks, and on what terms.
pub struct Context {
    /// Who.
    pub subject: Option<Token>,
    /// Terms.
    pub meta: Meta,
}

impl Context {
    /// Until when the request may take.
    pub fn deadline(&self) -> Deadline {
        Deadline::after_ms(self.meta.timeout_ms)
    }
}

type Run = fn(&mut System, &Context, &mut Params) -> Result<Answer, RpcError>;

/// One method.
struct Method {
    name: &'static str,
    /// The scope that it takes; empty: a login is enough.
    scope: &'static str,
    summary: &'static str,
    run: Run,
}

const fn method(
    name: &'static str,
    scope: &'static str,
    summary: &'static str,
    run: Run,
) -> Method {
    Method {
        name,
        scope,
        summary,
        run,
    }
}

const METHODS: &[Method] = &[
    method("auth.whoami", "", "Who is logged in", |_, context, _| {
        let subject = context.subject.as_ref();
        Ok(Answer::Now(subject.map(whoami).ok_or_else(no_login)))
    }),
    method("rpc.discover", "", "This document", |_, context, _| {
        Ok(Answer::Now(Ok(discover(context.subject.as_ref()))))
    }),
    method(
        "system.describe",
        "system.read",
        "What this system is",
        machine::describe,
    ),
    method(
        "system.info",
        "system.read",
        "Figures of the machine",
        machine::info,
    ),
    method(
        "system.time",
        "system.read",
        "Wall time and time since boot",
        machine::time,
    ),
    method(
        "process.list",
        "proc.read",
        "The processes",
        processes::list,
    ),
    method(
        "process.info",
        "proc.read",
        "Everything about a process",
        processes::info,
    ),
    method(
        "process.wait",
        "proc.read",
        "Waits for the end of a process",
        processes::wait,
    ),
    method(
        "process.kill",
        "proc.control",
        "Sends a signal",
        processes::kill,
    ),
    method(
        "process.limits",
        "proc.control",
        "Shows and tightens limits",
        processes::limits,
    ),
    method("service.list", "svc.read", "The services", supervisor::list),
    method(
        "service.status",
        "svc.read",
        "Everything about a service",
        supervisor::status,
    ),
    method(
        "service.start",
        "svc.control",
        "Starts a service",
        supervisor::start,
    ),
    method(
        "service.stop",
        "svc.control",
        "Stops a service",
        supervisor::stop,
    ),
    method(
        "service.restart",
        "svc.control",
        "Stops and starts a service",
        supervisor::restart,
    ),
    method("log.read", "log.read", "Records of the log", files::log),
    method("fs.stat", "fs.read", "Describes a file", files::stat),
    method("fs.list", "fs.read", "Lists a directory", files::list),
    method("fs.read", "fs.read", "Reads a file", files::read),
    method("fs.write", "fs.write", "Writes a file", files::write),
    method(
        "fault.kill",
        "fault.inject",
        "Kills a service, now or at a point",
        supervisor::kill,
    ),
    method(
        "shell.run",
        "shell.run",
        "Runs a command of the shell",
        programs::shell,
    ),
    method(
        "pebble.eval",
        "pebble.eval",
        "Runs Pebble source",
        programs::eval,
    ),
    method(
        "ipc.services",
        "ipc.inspect",
        "What every service serves",
        interfaces::services,
    ),
    method(
        "ipc.schema",
        "ipc.inspect",
        "The interface of a service",
        interfaces::schema,
    ),
];

fn no_login() -> RpcError {
    RpcError::new(Code::Unauthenticated, "log in first")
}

/// What a token is.
pub fn whoami(token: &Token) -> Value {
    json!({
        "subject": token.id,
        "user": "root",
        "scopes": token.scopes,
        "constraints": token.constraints,
        "expires_at": token.expires_ns,
        "limits": machine::limits(),
    })
}

fn is_visible(method: &Method, subject: Option<&Token>) -> bool {
    match subject {
        Some(token) => method.scope.is_empty() || token.allows(method.scope),
        None => method.name == "rpc.discover",
    }
}

/// The OpenRPC document of what a subject may call.
pub fn discover(subject: Option<&Token>) -> Value {
    let describe = |method: &Method| {
        json!({
            "name": method.name,
            "summary": method.summary,
            "params": [],
            "paramStructure": "by-name",
            "result": { "name": "result", "schema": {} },
            "x-scope": method.scope,
        })
    };
    let mut methods: Vec<Value> = METHODS
        .iter()
        .filter(|method| is_visible(method, subject))
        .map(describe)
        .collect();
    methods.push(json!({
        "name": "auth.login",
        "summary": "Logs in with a token",
        "params": [{ "name": "token", "required": true, "schema": { "type": "string" } }],
        "paramStructure": "by-name",
        "result": { "name": "result", "schema": { "type": "object" } },
        "x-scope": "",
    }));
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "PebbleOS agentd", "version": env!("CARGO_PKG_VERSION") },
        "methods": methods,
    })
}

/// Calls a method.
pub fn call(
    system: &mut System,
    context: &Context,
    name: &str,
    params: Map<String, Value>,
) -> Answer {
    let subject = context.subject.as_ref();
    if let Some(token) = subject
        && !token.is_alive(Instant::now().as_ns())
    {
        return Answer::Now(Err(no_login()));
    }
    let found = METHODS
        .iter()
        .find(|method| method.name == name && is_visible(method, subject));
    let Some(method) = found else {
        return Answer::Now(Err(match subject {
            None => no_login(),
            Some(_) => unknown(name, subject),
        }));
    };
    let mut params = Params::new(params);
    (method.run)(system, context, &mut params).unwrap_or_else(|error| Answer::Now(Err(error)))
}

fn unknown(name: &str, subject: Option<&Token>) -> RpcError {
    let family = name.split('.').next().unwrap_or_default();
    let suggestions: Vec<&str> = METHODS
        .iter()
        .filter(|method| {
            is_visible(method, subject) && method.name.split('.').next() == Some(family)
        })
        .map(|method| method.name)
        .collect();
    RpcError::new(Code::MethodNotFound, "no such method".to_string())
        .with("suggestions", suggestions)
}

/// An error of the supervisor's.
fn of_services(error: services::Error) -> RpcError {
    use services::Error;
    match error {
        Error::UnknownService => {
            RpcError::new(Code::NotFound, "no such service").with("what", "service")
        }
        Error::UnknownProtocol => {
            RpcError::new(Code::NotFound, "no such protocol").with("what", "protocol")
        }
        Error::UnknownPoint => {
            RpcError::new(Code::NotFound, "no such method or point").with("what", "point")
        }
        Error::NotPermitted => RpcError::new(Code::Forbidden, "init does not allow it"),
        Error::InvalidState { state } => RpcError::new(Code::InvalidState, "not in this state")
            .with("state", format!("{state:?}")),
        Error::StartFailed { reason } => RpcError::new(Code::InvalidState, reason),
    }
}
