//! Figures that repeat exactly, and the bounds that hold them.

use crate::Scenario;
use crate::support::expect_equal;
use anyhow::{Context, Result, bail};
use std::sync::OnceLock;
use xtask::figures::Figures;
use xtask::guest_image::BootFiles;
use xtask::verbs::bench;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "figures: two runs of the benchmarks agree to the instruction",
        run: repeat,
    },
    Scenario {
        name: "figures: no operation costs more than the committed figures allow",
        run: committed,
    },
    Scenario {
        name: "figures: echo takes at most 2 million instructions, boot 200 million",
        run: budgets,
    },
    Scenario {
        name: "figures: echo has at most 300 KiB of its own, the machine 32 MiB in use",
        run: memory,
    },
];

/// One run, shared by the scenarios.
fn measured() -> Result<Figures> {
    static MEASURED: OnceLock<Figures> = OnceLock::new();
    if let Some(figures) = MEASURED.get() {
        return Ok(figures.clone());
    }
    let figures = bench::measure(&BootFiles::built())?;
    Ok(MEASURED.get_or_init(|| figures).clone())
}

fn repeat() -> Result<()> {
    let again = bench::measure(&BootFiles::built())?;
    expect_equal("the second run", again.to_table(), measured()?.to_table())
}

fn committed() -> Result<()> {
    bench::check(&measured()?)
}

fn budgets() -> Result<()> {
    let figures = measured()?;
    for (name, budget) in [("pebble_echo", 2_000_000), ("boot_to_prompt", 200_000_000)] {
        let figure = figures
            .get(name)
            .with_context(|| format!("{name} is not measured"))?;
        if figure.instructions > budget {
            bail!(
                "{name}: {} instructions, at most {budget} are allowed",
                figure.instructions
            );
        }
    }
    Ok(())
}

fn memory() -> Result<()> {
    let figures = measured()?;
    for (name, budget) in [("echo", 300 * 1024), ("in_use", 32 * 1024 * 1024)] {
        let bytes = figures
            .memory(name)
            .with_context(|| format!("the memory of {name} is not measured"))?;
        if bytes > budget {
            bail!("{name}: {bytes} bytes, at most {budget} are allowed");
        }
    }
    Ok(())
}
