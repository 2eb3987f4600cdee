//! What programs find when they start, for the checker and for completion.

use pebble_rt::engine::{BUILTINS, PRELUDE_SOURCE};
use pebble_rt::modules::LIBRARY;
use pebble_rt::native::{ANY_NUMBER, NativeFunction, NativeMember};
use pebble_rt::syntax::parse;
use pebble_rt::tools::check::{Arity, Environment, Known};

/// The names of every program.
pub fn standard() -> Environment {
    let mut environment = Environment::new();
    if let Ok(prelude) = parse(PRELUDE_SOURCE) {
        environment.add_module(&prelude);
    }
    BUILTINS
        .functions
        .iter()
        .copied()
        .flatten()
        .for_each(|function| environment.add(function.name, known(function)));
    LIBRARY
        .functions
        .iter()
        .copied()
        .flatten()
        .for_each(|function| environment.add(function.name, known(function)));
    environment
}

/// The members of a built-in module with what is known of them.
pub fn module_members(name: &str) -> Vec<(&'static str, Known)> {
    let module = LIBRARY.modules.iter().find(|module| module.name == name);
    let members = module.map_or(&[][..], |module| module.members);
    let known_member = |member: &NativeMember| match member {
        NativeMember::Function(function) => known(function),
        _ => Known::default(),
    };
    members
        .iter()
        .map(|(name, member)| (*name, known_member(member)))
        .collect()
}

/// The methods of strings and bytes, by name.
pub fn methods() -> Vec<&'static str> {
    let mut names: Vec<_> = LIBRARY
        .string_methods
        .iter()
        .chain(LIBRARY.bytes_methods)
        .map(|method| method.name)
        .collect();
    names.extend([
        "append",
        "pop",
        "insert",
        "remove",
        "extend",
        "index",
        "count",
        "sort",
        "reverse",
        "clear",
        "copy",
        "get",
        "items",
        "keys",
        "values",
        "setdefault",
        "update",
    ]);
    names.sort_unstable();
    names.dedup();
    names
}

fn known(function: &NativeFunction) -> Known {
    let most = (function.max != ANY_NUMBER).then_some(usize::from(function.max));
    Known {
        arity: Some(Arity {
            least: usize::from(function.min),
            most,
        }),
        signature: Some(signature(function)),
        documentation: None,
    }
}

/// `NAME(a, b, …)`: parameters by name where they have names, else by number.
fn signature(function: &NativeFunction) -> String {
    let name_of = |index: usize| match function.parameters.get(index) {
        Some(name) => (*name).to_owned(),
        None => format!("arg{}", index + 1),
    };
    let least = usize::from(function.min);
    let most = if function.max == ANY_NUMBER {
        least
    } else {
        usize::from(function.max)
    };
    let mut parts: Vec<String> = (0..most)
        .map(|index| name_of(index) + if index < least { "" } else { "?" })
        .collect();
    if function.max == ANY_NUMBER {
        parts.push("…".into());
    }
    format!("{}({})", function.display, parts.join(", "))
}
