//! Runs every program in `docs/manual` and compares what it writes with what the manual prints below it.
//!
//! A box marked `pebble` is a program. Boxes that follow it at once say what belongs to it: `input` what it reads,
//! `output` what it prints, `error` what it says on the error output. A box marked `pebble file=PATH` is a file that
//! the next program of the page finds beside it. A box marked `console` shows commands behind `$ ` and below each what it
//! writes; it finds the files of the boxes before it. A box marked `lsp` shows messages to the language server behind `-> `
//! and its messages behind `<- `.

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use support::{Scratch, difference, pebble};

/// The name under which each program runs, and which its errors therefore show.
const PROGRAM: &str = "example.peb";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual");
    let examples = match examples_in(&folder) {
        Ok(examples) if !examples.is_empty() => examples,
        Ok(_) => return complain(&folder, "there are no examples"),
        Err(error) => return complain(&folder, &error),
    };
    let trials = examples.into_iter().map(|example| {
        Trial::test(example.place.clone(), move || {
            example.check().map_err(Failed::from)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn complain(folder: &Path, reason: &str) -> ExitCode {
    eprintln!("{}: {reason}", folder.display());
    ExitCode::FAILURE
}

/// A fenced box of a page.
#[derive(Debug, PartialEq)]
struct Fence {
    /// What follows the opening marks.
    label: String,
    /// What stands inside, each line with its end.
    text: String,
    /// The line of the opening marks, from 1.
    line: usize,
    /// Whether only blank lines separate it from the box before.
    follows: bool,
}

/// A program or a session of the manual.
#[derive(Default)]
struct Example {
    /// `PAGE:LINE`.
    place: String,
    source: String,
    /// Paths and texts of the files beside it.
    files: Vec<(String, String)>,
    input: String,
    output: String,
    errors: String,
    kind: Kind,
}

/// What the text of an example is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// A program.
    #[default]
    Program,
    /// Commands and what they write.
    Session,
    /// Messages to and from the language server.
    Messages,
}

fn examples_in(folder: &Path) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut pages: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    pages.sort();
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|ending| ending == "md"))
    {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(page).map_err(|error| format!("{name}: {error}"))?;
        examples.extend(examples_of(&name, &fences(&text)?)?);
    }
    Ok(examples)
}

fn fences(text: &str) -> Result<Vec<Fence>, String> {
    let mut found: Vec<Fence> = Vec::new();
    let mut open: Option<Fence> = None;
    let mut follows = false;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(label)) => {
                let label = label.trim().to_owned();
                open = Some(Fence {
                    label,
                    text: String::new(),
                    line: index + 1,
                    follows,
                });
            }
            (None, None) => follows &= line.trim().is_empty(),
            (Some(_), Some("")) => {
                found.extend(open.take());
                follows = true;
            }
            (Some(fence), _) => {
                fence.text.push_str(line);
                fence.text.push('\n');
            }
        }
    }
    match open {
        None => Ok(found),
        Some(fence) => Err(format!("the box in line {} is not closed", fence.line)),
    }
}

fn examples_of(page: &str, fences: &[Fence]) -> Result<Vec<Example>, String> {
    let mut examples: Vec<Example> = Vec::new();
    let mut files = Vec::new();
    // Whether the box before belongs to a program that may still get input, output or errors.
    let mut attached = false;
    for fence in fences {
        let (kind, rest) = fence.label.split_once(' ').unwrap_or((&fence.label, ""));
        match (kind, examples.last_mut()) {
            ("pebble", _) => match rest.strip_prefix("file=") {
                Some(path) => {
                    files.push((path.to_owned(), fence.text.clone()));
                    attached = false;
                }
                None => {
                    let place = format!("{page}:{}", fence.line);
                    let files = std::mem::take(&mut files);
                    examples.push(Example {
                        place,
                        source: fence.text.clone(),
                        files,
                        ..Example::default()
                    });
                    attached = true;
                }
            },
            ("console" | "lsp", _) => {
                let kind = if kind == "lsp" {
                    Kind::Messages
                } else {
                    Kind::Session
                };
                examples.push(Example {
                    place: format!("{page}:{}", fence.line),
                    files: std::mem::take(&mut files),
                    source: fence.text.clone(),
                    kind,
                    ..Example::default()
                });
                attached = false;
            }
            ("input", Some(example)) if attached && fence.follows => {
                example.input.clone_from(&fence.text)
            }
            ("output", Some(example)) if attached && fence.follows => {
                example.output.clone_from(&fence.text)
            }
            ("error", Some(example)) if attached && fence.follows => {
                example.errors.clone_from(&fence.text)
            }
            ("input" | "output" | "error", _) => {
                return Err(format!(
                    "{page}:{}: this box belongs to no program",
                    fence.line
                ));
            }
            _ => attached = false,
        }
    }
    match files.first() {
        None => Ok(examples),
        Some((path, _)) => Err(format!("{page}: no program after the file {path}")),
    }
}

impl Example {
    fn check(&self) -> Result<(), String> {
        let root = self
            .prepare()
            .map_err(|error| format!("cannot prepare the folder: {error}"))?;
        match self.kind {
            Kind::Program => self.check_program(&root),
            Kind::Session => self.check_session(&root),
            Kind::Messages => self.check_messages(),
        }
    }

    fn check_program(&self, root: &Scratch) -> Result<(), String> {
        let folder = root.path().display().to_string();
        let arguments = ["run", "--root", &folder, PROGRAM].map(str::to_owned);
        let output = pebble(&arguments, self.input.as_bytes())?;
        let mut report = difference(
            "output",
            &self.output,
            &String::from_utf8_lossy(&output.stdout),
        );
        report += &difference(
            "error output",
            &self.errors,
            &String::from_utf8_lossy(&output.stderr),
        );
        if output.status.success() != self.errors.is_empty() {
            report += &format!("it ended with {}\n", output.status);
        }
        if report.is_empty() {
            Ok(())
        } else {
            Err(report)
        }
    }

    /// Types every command of a session and writes the session down again, with what the commands write.
    fn check_session(&self, root: &Scratch) -> Result<(), String> {
        let mut actual = String::new();
        for line in self.source.lines() {
            let Some(command) = line.strip_prefix("$ ") else {
                continue;
            };
            actual.push_str(line);
            actual.push('\n');
            let words = command
                .strip_prefix("pebble ")
                .ok_or_else(|| format!("only pebble can be run: {command}"))?;
            let mut arguments = vec!["--root".to_owned(), root.path().display().to_string()];
            arguments.extend(words.split(' ').map(str::to_owned));
            let output = pebble(&arguments, b"")?;
            actual += &String::from_utf8_lossy(&output.stdout);
            actual += &String::from_utf8_lossy(&output.stderr);
        }
        let report = difference("session", &self.source, &actual);
        if report.is_empty() {
            Ok(())
        } else {
            Err(report)
        }
    }

    /// Sends every message of an exchange and writes the exchange down again, with the answers.
    fn check_messages(&self) -> Result<(), String> {
        let sent: Vec<&str> = self
            .source
            .lines()
            .filter_map(|line| line.strip_prefix("-> "))
            .collect();
        let framed: String = sent
            .iter()
            .map(|text| format!("Content-Length: {}\r\n\r\n{text}", text.len()))
            .collect();
        let output = pebble(&["lsp".to_owned()], framed.as_bytes())?;
        let mut rest = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut actual = String::new();
        while let Some((head, body)) = rest.split_once("\r\n\r\n") {
            let length = head
                .rsplit(' ')
                .next()
                .and_then(|text| text.parse::<usize>().ok());
            let (message, after) = length
                .and_then(|length| body.split_at_checked(length))
                .ok_or_else(|| format!("a broken frame: {head}"))?;
            actual += &format!("<- {message}\n");
            rest = after.to_owned();
        }
        let expected: String = self
            .source
            .lines()
            .filter(|line| line.starts_with("<- "))
            .map(|line| format!("{line}\n"))
            .collect();
        let report = difference("answers", &expected, &actual);
        if report.is_empty() {
            Ok(())
        } else {
            Err(report)
        }
    }

    fn prepare(&self) -> std::io::Result<Scratch> {
        let root = Scratch::new(&self.place.replace(':', "-"))?;
        for (path, text) in self
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text))
            .chain((self.kind == Kind::Program).then_some((PROGRAM, &self.source)))
        {
            let path = root.path().join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)?;
        }
        Ok(root)
    }
}
