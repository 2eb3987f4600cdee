//! System calls and calls between two processes.

use abi::message::{MAX_MESSAGE_BYTES, REGISTER_BYTES};
use core::hint::black_box;

use libipc::object::Endpoint;
use libipc::{Deadline, Handle, StartError, raw};

use crate::Bench;
use crate::measure::least;
use crate::peers::{Role, Served};

/// The peer that answers each call with the words that came.
pub const ECHO: &str = "echo";
/// The peer that keeps a CPU busy, and how urgent that is.
pub const SPINNER: &str = "spin";
const SPINNER_PRIORITY: u8 = 1;
/// Later than any of these calls ends.
const PATIENCE_MS: u64 = 3_600_000;

/// A deadline that does not pass.
pub fn patience() -> Deadline {
    Deadline::after_ms(PATIENCE_MS)
}

/// Measures them.
pub fn measure(bench: &mut Bench) -> Result<(), StartError> {
    let null = least(&[&bench.own], || {
        black_box(raw::null());
    });
    bench.report("null_syscall", null);

    let echo = bench.peers.serve(ECHO)?;
    let deadline = patience();
    let mut words = [1, 2, 3, 4, 5, 6, 7, 8];
    for (name, length) in [
        ("call_registers", REGISTER_BYTES),
        ("call_4k", MAX_MESSAGE_BYTES),
    ] {
        let cost = least(&[&bench.own, &echo.peer.process], || {
            black_box(raw::call(&echo.connection, deadline, length, &mut words));
        });
        bench.report(name, cost);
    }
    Ok(())
}

/// Measures calls to a server on another CPU: one that is halted, and one that is busy with something less urgent.
pub fn measure_across(bench: &mut Bench) -> Result<(), StartError> {
    let here = bench.own.figures()?.cpu;
    let there = u8::from(here == 0);
    let echo = bench.peers.serve(ECHO)?;
    echo.peer.process.move_to(there)?;
    across(bench, &echo, "call_cross_cpu_halted");
    let spinner = bench.peers.start(Role {
        priority: SPINNER_PRIORITY,
        ..Role::new(SPINNER)
    })?;
    spinner.process.move_to(there)?;
    across(bench, &echo, "call_cross_cpu_busy");
    Ok(())
}

/// The counter is the same on all CPUs, and one runs at a time: what passes is what both do together.
fn across(bench: &mut Bench, echo: &Served, name: &str) {
    let deadline = patience();
    let mut words = [1, 2, 3, 4, 5, 6, 7, 8];
    let cost = least(&[&bench.own, &echo.peer.process], || {
        black_box(raw::call(
            &echo.connection,
            deadline,
            REGISTER_BYTES,
            &mut words,
        ));
    });
    bench.report(name, cost);
}

/// Keeps a CPU busy.
pub fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Answers each call with its words.
pub fn echo(endpoint: &Handle<Endpoint>) -> ! {
    let mut words = [0; 8];
    let mut received = raw::receive(endpoint, &mut words);
    loop {
        received = raw::reply_receive(endpoint, received, REGISTER_BYTES, &mut words);
    }
}
