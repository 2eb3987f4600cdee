//! `auth.*`

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use agentd::token::{self, Constraints, MAX_MINTED, MintError, Token};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libipc::{Instant, random};
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method, Outcome, task};
use super::{Context, machine, no_login};
use crate::shape::{Member, Shape, U64, member, optional};
use crate::system::System;

/// When a token ends.
const EXPIRY: Shape = Shape::Nullable(&Shape::Integer(i64::MIN, i64::MAX as u64));
/// What narrows a token down.
const CONSTRAINTS: Shape = Shape::Object(&[
    optional("paths", Shape::Array(&Shape::Text)).doc("prefixes"),
    optional("services", Shape::Array(&Shape::Text)),
    optional("calls", Shape::Array(&Shape::Text)).doc("service.method, * stands for any"),
]);
/// What a token is, as both methods tell it.
const SUBJECT: &[Member] = &[
    member("subject", Shape::Text).doc("the token's public part"),
    member("user", Shape::Text),
    member("scopes", Shape::Array(&Shape::Text)),
    member("constraints", Shape::Map(&Shape::Array(&Shape::Text))),
    member("expires_at", EXPIRY).doc("nanoseconds since 1970; null: never"),
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
            optional("bigint", Shape::Word(&["number", "string"]))
                .doc("how integers beyond 2^53 - 1 are sent"),
            optional("order", Shape::Word(&["completion", "strict"]))
                .doc("strict: replies come in the order of requests"),
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
        by: task!(who),
    },
    Method {
        name: "auth.mint",
        summary: "Makes a token that may do no more than yours",
        access: Access::LoggedIn,
        effect: Effect::Acts,
        params: &[
            member("scopes", Shape::Array(&Shape::Text)),
            member("ttl_s", Shape::Integer(1, MAX_TTL_S)).doc("how long it lives"),
            member("label", Shape::Text).doc("for people"),
            optional("constraints", CONSTRAINTS).doc("yours where none are given"),
        ],
        result: Shape::Object(&[
            member("token", Shape::Text).doc("nobody can ask for it again"),
            member("id", Shape::Text),
            member("expires_at", EXPIRY),
        ]),
        errors: &[Code::Forbidden, Code::LimitReached],
        example: Example {
            params: r#"{"scopes": ["fs.read"], "constraints": {"paths": ["/home"]}, "ttl_s": 600, "label": "reader"}"#,
            result: r#"{"token": "pbl1.0a1b2c3d4e5f.c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U", "id": "0a1b2c3d4e5f", "expires_at": 1767226200000000000}"#,
        },
        since: "0.2",
        by: task!(mint),
    },
    Method {
        name: "auth.list",
        summary: "Your token and those that were minted from it; all of them with auth.admin",
        access: Access::LoggedIn,
        effect: Effect::Reads,
        params: &[],
        result: Shape::Object(&[member(
            "tokens",
            Shape::Array(&Shape::Object(&[
                member("id", Shape::Text),
                member("label", Shape::Text),
                member("parent", Shape::Nullable(&Shape::Text)).doc("what it was minted from"),
                member("scopes", Shape::Array(&Shape::Text)),
                member("constraints", CONSTRAINTS),
                member("expires_at", EXPIRY),
            ])),
        )]),
        errors: &[],
        example: Example {
            params: "{}",
            result: r#"{"tokens": [{"id": "root", "label": "console", "parent": null, "scopes": ["system.read"], "constraints": {"paths": [], "services": [], "calls": []}, "expires_at": null}]}"#,
        },
        since: "0.2",
        by: task!(list),
    },
    Method {
        name: "auth.revoke",
        summary: "Ends a token, all that were minted from it, and their sessions",
        access: Access::LoggedIn,
        effect: Effect::Sets,
        params: &[member("id", Shape::Text)],
        result: Shape::Object(&[member("revoked", Shape::Array(&Shape::Text)).doc("their ids")]),
        errors: &[Code::NotFound, Code::InvalidState],
        example: Example {
            params: r#"{"id": "0a1b2c3d4e5f"}"#,
            result: r#"{"revoked": ["0a1b2c3d4e5f"]}"#,
        },
        since: "0.2",
        by: task!(revoke),
    },
];

/// Seconds that a minted token may live, at most: thirty days.
const MAX_TTL_S: u64 = 30 * 24 * 3600;
/// Bytes of a label, at most.
const MAX_LABEL: usize = 64;
/// Entries of one constraint, at most.
const MAX_ENTRIES: usize = 32;

async fn who(system: System, context: Rc<Context>, params: Params) -> Outcome {
    params.finish()?;
    let subject = context.subject.as_ref().ok_or_else(no_login)?;
    Ok(whoami(&system, subject))
}

/// What a token is.
pub fn whoami(system: &System, token: &Token) -> Value {
    json!({
        "subject": token.id,
        "user": "root",
        "scopes": token.scopes,
        "constraints": token.constraints,
        "expires_at": expiry(system, token),
        "limits": machine::limits(),
    })
}

/// When a token ends, in nanoseconds since 1970.
fn expiry(system: &System, token: &Token) -> Option<i64> {
    let end = i64::try_from(token.expires_ns?).unwrap_or(i64::MAX);
    Some(system.epoch_ns.saturating_add(end))
}

async fn mint(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let parent = context.subject.as_ref().ok_or_else(no_login)?;
    let scopes = params.strings("scopes")?;
    let constraints = params
        .optional_object("constraints", |inner| {
            Ok(Constraints {
                paths: entries(inner, "paths")?,
                services: entries(inner, "services")?,
                calls: entries(inner, "calls")?,
            })
        })?
        .unwrap_or_default();
    let ttl_s = params.integer("ttl_s", 1..=MAX_TTL_S)?;
    let label = params.string("label")?;
    params.finish()?;
    if label.len() > MAX_LABEL {
        return Err(RpcError::new(Code::TooLarge, "the label is too long")
            .with("limit", MAX_LABEL)
            .with("size", label.len()));
    }
    let now = Instant::now().as_ns();
    let end = now.saturating_add(ttl_s * 1_000_000_000);
    let (text, id) = new_text();
    let token = Token {
        digest: token::digest(&text),
        id: id.clone(),
        scopes: parent.check_mint(&scopes).map_err(of_mint)?,
        constraints: parent.check_constraints(constraints).map_err(of_mint)?,
        label,
        parent: Some(parent.id.clone()),
        // It does not outlive the one it comes from.
        expires_ns: Some(parent.expires_ns.map_or(end, |own| own.min(end))),
    };
    let expires_at = expiry(&system, &token);
    if !system.state.borrow_mut().add_token(token, now) {
        return Err(RpcError::new(
            Code::LimitReached,
            "there are too many tokens, or this one is too long",
        )
        .with("limit", MAX_MINTED));
    }
    Ok(json!({ "token": text, "id": id, "expires_at": expires_at }))
}

fn entries(params: &mut Params, name: &'static str) -> Result<Vec<String>, RpcError> {
    let entries = params.optional_strings(name)?.unwrap_or_default();
    if entries.len() > MAX_ENTRIES {
        return Err(
            RpcError::new(Code::TooLarge, "a constraint has too many entries")
                .with("limit", MAX_ENTRIES)
                .with("size", entries.len()),
        );
    }
    Ok(entries)
}

/// The text of a new token, and the public part in it.
fn new_text() -> (String, String) {
    let (mut id, mut secret) = ([0; 6], [0; 32]);
    random::fill(&mut id);
    random::fill(&mut secret);
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = URL_SAFE_NO_PAD.encode(secret);
    (format!("pbl1.{id}.{secret}"), id)
}

fn of_mint(error: MintError) -> RpcError {
    match error {
        MintError::UnknownScope(scope) => {
            RpcError::new(Code::InvalidParams, format!("there is no scope {scope:?}"))
                .with("path", "/scopes")
                .with("expected", "scopes")
                .with("got", scope)
        }
        MintError::NotYours(scope) => {
            RpcError::new(Code::Forbidden, format!("you do not have {scope}"))
                .with("required", scope)
        }
        MintError::OutOfReach { constraint, wanted } => {
            RpcError::new(Code::Forbidden, format!("{wanted:?} is out of your reach"))
                .with("required", constraint)
        }
    }
}

async fn list(system: System, context: Rc<Context>, params: Params) -> Outcome {
    params.finish()?;
    let own = &context.subject.as_ref().ok_or_else(no_login)?.id;
    let is_admin = context.allows("auth.admin");
    let (now, state) = (Instant::now().as_ns(), system.state.borrow());
    let tokens = &state.tokens;
    let visible = tokens
        .all()
        .filter(|token| token.is_alive(now) && (is_admin || tokens.descends(&token.id, own)));
    let described: Vec<Value> = visible
        .map(|token| {
            json!({
                "id": token.id,
                "label": token.label,
                "parent": token.parent,
                "scopes": token.scopes,
                "constraints": token.constraints,
                "expires_at": expiry(&system, token),
            })
        })
        .collect();
    Ok(json!({ "tokens": described }))
}

async fn revoke(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let id = params.string("id")?;
    params.finish()?;
    let own = &context.subject.as_ref().ok_or_else(no_login)?.id;
    let (is_known, is_below, is_minted) = {
        let tokens = &system.state.borrow().tokens;
        let found = tokens.all().find(|token| token.id == id);
        (
            found.is_some(),
            tokens.descends(&id, own),
            found.is_some_and(|token| token.parent.is_some()),
        )
    };
    if !is_known || !(is_below || context.allows("auth.admin")) {
        return Err(RpcError::new(Code::NotFound, "no such token").with("what", "token"));
    }
    if !is_minted {
        return Err(RpcError::new(
            Code::InvalidState,
            "the token of whoever started the machine ends with it",
        ));
    }
    let revoked = system.state.borrow_mut().revoke(&id);
    Ok(json!({ "revoked": revoked }))
}
