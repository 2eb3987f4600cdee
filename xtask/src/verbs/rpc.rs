//! `rpc`: calls one method of a running guest's agentd.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::deadline::Deadline;
use crate::machine::{Agent, Record};
use anyhow::{Context, Result};
use serde_json::Value;

/// The arguments, for the help.
pub const USAGE: &str = "\
METHOD [JSON] [--name NAME] [--timeout SECONDS]
  METHOD              as system.info
  JSON                the parameters, an object
  --name NAME         the guest, if several run
  --timeout SECONDS   how long to wait for the answer (60)";

/// How long to wait for an answer if nobody says.
const ANSWER_SECONDS: u64 = 60;

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let (mut method, mut params, mut name, mut seconds) = (None, None, None, ANSWER_SECONDS);
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "name" => name = Some(arguments.value()?),
            Argument::Option(option) if option == "timeout" => seconds = arguments.parsed()?,
            Argument::Word(word) if method.is_none() => method = Some(word),
            Argument::Word(word) if params.is_none() => params = Some(word),
            other => return Err(unexpected(&other)),
        }
    }
    let method = method.context("which method? As: cargo xtask rpc system.info")?;
    let params: Value = match params {
        Some(text) => serde_json::from_str(&text)
            .with_context(|| format!("the parameters {text:?} are not JSON"))?,
        None => Value::Null,
    };
    let record = Record::find(name.as_deref())?;
    let port = *record
        .ports
        .get("agentd")
        .context("this guest has no network card")?;
    let deadline = Deadline::after_seconds(seconds);
    let result =
        Agent::login(port, &record.token_file, deadline)?.call(&method, params, deadline)?;
    println!("{}", serde_json::to_string_pretty(&result)?);
    Ok(())
}
