//! Every conformance program is read, or refused with exactly the message that it expects.

use pebble_rt::syntax::parse;
use pebble_rt::tools::format;
use std::fs;
use std::path::{Path, PathBuf};

fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of conformance programs") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "peb") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    programs(&root.join("conformance"), &mut found);
    let system = root.join("system");
    if system.is_dir() {
        programs(&system, &mut found);
    }
    found
}

#[test]
fn formatting_keeps_every_programs_meaning() {
    for path in sources() {
        let source = fs::read_to_string(&path).expect("a program is text");
        let Ok(before) = parse(&source) else { continue };
        let formatted = format(&source).expect("what parses can be formatted");
        let after = parse(&formatted)
            .unwrap_or_else(|error| panic!("{}: {error}\n{formatted}", path.display()));
        assert!(
            format!("{before:?}") == format!("{after:?}"),
            "{}: the meaning changed\n{formatted}",
            path.display()
        );
        let again = format(&formatted).expect("what was formatted can be formatted");
        assert_eq!(again, formatted, "{}: formatting twice", path.display());
    }
}

#[test]
fn conformance_programs_parse_or_fail_as_they_say() {
    let mut found = Vec::new();
    programs(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance"),
        &mut found,
    );
    let mut report = String::new();
    for path in &sources() {
        let source = fs::read_to_string(path).expect("a program is text");
        let Err(error) = parse(&source) else { continue };
        let label = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let shown = error.to_string().replacen("line ", &format!("{label}:"), 1);
        let expected = fs::read_to_string(path.with_extension("err")).unwrap_or_default();
        // Modules with errors lie beside the program that imports them and have no expectation of their own.
        let is_program = path.with_extension("out").exists() || path.with_extension("err").exists();
        if is_program && expected.trim_end_matches('\n') != shown {
            report += &format!("{}\nexpected:\n{expected}got:\n{shown}\n\n", path.display());
        }
    }
    assert!(report.is_empty(), "{report}");
}
