//! What operations cost: parsed, printed, compared.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How much more than its committed figure an operation may cost before that is a regression. The figures repeat exactly; this is room for changes nearby
/// that make the compiler choose differently in the program that measures: so many instructions, or so many percent if that is more.
const ROOM: u64 = 32;
const ROOM_PERCENT: u64 = 3;
/// The same for what takes more than [`WHOLE_SYSTEM`] instructions: that goes through many functions or programs, and each of them grows.
const WHOLE_SYSTEM_ROOM_PERCENT: u64 = 10;
const WHOLE_SYSTEM: u64 = 2_000;

/// What one operation costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figure {
    /// The operation.
    pub name: String,
    /// Instructions.
    pub instructions: u64,
    /// Switches of address spaces.
    pub switches: u64,
}

impl Figure {
    /// From `NAME INSTRUCTIONS SWITCHES`.
    pub fn parse(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [name, instructions, switches] = words.as_slice() else {
            bail!("not a figure: {text:?}")
        };
        let number = |word: &str| {
            word.parse()
                .with_context(|| format!("not a number in {text:?}"))
        };
        Ok(Self {
            name: (*name).into(),
            instructions: number(instructions)?,
            switches: number(switches)?,
        })
    }
}

/// What all operations cost, in the order in which they were measured, and what memory is in use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    costs: Vec<Figure>,
    /// Bytes by name. Not among what is committed: they are bounds, not a ratchet.
    memory: BTreeMap<String, u64>,
}

impl Figures {
    /// What a guest printed: lines `bench NAME INSTRUCTIONS SWITCHES` and `memory NAME BYTES` among others.
    pub fn from_transcript(transcript: &str) -> Result<Self> {
        let mut figures = Self::default();
        for line in transcript.lines() {
            if let Some(figure) = line.strip_prefix("bench ") {
                figures.add(Figure::parse(figure)?)?;
            } else if let Some(memory) = line.strip_prefix("memory ") {
                let (name, bytes) = memory.split_once(' ').context("memory without a number")?;
                figures.memory.insert(name.into(), bytes.trim().parse()?);
            }
        }
        Ok(figures)
    }

    /// Adds those of another run.
    pub fn join(&mut self, other: Self) -> Result<()> {
        self.memory.extend(other.memory);
        other
            .costs
            .into_iter()
            .try_for_each(|figure| self.add(figure))
    }

    /// Bytes of memory that something takes.
    pub fn memory(&self, name: &str) -> Option<u64> {
        self.memory.get(name).copied()
    }

    /// Adds one; an operation is measured once.
    pub fn add(&mut self, figure: Figure) -> Result<()> {
        if self.get(&figure.name).is_some() {
            bail!("{} was measured twice", figure.name);
        }
        self.costs.push(figure);
        Ok(())
    }

    /// The figure of an operation.
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.costs.iter().find(|figure| figure.name == name)
    }

    /// As one array of objects.
    pub fn to_json(&self) -> String {
        let object = |figure: &Figure| {
            format!(
                "{{\"name\": {}, \"instructions\": {}, \"switches\": {}}}",
                json!(figure.name),
                figure.instructions,
                figure.switches
            )
        };
        format!(
            "[\n  {}\n]",
            self.costs
                .iter()
                .map(object)
                .collect::<Vec<_>>()
                .join(",\n  ")
        )
    }

    /// From such an array.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let mut figures = Self::default();
        for object in value.as_array().context("the figures are not an array")? {
            let name = object["name"].as_str().context("a figure without a name")?;
            let number = |member: &str| {
                object[member]
                    .as_u64()
                    .with_context(|| format!("{name} has no number {member:?}"))
            };
            figures.add(Figure {
                name: name.into(),
                instructions: number("instructions")?,
                switches: number("switches")?,
            })?;
        }
        Ok(figures)
    }

    /// As a table for people.
    pub fn to_table(&self) -> String {
        let width = self
            .costs
            .iter()
            .map(|figure| figure.name.len())
            .max()
            .unwrap_or(0)
            .max("operation".len());
        let mut table = format!(
            "{:<width$}  {:>14}  {:>8}",
            "operation", "instructions", "switches"
        );
        for figure in &self.costs {
            table += &format!(
                "\n{:<width$}  {:>14}  {:>8}",
                figure.name,
                grouped(figure.instructions),
                figure.switches
            );
        }
        for (name, bytes) in &self.memory {
            let what = format!("memory {name}");
            table += &format!("\n{what:<width$}  {:>8} KiB", bytes / 1024);
        }
        table
    }

    /// What costs more in `now` than here, or is not measured any more.
    pub fn regressions(&self, now: &Self) -> Vec<String> {
        let by_name: BTreeMap<&str, &Figure> = now
            .costs
            .iter()
            .map(|figure| (figure.name.as_str(), figure))
            .collect();
        let compare = |before: &Figure| match by_name.get(before.name.as_str()) {
            None => Some(format!("{} is not measured any more", before.name)),
            Some(now) if now.instructions > with_room(before.instructions) => Some(format!(
                "{}: {} instructions, before {}",
                before.name,
                grouped(now.instructions),
                grouped(before.instructions)
            )),
            Some(now) if now.switches > before.switches => Some(format!(
                "{}: {} switches, before {}",
                before.name, now.switches, before.switches
            )),
            Some(_) => None,
        };
        self.costs.iter().filter_map(compare).collect()
    }
}

fn with_room(instructions: u64) -> u64 {
    let percent = if instructions < WHOLE_SYSTEM {
        ROOM_PERCENT
    } else {
        WHOLE_SYSTEM_ROOM_PERCENT
    };
    instructions.saturating_add((instructions / 100 * percent).max(ROOM))
}

/// A number with a blank between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups
        .iter()
        .map(|group| String::from_utf8_lossy(group))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(lines: &[&str]) -> Figures {
        let mut figures = Figures::default();
        lines.iter().for_each(|line| {
            figures
                .add(Figure::parse(line).expect("a figure"))
                .expect("a new name")
        });
        figures
    }

    #[test]
    fn figures_survive_the_way_through_json() {
        let figures = figures(&["null_syscall 123 0", "call_registers 480 2"]);
        assert_eq!(
            Figures::from_json(&figures.to_json()).expect("it is our own"),
            figures
        );
        let parsed: Value = serde_json::from_str(&figures.to_json()).expect("JSON");
        assert_eq!(
            parsed[1],
            json!({ "name": "call_registers", "instructions": 480, "switches": 2 })
        );
    }

    #[test]
    fn a_transcript_has_figures_among_other_lines() {
        let text = "kernel: hello\nbench yield 200 1\r\nmemory echo 4096\nbench: done";
        let found = Figures::from_transcript(text).expect("it has figures");
        assert_eq!(
            found.get("yield").map(|figure| figure.instructions),
            Some(200)
        );
        assert_eq!(found.memory("echo"), Some(4096));
        for broken in ["memory x", "memory x y", "bench x"] {
            assert!(Figures::from_transcript(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_table_lines_its_numbers_up() {
        let table = figures(&["yield 1 0", "boot_to_prompt 123456789 20"]).to_table();
        let lengths: Vec<usize> = table.lines().map(str::len).collect();
        assert!(
            lengths.iter().all(|length| *length == lengths[0]),
            "{table}"
        );
        assert!(table.contains("123 456 789"));
    }

    #[test]
    fn more_instructions_or_switches_than_before_are_a_regression() {
        let before = figures(&["a 1000 2", "b 1000 2", "c 1000 2", "d 1 1"]);
        let now = figures(&["a 1032 2", "b 1050 2", "c 900 3"]);
        assert_eq!(
            before.regressions(&now),
            [
                "b: 1 050 instructions, before 1 000",
                "c: 3 switches, before 2",
                "d is not measured any more"
            ]
        );
    }

    #[test]
    fn what_takes_the_whole_system_has_more_room() {
        let before = figures(&["boot 1000000 2", "yield 1000 2"]);
        assert!(
            before
                .regressions(&figures(&["boot 1090000 2", "yield 1000 2"]))
                .is_empty()
        );
        let grown = figures(&["boot 1110000 2", "yield 1090 2"]);
        assert_eq!(before.regressions(&grown).len(), 2);
    }

    #[test]
    fn a_broken_line_is_an_error() {
        for line in ["", "name", "name x 1", "name 1", "name 1 2 3"] {
            assert!(Figure::parse(line).is_err(), "{line}");
        }
    }
}
