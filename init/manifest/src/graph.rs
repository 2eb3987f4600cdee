//! Checks over all manifests together: names, needs that nobody meets, and the graph of blocking calls.
//!
//! If A waits for B, B must never wait for A, directly or around corners, or one dead lock stops both. So the graph of *blocking* needs has no
//! cycle and never points to a higher layer. Needs by Call are free.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::{Grant, Manifest, Mode};

/// The name under which init's own endpoint is needed.
pub const INIT: &str = "init";
/// The protocols that init serves.
pub const INIT_PROVIDES: &[&str] = &["services"];
/// Protocols a service may provide, at most (their index is in the badge).
pub const MAX_PROVIDES: usize = 16;

/// What is wrong with the manifests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A name is empty or has a character other than lower-case letters, digits and `-`.
    BadName(String),
    /// Two services have this name.
    DuplicateName(String),
    /// A service needs what no service provides.
    Unmet {
        /// The service.
        service: String,
        /// What it needs.
        need: String,
    },
    /// The blocking needs lead back to where they started.
    Cycle(Vec<String>),
    /// A blocking need points to a higher layer.
    PointsUp {
        /// The lower service.
        from: String,
        /// The higher one.
        to: String,
    },
    /// A number is out of range; which.
    OutOfRange {
        /// The service.
        service: String,
        /// The field.
        field: &'static str,
    },
    /// Two needs of a service have the same name.
    DuplicateNeed {
        /// The service.
        service: String,
        /// The name.
        name: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(
                f,
                "'{name}' is no service name: use lower-case letters, digits and '-'"
            ),
            Self::DuplicateName(name) => write!(f, "there are two services named '{name}'"),
            Self::Unmet { service, need } => {
                write!(f, "'{service}' needs '{need}', which no service provides")
            }
            Self::Cycle(path) => {
                write!(f, "blocking calls lead in a circle: {}", path.join(" -> "))
            }
            Self::PointsUp { from, to } => write!(
                f,
                "'{from}' waits for '{to}', which is in a higher layer: call it by Call instead"
            ),
            Self::OutOfRange { service, field } => {
                write!(f, "'{service}': {field} is out of range")
            }
            Self::DuplicateNeed { service, name } => {
                write!(f, "'{service}' has two needs named '{name}'")
            }
        }
    }
}

/// Every problem that the manifests have; none: they can be used.
pub fn check(manifests: &[Manifest]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeMap::new();
    for (index, manifest) in manifests.iter().enumerate() {
        check_alone(manifest, &mut problems);
        if names.insert(manifest.name.as_str(), index).is_some() || manifest.name == INIT {
            problems.push(Problem::DuplicateName(manifest.name.clone()));
        }
    }
    let edges: Vec<Vec<usize>> = manifests
        .iter()
        .map(|manifest| blocking_edges(manifest, manifests, &mut problems))
        .collect();
    problems.extend(find_cycle(manifests, &edges));
    problems
}

fn check_alone(manifest: &Manifest, problems: &mut Vec<Problem>) {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 32
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if !is_name(&manifest.name) {
        problems.push(Problem::BadName(manifest.name.clone()));
    }
    let ranges = [
        ("priority", manifest.priority <= 62),
        ("quota.memory_kib", manifest.quota.memory_kib >= 64),
        (
            "quota.handles",
            (8..=16_000).contains(&manifest.quota.handles),
        ),
        ("quota.threads", manifest.quota.threads >= 1),
        (
            "capsule.memory_kib",
            manifest.capsule.memory_kib.is_multiple_of(4),
        ),
        ("capsule.slots", manifest.capsule.slots <= 256),
        ("provides", manifest.provides.len() <= MAX_PROVIDES),
    ];
    let out = ranges.into_iter().filter(|(_, is_fine)| !is_fine);
    problems.extend(out.map(|(field, _)| Problem::OutOfRange {
        service: manifest.name.clone(),
        field,
    }));
    for (index, need) in manifest.needs.iter().enumerate() {
        if manifest.needs[..index]
            .iter()
            .any(|other| other.name() == need.name())
        {
            problems.push(Problem::DuplicateNeed {
                service: manifest.name.clone(),
                name: need.name().to_string(),
            });
        }
    }
}

fn blocking_edges(
    manifest: &Manifest,
    all: &[Manifest],
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    let mut edges = Vec::new();
    for need in &manifest.needs {
        let is_init = (need.service.is_empty() || need.service == INIT)
            && INIT_PROVIDES.contains(&need.protocol.as_str());
        let providers: Vec<usize> = (0..all.len())
            .filter(|&index| need.is_met_by(&all[index]))
            .collect();
        if providers.is_empty() && !is_init && !need.optional {
            problems.push(Problem::Unmet {
                service: manifest.name.clone(),
                need: need.protocol.clone(),
            });
        }
        if need.mode == Mode::Call {
            continue;
        }
        for &provider in &providers {
            if all[provider].layer > manifest.layer {
                problems.push(Problem::PointsUp {
                    from: manifest.name.clone(),
                    to: all[provider].name.clone(),
                });
            }
        }
        edges.extend(providers);
    }
    edges
}

/// Depth first, with the path kept, so that the circle can be shown.
fn find_cycle(manifests: &[Manifest], edges: &[Vec<usize>]) -> Option<Problem> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; manifests.len()];
    for start in 0..manifests.len() {
        if marks[start] != Mark::New {
            continue;
        }
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        marks[start] = Mark::OnPath;
        while let Some((node, next)) = path.last_mut() {
            let Some(&target) = edges[*node].get(*next) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[target] {
                Mark::Done => {}
                Mark::New => {
                    marks[target] = Mark::OnPath;
                    path.push((target, 0));
                }
                Mark::OnPath => {
                    let from = path
                        .iter()
                        .position(|&(node, _)| node == target)
                        .unwrap_or(0);
                    let mut names: Vec<String> = path[from..]
                        .iter()
                        .map(|&(node, _)| manifests[node].name.clone())
                        .collect();
                    names.push(manifests[target].name.clone());
                    return Some(Problem::Cycle(names));
                }
            }
        }
    }
    None
}

/// Services that hold a grant, for whoever reviews who may do what.
pub fn holders(manifests: &[Manifest], grant: Grant) -> impl Iterator<Item = &str> {
    manifests
        .iter()
        .filter(move |manifest| manifest.grants.contains(&grant))
        .map(|manifest| manifest.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;
    use alloc::format;

    fn service(name: &str, layer: &str, provides: &str, needs: &[(&str, &str)]) -> Manifest {
        let mut source = format!(
            "name = \"{name}\"\nlayer = \"{layer}\"\npriority = 10\nprovides = [\"{provides}\"]\n[quota]\nmemory_kib = 64\nhandles = 64\n"
        );
        for (protocol, mode) in needs {
            source += &format!("[[needs]]\nprotocol = \"{protocol}\"\nmode = \"{mode}\"\n");
        }
        text::parse(&source).expect("the test writes valid manifests")
    }

    #[test]
    fn a_circle_of_blocking_needs_is_shown_with_its_path() {
        let all = [
            service("a", "server", "pa", &[("pb", "blocking")]),
            service("b", "server", "pb", &[("pc", "blocking")]),
            service("c", "server", "pc", &[("pb", "blocking")]),
        ];
        assert_eq!(
            check(&all),
            [Problem::Cycle(["b", "c", "b"].map(String::from).to_vec())]
        );
    }

    #[test]
    fn a_circle_by_call_is_fine() {
        let all = [
            service("a", "server", "pa", &[("pb", "blocking")]),
            service("b", "server", "pb", &[("pa", "call")]),
        ];
        assert_eq!(check(&all), []);
    }

    #[test]
    fn waiting_for_a_higher_layer_is_refused() {
        let all = [
            service("disk", "driver", "block", &[("fs", "blocking")]),
            service("fs", "server", "fs", &[]),
        ];
        assert_eq!(
            check(&all),
            [Problem::PointsUp {
                from: "disk".into(),
                to: "fs".into()
            }]
        );
    }

    #[test]
    fn a_need_that_nobody_meets_is_named() {
        let all = [service(
            "a",
            "server",
            "pa",
            &[("nothing", "call"), ("services", "call")],
        )];
        assert_eq!(
            check(&all),
            [Problem::Unmet {
                service: "a".into(),
                need: "nothing".into()
            }]
        );
    }

    #[test]
    fn names_are_unique_and_plain() {
        let all = [
            service("a", "server", "p", &[]),
            service("a", "server", "p", &[]),
            service("A b", "server", "p", &[]),
        ];
        assert_eq!(
            check(&all),
            [
                Problem::DuplicateName("a".into()),
                Problem::BadName("A b".into())
            ]
        );
    }
}
