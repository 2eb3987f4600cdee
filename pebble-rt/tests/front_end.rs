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

mod soup {
    use pebble_rt::syntax::{SourceMap, parse, parse_expression, parse_interactive};
    use pebble_rt::tools::check::{Environment, check};
    use pebble_rt::tools::format;
    use proptest::prelude::*;

    /// Everything that the lexer knows, and things that it does not.
    const PIECES: [&str; 96] = [
        "x",
        "y1",
        "é",
        "0",
        "1.5",
        "0x1f",
        "1e5",
        "'a'",
        "\"b\"",
        "f\"{x}\"",
        "f'{",
        "b'c'",
        "r'\\'",
        "'''",
        "\"\"\"",
        "\\",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "()",
        "[]",
        "{}",
        ".",
        ",",
        ":",
        "=",
        "+=",
        "**=",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
        "&",
        "|",
        "^",
        "~",
        "<<",
        ">>",
        "<",
        ">",
        "==",
        "!=",
        "<=",
        ">=",
        "!",
        "$",
        "@",
        "#",
        "\n",
        "\n    ",
        "\n        ",
        "\r\n",
        "\t",
        " ",
        "if ",
        "elif ",
        "else",
        "while ",
        "for ",
        " in ",
        "def ",
        "class ",
        "try:",
        "except ",
        "finally:",
        "print ",
        "return ",
        "raise ",
        "import ",
        "from ",
        " as ",
        "pass",
        "break",
        "continue",
        "lambda ",
        "yield ",
        "with ",
        "match ",
        "case ",
        "record ",
        "enum ",
        "del ",
        "assert ",
        "global ",
        " not ",
        " and ",
        " or ",
        " is ",
        "None",
        "True",
    ];

    fn survive(source: &str) -> Result<(), TestCaseError> {
        let _ = parse_interactive(source);
        let _ = parse_expression(source);
        let map = SourceMap::new(source);
        for found in check(source, &Environment::new()) {
            prop_assert!(
                found.span.start <= found.span.end && found.span.end as usize <= source.len()
            );
            let _ = (map.locate(found.span.start), map.locate(found.span.end));
        }
        let Ok(tree) = parse(source) else {
            return Ok(());
        };
        let formatted = format(source).expect("what parses can be formatted");
        let again = parse(&formatted);
        prop_assert_eq!(
            Some(format!("{tree:?}")),
            again.ok().map(|tree| format!("{tree:?}")),
            "{}",
            formatted
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn any_order_of_tokens_is_survived(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
            survive(&pieces.concat())?;
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            survive(&text)?;
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            survive(&String::from_utf8_lossy(&bytes))?;
        }
    }
}
