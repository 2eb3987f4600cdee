//! What a method says of itself: all that the dispatcher checks and the description shows.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::Pin;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use agentd::token::Token;

use serde_json::Value;

use super::Context;
use crate::shape::{Member, Shape};
use crate::system::{Answer, System};

/// What comes of a method.
pub type Outcome = Result<Value, RpcError>;
/// A method under way.
pub type Task = Pin<Box<dyn Future<Output = Outcome>>>;
/// What a method does when it is called: a task that runs beside the others.
pub type Begin = fn(System, Rc<Context>, Params) -> Task;
/// The same for a method that answers at once, or when a call has ended.
pub type Run = fn(&mut System, &Context, &mut Params) -> Result<Answer, RpcError>;

/// A method.
#[derive(Debug)]
pub struct Method {
    /// Its name: a family, a dot, a word.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What a repetition does.
    pub effect: Effect,
    /// Its parameters. No others reach it.
    pub params: &'static [Member],
    /// Its result.
    pub result: Shape,
    /// Errors of its own, besides those that every method may give ([`COMMON_ERRORS`]).
    pub errors: &'static [Code],
    /// A call that shows how it is used.
    pub example: Example,
    /// The first version of the daemon that had it.
    pub since: &'static str,
    /// Who does it.
    pub by: By,
}

/// Who may call a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anybody who has a connection.
    Anybody,
    /// Whoever has logged in.
    LoggedIn,
    /// Who has this scope.
    Scope(&'static str),
}

/// What a method changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// Something, but twice is as good as once.
    Sets,
    /// Something, each time.
    Acts,
}

/// A call and what came of it, as JSON texts.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The object of parameters.
    pub params: &'static str,
    /// The result.
    pub result: &'static str,
}

/// Who does what a method is for.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// This task.
    Task(Begin),
    /// This function.
    Function(Run),
    /// The connection itself, because the method is about it.
    Connection,
}

/// Errors that every method may give.
pub const COMMON_ERRORS: &[Code] = &[
    Code::InvalidParams,
    Code::Internal,
    Code::Unauthenticated,
    Code::Timeout,
    Code::Cancelled,
    Code::TooLarge,
    Code::Busy,
    Code::PeerDied,
];

/// Errors that every method may give that changes something: they come of keys and dry runs.
pub const MUTATING_ERRORS: &[Code] = &[Code::Conflict, Code::LimitReached, Code::Unsupported];

impl Method {
    /// Every error that it may give.
    pub fn all_errors(&self) -> impl Iterator<Item = Code> {
        let more: &[Code] = match self.effect {
            Effect::Reads => &[],
            Effect::Sets | Effect::Acts => MUTATING_ERRORS,
        };
        let more = more.iter().filter(|code| !self.errors.contains(code));
        COMMON_ERRORS.iter().chain(self.errors).chain(more).copied()
    }

    /// Whether somebody may call it; to others it does not exist.
    pub fn is_visible_to(&self, subject: Option<&Token>) -> bool {
        match (self.access, subject) {
            (Access::Anybody, _) | (Access::LoggedIn, Some(_)) => true,
            (Access::LoggedIn | Access::Scope(_), None) => false,
            (Access::Scope(scope), Some(token)) => token.allows(scope),
        }
    }

    /// The scope that it takes; empty if a login is enough, or nothing is needed.
    pub const fn scope(&self) -> &'static str {
        match self.access {
            Access::Anybody | Access::LoggedIn => "",
            Access::Scope(scope) => scope,
        }
    }
}

impl Effect {
    /// Whether something is different afterwards.
    pub fn is_mutating(self) -> bool {
        self != Self::Reads
    }

    /// Whether twice is as good as once.
    pub fn is_idempotent(self) -> bool {
        self != Self::Acts
    }
}

/// The [`By`] of an async function that takes the system, the context and the parameters.
macro_rules! task {
    ($function:path) => {
        $crate::methods::declaration::By::Task(|system, context, params| {
            alloc::boxed::Box::pin($function(system, context, params))
        })
    };
}
pub(crate) use task;
