//! `doctor`: what this host lacks.

use crate::arguments::Arguments;
use crate::doctor::{Need, ensure, has_kvm};
use anyhow::Result;

/// Runs the verb: says what is there, and provides what is not.
pub fn run(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    for need in Need::ALL {
        println!(
            "{:<8} {}",
            if need.is_met() { "found" } else { "missing" },
            need.title()
        );
    }
    println!(
        "{:<8} hardware virtualisation (guests run without it, but slower)",
        if has_kvm() { "found" } else { "missing" }
    );
    ensure(&Need::ALL)
}
