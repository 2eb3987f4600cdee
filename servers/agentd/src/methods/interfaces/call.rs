//! `ipc.call` and `ipc.close`: any method of any server, straight from its schema.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::{Params, wrong};
use agentd::rpc::{Code, MAX_TIMEOUT_MS, RpcError};
use libipc::schema::MethodDescription;
use libipc::untyped::{self, AnyHandle, Arguments};
use libipc::{CallError, Deadline, Failure};
use serde_json::{Map, Value, json};

use super::{hash, not_found, status};
use crate::catalogue::{self, Interface};
use crate::dynamic::{Garbled, Refused, decode, encode_members};
use crate::handles::{MAX_HANDLES, Tables};
use crate::methods::Context;
use crate::methods::declaration::{Access, By, Effect, Example, Method};
use crate::shape::{Shape, member, optional};
use crate::system::{Answer, System, failed, later};

/// Bytes of a message, at most: what no request can be longer than.
const MAX_MESSAGE: usize = 4096;

/// `ipc.call`.
pub const CALL: Method = Method {
    name: "ipc.call",
    summary: "Calls a method of a service. Its own error is a result of the call",
    access: Access::Scope("ipc.call"),
    effect: Effect::Acts,
    params: &[
        member("service", Shape::Text),
        member("method", Shape::Text),
        optional("args", Shape::Map(&Shape::Any)).doc("parameters by name"),
        optional("protocol", Shape::Text).doc(
            "where several of a service's protocols have the method; else the first whose parameters fit",
        ),
        optional("schema_hash", Shape::Text).doc("refuse if the interface is another by now"),
        optional("timeout_ms", Shape::Integer(1, MAX_TIMEOUT_MS)),
    ],
    result: Shape::Either(&[
        Shape::Object(&[member("result", Shape::Any)]),
        Shape::Object(&[member("error", Shape::Any)]),
    ]),
    errors: &[
        Code::Forbidden,
        Code::NotFound,
        Code::LimitReached,
        Code::SchemaMismatch,
    ],
    example: Example {
        params: r#"{"service": "logd", "method": "stats", "args": {}}"#,
        result: r#"{"result": [512, 0]}"#,
    },
    since: "0.2",
    by: By::Function(call),
};

/// `ipc.close`.
pub const CLOSE: Method = Method {
    name: "ipc.close",
    summary: "Closes a handle that an answer of ipc.call brought",
    access: Access::Scope("ipc.call"),
    effect: Effect::Sets,
    params: &[member(
        "handle",
        Shape::Either(&[
            Shape::Text,
            Shape::Object(&[
                member("$handle", Shape::Text),
                optional("type", Shape::Text),
            ]),
        ]),
    )],
    result: Shape::Object(&[member("closed", Shape::Boolean)]),
    errors: &[Code::Forbidden],
    example: Example {
        params: r#"{"handle": "h7"}"#,
        result: r#"{"closed": true}"#,
    },
    since: "0.2",
    by: By::Function(close),
};

/// A call that is wanted.
struct Wanted {
    session: u64,
    service: String,
    protocols: Vec<String>,
    method: String,
    arguments: Value,
    hash: Option<String>,
    deadline: Deadline,
    /// Whether the connection was made anew already, because the first led nowhere.
    is_again: bool,
}

/// The same, encoded.
struct Ready {
    interface: Rc<Interface>,
    method: usize,
    bytes: Vec<u8>,
    handles: Vec<Rc<AnyHandle>>,
}

fn call(system: &mut System, context: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let service = params.string("service")?;
    let method = params.string("method")?;
    let protocol = params.optional_string("protocol")?;
    let hash = params.optional_string("schema_hash")?;
    let timeout_ms = params.optional_integer("timeout_ms", 1..=MAX_TIMEOUT_MS)?;
    let arguments = match params.optional_value("args") {
        None => Value::Object(Map::new()),
        Some(value @ Value::Object(_)) => value,
        Some(other) => return Err(wrong("args", "object", Some(&other))),
    };
    params.finish()?;
    let is_allowed = |token: &agentd::token::Token| token.allows_call(&service, &method);
    if !context.subject.as_ref().is_some_and(is_allowed) {
        return Err(
            RpcError::new(Code::Forbidden, "this method is out of reach").with("required", "calls"),
        );
    }
    let mut protocols = status(system, &service)?.provides;
    if let Some(protocol) = protocol {
        protocols.retain(|provided| *provided == protocol);
    }
    if protocols.is_empty() {
        return Err(not_found("protocol", "it serves no such protocol"));
    }
    let wanted = Wanted {
        session: context.session,
        service,
        protocols,
        method,
        arguments,
        hash,
        deadline: timeout_ms.map_or_else(|| context.deadline(), Deadline::after_ms),
        is_again: false,
    };
    Ok(begin(wanted, system))
}

fn begin(wanted: Wanted, system: &mut System) -> Answer {
    let (service, protocols) = (wanted.service.clone(), wanted.protocols.clone());
    let deadline = wanted.deadline;
    catalogue::find_all(
        system,
        service,
        protocols,
        deadline,
        move |found, system| {
            let ready = found.and_then(|found| {
                let chosen = choose(&wanted, &found)?;
                prepare(&wanted, chosen, &system.handles.borrow())
            });
            match ready {
                Ok(ready) => send(wanted, ready, system),
                Err(error) => Answer::Now(Err(error)),
            }
        },
    )
}

/// Where the method may be: interfaces that have it, with its place in them; at least one.
fn choose<'a>(
    wanted: &Wanted,
    found: &'a [Rc<Interface>],
) -> Result<Vec<(&'a Rc<Interface>, usize)>, RpcError> {
    let place = |interface: &&'a Rc<Interface>| {
        let mut methods = interface.description.methods.iter();
        methods.position(|method| method.name == wanted.method)
    };
    let mut having: Vec<_> = found
        .iter()
        .filter_map(|interface| Some((interface, place(&interface)?)))
        .collect();
    let Some((first, _)) = having.first() else {
        return Err(not_found("method", "no such method"));
    };
    if let Some(expected) = &wanted.hash {
        let current = hash(first);
        having.retain(|(interface, _)| hash(interface) == *expected);
        if having.is_empty() {
            return Err(
                RpcError::new(Code::SchemaMismatch, "the interface is another")
                    .with("path", "/schema_hash")
                    .with("hash", current),
            );
        }
    }
    Ok(having)
}

/// Encodes the arguments for the first method that they fit; if there is none, says why they don't fit the first.
fn prepare(
    wanted: &Wanted,
    chosen: Vec<(&Rc<Interface>, usize)>,
    tables: &Tables,
) -> Result<Ready, RpcError> {
    let mut refused = None;
    for (interface, place) in chosen {
        let Some(method) = interface.description.methods.get(place) else {
            continue;
        };
        let mut handles = tables.request(wanted.session);
        let encoded = encode_members(
            &method.parameters,
            &wanted.arguments,
            &mut handles,
            MAX_MESSAGE,
        );
        let handles = handles.into_handles();
        match encoded {
            Ok(_) if method.handles_out.len() > tables.room(wanted.session) => {
                return Err(RpcError::new(
                    Code::LimitReached,
                    "close some handles before asking for more",
                )
                .with("limit", MAX_HANDLES));
            }
            Ok(bytes) => {
                return Ok(Ready {
                    interface: interface.clone(),
                    method: place,
                    bytes,
                    handles,
                });
            }
            Err(why) => {
                refused.get_or_insert_with(|| refusal(why, interface));
            }
        }
    }
    Err(refused.unwrap_or_else(|| not_found("method", "no such method")))
}

fn refusal(refused: Refused, interface: &Interface) -> RpcError {
    match refused {
        Refused::Misfit(misfit) => {
            let place = if misfit.path.is_empty() {
                "args"
            } else {
                &misfit.path
            };
            let message =
                alloc::format!("{place}: expected {}, got {}", misfit.expected, misfit.got);
            RpcError::new(Code::SchemaMismatch, message)
                .with("path", misfit.path)
                .with("expected", misfit.expected)
                .with("got", misfit.got)
                .with("hash", hash(interface))
        }
        Refused::Handle { path } => RpcError::new(Code::Forbidden, "no such handle of yours")
            .with("required", "handle")
            .with("path", path),
        Refused::TooLarge { limit } => {
            RpcError::new(Code::TooLarge, "more than a message can hold").with("limit", limit)
        }
    }
}

fn send(wanted: Wanted, ready: Ready, system: &mut System) -> Answer {
    let Some(method) = ready.interface.description.methods.get(ready.method) else {
        return Answer::Now(Err(not_found("method", "no such method")));
    };
    let handles: Vec<&AnyHandle> = ready.handles.iter().map(|handle| &**handle).collect();
    let arguments = Arguments {
        bytes: &ready.bytes,
        handles: &handles,
    };
    let started = system.calls.start(
        &ready.interface.connection,
        method.number,
        method.replay,
        wanted.deadline.into(),
        &arguments,
        untyped::decode_answer,
    );
    let pending = match started {
        Ok(pending) => pending,
        Err(failure) => return Answer::Now(Err(failed(&wanted.service, failure))),
    };
    later(Ok(pending), "", move |outcome, system| match outcome {
        Ok(answer) => Answer::Now(give(&wanted, &ready, answer, system)),
        // Nothing was sent: the connection leads nowhere, so the next one may lead where it should.
        Err(CallError::Failed(Failure::NotDelivered(_))) if !wanted.is_again => {
            system.catalogue.borrow_mut().forget(&ready.interface);
            let again = Wanted {
                is_again: true,
                ..wanted
            };
            begin(again, system)
        }
        Err(CallError::Failed(failure)) => Answer::Now(Err(failed(&wanted.service, failure))),
        Err(CallError::Method(never)) => match never {},
    })
}

/// The answer as JSON. Its handles are the session's from then on.
fn give(
    wanted: &Wanted,
    ready: &Ready,
    answer: untyped::Answer,
    system: &System,
) -> Result<Value, RpcError> {
    let garbled = || failed(&wanted.service, Failure::BadReply);
    let method: &MethodDescription = ready
        .interface
        .description
        .methods
        .get(ready.method)
        .ok_or_else(garbled)?;
    let (name, ty) = match answer.is_error {
        false => ("result", &method.result),
        true => ("error", &method.error),
    };
    let mut tables = system.handles.borrow_mut();
    let mut handles = tables.answer(wanted.session, answer.handles);
    let value = decode(ty, &answer.bytes, &mut handles).map_err(|Garbled| garbled())?;
    tables.keep(wanted.session, handles);
    Ok(json!({ name: value }))
}

fn close(system: &mut System, context: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let value = params.optional_value("handle");
    params.finish()?;
    let name = match &value {
        Some(Value::String(name)) => name,
        Some(Value::Object(members)) => match members.get("$handle") {
            Some(Value::String(name)) => name,
            _ => return Err(wrong("handle", "object with $handle", value.as_ref())),
        },
        other => return Err(wrong("handle", "string", other.as_ref())),
    };
    if !system.handles.borrow_mut().close(context.session, name) {
        return Err(
            RpcError::new(Code::Forbidden, "no such handle of yours").with("required", "handle")
        );
    }
    Ok(Answer::Now(Ok(json!({ "closed": true }))))
}
