//! `ipc.services` and `ipc.schema`: what there is to call.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::{IntoIter, Vec};

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use libipc::Replay;
use libipc::schema::MethodDescription;
use postcard_schema::schema::owned::{OwnedDataModelType, OwnedNamedType, OwnedNamedValue};
use protocols::services::{State, Status};
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{CURSOR, Context, LIMIT, NEXT_CURSOR, bad_cursor, of_services, page, supervisor};
use crate::catalogue::{self, Interface};
use crate::dynamic::Schemas;
use crate::shape::{Shape, U32, member, optional};
use crate::system::{Answer, System, error};

use call::Server;

mod call;

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "ipc.services",
        summary: "What every service serves, protocol by protocol",
        access: Access::Scope("ipc.inspect"),
        effect: Effect::Reads,
        params: &[LIMIT, CURSOR],
        result: Shape::Object(&[member("services", Shape::Array(&SERVICE)), NEXT_CURSOR]),
        errors: &[],
        example: Example {
            params: "{}",
            result: r#"{"services": [{
                "name": "logd", "protocol": "log", "version": 1, "schema_hash": "0123456789abcdef",
                "methods": ["read", "stats"], "pid": 3, "state": "running"
            }], "next_cursor": null}"#,
        },
        since: "0.2",
        by: By::Function(services),
    },
    Method {
        name: "ipc.schema",
        summary: "What an interface offers: methods, and types as JSON Schema and as postcard-schema's trees",
        access: Access::Scope("ipc.inspect"),
        effect: Effect::Reads,
        params: &[
            optional("service", call::SERVER)
                .doc("a name, or a Connection that an answer brought; may be left out if the protocol is said"),
            optional("protocol", Shape::Text).doc("the service's first if it is not said"),
        ],
        result: Shape::Object(&[
            member("service", Shape::Text),
            member("protocol", Shape::Text),
            member("version", U32),
            member("hash", Shape::Text).doc("what ipc.call takes as schema_hash"),
            member("doc", Shape::Text),
            member("methods", Shape::Array(&METHOD)),
            member("types", Shape::Map(&Shape::Map(&Shape::Any)))
                .doc("JSON Schemas by name; under postcard, the tree"),
        ]),
        errors: &[Code::NotFound],
        example: Example {
            params: r#"{"service": "logd"}"#,
            result: r##"{
                "service": "logd", "protocol": "log", "version": 1, "hash": "0123456789abcdef", "doc": "See the module.",
                "methods": [{
                    "name": "remove_source", "doc": "The process has ended.", "idempotent": true, "replay": "idempotent", "deferred": false,
                    "params": {"type": "object", "properties": {"pid": {"type": "integer"}}, "required": ["pid"]},
                    "result": {"type": "null"}, "error": {"$ref": "#/types/Error"}, "handles_in": [], "handles_out": []
                }],
                "types": {"Error": {"enum": ["NotPermitted", "TooManySources", "BadRing"]}}
            }"##,
        },
        since: "0.2",
        by: By::Function(schema),
    },
    call::CALL,
    call::CLOSE,
];

/// One protocol of a service.
const SERVICE: Shape = Shape::Object(&[
    member("name", Shape::Text),
    member("protocol", Shape::Text),
    member("version", Shape::Nullable(&U32)).doc("null, like the next two: it does not answer now"),
    member("schema_hash", Shape::Nullable(&Shape::Text)),
    member("methods", Shape::Nullable(&Shape::Array(&Shape::Text))),
    member("pid", Shape::Nullable(&U32)),
    member("state", Shape::Text),
]);

/// One method of a protocol.
const METHOD: Shape = Shape::Object(&[
    member("name", Shape::Text),
    member("doc", Shape::Text),
    member("idempotent", Shape::Boolean),
    member("replay", Shape::Word(&["idempotent", "journaled", "never"]))
        .doc("whether the call is made again if the server dies with it"),
    member("deferred", Shape::Boolean).doc("whether it may wait"),
    member("params", Shape::Map(&Shape::Any)).doc("JSON Schema; under postcard, the tree"),
    member("result", Shape::Map(&Shape::Any)),
    member("error", Shape::Map(&Shape::Any)),
    member("handles_in", Shape::Array(&Shape::Text)),
    member("handles_out", Shape::Array(&Shape::Text)),
]);

/// A protocol's hash as it is written.
fn hash(interface: &Interface) -> String {
    format!("{:016x}", interface.description.hash)
}

fn status(system: &System, service: &str) -> Result<Status, RpcError> {
    system
        .services
        .status(System::soon(), service)
        .map_err(error("init", of_services))
}

fn services(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let page = page(params)?;
    params.finish()?;
    let from = match page.cursor.as_str() {
        "" => 0,
        cursor => cursor.parse::<usize>().map_err(|_| bad_cursor(cursor))?,
    };
    let mut all = Vec::new();
    for name in supervisor::names(system)? {
        let status = status(system, &name)?;
        for protocol in status.provides.clone() {
            all.push((status.clone(), protocol));
        }
    }
    let end = from.saturating_add(page.limit);
    let next = (end < all.len()).then(|| format!("{end}"));
    let wanted: Vec<_> = all.into_iter().skip(from).take(page.limit).collect();
    Ok(list(system, wanted.into_iter(), Vec::new(), next))
}

/// Describes one after the other.
fn list(
    system: &mut System,
    mut todo: IntoIter<(Status, String)>,
    mut done: Vec<Value>,
    next: Option<String>,
) -> Answer {
    for (status, protocol) in todo.by_ref() {
        let known = system.catalogue.borrow().get(&status.name, &protocol);
        // To ask one that is not there would start it, or wait for it.
        if known.is_some() || status.state != State::Running {
            done.push(row(&status, &protocol, known));
            continue;
        }
        let (name, deadline) = (status.name.clone(), System::soon());
        let asked = protocol.clone();
        return catalogue::find(system, &name, &asked, deadline, move |found, system| {
            done.push(row(&status, &protocol, found.ok()));
            list(system, todo, done, next)
        });
    }
    Answer::Now(Ok(json!({ "services": done, "next_cursor": next })))
}

fn row(status: &Status, protocol: &str, interface: Option<Rc<Interface>>) -> Value {
    let description = interface.as_ref().map(|interface| &interface.description);
    let methods = description.map(|description| -> Value {
        let methods = description.methods.iter();
        methods.map(|method| method.name.as_str()).collect()
    });
    json!({
        "name": status.name,
        "protocol": protocol,
        "version": description.map(|description| description.version),
        "schema_hash": interface.as_deref().map(hash),
        "methods": methods,
        "pid": status.pid,
        "state": format!("{:?}", status.state).to_lowercase(),
    })
}

fn schema(system: &mut System, context: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let server = Server::take(params)?;
    let protocol = params.optional_string("protocol")?;
    params.finish()?;
    let deadline = context.deadline();
    let described =
        |found: Result<Rc<Interface>, RpcError>, _: &mut System| Answer::Now(found.map(describe));
    let service = match (server, &protocol) {
        (Some(Server::Named(service)), _) => service,
        (Some(Server::Held(name)), _) => {
            let session = context.session;
            return Ok(catalogue::find_held(
                system, session, &name, deadline, described,
            ));
        }
        (None, Some(protocol)) => provider(system, protocol)?,
        (None, None) => {
            return Err(agentd::params::wrong(
                "service",
                "service or protocol",
                None,
            ));
        }
    };
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => {
            let first = status(system, &service)?.provides.into_iter().next();
            first.ok_or_else(|| not_found("protocol", "it serves nothing"))?
        }
    };
    Ok(catalogue::find(
        system, &service, &protocol, deadline, described,
    ))
}

fn not_found(what: &str, message: &str) -> RpcError {
    RpcError::new(Code::NotFound, message).with("what", what)
}

/// A service that provides a protocol; one that runs, if there is one.
fn provider(system: &System, protocol: &str) -> Result<String, RpcError> {
    let mut found = None;
    for name in supervisor::names(system)? {
        let status = status(system, &name)?;
        if !status.provides.iter().any(|provided| provided == protocol) {
            continue;
        }
        if status.state == State::Running {
            return Ok(name);
        }
        found.get_or_insert(name);
    }
    found.ok_or_else(|| not_found("protocol", "nobody serves this protocol"))
}

fn describe(interface: Rc<Interface>) -> Value {
    let description = &interface.description;
    let mut schemas = Schemas::at("/types");
    let methods: Value = description
        .methods
        .iter()
        .map(|method| describe_method(method, &mut schemas))
        .collect();
    json!({
        "service": interface.service,
        "protocol": description.name,
        "version": description.version,
        "hash": hash(&interface),
        "doc": description.doc,
        "methods": methods,
        "types": schemas.into_table(),
    })
}

fn describe_method(method: &MethodDescription, schemas: &mut Schemas) -> Value {
    let with_tree = |mut schema: Value, ty: &OwnedNamedType| {
        schema["postcard"] = serde_json::to_value(ty).unwrap_or_default();
        schema
    };
    let fields = method.parameters.iter().cloned();
    // On the wire parameters are what the fields of a struct would be.
    let parameters = OwnedNamedType {
        name: method.name.clone(),
        ty: OwnedDataModelType::Struct(
            fields
                .map(|(name, ty)| OwnedNamedValue { name, ty })
                .collect(),
        ),
    };
    json!({
        "name": method.name,
        "doc": method.doc,
        "idempotent": method.replay == Replay::Idempotent,
        "replay": match method.replay {
            Replay::Idempotent => "idempotent",
            Replay::Journaled => "journaled",
            Replay::Never => "never",
        },
        "deferred": method.is_deferred,
        "params": with_tree(schemas.of_members(&method.parameters), &parameters),
        "result": with_tree(schemas.of(&method.result), &method.result),
        "error": with_tree(schemas.of(&method.error), &method.error),
        "handles_in": method.handles_in,
        "handles_out": method.handles_out,
    })
}
