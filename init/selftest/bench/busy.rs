//! What the whole machine does: instructions while it does not idle, and switches of all its CPUs.

use alloc::format;

use libipc::{Instant, StartError};
use protocols::services;

use crate::calls::patience;
use crate::measure::{Cost, ROUNDS};

/// The machine's figures so far. Time since boot counts instructions; those that pass while a CPU idles do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy(Cost);

impl Busy {
    /// The figures now, on one CPU.
    pub fn now(services: &services::Client) -> Result<Self, StartError> {
        let machine = services
            .machine(patience())
            .map_err(|error| StartError::Other(format!("no figures of the machine: {error}")))?;
        let idle: u64 = machine.cpus.iter().map(|cpu| cpu.idle_ns).sum();
        Ok(Self(Cost {
            instructions: Instant::now().as_ns().saturating_sub(idle),
            switches: machine.cpus.iter().map(|cpu| cpu.switches).sum(),
        }))
    }

    /// All of it, since boot.
    pub fn since_boot(self) -> Cost {
        self.0
    }

    fn since(self, earlier: Self) -> Cost {
        Cost {
            instructions: self.0.instructions.saturating_sub(earlier.0.instructions),
            switches: self.0.switches.saturating_sub(earlier.0.switches),
        }
    }
}

/// The least that an operation costs the whole machine. What asking for the figures costs is taken off.
pub fn least(
    services: &services::Client,
    mut prepare: impl FnMut() -> Result<(), StartError>,
    mut operation: impl FnMut() -> Result<(), StartError>,
) -> Result<Cost, StartError> {
    let (mut cost, mut asking) = (Cost::MOST, Cost::MOST);
    for _ in 0..ROUNDS {
        prepare()?;
        let before = Busy::now(services)?;
        let start = Busy::now(services)?;
        operation()?;
        let end = Busy::now(services)?;
        asking = asking.or(start.since(before));
        cost = cost.or(end.since(start));
    }
    Ok(Cost {
        instructions: cost.instructions.saturating_sub(asking.instructions),
        switches: cost.switches.saturating_sub(asking.switches),
    })
}
