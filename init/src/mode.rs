//! What the machine was booted for: a word on the kernel's command line.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What it was booted for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// For people: the shell comes up.
    #[default]
    Normal,
    /// For one program in place of the shell: `selftest`, `selftest=TEXT`, `bench`.
    Program {
        /// The service's name.
        name: String,
        /// What stands behind the `=`, as its argument.
        arguments: Vec<String>,
    },
}

/// The words that mean a program.
const PROGRAMS: [&str; 2] = ["selftest", "bench"];

impl Mode {
    /// From the command line. Words that mean nothing to us are the kernel's, or nobody's.
    pub fn parse(command_line: &str) -> Self {
        command_line
            .split_ascii_whitespace()
            .find_map(Self::of_word)
            .unwrap_or_default()
    }

    fn of_word(word: &str) -> Option<Self> {
        let (name, argument) = match word.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (word, None),
        };
        PROGRAMS.contains(&name).then(|| Self::Program {
            name: name.to_string(),
            arguments: argument.map(ToString::to_string).into_iter().collect(),
        })
    }

    /// As the variable `mode` of every service's environment.
    pub fn name(&self) -> &str {
        match self {
            Self::Normal => "normal",
            Self::Program { name, .. } => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_is_for_people() {
        assert_eq!(Mode::parse(""), Mode::Normal);
        assert_eq!(Mode::parse("quiet selftests=1").name(), "normal");
    }

    #[test]
    fn a_program_may_have_an_argument() {
        let with = |arguments: &[&str]| Mode::Program {
            name: "selftest".to_string(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(Mode::parse("selftest"), with(&[]));
        assert_eq!(Mode::parse("x selftest=ipc::=1 y"), with(&["ipc::=1"]));
        assert_eq!(Mode::parse("bench").name(), "bench");
    }
}
