//! Tokens: who may do what.
//!
//! A token is `pbl1.<id>.<secret>`. The daemon knows the SHA-256 of the whole text and compares digests in constant time, so neither a wrong token nor the time it takes to
//! refuse one says anything about a right one.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Every scope.
pub const SCOPES: &[&str] = &[
    "system.read",
    "proc.read",
    "proc.spawn",
    "proc.control",
    "svc.read",
    "svc.control",
    "log.read",
    "fs.read",
    "fs.write",
    "net.read",
    "net.use",
    "pebble.eval",
    "shell.run",
    "ipc.inspect",
    "ipc.call",
    "fault.inject",
    "auth.admin",
];

/// SHA-256 of a token's text.
pub type TokenDigest = [u8; 32];

/// Narrower than a scope alone. An empty list means no constraint.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Constraints {
    /// Path prefixes for `fs.*`.
    pub paths: Vec<String>,
    /// Services for `svc.*`, `log.*`, `fault.*`.
    pub services: Vec<String>,
    /// `service.method` patterns for `ipc.call`; `*` stands for any.
    pub calls: Vec<String>,
}

/// A token that the daemon knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Its public part.
    pub id: String,
    /// SHA-256 of its text.
    pub digest: TokenDigest,
    /// What it allows.
    pub scopes: BTreeSet<String>,
    /// Narrower than that.
    pub constraints: Constraints,
    /// For people.
    pub label: String,
    /// The token it was minted from.
    pub parent: Option<String>,
    /// When it ends, in nanoseconds since boot.
    pub expires_ns: Option<u64>,
}

/// What a token can't be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MintError {
    /// There is no such scope.
    UnknownScope(String),
    /// The minter does not have it.
    NotYours(String),
}

/// The digest of a token's text.
pub fn digest(text: &str) -> TokenDigest {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether two digests are the same, in a time that does not depend on where they differ.
pub fn same(a: &TokenDigest, b: &TokenDigest) -> bool {
    a.iter()
        .zip(b)
        .fold(0, |difference, (x, y)| difference | (x ^ y))
        == 0
}

/// The public part of a token's text, if it has the right form.
pub fn public_part(text: &str) -> Option<&str> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("pbl1"), Some(id), Some(secret), None) if !id.is_empty() && secret.len() >= 32 => {
            Some(id)
        }
        _ => None,
    }
}

impl Token {
    /// The token of whoever started the machine: everything.
    pub fn root(id: &str, digest: TokenDigest) -> Self {
        Self {
            id: id.to_string(),
            digest,
            scopes: SCOPES.iter().map(|scope| scope.to_string()).collect(),
            constraints: Constraints::default(),
            label: "console".to_string(),
            parent: None,
            expires_ns: None,
        }
    }

    /// Whether it allows this scope.
    pub fn allows(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether a path, already free of `..`, is within its constraints.
    pub fn allows_path(&self, path: &str) -> bool {
        let is_below = |prefix: &String| {
            let prefix = prefix.trim_end_matches('/');
            path == prefix
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        self.constraints.paths.is_empty() || self.constraints.paths.iter().any(is_below)
    }

    /// Whether a service is within its constraints.
    pub fn allows_service(&self, service: &str) -> bool {
        self.constraints.services.is_empty()
            || self
                .constraints
                .services
                .iter()
                .any(|allowed| allowed == service)
    }

    /// Whether a method of a service is within its constraints.
    pub fn allows_call(&self, service: &str, method: &str) -> bool {
        let matches = |pattern: &String| {
            let (wanted_service, wanted_method) = pattern.split_once('.').unwrap_or((pattern, "*"));
            (wanted_service == "*" || wanted_service == service)
                && (wanted_method == "*" || wanted_method == method)
        };
        self.constraints.calls.is_empty() || self.constraints.calls.iter().any(matches)
    }

    /// Whether it is still good.
    pub fn is_alive(&self, now_ns: u64) -> bool {
        self.expires_ns.is_none_or(|end| now_ns < end)
    }

    /// Checks that a token with these scopes would have no more than this one.
    pub fn check_mint(&self, scopes: &[String]) -> Result<BTreeSet<String>, MintError> {
        for scope in scopes {
            if !SCOPES.contains(&scope.as_str()) {
                return Err(MintError::UnknownScope(scope.clone()));
            }
            if !self.allows(scope) {
                return Err(MintError::NotYours(scope.clone()));
            }
        }
        Ok(scopes.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constrained(constraints: Constraints) -> Token {
        Token {
            constraints,
            ..Token::root("a", [0; 32])
        }
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| value.to_string()).collect()
    }

    #[test]
    fn a_path_constraint_ends_at_a_slash() {
        let token = constrained(Constraints {
            paths: list(&["/home/a/"]),
            ..Constraints::default()
        });
        assert!(token.allows_path("/home/a") && token.allows_path("/home/a/b"));
        assert!(
            !token.allows_path("/home/ab")
                && !token.allows_path("/home")
                && !token.allows_path("/")
        );
    }

    #[test]
    fn call_patterns_have_two_parts() {
        let token = constrained(Constraints {
            calls: list(&["logd.*", "*.info"]),
            ..Constraints::default()
        });
        assert!(token.allows_call("logd", "read") && token.allows_call("pci", "info"));
        assert!(!token.allows_call("pci", "reset"));
    }

    #[test]
    fn a_minted_token_has_no_more() {
        let mut token = Token::root("a", [0; 32]);
        token.scopes.remove("fs.write");
        assert_eq!(
            token.check_mint(&list(&["fs.write"])),
            Err(MintError::NotYours("fs.write".to_string()))
        );
        assert_eq!(
            token.check_mint(&list(&["fly"])),
            Err(MintError::UnknownScope("fly".to_string()))
        );
        assert!(token.check_mint(&list(&["fs.read"])).is_ok());
    }

    #[test]
    fn a_token_has_three_parts() {
        let good = alloc::format!("pbl1.abc.{}", "s".repeat(43));
        assert_eq!(public_part(&good), Some("abc"));
        for bad in [
            "",
            "pbl1",
            "pbl1.a.b",
            "pbl2.a.ssssssssssssssssssssssssssssssssssss",
            "pbl1..ssssssssssssssssssssssssssssssssssss",
        ] {
            assert_eq!(public_part(bad), None, "{bad}");
        }
        assert!(same(&digest(&good), &digest(&good)) && !same(&digest(&good), &digest("x")));
    }
}
