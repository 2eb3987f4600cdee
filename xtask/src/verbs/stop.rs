//! `stop`: ends running guests.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::machine::Record;
use crate::machine::launch::stop;
use anyhow::Result;

/// Runs the verb: the guests named, or the only one there is.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut names = Vec::new();
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Word(word) => names.push(Some(word)),
            other => return Err(unexpected(&other)),
        }
    }
    if names.is_empty() {
        names.push(None);
    }
    for name in names {
        let record = Record::find(name.as_deref())?;
        stop(&record)?;
        println!("stopped {}", record.name);
    }
    Ok(())
}
