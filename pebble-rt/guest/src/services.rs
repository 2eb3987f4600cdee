//! The operations of the family `service`: services of the system, and its log.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, SystemError};
use protocols::log::{Filter, Level};
use protocols::services::Status;

use crate::errors::{of_call, of_services};
use crate::guest::Guest;
use crate::operations::{Done, Outcome, now, number, option, record, text};

/// Handles a request of the family.
pub fn handle(guest: &mut Guest, request: &Request) -> Outcome {
    match request.operation {
        "list" => list(guest),
        "status" if request.arguments.is_empty() => list(guest),
        "status" => now(describe(&status(guest, text(request, 0)?)?)),
        "start" | "stop" | "restart" => steer(guest, request),
        "log" => log(guest, request),
        _ => Err(SystemError::unknown(request)),
    }
}

fn client(guest: &Guest) -> Result<&protocols::services::Client, SystemError> {
    guest
        .services
        .services
        .as_ref()
        .ok_or_else(|| SystemError::new(errno::NOSYS, "no supervisor was granted"))
}

fn status(guest: &Guest, name: &str) -> Result<Status, SystemError> {
    client(guest)?
        .status(Guest::soon(), name)
        .map_err(|error| of_call(error, of_services))
}

fn list(guest: &mut Guest) -> Outcome {
    let mut names: Vec<String> = Vec::new();
    loop {
        let more = client(guest)?
            .list(Guest::soon(), names.len() as u32)
            .map_err(|error| of_call(error, of_services))?;
        if more.is_empty() {
            break;
        }
        names.extend(more);
    }
    let records = names
        .iter()
        .map(|name| status(guest, name).map(|status| describe(&status)));
    now(Data::List(records.collect::<Result<_, _>>()?))
}

fn describe(status: &Status) -> Data {
    record([
        ("name", Data::Text(status.name.clone())),
        (
            "state",
            Data::Text(format!("{:?}", status.state).to_lowercase()),
        ),
        ("pid", Data::Number(status.pid.map_or(0, i64::from))),
        ("restarts", Data::Number(i64::from(status.restarts))),
        ("last_exit", Data::Text(format!("{:?}", status.last_exit))),
        (
            "provides",
            Data::List(status.provides.iter().cloned().map(Data::Text).collect()),
        ),
        (
            "needs",
            Data::List(status.needs.iter().cloned().map(Data::Text).collect()),
        ),
        ("healthy", Data::Number(i64::from(status.healthy))),
        ("took_ms", number(status.took_ns / 1_000_000)),
        ("generation", number(status.generation)),
        ("memory", number(status.memory_bytes)),
        ("cpu_ms", number(status.cpu_ns / 1_000_000)),
        ("cpu", Data::Number(i64::from(status.cpu))),
    ])
}

fn steer(guest: &mut Guest, request: &Request) -> Outcome {
    let name = text(request, 0)?.to_string();
    let client = client(guest)?;
    let pending = match request.operation {
        "start" => client.start_start(&guest.calls, Guest::soon(), name),
        "stop" => client.start_stop(&guest.calls, Guest::soon(), name),
        _ => client.start_restart(&guest.calls, Guest::soon(), name),
    };
    let pending = pending.map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    let token = guest.token();
    guest.when_done(pending, move |_, result| {
        Some((
            token,
            result
                .map(|status| describe(&status))
                .map_err(|error| of_call(error, of_services)),
        ))
    });
    Ok(Done::Later(token))
}

fn log(guest: &mut Guest, request: &Request) -> Outcome {
    let log = guest
        .services
        .log
        .as_ref()
        .ok_or_else(|| SystemError::new(errno::NOSYS, "no log was granted"))?;
    let word = |name| match option(request, 0, name) {
        Some(Data::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let count = |name| match option(request, 0, name) {
        Some(Data::Number(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let level = word("level").and_then(|name| {
        [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ]
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, level)| level)
    });
    let mut filter = Filter {
        service: word("service"),
        level,
        since_seq: count("since"),
        until_ns: None,
        grep: word("grep"),
        tail: count("tail").map(|tail| tail as u32),
    };
    let mut records = Vec::new();
    loop {
        let page = log.read(Guest::soon(), filter.clone()).map_err(|error| {
            of_call(error, |error| {
                SystemError::new(errno::IO, format!("{error:?}"))
            })
        })?;
        records.extend(page.records.into_iter().map(|found| {
            record([
                ("seq", number(found.seq)),
                ("time_ms", number(found.time_ns / 1_000_000)),
                ("service", Data::Text(found.service)),
                ("pid", Data::Number(i64::from(found.pid))),
                (
                    "level",
                    Data::Text(format!("{:?}", found.level).to_lowercase()),
                ),
                ("message", Data::Text(found.message)),
            ])
        }));
        if !page.more {
            return now(Data::List(records));
        }
        (filter.since_seq, filter.tail) = (Some(page.next_seq), None);
    }
}
