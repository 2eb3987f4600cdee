//! The methods, and who may call them. Each family is a file; what a method takes and gives is declared there, once, for dispatcher and description.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::ready;
use core::time::Duration;

use agentd::link::Session;
use agentd::params::Params;
use agentd::rpc::{Code, Meta, RpcError};
use agentd::token::Token;
use libipc::{Deadline, Instant};
use protocols::services;
use serde_json::{Map, Value};

use crate::shape::{Member, Shape, optional};
use crate::system::{Answer, System};
use declaration::{By, Method, Outcome, Run, Task};

pub mod auth;
pub mod declaration;
pub mod discover;
mod files;
mod interfaces;
pub mod machine;
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
    /// The client's name for itself.
    pub client: String,
    /// Terms.
    pub meta: Meta,
    until: Instant,
}

impl Context {
    /// A request that has just come on the connection with this number.
    pub fn new(session: Session, number: u64, meta: Meta) -> Self {
        let until = Instant::now().after(Duration::from_millis(meta.timeout_ms));
        Self {
            session: number,
            subject: session.subject,
            client: session.client,
            meta,
            until,
        }
    }

    /// Until when the request may take.
    pub fn deadline(&self) -> Deadline {
        Deadline::at(self.until)
    }

    /// The same moment in nanoseconds since boot.
    pub fn until_ns(&self) -> u64 {
        self.until.as_ns()
    }

    /// Whether the subject has a scope.
    pub fn allows(&self, scope: &str) -> bool {
        self.subject
            .as_ref()
            .is_some_and(|token| token.allows(scope))
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

/// The method of this name, if the subject may call it.
///
/// # Errors
/// Nobody is logged in, or there is no such method for the subject.
pub fn find(
    system: &System,
    name: &str,
    subject: Option<&Token>,
) -> Result<&'static Method, RpcError> {
    if let Some(token) = subject
        && !system.is_good(token)
    {
        return Err(no_login());
    }
    let found = all().find(|method| method.name == name && method.is_visible_to(subject));
    found.ok_or_else(|| match subject {
        None => no_login(),
        Some(_) => unknown(name, subject),
    })
}

/// What calling a method comes to.
pub fn run(
    method: &'static Method,
    system: System,
    context: Rc<Context>,
    params: Map<String, Value>,
) -> Task {
    let params = Params::new(params);
    if let Err(error) = params.only(method.params.iter().map(|param| param.name)) {
        return Box::pin(ready(Err(error)));
    }
    match method.by {
        By::Task(run) => run(system, context, params),
        By::Function(run) => Box::pin(step_by_step(run, system, context, params)),
        By::Connection => Box::pin(ready(Err(RpcError::new(
            Code::Internal,
            "this method is the connection's own",
        )))),
    }
}

/// A method that is written as one function for each call that it makes.
async fn step_by_step(
    run: Run,
    mut system: System,
    context: Rc<Context>,
    mut params: Params,
) -> Outcome {
    let mut answer = run(&mut system, &context, &mut params)?;
    loop {
        match answer {
            Answer::Now(outcome) => return outcome,
            Answer::Later(call, then) => {
                let completed = system.end_of(call).await;
                answer = then(completed, &mut system);
            }
        }
    }
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
