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
    /// The minter's own constraint does not reach so far.
    OutOfReach {
        /// Which constraint.
        constraint: &'static str,
        /// What was asked for.
        wanted: String,
    },
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

    /// The constraints of a token that is minted from this one: those that were asked for, which must be within its own, and its own where none were.
    pub fn check_constraints(&self, wanted: Constraints) -> Result<Constraints, MintError> {
        let own = &self.constraints;
        Ok(Constraints {
            paths: narrowed("paths", wanted.paths, &own.paths, |path| {
                self.allows_path(path)
            })?,
            services: narrowed("services", wanted.services, &own.services, |service| {
                self.allows_service(service)
            })?,
            // A pattern is within another if it is the same, or if the other has stars where they differ.
            calls: narrowed("calls", wanted.calls, &own.calls, |call| {
                let (service, method) = call.split_once('.').unwrap_or((call, "*"));
                self.allows_call(service, method)
            })?,
        })
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

fn narrowed(
    constraint: &'static str,
    wanted: Vec<String>,
    own: &[String],
    is_within: impl Fn(&str) -> bool,
) -> Result<Vec<String>, MintError> {
    if wanted.is_empty() {
        return Ok(own.to_vec());
    }
    match wanted.iter().find(|wanted| !is_within(wanted)) {
        None => Ok(wanted),
        Some(wanted) => Err(MintError::OutOfReach {
            constraint,
            wanted: wanted.clone(),
        }),
    }
}

/// Tokens that the daemon knows at once, at most, the first one not counted.
pub const MAX_MINTED: usize = 64;
/// Bytes of a minted token's record, at most.
pub const TOKEN_BYTES: usize = 2048;

/// Every token that is good.
#[derive(Debug, Default)]
pub struct Tokens {
    root: Option<Token>,
    minted: Vec<Option<Token>>,
}

impl Tokens {
    /// The token of whoever started the machine, and what the last incarnation minted.
    pub fn new(root: Option<Token>, mut minted: Vec<Option<Token>>) -> Self {
        minted.resize(MAX_MINTED, None);
        Self { root, minted }
    }

    /// Whether anybody can log in.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The token whose text has this digest. Looks at all of them, so that the time it takes says nothing.
    pub fn find(&self, digest: &TokenDigest, now_ns: u64) -> Option<&Token> {
        self.all().fold(None, |found, token| {
            let is_it = same(digest, &token.digest) && token.is_alive(now_ns);
            if is_it { Some(token) } else { found }
        })
    }

    /// Whether a token is still good.
    pub fn has(&self, id: &str, now_ns: u64) -> bool {
        self.all()
            .any(|token| token.id == id && token.is_alive(now_ns))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Token> {
        self.root.iter().chain(self.minted.iter().flatten())
    }

    /// The minted token in a slot, to be stored.
    pub fn slot(&self, slot: usize) -> Option<&Token> {
        self.minted.get(slot).and_then(Option::as_ref)
    }

    /// Takes a minted token up; gives its slot, or nothing if there is no room.
    pub fn add(&mut self, token: Token, now_ns: u64) -> Option<usize> {
        let slot = self
            .minted
            .iter()
            .position(|slot| slot.as_ref().is_none_or(|token| !token.is_alive(now_ns)))?;
        self.minted[slot] = Some(token);
        Some(slot)
    }

    /// Whether `id` is `ancestor`, or was minted from it through any number of others.
    pub fn descends(&self, id: &str, ancestor: &str) -> bool {
        let mut at = Some(id);
        // A chain can't be longer than there are tokens.
        for _ in 0..=self.minted.len() {
            match at {
                None => return false,
                Some(id) if id == ancestor => return true,
                Some(id) => {
                    at = self
                        .all()
                        .find(|token| token.id == id)
                        .and_then(|token| token.parent.as_deref());
                }
            }
        }
        false
    }

    /// Ends a minted token and all that were minted from it; gives their slots and numbers.
    pub fn revoke(&mut self, id: &str) -> Vec<(usize, String)> {
        let gone: Vec<(usize, String)> = self
            .minted
            .iter()
            .enumerate()
            .filter_map(|(slot, token)| Some((slot, token.as_ref()?.id.clone())))
            .filter(|(_, minted)| self.descends(minted, id))
            .collect();
        for (slot, _) in &gone {
            self.minted[*slot] = None;
        }
        gone
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

    fn minted(id: &str, parent: &str) -> Token {
        Token {
            parent: Some(parent.to_string()),
            ..Token::root(id, digest(id))
        }
    }

    #[test]
    fn constraints_only_get_narrower() {
        let parent = constrained(Constraints {
            paths: list(&["/home/a"]),
            services: list(&["logd"]),
            calls: list(&["logd.*"]),
        });
        let paths = |wanted: &[&str]| {
            let wanted = Constraints {
                paths: list(wanted),
                ..Constraints::default()
            };
            parent.check_constraints(wanted).map(|found| found.paths)
        };
        assert_eq!(paths(&["/home/a/b"]), Ok(list(&["/home/a/b"])));
        assert_eq!(paths(&[]), Ok(list(&["/home/a"])), "inherited");
        assert!(paths(&["/home/a", "/home"]).is_err());
        let calls = |wanted: &str| {
            let wanted = Constraints {
                calls: list(&[wanted]),
                ..Constraints::default()
            };
            parent.check_constraints(wanted)
        };
        assert!(calls("logd.read").is_ok() && calls("logd.*").is_ok());
        assert!(calls("*.read").is_err() && calls("vfs.*").is_err());
    }

    #[test]
    fn revoking_a_token_ends_all_that_came_from_it() {
        let mut tokens = Tokens::new(Some(Token::root("root", digest("root"))), Vec::new());
        for (id, parent) in [("a", "root"), ("b", "a"), ("c", "b"), ("d", "root")] {
            assert!(tokens.add(minted(id, parent), 0).is_some());
        }
        assert!(tokens.descends("c", "a") && !tokens.descends("d", "a"));
        let gone = tokens.revoke("a");
        assert_eq!(gone.len(), 3);
        assert!(tokens.find(&digest("c"), 0).is_none() && tokens.has("d", 0));
        assert!(tokens.find(&digest("root"), 0).is_some());
        assert!(tokens.revoke("root").len() == 1, "the first token stays");
        assert!(tokens.has("root", 0));
    }

    #[test]
    fn a_token_ends_when_its_time_is_over_and_makes_room() {
        let mut tokens = Tokens::new(None, Vec::new());
        for number in 0..MAX_MINTED {
            let token = Token {
                expires_ns: Some(10),
                ..minted(&number.to_string(), "root")
            };
            assert_eq!(tokens.add(token, 0), Some(number));
        }
        assert_eq!(tokens.add(minted("x", "root"), 9), None);
        assert!(tokens.find(&digest("3"), 9).is_some() && tokens.find(&digest("3"), 10).is_none());
        assert_eq!(tokens.add(minted("x", "root"), 10), Some(0));
    }
}
