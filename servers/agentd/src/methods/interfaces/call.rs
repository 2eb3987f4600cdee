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
use crate::catalogue::{self, Interface, no_handle};
use crate::dynamic::{Garbled, Refused, decode, encode_members};
use crate::handles::{MAX_HANDLES, Tables};
use crate::methods::Context;
use crate::methods::declaration::{Access, By, Effect, Example, Method};
use crate::shape::{Shape, member, optional};
use crate::system::{Answer, System, failed, later};

/// Bytes of a message, at most: what no request can be longer than.
const MAX_MESSAGE: usize = 4096;

/// A handle as answers write it.
const HANDLE: Shape = Shape::Object(&[
    member("$handle", Shape::Text),
    optional("type", Shape::Text),
]);

/// A server: a service by its name, or whatever a Connection leads to that an answer brought.
pub const SERVER: Shape = Shape::Either(&[Shape::Text, HANDLE]);

/// `ipc.call`.
pub const CALL: Method = Method {
    name: "ipc.call",
    summary: "Calls a method of a service. Its own error is a result of the call",
    access: Access::Scope("ipc.call"),
    effect: Effect::Acts,
    params: &[
        member("service", SERVER),
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

/// A server as a request names it.
pub enum Server {
    /// A service.
    Named(String),
    /// What is behind this handle.
    Held(String),
}

impl Server {
    /// Takes the parameter `service`; `None` if it is not there.
    pub fn take(params: &mut Params) -> Result<Option<Self>, RpcError> {
        match params.optional_value("service") {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(Self::Named(name))),
            Some(value) => Ok(Some(Self::Held(
                handle_name("service", Some(&value))?.into(),
            ))),
        }
    }
}

/// The name of the handle that a parameter is, or names.
fn handle_name<'v>(parameter: &str, value: Option<&'v Value>) -> Result<&'v str, RpcError> {
    let name = match value {
        Some(Value::Object(members)) => members.get("$handle"),
        other => other,
    };
    name.and_then(Value::as_str)
        .ok_or_else(|| wrong(parameter, "string, or object with $handle", value))
}

/// A call that is wanted.
struct Wanted {
    session: u64,
    server: Server,
    /// The service or the handle, for people.
    label: String,
    protocols: Vec<String>,
    method: String,
    arguments: Value,
    hash: Option<String>,
    deadline: Deadline,
    /// Whether the connection can be made anew if it leads nowhere.
    may_reconnect: bool,
}

/// The same, encoded.
struct Ready {
    interface: Rc<Interface>,
    method: usize,
    bytes: Vec<u8>,
    handles: Vec<Rc<AnyHandle>>,
}

fn call(system: &mut System, context: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let server = Server::take(params)?.ok_or_else(|| wrong("service", "string", None))?;
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
    if !is_allowed(context, &server, &method) {
        return Err(
            RpcError::new(Code::Forbidden, "this method is out of reach").with("required", "calls"),
        );
    }
    let (label, protocols) = match &server {
        Server::Named(service) => (service.clone(), protocols(system, service, protocol)?),
        Server::Held(name) => (name.clone(), Vec::new()),
    };
    let wanted = Wanted {
        session: context.session,
        may_reconnect: matches!(server, Server::Named(_)),
        server,
        label,
        protocols,
        method,
        arguments,
        hash,
        deadline: timeout_ms.map_or_else(|| context.deadline(), Deadline::after_ms),
    };
    Ok(begin(wanted, system))
}

/// Whether the token reaches that far. A handle can lead to any service, so it is for those only whose calls are not narrowed.
fn is_allowed(context: &Context, server: &Server, method: &str) -> bool {
    context.subject.as_ref().is_some_and(|token| match server {
        Server::Named(service) => token.allows_call(service, method),
        Server::Held(_) => token.constraints.calls.is_empty(),
    })
}

/// The protocols of a service that may have the method: all, or the one that was said.
fn protocols(
    system: &System,
    service: &str,
    protocol: Option<String>,
) -> Result<Vec<String>, RpcError> {
    let mut protocols = status(system, service)?.provides;
    if let Some(protocol) = protocol {
        protocols.retain(|provided| *provided == protocol);
    }
    if protocols.is_empty() {
        return Err(not_found("protocol", "it serves no such protocol"));
    }
    Ok(protocols)
}

fn begin(wanted: Wanted, system: &mut System) -> Answer {
    let deadline = wanted.deadline;
    let session = wanted.session;
    match &wanted.server {
        Server::Named(service) => {
            let (service, protocols) = (service.clone(), wanted.protocols.clone());
            catalogue::find_all(
                system,
                service,
                protocols,
                deadline,
                move |found, system| go_on(wanted, found, system),
            )
        }
        Server::Held(name) => {
            let name = name.clone();
            catalogue::find_held(system, session, &name, deadline, move |found, system| {
                go_on(wanted, found.map(|interface| [interface].into()), system)
            })
        }
    }
}

fn go_on(
    wanted: Wanted,
    found: Result<Vec<Rc<Interface>>, RpcError>,
    system: &mut System,
) -> Answer {
    let ready = found.and_then(|found| {
        let chosen = choose(&wanted, &found)?;
        prepare(&wanted, chosen, &system.handles.borrow())
    });
    match ready {
        Ok(ready) => send(wanted, ready, system),
        Err(error) => Answer::Now(Err(error)),
    }
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
        Refused::Handle { path } => no_handle().with("path", path),
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
    let started = ready.interface.way.with(|connection| {
        system.calls.start(
            connection,
            method.number,
            method.replay,
            wanted.deadline.into(),
            &arguments,
            untyped::decode_answer,
        )
    });
    let pending = match started {
        Ok(pending) => pending,
        Err(failure) => return Answer::Now(Err(failed(&wanted.label, failure))),
    };
    later(Ok(pending), "", move |outcome, system| match outcome {
        Ok(answer) => Answer::Now(give(&wanted, &ready, answer, system)),
        // Nothing was sent: the connection leads nowhere, so the next one may lead where it should.
        Err(CallError::Failed(Failure::NotDelivered(_))) if wanted.may_reconnect => {
            system.catalogue.borrow_mut().forget(&ready.interface);
            let again = Wanted {
                may_reconnect: false,
                ..wanted
            };
            begin(again, system)
        }
        Err(CallError::Failed(failure)) => Answer::Now(Err(failed(&wanted.label, failure))),
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
    let garbled = || failed(&wanted.label, Failure::BadReply);
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
    let name = handle_name("handle", value.as_ref())?;
    if !system.handles.borrow_mut().close(context.session, name) {
        return Err(no_handle());
    }
    Ok(Answer::Now(Ok(json!({ "closed": true }))))
}
