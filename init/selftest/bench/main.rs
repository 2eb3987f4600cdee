//! What operations cost, in instructions and switches of address spaces.
//!
//! Started in place of the shell by the kernel's command line `bench`, on a machine whose time-stamp counter counts instructions. Prints
//! `bench NAME INSTRUCTIONS SWITCHES` for each operation and `bench: done` at the end; on more than one CPU only what crosses CPUs. Its peers are processes of the same program, told by
//! their first argument what to do.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod calls;
mod interrupt;
mod lifecycle;
mod measure;
mod memory;
mod peers;
mod postcard;
mod threads;

use alloc::format;
use core::convert::Infallible;

use libipc::object::Process;
use libipc::{Boot, Handle, StartError};
use selftest::console::Console;

use interrupt::Timer;
use measure::Cost;
use peers::Peers;

/// The benchmarks' surroundings.
struct Bench {
    console: Console,
    peers: Peers,
    own: Handle<Process>,
}

impl Bench {
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
    if let Some(role) = boot.arguments().first().cloned() {
        return peers::play(&role, boot);
    }
    let own = boot.bootstrap().layout.process;
    let mut bench = Bench {
        console: Console::open(boot.service("terminal")?)?,
        peers: Peers::new(&mut boot)?,
        own: Handle::from_raw(abi::Handle(own)),
    };
    let services = protocols::services::Client::adopt(boot.service("services")?);
    let machine = services.machine(calls::patience());
    let machine = machine.map_err(|error| StartError::Other(format!("no figures: {error}")))?;
    if machine.cpus.len() > 1 {
        calls::measure_across(&mut bench)?;
    } else {
        calls::measure(&mut bench)?;
        postcard::measure(&mut bench)?;
        threads::measure(&mut bench)?;
        memory::measure(&mut bench)?;
        lifecycle::measure(&mut bench)?;
        // Last, because a process that has ports is switched to differently.
        interrupt::measure(&mut bench, Timer::new(&mut boot)?)?;
    }
    bench.console.line("bench: done");
    libipc::exit(0)
}
