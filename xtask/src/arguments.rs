//! The command line of a verb: options with two dashes, words, and what follows `--`.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::str::FromStr;

/// One thing on the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Argument {
    /// `--name`, without the dashes.
    Option(String),
    /// Anything else.
    Word(String),
}

/// What is left of a command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Arguments {
    words: VecDeque<String>,
    /// The value in `--name=value`, until it is asked for.
    attached: Option<(String, String)>,
    current: String,
    rest: Vec<OsString>,
}

impl Arguments {
    /// Splits a command line at its first `--`. What stands before it must be UTF-8.
    pub fn new(words: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut arguments = Self::default();
        let mut words = words.into_iter();
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            let word = word
                .into_string()
                .map_err(|word| anyhow!("{} is not UTF-8", word.to_string_lossy()))?;
            arguments.words.push_back(word);
        }
        arguments.rest = words.collect();
        Ok(arguments)
    }

    /// The next option or word.
    pub fn take_next(&mut self) -> Result<Option<Argument>> {
        if let Some((name, value)) = self.attached.take() {
            bail!("--{name} takes no value, but got {value:?}");
        }
        let Some(word) = self.words.pop_front() else {
            return Ok(None);
        };
        let Some(option) = word.strip_prefix("--") else {
            return Ok(Some(Argument::Word(word)));
        };
        let name = match option.split_once('=') {
            Some((name, value)) => {
                self.attached = Some((name.into(), value.into()));
                name
            }
            None => option,
        };
        self.current = name.into();
        Ok(Some(Argument::Option(name.into())))
    }

    /// The value of the option that [`take_next`](Self::take_next) returned last.
    pub fn value(&mut self) -> Result<String> {
        let attached = self.attached.take().map(|(_, value)| value);
        attached
            .or_else(|| self.words.pop_front())
            .with_context(|| format!("--{} wants a value", self.current))
    }

    /// The same as a number or another thing with a text form.
    pub fn parsed<T: FromStr>(&mut self) -> Result<T>
    where
        T::Err: std::fmt::Display,
    {
        let value = self.value()?;
        value
            .parse()
            .map_err(|error| anyhow!("--{} {value:?}: {error}", self.current))
    }

    /// What followed `--`, once.
    pub fn take_rest(&mut self) -> Vec<OsString> {
        std::mem::take(&mut self.rest)
    }

    /// Refuses whatever is left: for verbs without (further) arguments.
    pub fn finish(mut self) -> Result<()> {
        match self.take_next()? {
            Some(argument) => Err(unexpected(&argument)),
            None if self.rest.is_empty() => Ok(()),
            None => bail!("nothing is expected after --"),
        }
    }
}

/// The error for an argument that a verb does not know.
pub fn unexpected(argument: &Argument) -> anyhow::Error {
    match argument {
        Argument::Option(name) => anyhow!("unknown option --{name}"),
        Argument::Word(word) => anyhow!("unexpected argument {word:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::new(words.iter().map(OsString::from)).expect("test words are UTF-8")
    }

    #[test]
    fn a_value_follows_its_option_or_an_equals_sign() {
        for words in [&["--smp", "4"][..], &["--smp=4"]] {
            let mut arguments = arguments(words);
            assert_eq!(
                arguments.take_next().expect("fine"),
                Some(Argument::Option("smp".into()))
            );
            assert_eq!(arguments.parsed::<u32>().expect("a number"), 4);
            arguments.finish().expect("nothing is left");
        }
    }

    #[test]
    fn a_value_nobody_asked_for_is_an_error() {
        let mut arguments = arguments(&["--detach=yes"]);
        arguments.take_next().expect("fine");
        assert!(arguments.take_next().is_err());
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        let mut arguments = arguments(&["word", "--", "--smp", "-m"]);
        assert_eq!(
            arguments.take_next().expect("fine"),
            Some(Argument::Word("word".into()))
        );
        assert_eq!(arguments.take_next().expect("fine"), None);
        assert_eq!(arguments.take_rest(), ["--smp", "-m"]);
    }

    #[test]
    fn a_missing_value_names_its_option() {
        let mut arguments = arguments(&["--name"]);
        arguments.take_next().expect("fine");
        assert_eq!(
            arguments.value().expect_err("there is none").to_string(),
            "--name wants a value"
        );
    }
}
