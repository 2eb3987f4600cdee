//! `cargo xtask spec-coverage`: which paragraphs and error texts of the language definition no conformance program covers.
//!
//! The conformance folder lists both: `paragraphs.txt` by number, `errors.txt` by text with `{}` for what varies. A
//! program names its paragraphs in its first line (`# spec: 10.1 10.4`); an error text counts when an expected output or
//! error output contains it.

use crate::arguments::Arguments;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the first line of a program starts with.
const HEADER: &str = "# spec:";

/// Fewer programs than this are no account of the language.
const PROGRAMS_AT_LEAST: usize = 250;

/// Compares the lists with the programs and fails when something is left.
pub fn run(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    check()
}

/// Does so; what is left is printed.
pub fn check() -> Result<()> {
    let folder = workspace::root().join("pebble-rt/conformance");
    let wanted = Wanted::parse(
        &read(&folder.join("paragraphs.txt"))?,
        &read(&folder.join("errors.txt"))?,
    );
    let programs = programs(&folder)?;
    let gaps = gaps(&wanted, &programs);
    println!(
        "{} programs, {} paragraphs, {} error texts",
        programs.len(),
        wanted.paragraphs.len(),
        wanted.errors.len()
    );
    for gap in &gaps {
        println!("{gap}");
    }
    if !gaps.is_empty() {
        bail!("{} gaps in the conformance programs", gaps.len());
    }
    Ok(())
}

/// What has to be covered.
#[derive(Default)]
struct Wanted {
    /// Number and title.
    paragraphs: Vec<(String, String)>,
    /// Texts with `{}` for what varies.
    errors: Vec<String>,
}

impl Wanted {
    fn parse(paragraphs: &str, errors: &str) -> Self {
        let lines = |text: &str| -> Vec<String> {
            let kept = text.lines().map(str::trim);
            kept.filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        let split = |line: &String| match line.split_once(' ') {
            Some((number, title)) => (number.to_owned(), title.to_owned()),
            None => (line.clone(), String::new()),
        };
        let can_occur = |line: &String| !line.starts_with('-');
        Self {
            paragraphs: lines(paragraphs).iter().map(split).collect(),
            errors: lines(errors).into_iter().filter(can_occur).collect(),
        }
    }
}

/// A program as far as coverage goes.
struct Program {
    /// `SECTION/NAME.peb`.
    name: String,
    /// The paragraphs that its header names; none when it has no header.
    paragraphs: Vec<String>,
    /// Everything it is expected to write.
    expected: String,
}

fn programs(folder: &Path) -> Result<Vec<Program>> {
    let mut found = Vec::new();
    for section in entries(folder)?.iter().filter(|path| path.is_dir()) {
        for source in entries(section)? {
            if source.extension().is_some_and(|ending| ending == "peb") {
                found.push(program(folder, &source)?);
            }
        }
    }
    Ok(found)
}

fn program(folder: &Path, source: &Path) -> Result<Program> {
    let text = read(source)?;
    let first = text.split(['\n', '\r']).next().unwrap_or_default();
    let named = first.strip_prefix(HEADER).unwrap_or_default();
    let mut expected = String::new();
    for ending in ["out", "err"] {
        let path = source.with_extension(ending);
        if path.exists() {
            expected.push_str(&read(&path)?);
        }
    }
    let name = source.strip_prefix(folder).unwrap_or(source);
    Ok(Program {
        name: name.display().to_string(),
        paragraphs: named.split_whitespace().map(str::to_owned).collect(),
        expected,
    })
}

fn gaps(wanted: &Wanted, programs: &[Program]) -> Vec<String> {
    let covered: BTreeSet<&str> = programs
        .iter()
        .flat_map(|program| program.paragraphs.iter().map(String::as_str))
        .collect();
    let known: BTreeSet<&str> = wanted
        .paragraphs
        .iter()
        .map(|(number, _)| number.as_str())
        .collect();

    let mut gaps = Vec::new();
    for (number, title) in &wanted.paragraphs {
        if !covered.contains(number.as_str()) {
            gaps.push(format!("no program for {number} ({title})"));
        }
    }
    for text in &wanted.errors {
        if !programs
            .iter()
            .any(|program| occurs(text, &program.expected))
        {
            gaps.push(format!("no program expects the error: {text}"));
        }
    }
    for program in programs {
        if program.paragraphs.is_empty() {
            gaps.push(format!("{} names no paragraph", program.name));
        }
        for number in &program.paragraphs {
            if !known.contains(number.as_str()) {
                gaps.push(format!("{} names the unknown {number}", program.name));
            }
        }
    }
    if programs.len() < PROGRAMS_AT_LEAST {
        let count = programs.len();
        gaps.push(format!(
            "{count} programs, at least {PROGRAMS_AT_LEAST} are asked for"
        ));
    }
    gaps
}

/// Whether a line of `output` contains `pattern`, with any text in place of each `{}`.
fn occurs(pattern: &str, output: &str) -> bool {
    let mut parts = pattern.split("{}");
    let head = parts.next().unwrap_or_default();
    let tail: Vec<&str> = parts.collect();
    output.lines().any(|line| {
        line.match_indices(head)
            .any(|(at, _)| follows(&tail, &line[at + head.len()..]))
    })
}

/// Whether the parts occur in `line` one after the other. The first place for each is as good as any later one.
fn follows(parts: &[&str], mut line: &str) -> bool {
    for part in parts {
        match line.find(part) {
            Some(at) => line = &line[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in listing {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program_with(header: &str, expected: &str) -> Program {
        Program {
            name: "section/program.peb".to_owned(),
            paragraphs: header.split_whitespace().map(str::to_owned).collect(),
            expected: expected.to_owned(),
        }
    }

    #[test]
    fn a_text_occurs_when_its_fixed_parts_follow_each_other() {
        assert!(occurs(
            "function '{}' expected {} arguments",
            "line 3: function 'f' expected 2 arguments but"
        ));
        assert!(occurs("division by zero", "demo.peb:1: division by zero\n"));
        assert!(!occurs("file '{}' exists", "file 'x'\n exists"));
        assert!(!occurs("mutex {} does", "does mutex 5\n"));
    }

    #[test]
    fn comments_and_withdrawn_texts_are_not_wanted() {
        let wanted = Wanted::parse(
            "# head\n1.1 text\n\n4 kinds of values\n",
            "# 17\n- old\nnew\n",
        );
        assert_eq!(wanted.paragraphs.len(), 2);
        assert_eq!(
            wanted.paragraphs[1],
            ("4".to_owned(), "kinds of values".to_owned())
        );
        assert_eq!(wanted.errors, ["new"]);
    }

    #[test]
    fn every_kind_of_gap_is_named() {
        let wanted = Wanted::parse("1.1 text\n1.2 tabs\n", "division by zero\nno such thing\n");
        let programs = [
            program_with("1.1 9.9", "division by zero"),
            program_with("", ""),
        ];
        let found = gaps(&wanted, &programs).join("\n");
        for expected in [
            "for 1.2 (tabs)",
            "no such thing",
            "names no paragraph",
            "unknown 9.9",
            "2 programs",
        ] {
            assert!(found.contains(expected), "{expected} in {found}");
        }
        assert!(!found.contains("division"), "{found}");
    }
}
