//! Counting lines of Rust and assembly the way the kernel's size is stated: comments, blank lines and tests do not count.

use std::fs;
use std::io;
use std::path::Path;

/// Files that are compiled for tests only: modules under `#[cfg(test)]`, and the kernel's recount of everything (feature `audit`).
const OF_TESTS: [&str; 2] = ["tests.rs", "audit.rs"];

/// Lines of code in the Rust and assembly files under `folder`. Folders and files that hold only tests do not count.
pub fn in_folder(folder: &Path) -> io::Result<u64> {
    let mut lines = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if path.is_dir() {
            lines += if ["tests", "target", "benches"].contains(&name.as_str()) {
                0
            } else {
                in_folder(&path)?
            };
        } else if name.ends_with(".rs") && !OF_TESTS.contains(&name.as_str())
            || name.ends_with(".s")
        {
            lines += in_text(&fs::read_to_string(&path)?);
        }
    }
    Ok(lines)
}

/// Lines of code in one file.
pub fn in_text(text: &str) -> u64 {
    let code = without_comments(text);
    let mut lines = code.lines().filter(|line| !line.trim().is_empty());
    let mut count = 0;
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
        } else {
            count += 1;
        }
    }
    count
}

/// Passes over the item that an attribute belongs to: up to the end of its braces, or its semicolon if it has none.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>) {
    let mut depth = 0_usize;
    for line in lines {
        let opened = line.contains('{');
        depth += line.matches('{').count();
        depth = depth.saturating_sub(line.matches('}').count());
        if depth == 0 && (opened || line.trim_end().ends_with([';', '}'])) {
            return;
        }
    }
}

/// The text with comments gone and the insides of literals emptied, line breaks kept.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if raw_string(rest).is_some()
                && !code.ends_with(|before: char| before.is_alphanumeric() || before == '_') =>
            {
                raw_string(rest).unwrap_or(1)
            }
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (literal, after) = rest.split_at(skipped);
        if first != '/' {
            code.push_str("\"\"");
        }
        code.extend(
            literal
                .chars()
                .filter(|character| *character == '\n')
                .flat_map(|newline| {
                    // The inside of a literal of several lines is code on each of them.
                    if first == '/' {
                        vec![newline]
                    } else {
                        vec![newline, '"']
                    }
                }),
        );
        rest = after;
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = text.get(1 + hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        body.find(&end)
            .map_or(text.len(), |at| 1 + hashes + 1 + at + end.len()),
    )
}

/// A character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[2..]
            .char_indices()
            .skip(1)
            .find(|(_, character)| *character == '\'')
            .map_or(0, |(at, _)| at + 3),
        Some(_) => characters
            .next()
            .filter(|(_, character)| *character == '\'')
            .map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn comments_and_blank_lines_do_not_count() {
        assert_eq!(
            in_text(
                "//! Header.\n\nfn f() { // why\n    /* a\n b */\n    g(\"// no comment\");\n}\n"
            ),
            3
        );
    }

    #[test]
    fn tests_do_not_count() {
        let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { if true { h() } }\n}\nfn i() {}\n#[cfg(test)]\nuse x::y;\nfn j() {}\n";
        assert_eq!(in_text(text), 3);
    }

    #[test]
    fn literals_hide_what_looks_like_comments() {
        assert_eq!(
            in_text(
                "let a = '\"'; let b = '\\''; // c\nlet c = r#\"/* \" \"#;\nlet d: &'static str = \"*/\";\n"
            ),
            3
        );
    }

    #[test]
    fn a_literal_of_several_lines_counts_each_of_them() {
        assert_eq!(in_text("asm!(\"nop\n nop // step\n nop\");\n"), 3);
    }

    proptest! {
        #[test]
        fn any_text_is_counted_without_a_panic(text in "[a-z/*\"'#r\\\\{}\n ü]{0,80}") {
            prop_assert!(in_text(&text) <= text.lines().count() as u64 + 1);
        }
    }
}
