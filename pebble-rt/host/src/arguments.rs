//! The command line: options first, then what they apply to.

use std::collections::VecDeque;
use std::path::PathBuf;

/// What is left of the command line.
pub struct Arguments {
    words: VecDeque<String>,
    /// `--root DIR`, wherever it stood before the first file.
    pub root: Option<PathBuf>,
    switches: Vec<String>,
}

impl Arguments {
    /// Takes the process's arguments. Words that are no text are taken with their wrong parts replaced.
    pub fn from_command_line() -> Self {
        Self::new(
            std::env::args_os()
                .skip(1)
                .map(|word| word.to_string_lossy().into_owned()),
        )
    }

    /// Takes words, as the tests do.
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        Self {
            words: words.collect(),
            root: None,
            switches: Vec::new(),
        }
    }

    /// The next word that is no option. Options before it are noted; those behind it are its own business.
    pub fn next_word(&mut self) -> Option<String> {
        while let Some(word) = self.words.pop_front() {
            match word.as_str() {
                "--" => return self.words.pop_front(),
                "--root" => self.root = self.words.pop_front().map(PathBuf::from),
                _ if word.starts_with("--root=") => {
                    self.root = Some(PathBuf::from(&word["--root=".len()..]))
                }
                _ if word.starts_with("--") => self.switches.push(word),
                _ => return Some(word),
            }
        }
        None
    }

    /// All words that are left, options between them noted too.
    pub fn all_words(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next_word()).collect()
    }

    /// The words that are left, as they are: a program's own arguments.
    pub fn into_rest(self) -> Vec<String> {
        self.words.into()
    }

    /// True when the switch was given.
    pub fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|given| given == switch)
    }

    /// What stands behind `=` in a switch `--name=value`.
    pub fn value_of(&self, switch: &str) -> Option<&str> {
        self.switches
            .iter()
            .find_map(|given| given.strip_prefix(switch)?.strip_prefix('='))
    }

    /// A switch that is not among those allowed.
    pub fn unknown_switch(&self, allowed: &[&str]) -> Option<&str> {
        self.switches
            .iter()
            .map(String::as_str)
            .find(|given| !allowed.contains(&given.split('=').next().unwrap_or(given)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_stand_before_the_program() {
        let mut arguments = arguments("run --root /tmp --profile demo.peb --root x -v");
        assert_eq!(arguments.next_word().as_deref(), Some("run"));
        assert_eq!(arguments.next_word().as_deref(), Some("demo.peb"));
        assert_eq!(arguments.root, Some(PathBuf::from("/tmp")));
        assert!(arguments.has("--profile"));
        assert_eq!(arguments.into_rest(), ["--root", "x", "-v"]);
    }

    #[test]
    fn the_root_may_stand_before_the_command() {
        let mut arguments = arguments("--root=a/b check one.peb --json two.peb");
        assert_eq!(arguments.next_word().as_deref(), Some("check"));
        assert_eq!(arguments.all_words(), ["one.peb", "two.peb"]);
        assert!(arguments.has("--json"));
        assert_eq!(arguments.unknown_switch(&["--json"]), None);
        assert_eq!(arguments.root, Some(PathBuf::from("a/b")));
    }
}
