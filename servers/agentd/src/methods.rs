//! The methods, and who may call them. Each family is a file; what a method takes and gives is declared there, once, for dispatcher and description.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, Meta, RpcError};
use agentd::token::Token;
use libipc::{Deadline, Instant};
use protocols::services;
use serde_json::{Map, Value};

use crate::shape::{Member, Shape, optional};
use crate::system::{Answer, System};
use declaration::{By, Method};

pub mod auth;
pub mod declaration;
pub mod discover;
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

/// The parameter of a list that says how much of it is wanted.
const LIMIT: Member = optional("limit", Shape::Integer(1, MAX_LIST as u64));
/// The parameter of a list that says where to go on.
const CURSOR: Member = optional("cursor", Shape::Text).doc("next_cursor of the answer before");
/// The member of a list's result that says where to go on.
const NEXT_CURSOR: Member =
    crate::shape::member("next_cursor", Shape::Nullable(&Shape::Text)).doc("null: this is the end");

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
    /// On which connection.
    pub session: u64,
    /// Terms.
    pub meta: Meta,
}

impl Context {
    /// Until when the request may take.
    pub fn deadline(&self) -> Deadline {
        Deadline::after_ms(self.meta.timeout_ms)
    }
}

/// The methods, family by family.
const FAMILIES: &[&[Method]] = &[
    auth::METHODS,
    discover::METHODS,
    machine::METHODS,
    processes::METHODS,
    supervisor::METHODS,
    files::METHODS,
    programs::METHODS,
    interfaces::METHODS,
];

/// Every method.
pub fn all() -> impl Iterator<Item = &'static Method> {
    FAMILIES.iter().copied().flatten()
}

fn no_login() -> RpcError {
    RpcError::new(Code::Unauthenticated, "log in first")
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
    let found = all().find(|method| method.name == name && method.is_visible_to(subject));
    let Some(method) = found else {
        return Answer::Now(Err(match subject {
            None => no_login(),
            Some(_) => unknown(name, subject),
        }));
    };
    let By::Function(run) = method.by else {
        return Answer::Now(Err(RpcError::new(
            Code::Internal,
            "this method is the connection's own",
        )));
    };
    let mut params = Params::new(params);
    let checked = params.only(method.params.iter().map(|param| param.name));
    checked
        .and_then(|()| run(system, context, &mut params))
        .unwrap_or_else(|error| Answer::Now(Err(error)))
}

fn unknown(name: &str, subject: Option<&Token>) -> RpcError {
    let family = name.split('.').next().unwrap_or_default();
    let suggestions: Vec<&str> = all()
        .filter(|method| {
            method.is_visible_to(subject) && method.name.split('.').next() == Some(family)
        })
        .map(|method| method.name)
        .collect();
    RpcError::new(Code::MethodNotFound, "no such method".to_string())
        .with("suggestions", suggestions)
}

/// An error of the supervisor's.
pub(crate) fn of_services(error: services::Error) -> RpcError {
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
