//! `ipc.services` and `ipc.schema`

use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use libipc::client;
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{Context, of_services, supervisor};
use crate::shape::{Shape, U32, member, optional};
use crate::system::{Answer, System, error, failed};

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "ipc.services",
        summary: "What every service serves",
        access: Access::Scope("ipc.inspect"),
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(&[member(
            "services",
            Shape::Array(&Shape::Object(&[
                member("name", Shape::Text),
                member("protocol", Shape::Text),
                member("pid", Shape::Nullable(&U32)),
                member("state", Shape::Text),
            ])),
        )]),
        errors: &[],
        example: Example {
            params: r#"{}"#,
            result: r#"{"services": [{"name": "logd", "protocol": "log", "pid": 3, "state": "running"}]}"#,
        },
        since: "0.2",
        by: By::Function(services),
    },
    Method {
        name: "ipc.schema",
        summary: "The interface of a service",
        access: Access::Scope("ipc.inspect"),
        effect: Effect::Reads,
        params: &[
            member("service", Shape::Text),
            optional("protocol", Shape::Text),
        ],
        result: Shape::Object(&[
            member("protocol", Shape::Text),
            member("version", U32),
            member("hash", Shape::Text),
            member("doc", Shape::Text),
            member("methods", Shape::Array(&Shape::Map(&Shape::Any))),
        ]),
        errors: &[Code::NotFound],
        example: Example {
            params: r#"{"service": "logd"}"#,
            result: r#"{"protocol": "log", "version": 1, "hash": "0123456789abcdef", "doc": "See the module.", "methods": []}"#,
        },
        since: "0.2",
        by: By::Function(schema),
    },
];

/// `ipc.services`
pub fn services(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    let mut services = Vec::new();
    for name in supervisor::names(system)? {
        let status = system
            .services
            .status(System::soon(), &name)
            .map_err(error("init", of_services))?;
        for protocol in &status.provides {
            services.push(json!({
                "name": status.name,
                "protocol": protocol,
                "pid": status.pid,
                "state": alloc::format!("{:?}", status.state).to_lowercase(),
            }));
        }
    }
    Ok(Answer::Now(Ok(json!({ "services": services }))))
}

/// `ipc.schema`
pub fn schema(system: &mut System, _: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    let service = params.string("service")?;
    let protocol = params.optional_string("protocol")?;
    params.finish()?;
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => {
            let status = system
                .services
                .status(System::soon(), &service)
                .map_err(error("init", of_services))?;
            let none =
                || RpcError::new(Code::NotFound, "it serves nothing").with("what", "protocol");
            status.provides.into_iter().next().ok_or_else(none)?
        }
    };
    let connection = system
        .services
        .connect(System::soon(), &service, &protocol)
        .map_err(error("init", of_services))?;
    let description = client::describe(&connection, System::soon())
        .map_err(|failure| failed(&service, failure))?;
    let tree = |ty| serde_json::to_value(ty).unwrap_or_default();
    let mut methods = Vec::new();
    for method in &description.methods {
        let parameters: Vec<Value> = method
            .parameters
            .iter()
            .map(|(name, ty)| json!({ "name": name, "postcard": tree(ty) }))
            .collect();
        methods.push(json!({
            "name": method.name,
            "doc": method.doc,
            "idempotent": method.replay == libipc::Replay::Idempotent,
            "params": parameters,
            "result": { "postcard": tree(&method.result) },
            "error": { "postcard": tree(&method.error) },
            "handles_in": method.handles_in,
            "handles_out": method.handles_out,
        }));
    }
    Ok(Answer::Now(Ok(json!({
        "protocol": description.name,
        "version": description.version,
        "hash": alloc::format!("{:016x}", description.hash),
        "doc": description.doc,
        "methods": methods,
    }))))
}
