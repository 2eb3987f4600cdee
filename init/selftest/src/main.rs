//! The suite inside the guest: what only a running kernel can show, object by object.
//!
//! Started in place of the shell by the kernel's command line `selftest` (or `selftest=TEXT` for the tests whose names contain TEXT). Prints a line for each test and a last line
//! `selftest: N passed, N failed`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod budgets;
mod calls;
mod fuzz;
mod handles;
mod hardening;
mod memory;
mod notifications;
mod quotas;
mod services;

use core::convert::Infallible;

use alloc::format;
use alloc::string::String;
use libipc::{Boot, StartError};

use selftest::console::Console;

/// What a test says: nothing, or what was wrong.
type Outcome = Result<(), String>;

/// A test: its name as a sentence, and what it does.
struct Test {
    name: &'static str,
    run: fn(&Context) -> Outcome,
}

/// What tests work with.
struct Context {
    services: protocols::services::Client,
    /// What processes of ours may have.
    quota: Option<libipc::Handle<libipc::Quota>>,
}

/// Checks that two values are equal.
fn same<T: PartialEq + core::fmt::Debug>(found: T, expected: T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("found {found:?}, expected {expected:?}"))
    }
}

/// Makes a failure of something that should succeed into words.
fn fine<T, E: core::fmt::Debug>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

/// What is printed of a test.
fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Ok(()) => "ok".into(),
        Err(why) => format!("FAILED: {why}"),
    }
}

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut console = Console::open(boot.service("terminal")?)?;
    let context = Context {
        services: protocols::services::Client::adopt(boot.service("services")?),
        quota: boot.optional_handle("quota"),
    };
    let wanted = boot.arguments().first().cloned().unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    if let Some(outcome) = fuzz::long_form(&context, &wanted) {
        console.line(&format!("test {wanted} ... {}", verdict(&outcome)));
        let failed = u64::from(outcome.is_err());
        console.line(&format!("selftest: {} passed, {failed} failed", 1 - failed));
        libipc::exit(failed)
    }
    let all = [
        handles::TESTS,
        notifications::TESTS,
        memory::TESTS,
        calls::TESTS,
        quotas::TESTS,
        budgets::TESTS,
        hardening::TESTS,
        fuzz::TESTS,
        services::TESTS,
    ];
    for test in all
        .into_iter()
        .flatten()
        .filter(|test| test.name.contains(&wanted))
    {
        let outcome = (test.run)(&context);
        console.line(&format!("test {} ... {}", test.name, verdict(&outcome)));
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
    }
    console.line(&format!("selftest: {passed} passed, {failed} failed"));
    libipc::exit(u64::from(failed > 0))
}
