//! Services: each dies and comes back, and whoever called it notices nothing but a delay.

use alloc::string::String;
use alloc::vec::Vec;
use libipc::{CallError, Deadline};
use protocols::services::{State, Status, When};

use crate::{Context, Outcome, Test, fine, same};

const PATIENCE_MS: u64 = 20_000;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "every service runs or says why not",
        run: all_run,
    },
    Test {
        name: "an unknown service is refused by name",
        run: unknown,
    },
    Test {
        name: "a killed filesystem is back with a new generation",
        run: |context| comes_back(context, "ramfs"),
    },
    Test {
        name: "a killed name server is back with a new generation",
        run: |context| comes_back(context, "vfs"),
    },
    Test {
        name: "a killed log is back with a new generation",
        run: |context| comes_back(context, "logd"),
    },
];

fn soon() -> Deadline {
    Deadline::after_ms(PATIENCE_MS)
}

fn names(context: &Context) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    loop {
        let more = fine("list", context.services.list(soon(), names.len() as u32))?;
        if more.is_empty() {
            return Ok(names);
        }
        names.extend(more);
    }
}

fn status(context: &Context, name: &str) -> Result<Status, String> {
    fine("status", context.services.status(soon(), name))
}

fn all_run(context: &Context) -> Outcome {
    for name in names(context)? {
        let found = status(context, &name)?;
        // Drivers whose device this machine does not have, and programs that nobody asked for, wait.
        let is_fine = matches!(found.state, State::Running | State::Lazy | State::Starting);
        if !is_fine {
            return Err(alloc::format!(
                "{name} is {:?} after {:?}",
                found.state,
                found.last_exit
            ));
        }
    }
    Ok(())
}

fn unknown(context: &Context) -> Outcome {
    let found = context.services.status(soon(), "nobody");
    same(
        found.err(),
        Some(CallError::Method(
            protocols::services::Error::UnknownService,
        )),
    )
}

fn comes_back(context: &Context, name: &str) -> Outcome {
    let before = status(context, name)?;
    fine("kill", context.services.kill(soon(), name, When::Now))?;
    let mut seen = 0;
    loop {
        let now = status(context, name)?;
        if now.generation > before.generation && now.state == State::Running {
            return same(now.restarts, before.restarts + 1);
        }
        let (number, _) = fine("watch", context.services.watch(soon(), seen))?;
        seen = number;
    }
}
