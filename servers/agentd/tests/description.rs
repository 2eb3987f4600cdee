//! What the daemon says of itself is true of what it does, and is a document that others can read.
#![allow(missing_docs, reason = "a test has no reader but this file")]

use agentd::methods::declaration::{Access, COMMON_ERRORS, Method};
use agentd::methods::{all, discover};
use agentd::token::{SCOPES, Token};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn everybody() -> Token {
    Token::root("root", [0; 32])
}

fn parsed(method: &Method, text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}: {text}", method.name))
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::meta::validate(schema)
        .unwrap_or_else(|error| panic!("{error}: {schema}"));
    jsonschema::draft202012::new(schema).expect("a schema")
}

fn check(method: &Method, schema: &Value, value: &Value) {
    if let Err(error) = validator(schema).validate(value) {
        panic!(
            "{}: {error} at {}: {value}",
            method.name,
            error.instance_path()
        );
    }
}

/// All parameters as one object, as they are sent.
fn parameters(method: &Method) -> Value {
    let properties: Map<String, Value> = method
        .params
        .iter()
        .map(|param| (param.name.into(), param.schema()))
        .collect();
    let required: Vec<&str> = method
        .params
        .iter()
        .filter(|param| param.is_required)
        .map(|param| param.name)
        .collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

#[test]
fn every_example_fits_its_method() {
    for method in all() {
        check(
            method,
            &parameters(method),
            &parsed(method, method.example.params),
        );
        check(
            method,
            &method.result.schema(),
            &parsed(method, method.example.result),
        );
    }
}

#[test]
fn the_document_has_the_methods_of_the_dispatcher_and_no_others() {
    let document = discover::document(Some(&everybody()));
    let described: Vec<&str> = document["methods"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|method| method["name"].as_str())
        .collect();
    assert_eq!(
        described,
        all().map(|method| method.name).collect::<Vec<_>>()
    );
    assert_eq!(
        described.iter().collect::<BTreeSet<_>>().len(),
        described.len(),
        "a name stands for one method"
    );
}

#[test]
fn the_document_is_as_openrpc_1_3_2_wants_it() {
    let document = discover::document(Some(&everybody()));
    assert_eq!(document["openrpc"], "1.3.2");
    for member in ["title", "version"] {
        assert!(document["info"][member].is_string(), "info.{member}");
    }
    for method in document["methods"].as_array().expect("a list") {
        let name = method["name"].as_str().expect("a name");
        assert_eq!(method["paramStructure"], "by-name", "{name}");
        let mut seen_optional = false;
        for param in method["params"].as_array().expect("parameters") {
            assert!(
                param["name"].is_string() && param["schema"].is_object(),
                "{name}"
            );
            // Required ones go first: the specification says so for positions, and readers expect it.
            seen_optional |= param["required"] == false;
            assert!(!(seen_optional && param["required"] == true), "{name}");
        }
        assert!(method["result"]["name"].is_string() && method["result"]["schema"].is_object());
        for error in method["errors"].as_array().expect("errors") {
            assert!(
                error["code"].is_i64() && error["message"].is_string(),
                "{name}"
            );
        }
        for example in method["examples"].as_array().expect("examples") {
            assert!(
                example["name"].is_string() && example["params"].is_array(),
                "{name}"
            );
            assert!(!example["result"]["value"].is_null(), "{name}");
        }
        for member in ["x-scope", "x-mutating", "x-idempotent", "x-since"] {
            assert!(!method[member].is_null(), "{name}: {member}");
        }
    }
}

#[test]
fn a_subject_is_shown_what_it_may_call() {
    let names = |subject: Option<&Token>| -> Vec<String> {
        let document = discover::document(subject);
        let methods = document["methods"].as_array().expect("a list").iter();
        methods
            .map(|method| method["name"].as_str().expect("a name").to_string())
            .collect()
    };
    assert_eq!(names(None), ["auth.login", "rpc.discover"]);
    let mut reader = everybody();
    reader.scopes = BTreeSet::from(["fs.read".to_string()]);
    let names = names(Some(&reader));
    assert!(names.contains(&"fs.stat".to_string()) && names.contains(&"auth.whoami".to_string()));
    assert!(!names.contains(&"fs.write".to_string()));
}

#[test]
fn every_scope_that_a_method_takes_exists() {
    for method in all() {
        if let Access::Scope(scope) = method.access {
            assert!(SCOPES.contains(&scope), "{}", method.name);
        }
        assert!(
            !method
                .errors
                .iter()
                .any(|code| COMMON_ERRORS.contains(code)),
            "{}: said twice",
            method.name
        );
    }
}
