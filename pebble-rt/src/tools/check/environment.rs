//! What a program finds when it starts: builtins, system functions, variables.

use crate::error::ErrorClass;
use crate::syntax::ast::{Module, Parameters};
use crate::tools::bindings::{Binding, for_each_binding, signature};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity {
    /// At least.
    pub least: usize,
    /// At most; `None` when there is no limit.
    pub most: Option<usize>,
}

impl Arity {
    /// What a parameter list takes by position.
    pub fn of(parameters: &Parameters) -> Self {
        let least = parameters
            .positional
            .iter()
            .filter(|parameter| parameter.default.is_none())
            .count();
        let most = parameters
            .rest
            .is_none()
            .then_some(parameters.positional.len());
        Self { least, most }
    }

    /// True when `count` arguments are right.
    pub fn accepts(self, count: usize) -> bool {
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }
}

/// A name that programs find.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The number of arguments, if it is a function whose number is known.
    pub arity: Option<Arity>,
    /// A line for people: `len(x)`.
    pub signature: Option<String>,
    /// What it does.
    pub documentation: Option<String>,
}

/// The names that programs find when they start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    names: BTreeMap<String, Known>,
}

/// Variables that are set before a program starts.
const VARIABLES: [&str; 12] = [
    "ARGV",
    "ARGC",
    "CWD",
    "ENV",
    "PATH",
    "FS_MODE",
    "SYSTEM_RUNTIME_PATH",
    "SYSTEM_SHELL_PATH",
    "SYSTEM_SHELL_SOURCE",
    "TARGET_FILE",
    "FILE_CONTENT",
    "system",
];

impl Environment {
    /// The variables and error classes of every program, and nothing else.
    pub fn new() -> Self {
        let mut environment = Self::default();
        VARIABLES
            .iter()
            .for_each(|name| environment.add(name, Known::default()));
        ErrorClass::ALL
            .iter()
            .for_each(|class| environment.add(class.name(), Known::default()));
        environment
    }

    /// Adds a name; a later one replaces an earlier one.
    pub fn add(&mut self, name: &str, known: Known) {
        self.names.insert(name.to_string(), known);
    }

    /// Adds what a module defines, for programs that run on top of it.
    pub fn add_module(&mut self, module: &Module) {
        for_each_binding(&module.body, &mut |name, _, binding| {
            let known = match binding {
                Binding::Function(function) => Known {
                    arity: Some(Arity::of(&function.parameters)),
                    signature: Some(signature(function)),
                    documentation: function.docstring().map(|text| text.to_string()),
                },
                _ => Known::default(),
            };
            self.add(name, known);
        });
    }

    /// What is known about a name.
    pub fn get(&self, name: &str) -> Option<&Known> {
        self.names.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
}
