//! `build`: the kernel and the guest's programs.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::guest_build::{Action, build_all, build_named};
use anyhow::Result;

/// The arguments, for the help.
pub const USAGE: &str = "\
[NAME]... [--check | --lint]
  NAME      a package or program of the guest, or kernel (all of them)
  --check   only look for mistakes
  --lint    look for mistakes and bad style";

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut names = Vec::new();
    let mut action = Action::Build;
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "check" => action = Action::Check,
            Argument::Option(option) if option == "lint" => action = Action::Lint,
            Argument::Word(word) => names.push(word),
            other => return Err(unexpected(&other)),
        }
    }
    if names.is_empty() {
        build_all(action).map(drop)
    } else {
        build_named(action, &names)
    }
}
