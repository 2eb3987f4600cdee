//! `rpc.discover`: the OpenRPC document of what a subject may call, made of what the methods say of themselves.

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use agentd::token::Token;
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{Context, all};
use crate::shape::{Shape, member};
use crate::system::{Answer, System};

/// The version of the OpenRPC specification that the document follows.
const OPENRPC: &str = "1.3.2";

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "rpc.discover",
        summary: "This document",
        access: Access::Anybody,
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(&[
            member("openrpc", Shape::Text),
            member("info", Shape::Map(&Shape::Any)),
            member("methods", Shape::Array(&Shape::Map(&Shape::Any))),
        ]),
        errors: &[],
        example: Example {
            params: "{}",
            result: r#"{"openrpc": "1.3.2", "info": {"title": "PebbleOS agentd", "version": "0.2.0"}, "methods": []}"#,
        },
        since: "0.2",
        by: By::Function(discover),
    },
    Method {
        name: "rpc.cancel",
        summary: "Cancels a request of this connection; its programs are killed",
        access: Access::LoggedIn,
        effect: Effect::Sets,
        params: &[member(
            "id",
            Shape::Either(&[Shape::Text, Shape::Integer(i64::MIN, u64::MAX)]),
        )
        .doc("of the request")],
        result: Shape::Object(&[member("cancelled", Shape::Boolean)]),
        errors: &[Code::NotFound],
        example: Example {
            params: r#"{"id": 7}"#,
            result: r#"{"cancelled": true}"#,
        },
        since: "0.2",
        by: By::Connection,
    },
];

fn discover(_: &mut System, context: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    Ok(Answer::Now(Ok(document(context.subject.as_ref()))))
}

/// The document.
pub fn document(subject: Option<&Token>) -> Value {
    let visible = all().filter(|method| method.is_visible_to(subject));
    json!({
        "openrpc": OPENRPC,
        "info": { "title": "PebbleOS agentd", "version": env!("CARGO_PKG_VERSION") },
        "methods": visible.map(describe).collect::<Value>(),
    })
}

fn describe(method: &Method) -> Value {
    let params: Value = method
        .params
        .iter()
        .map(|param| {
            json!({
                "name": param.name,
                "required": param.is_required,
                "schema": param.schema(),
            })
        })
        .collect();
    let errors: Value = method.all_errors().map(error).collect();
    json!({
        "name": method.name,
        "summary": method.summary,
        "params": params,
        "paramStructure": "by-name",
        "result": { "name": "result", "schema": method.result.schema() },
        "errors": errors,
        "examples": [example(method.name, &method.example)],
        "x-scope": method.scope(),
        "x-mutating": method.effect.is_mutating(),
        "x-idempotent": method.effect.is_idempotent(),
        "x-since": method.since,
    })
}

fn error(code: Code) -> Value {
    json!({
        "code": code.number(),
        "message": code.kind(),
        "data": { "kind": code.kind(), "retryable": code.is_retryable() },
    })
}

fn example(name: &str, example: &Example) -> Value {
    // That they are JSON is what a test is about.
    let value = |text| serde_json::from_str::<Value>(text).unwrap_or_default();
    let params: Value = match value(example.params) {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect(),
        _ => Value::Null,
    };
    json!({
        "name": name,
        "params": params,
        "result": { "name": "result", "value": value(example.result) },
    })
}
