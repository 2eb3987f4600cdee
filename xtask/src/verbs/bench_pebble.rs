//! `bench pebble`: the language beside its peers, on this machine and in one run.
//!
//! The programs in `pebble-rt/bench` exist in three languages and print one number each, which must be the same. A
//! round runs a program in all three, one after the other, and the ratio is taken within the round, so that it holds
//! while the machine's speed drifts; the median of the rounds is shown. What single operations cost is counted in
//! instructions by callgrind, from programs that differ in nothing but that operation.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::command::{display, output_of, run as run_command};
use crate::workspace::{cargo, root, target};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The heading under which the tables stand in the page.
const HEADING: &str = "## Pebble\n";

/// The timed programs.
const PROGRAMS: [&str; 13] = [
    "fib",
    "loop",
    "sieve",
    "nbody",
    "mandelbrot",
    "strings",
    "dict",
    "sort",
    "matmul",
    "queens",
    "exceptions",
    "closures",
    "methods",
];

/// A language, and what runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Language {
    Pebble,
    Lua,
    Python,
}

impl Language {
    const ALL: [Language; 3] = [Language::Pebble, Language::Lua, Language::Python];

    fn extension(self) -> &'static str {
        match self {
            Language::Pebble => "peb",
            Language::Lua => "lua",
            Language::Python => "py",
        }
    }

    /// What runs the program `file`.
    fn words(self, file: &Path) -> Vec<String> {
        let file = file.display().to_string();
        match self {
            Language::Pebble => {
                let pebble = target().join("release/pebble").display().to_string();
                vec![pebble, "run".into(), "--root".into(), "/".into(), file]
            }
            Language::Lua => vec!["lua5.4".into(), file],
            Language::Python => vec![python().into(), file],
        }
    }
}

/// The interpreter itself: what stands in the path may be a script that looks for it, whose time is not its.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let asked = ["-c", "import sys; print(sys.executable)"];
        let answer = output_of(Command::new("python3").args(asked)).unwrap_or_default();
        let path = answer.trim();
        String::from(if path.is_empty() { "python3" } else { path })
    })
}

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let (mut rounds, mut is_updated, mut is_built, mut programs) =
        (5usize, false, false, Vec::new());
    while let Some(argument) = arguments.take_next()? {
        match &argument {
            Argument::Option(option) if option == "rounds" => rounds = arguments.parsed()?,
            Argument::Option(option) if option == "update" => is_updated = true,
            Argument::Option(option) if option == "no-build" => is_built = true,
            Argument::Word(word) if PROGRAMS.contains(&word.as_str()) => {
                programs.push(word.clone());
            }
            _ => return Err(unexpected(&argument)),
        }
    }
    ensure!(rounds > 0, "--rounds must be at least 1");
    ensure!(
        programs.is_empty() || !is_updated,
        "--update needs all programs"
    );
    if programs.is_empty() {
        programs = PROGRAMS.map(String::from).to_vec();
    }
    if !is_built {
        run_command(cargo().args(["build", "--release", "--bin", "pebble"]))?;
    }
    let tables = times(&programs, rounds)? + "\n" + &counts()?;
    println!("{tables}");
    if is_updated {
        write_page(&tables)?;
    }
    Ok(())
}

/// Replaces what stands under the heading in the page, or adds it at the end.
fn write_page(tables: &str) -> Result<()> {
    let page = root().join("docs/PERFORMANCE.md");
    let text = fs::read_to_string(&page)?;
    fs::write(&page, replaced(&text, tables))?;
    Ok(())
}

/// The page with `tables` under the heading; a paragraph between the heading and the first table stays.
fn replaced(page: &str, tables: &str) -> String {
    let Some((before, section)) = page.split_once(HEADING) else {
        return format!("{page}\n{HEADING}\n{tables}");
    };
    let introduction = section.find("\n|").map_or("\n", |at| &section[..=at]);
    let after = section.find("\n## ").map_or("", |at| &section[at..]);
    format!("{before}{HEADING}{introduction}{tables}{after}")
}

/// Processor seconds of one run of a program, and what it printed.
fn timed(words: &[String]) -> Result<(f64, String)> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let before = children_seconds()?;
    let printed = output_of(&mut command)?;
    Ok((children_seconds()? - before, printed))
}

/// Processor seconds of all processes that this one has started and seen end.
fn children_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(microseconds as f64 / 1e6)
}

/// The runs of one program.
#[derive(Default)]
struct Runs {
    seconds: [Vec<f64>; 3],
    to_lua: Vec<f64>,
    to_python: Vec<f64>,
}

fn runs(program: &str, rounds: usize) -> Result<Runs> {
    let mut runs = Runs::default();
    for _ in 0..rounds {
        let mut round = [0.0; 3];
        let mut printed = Vec::new();
        for (at, language) in Language::ALL.into_iter().enumerate() {
            let name = format!("pebble-rt/bench/{program}.{}", language.extension());
            let (seconds, text) = timed(&language.words(&root().join(name)))?;
            runs.seconds[at].push(seconds);
            round[at] = seconds;
            printed.push(text);
        }
        if printed.iter().any(|text| *text != printed[0]) {
            bail!("{program} prints different things: {printed:?}");
        }
        runs.to_lua.push(round[0] / round[1]);
        runs.to_python.push(round[0] / round[2]);
    }
    Ok(runs)
}

/// The table of times.
fn times(programs: &[String], rounds: usize) -> Result<String> {
    let mut table = String::from(
        "| program | Pebble | Lua 5.4 | CPython | to Lua | to CPython |\n|---|---|---|---|---|---|\n",
    );
    let (mut to_lua, mut to_python) = (Vec::new(), Vec::new());
    for program in programs {
        eprintln!("{program}: {rounds} rounds");
        let mut runs = runs(program, rounds)?;
        let [pebble, lua, python] = &mut runs.seconds;
        let (by_lua, by_python) = (median(&mut runs.to_lua), median(&mut runs.to_python));
        writeln!(
            table,
            "| {program} | {:.3} | {:.3} | {:.3} | {by_lua:.2} | {by_python:.2} |",
            median(pebble),
            median(lua),
            median(python)
        )?;
        to_lua.push(by_lua);
        to_python.push(by_python);
    }
    writeln!(
        table,
        "| geometric mean | | | | {:.2} | {:.2} |",
        geometric_mean(&to_lua),
        geometric_mean(&to_python)
    )?;
    let mut start = runs("startup", rounds.max(20))?;
    let [pebble, lua, python] = &mut start.seconds;
    writeln!(
        table,
        "| start-up (ms) | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} |",
        median(pebble) * 1e3,
        median(lua) * 1e3,
        median(python) * 1e3,
        median(&mut start.to_lua),
        median(&mut start.to_python)
    )?;
    Ok(table)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn geometric_mean(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (sum / values.len() as f64).exp()
}

/// An operation to count: what a round of a loop does, in each language.
struct Operation {
    name: &'static str,
    before: [&'static str; 3],
    round: [&'static str; 3],
}

/// The first one is what every other one has besides its own work.
const OPERATIONS: [Operation; 6] = [
    Operation {
        name: "a round of a `for` loop",
        before: ["x = 0", "local x = 0", "x = 0"],
        round: ["", "", "pass"],
    },
    Operation {
        name: "a call with one argument",
        before: ["x = 0", "local x = 0", "x = 0"],
        round: ["same(i)", "same(i)", "same(i)"],
    },
    Operation {
        name: "reading a list by index",
        before: ["x = [1, 2, 3]", "local x = {1, 2, 3}", "x = [1, 2, 3]"],
        round: ["y = x[k]", "y = x[k + 1]", "y = x[k]"],
    },
    Operation {
        name: "looking up a dict by string",
        before: [
            "x = {\"one\": 1, \"two\": 2}",
            "local x = {one = 1, two = 2}",
            "x = {\"one\": 1, \"two\": 2}",
        ],
        round: ["y = x[key]", "y = x[key]", "y = x[key]"],
    },
    Operation {
        name: "reading an attribute",
        before: ["x = Point()", "local x = Point", "x = Point()"],
        round: ["y = x.left", "y = x.left", "y = x.left"],
    },
    Operation {
        name: "setting an attribute",
        before: ["x = Point()", "local x = Point", "x = Point()"],
        round: ["x.left = i", "x.left = i", "x.left = i"],
    },
];

/// Rounds of the shorter and of the longer run, whose difference is taken.
const COUNTED_ROUNDS: [u32; 2] = [10_000, 30_000];

impl Operation {
    /// The program that does it `rounds` times.
    fn program(&self, language: Language, rounds: u32) -> String {
        let at = language as usize;
        let (before, round) = (self.before[at], self.round[at]);
        match language {
            Language::Lua => format!(
                "local function same(v) return v end\nlocal Point = {{left = 1, right = 2}}\n\
                 local function main()\n  local k, y, key = 1, 0, \"two\"\n  {before}\n  \
                 for i = 0, {rounds} - 1 do\n    {round}\n  end\n  return y\nend\nprint(main())\n"
            ),
            Language::Pebble | Language::Python => {
                let round = if round.is_empty() { "y = 0" } else { round };
                format!(
                    "def same(v):\n    return v\n\nclass Point:\n    def __init__(self):\n        \
                     self.left = 1\n        self.right = 2\n\ndef main():\n    k = 1\n    y = 0\n    \
                     key = \"two\"\n    {before}\n    for i in range({rounds}):\n        {round}\n    \
                     return y\n\nprint(main())\n"
                )
            }
        }
    }
}

/// The table of instructions.
fn counts() -> Result<String> {
    let mut table =
        String::from("| instructions for | Pebble | Lua 5.4 | CPython |\n|---|---|---|---|\n");
    let mut rounds = [0; 3];
    for (index, operation) in OPERATIONS.iter().enumerate() {
        let mut own = [0; 3];
        for (at, language) in Language::ALL.into_iter().enumerate() {
            let [short, long] = COUNTED_ROUNDS;
            let more = counted(operation, language, long)? - counted(operation, language, short)?;
            let each = more / i64::from(long - short);
            own[at] = if index == 0 { each } else { each - rounds[at] };
        }
        if index == 0 {
            rounds = own;
        }
        let [pebble, lua, python] = own;
        writeln!(
            table,
            "| {} | {pebble} | {lua} | {python} |",
            operation.name
        )?;
    }
    Ok(table)
}

/// Instructions of a whole run.
fn counted(operation: &Operation, language: Language, rounds: u32) -> Result<i64> {
    let folder = target().join("bench-pebble");
    fs::create_dir_all(&folder)?;
    let file: PathBuf = folder.join(format!("operation.{}", language.extension()));
    fs::write(&file, operation.program(language, rounds))?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(language.words(&file))
        .env("PYTHONHASHSEED", "0")
        .stdin(Stdio::null());
    let shown = display(&command);
    let output = command
        .output()
        .with_context(|| format!("cannot start (is valgrind installed?): {shown}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "failed: {shown}\n{report}");
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .with_context(|| format!("no count in what this says: {shown}"))?;
    Ok(collected.1.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_upper_one() {
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 3.0);
    }

    #[test]
    fn twice_as_fast_and_twice_as_slow_cancel_out() {
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn tables_take_the_place_of_the_old_ones_only() {
        let page =
            format!("# Page\n\nText.\n\n{HEADING}\nWhy.\n\n| old |\n\n## Next\n\n| other |\n");
        let expected =
            format!("# Page\n\nText.\n\n{HEADING}\nWhy.\n\n| new |\n\n## Next\n\n| other |\n");
        assert_eq!(replaced(&page, "| new |\n"), expected);
        assert_eq!(replaced(&expected, "| new |\n"), expected, "it settles");
    }

    #[test]
    fn every_program_exists_in_every_language() {
        for program in PROGRAMS.iter().chain(&["startup"]) {
            for language in Language::ALL {
                let file = format!("pebble-rt/bench/{program}.{}", language.extension());
                assert!(root().join(&file).is_file(), "{file}");
            }
        }
    }
}
