//! `console`: attaches the terminal to the serial console of a running guest.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::machine::Record;
use crate::machine::attach::{Console, End};
use anyhow::Result;

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let mut name = None;
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Word(word) if name.is_none() => name = Some(word),
            other => return Err(unexpected(&other)),
        }
    }
    let record = Record::find(name.as_deref())?;
    eprintln!("guest {:?}; Ctrl-] leaves its console", record.name);
    match Console::connect(&record)?.attach()? {
        End::Left => eprintln!("\nguest {:?} runs on", record.name),
        End::GuestEnded => eprintln!("\nguest {:?} ended", record.name),
    }
    Ok(())
}
