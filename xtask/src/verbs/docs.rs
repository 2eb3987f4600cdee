//! `docs`: the reference of the code, and the pages of the protocols.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::command::run as run_command;
use crate::protocol_pages;
use crate::workspace::{cargo, root, target};
use anyhow::Result;

/// The arguments, for the help.
pub const USAGE: &str = "\
[--pages]
  --pages   only write docs/protocols";

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut is_only_pages = false;
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "pages" => is_only_pages = true,
            other => return Err(unexpected(&other)),
        }
    }
    protocol_pages::write(&root())?;
    if is_only_pages {
        return Ok(());
    }
    run_command(cargo().env("RUSTDOCFLAGS", "--deny warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
    ]))?;
    println!("{}", target().join("doc/xtask/index.html").display());
    Ok(())
}
