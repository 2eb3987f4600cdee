//! `pebble test`: runs every `*_test.peb`, each with the functions `test_…` that it defines.

use crate::arguments::Arguments;
use crate::{complain, sources};
use pebble_rt::syntax::ast::StmtKind;
use pebble_rt::syntax::parse;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Runs the tests in the named files and folders, or all below the root. The status is 1 when one fails.
pub fn run(mut arguments: Arguments) -> ExitCode {
    let words = arguments.all_words();
    if let Some(switch) = arguments.unknown_switch(&[]) {
        return complain(&format!("test has no option {switch}"));
    }
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("."));
    let files = match sources::find(&root, &words) {
        Ok(files) => files
            .into_iter()
            .filter(|path| is_test(path))
            .collect::<Vec<_>>(),
        Err(error) => return complain(&error.to_string()),
    };
    let mut counts = (0, 0);
    for path in &files {
        if let Err(error) = run_file(&root, path, &mut counts) {
            return complain(&format!("{}: {error}", path.display()));
        }
    }
    let (passed, failed) = counts;
    println!(
        "\n{passed} passed, {failed} failed, in {} files",
        files.len()
    );
    ExitCode::from(u8::from(failed > 0))
}

fn is_test(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with("_test.peb"))
}

/// Runs the file once for each test function, each time in a process of its own, so that no test sees what another did. A file
/// without such functions is one test.
fn run_file(root: &Path, path: &Path, counts: &mut (u32, u32)) -> std::io::Result<()> {
    let label = sources::label(root, path);
    let functions = test_functions(&fs::read_to_string(path)?);
    if functions.is_empty() {
        return run_one(root, &label, None, counts);
    }
    functions
        .iter()
        .try_for_each(|function| run_one(root, &label, Some(function.as_str()), counts))
}

/// The functions without parameters at the top level whose names begin with `test_`.
fn test_functions(source: &str) -> Vec<String> {
    let Ok(module) = parse(source) else {
        return Vec::new();
    };
    let functions = module
        .body
        .iter()
        .filter_map(|statement| match &statement.kind {
            StmtKind::Function(function)
                if function.name.starts_with("test_")
                    && function.parameters.iter().next().is_none() =>
            {
                Some(function.name.to_string())
            }
            _ => None,
        });
    functions.collect()
}

/// Runs a file, and then a function of it.
fn run_one(
    root: &Path,
    label: &str,
    function: Option<&str>,
    counts: &mut (u32, u32),
) -> std::io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--root").arg(root).args(["run", "--trace"]);
    command.args(function.map(|name| format!("--call={name}")));
    let output = command.arg(label).output()?;
    let title = function.map_or(label.to_owned(), |name| format!("{label}: {name}"));
    if output.status.success() {
        counts.0 += 1;
        println!("ok      {title}");
        return Ok(());
    }
    counts.1 += 1;
    println!("FAILED  {title}");
    let mut report = std::io::stdout().lock();
    let lines = [output.stdout, output.stderr].concat();
    for line in lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        report.write_all(b"        ")?;
        report.write_all(line)?;
        report.write_all(b"\n")?;
    }
    Ok(())
}
