//! The table of operations in `docs/PERFORMANCE.md`, made from the committed figures, beside those of other systems.

use crate::figures::{Figures, grouped};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/PERFORMANCE.md";
const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of figures -->\n";

/// A line of the table: the operation, what it is, what it costs seL4 and Linux, what it is to cost at most.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<u64>,
);

const ROWS: &[Row] = &[
    ("null_syscall", "null system call", "264", "338", Some(100)),
    (
        "call_registers",
        "call and answer between two processes, 8 words",
        "1 648",
        "15 562",
        Some(480),
    ),
    (
        "call_postcard_64",
        "the same with a 64-byte postcard message each way, encoded and decoded",
        "",
        "",
        Some(700),
    ),
    (
        "call_4k",
        "the same with 4 KiB there (seL4: 960 bytes)",
        "2 768",
        "47 094",
        Some(1_380),
    ),
    (
        "call_cross_cpu_halted",
        "call and answer across CPUs, the other one halted, both summed",
        "",
        "",
        Some(1_500),
    ),
    (
        "call_cross_cpu_busy",
        "the same, the other one busy with something less urgent",
        "",
        "",
        Some(1_500),
    ),
    (
        "yield",
        "switch to another process",
        "267",
        "1 867",
        Some(200),
    ),
    (
        "notification",
        "two threads wake each other",
        "2 063",
        "7 192",
        None,
    ),
    (
        "interrupt_to_driver",
        "interrupt to the driver's first instruction",
        "",
        "",
        Some(350),
    ),
    (
        "page_fault",
        "page fault, anonymous, clearing not counted",
        "",
        "2 805",
        Some(600),
    ),
    (
        "process_lifecycle",
        "create, start and destroy a process",
        "",
        "337 586",
        Some(30_000),
    ),
    (
        "pebble_echo",
        "`echo hello` at the shell, from Enter to the next prompt",
        "",
        "",
        Some(2_000_000),
    ),
    (
        "boot_to_prompt",
        "from the kernel's entry to the shell's prompt (others: to the first user instruction)",
        "217 million",
        "1 580 million",
        Some(200_000_000),
    ),
    (
        "driver_restart",
        "a network card's driver, from its death to the first frame of the next one",
        "",
        "",
        None,
    ),
    (
        "tcp_send_64k",
        "64 KiB over TCP to a host in the guest, and its answer",
        "",
        "",
        None,
    ),
    ("tcp_receive_64k", "the same the other way", "", "", None),
];

/// Writes the table into the page under `root`.
pub fn write(root: &Path, figures: &Figures) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).context(PAGE)?;
    fs::write(&path, replaced(&page, &table(figures)?)?).context(PAGE)
}

/// Fails if the table in the page is not what the figures say.
pub fn check(root: &Path, figures: &Figures) -> Result<()> {
    let page = fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    if replaced(&page, &table(figures)?)? != page {
        bail!("the table in {PAGE} is not what xtask/figures.json says");
    }
    Ok(())
}

fn replaced(page: &str, table: &str) -> Result<String> {
    let missing = || format!("{PAGE} has no place for the figures");
    let (before, rest) = page.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn table(figures: &Figures) -> Result<String> {
    let mut text = String::from(
        "| operation | PebbleOS | switches | at most | seL4 | Linux 6.1 |\n|---|---|---|---|---|---|\n",
    );
    for (name, what, sel4, linux, budget) in ROWS {
        let figure = figures
            .get(name)
            .with_context(|| format!("{name} is not measured"))?;
        let cost = grouped(figure.instructions);
        let is_met = budget.is_none_or(|budget| figure.instructions <= budget);
        let cost = if is_met { cost } else { format!("**{cost}**") };
        let budget = budget.map(grouped).unwrap_or_default();
        let switches = figure.switches;
        text += &format!("| {what} | {cost} | {switches} | {budget} | {sel4} | {linux} |\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::root;

    #[test]
    fn the_table_stands_where_it_is_marked() {
        let page = format!("# Title\n{BEGIN}old\n{END}rest\n");
        let new = replaced(&page, "new\n").expect("there is a place");
        assert_eq!(new, format!("# Title\n{BEGIN}new\n{END}rest\n"));
        assert!(replaced("no place", "new").is_err());
    }

    #[test]
    fn the_page_says_what_the_committed_figures_say() {
        let text = fs::read_to_string(root().join("xtask/figures.json")).expect("it is there");
        let figures = Figures::from_json(&text).expect("it is ours");
        check(&root(), &figures).expect("cargo xtask bench --update writes it");
    }
}
