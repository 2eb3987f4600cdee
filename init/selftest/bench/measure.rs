//! The least that an operation costs.
//!
//! The least of many rounds is what it costs when nothing else happens: no heartbeat, no deadline of somebody else's. What reading the
//! clock costs is measured the same way and taken off.

use libipc::object::Process;
use libipc::{Handle, raw};

/// Rounds that are measured.
pub const ROUNDS: usize = 64;
/// Rounds before them, in which tables fill and pages appear.
pub const WARM_UP: usize = 8;

/// What an operation costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Instructions.
    pub instructions: u64,
    /// Switches of address spaces.
    pub switches: u64,
}

impl Cost {
    /// More than anything costs.
    pub const MOST: Self = Self {
        instructions: u64::MAX,
        switches: u64::MAX,
    };

    /// The lesser of both, each figure for itself.
    pub fn or(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.min(other.instructions),
            switches: self.switches.min(other.switches),
        }
    }

    /// Without so many instructions that are not counted.
    pub fn without(self, instructions: u64) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(instructions),
            ..self
        }
    }

    /// The cost of one of `count` equal parts.
    pub fn each(self, count: u64) -> Self {
        Self {
            instructions: self.instructions / count,
            switches: self.switches / count,
        }
    }
}

/// Measures an operation in which these processes take part: once with the clock and once with the kernel's counts, whose reading would show in the
/// other figure.
pub fn least(processes: &[&Handle<Process>], mut operation: impl FnMut()) -> Cost {
    let timed = rounds(&[], &mut operation);
    let counted = rounds(processes, &mut operation);
    Cost {
        instructions: timed.instructions,
        switches: counted.switches,
    }
    .without(clock())
}

/// What reading the clock twice costs.
fn clock() -> u64 {
    rounds(&[], &mut || ()).instructions
}

#[inline(always)]
fn rounds(processes: &[&Handle<Process>], operation: &mut impl FnMut()) -> Cost {
    let mut cost = Cost::MOST;
    for round in 0..WARM_UP + ROUNDS {
        let switches = switches_to(processes);
        let start = raw::counter();
        operation();
        let end = raw::counter();
        let switches = switches_to(processes) - switches;
        if round >= WARM_UP {
            cost = cost.or(Cost {
                instructions: end - start,
                switches,
            });
        }
    }
    cost
}

/// How often the CPUs have switched to these processes.
pub fn switches_to(processes: &[&Handle<Process>]) -> u64 {
    let figures = processes
        .iter()
        .filter_map(|process| process.figures().ok());
    figures.map(|figures| figures.switches).sum()
}
