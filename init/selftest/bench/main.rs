//! What operations cost, in instructions and switches of address spaces.
//!
//! Started in place of the shell by the kernel's command line `bench`, on a machine whose time-stamp counter counts instructions. Prints
//! `bench NAME INSTRUCTIONS SWITCHES` for each operation, `memory NAME BYTES` for what is in use, and `bench: done` or `bench: failed: REASON` at the end; on more than one CPU only what crosses CPUs. Its peers are processes of the same program, told by
//! their first argument what to do.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod busy;
mod calls;
mod footprint;
mod host;
mod interrupt;
mod lifecycle;
mod line;
mod measure;
mod memory;
mod network;
mod nic;
mod peers;
mod postcard;
mod shell;
mod threads;

use alloc::format;
use core::convert::Infallible;

use libipc::object::Process;
use libipc::{Boot, Handle, StartError};
use protocols::services;
use selftest::console::Console;

use busy::Busy;
use interrupt::Timer;
use measure::Cost;
use peers::Peers;
use shell::Shell;

/// The benchmarks' surroundings.
struct Bench {
    console: Console,
    peers: Peers,
    own: Handle<Process>,
    services: services::Client,
}

impl Bench {
    /// Prints how much memory something takes.
    fn report_memory(&mut self, name: &str, bytes: u64) {
        self.console.line(&format!("memory {name} {bytes}"));
    }

    /// Prints what an operation costs.
    fn report(&mut self, name: &str, cost: Cost) {
        let Cost {
            instructions,
            switches,
        } = cost;
        self.console
            .line(&format!("bench {name} {instructions} {switches}"));
    }
}

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut arguments = boot.arguments().iter().cloned();
    let filter = match (arguments.next(), arguments.next()) {
        (Some(word), Some(role)) if word == peers::PEER => return peers::play(&role, boot),
        (filter, _) => filter.unwrap_or_default(),
    };
    let services = services::Client::adopt(boot.service("services")?);
    let machine = services.machine(calls::patience());
    let machine = machine.map_err(|error| StartError::Other(format!("no figures: {error}")))?;
    let is_alone = machine.cpus.len() == 1;
    // First, because it is measured from boot.
    let shell = is_alone.then(|| Shell::start(&mut boot)).transpose()?;
    let booted = Busy::now(&services)?;
    let own = boot.bootstrap().layout.process;
    let mut bench = Bench {
        console: Console::open(boot.service("terminal")?)?,
        peers: Peers::new(&mut boot)?,
        own: Handle::from_raw(abi::Handle(own)),
        services,
    };
    let measured = match shell {
        Some(shell) => {
            bench.report("boot_to_prompt", booted.since_boot());
            footprint::report_machine(&mut bench)?;
            on_one_cpu(&mut bench, &mut boot, shell, &filter)
        }
        None => calls::measure_across(&mut bench),
    };
    match measured {
        Ok(()) => bench.console.line("bench: done"),
        Err(reason) => bench.console.line(&format!("bench: failed: {reason}")),
    }
    libipc::exit(0)
}

/// What is measured on one CPU, in groups that can be chosen by name.
fn on_one_cpu(
    bench: &mut Bench,
    boot: &mut Boot,
    shell: Shell,
    filter: &str,
) -> Result<(), StartError> {
    type Group = fn(&mut Bench) -> Result<(), StartError>;
    let groups: [(&str, Group); 5] = [
        ("calls", calls::measure),
        ("postcard", postcard::measure),
        ("threads", threads::measure),
        ("memory", memory::measure),
        ("lifecycle", lifecycle::measure),
    ];
    let is_chosen = |name: &str| name.contains(filter);
    for (_, measure) in groups.iter().filter(|(name, _)| is_chosen(name)) {
        measure(bench)?;
    }
    if is_chosen("shell") {
        shell::measure(bench, shell)?;
    }
    if is_chosen("network") {
        network::measure(bench, boot)?;
    }
    if is_chosen("interrupt") {
        // Last, because a process that has ports is switched to differently.
        interrupt::measure(bench, Timer::new(boot)?)?;
    }
    Ok(())
}
