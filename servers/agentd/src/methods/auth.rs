//! `auth.*`

use agentd::params::Params;
use agentd::rpc::RpcError;
use agentd::token::Token;
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{Context, machine, no_login};
use crate::shape::{Member, Shape, U64, member, optional};
use crate::system::{Answer, System};

/// What a token is, as both methods tell it.
const SUBJECT: &[Member] = &[
    member("subject", Shape::Text).doc("the token's public part"),
    member("user", Shape::Text),
    member("scopes", Shape::Array(&Shape::Text)),
    member("constraints", Shape::Map(&Shape::Array(&Shape::Text))),
    member("expires_at", Shape::Nullable(&U64)).doc("nanoseconds since boot; null: never"),
    member("limits", Shape::Map(&U64)),
];

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "auth.login",
        summary: "Logs the connection in with a token",
        access: Access::Anybody,
        effect: Effect::Sets,
        params: &[
            member("token", Shape::Text).doc("pbl1.ID.SECRET"),
            optional("client", Shape::Text).doc("who calls, for the log"),
        ],
        result: Shape::Object(SUBJECT),
        errors: &[],
        example: Example {
            params: r#"{"token": "pbl1.root.0123456789abcdef0123456789abcdef"}"#,
            result: r#"{
                "session": "root", "subject": "root", "user": "root", "scopes": ["system.read"],
                "constraints": {"paths": [], "services": [], "calls": []}, "expires_at": null, "limits": {"batch": 64}
            }"#,
        },
        since: "0.2",
        by: By::Connection,
    },
    Method {
        name: "auth.whoami",
        summary: "Who is logged in",
        access: Access::LoggedIn,
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(SUBJECT),
        errors: &[],
        example: Example {
            params: "{}",
            result: r#"{
                "subject": "root", "user": "root", "scopes": ["system.read"],
                "constraints": {"paths": [], "services": [], "calls": []}, "expires_at": null, "limits": {"batch": 64}
            }"#,
        },
        since: "0.2",
        by: By::Function(who),
    },
];

fn who(_: &mut System, context: &Context, params: &mut Params) -> Result<Answer, RpcError> {
    params.finish()?;
    let subject = context.subject.as_ref();
    Ok(Answer::Now(subject.map(whoami).ok_or_else(no_login)))
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
