//! How findings are shown: for people with the line and a mark under it, for programs as JSON.

use pebble_rt::syntax::SourceMap;
use pebble_rt::tools::check::Diagnostic;
use serde::Serialize;
use std::fmt::Write as _;

/// A finding for programs: one JSON object.
#[derive(Serialize)]
pub struct Report<'text> {
    file: &'text str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    severity: &'static str,
    code: &'static str,
    message: &'text str,
    suggestion: Option<&'text str>,
}

/// The finding with numbers from 1: the end is the column behind the last character.
pub fn report<'text>(
    file: &'text str,
    map: &SourceMap<'_>,
    diagnostic: &'text Diagnostic,
) -> Report<'text> {
    let start = map.locate(diagnostic.span.start);
    let end = map.locate(diagnostic.span.end.max(diagnostic.span.start));
    Report {
        file,
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        severity: diagnostic.severity.name(),
        code: diagnostic.code,
        message: &diagnostic.message,
        suggestion: diagnostic.suggestion.as_deref(),
    }
}

/// The finding as people read it: place and message, the line, a mark under what is meant.
pub fn picture(file: &str, map: &SourceMap<'_>, diagnostic: &Diagnostic) -> String {
    let start = map.locate(diagnostic.span.start);
    let end = map.locate(diagnostic.span.end);
    let severity = diagnostic.severity.name();
    let mut text = format!(
        "{file}:{}:{}: {severity}: {}\n",
        start.line,
        start.column,
        diagnostic.full_message()
    );
    if let Some(line) = map.line(start.line) {
        let width = if end.line == start.line {
            end.column.saturating_sub(start.column).max(1)
        } else {
            1
        };
        let gutter = start.line.to_string();
        let blank = " ".repeat(gutter.len());
        let indent = " ".repeat(start.column as usize - 1);
        let _ = writeln!(
            text,
            "{gutter} | {line}\n{blank} | {indent}{}",
            "^".repeat(width as usize)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pebble_rt::tools::check::{Environment, check};

    #[test]
    fn a_picture_marks_the_place() {
        let source = "count = 1\nprint cuont + 1\n";
        let found = check(source, &Environment::new());
        let text = picture("a.peb", &SourceMap::new(source), &found[0]);
        assert_eq!(
            text,
            "a.peb:2:7: error: unknown name 'cuont'; did you mean 'count'?\n2 | print cuont + 1\n  |       ^^^^^\n"
        );
    }

    #[test]
    fn a_report_is_one_object() {
        let source = "x = (1 +";
        let found = check(source, &Environment::new());
        let map = SourceMap::new(source);
        let json =
            serde_json::to_value(report("a.peb", &map, &found[0])).expect("a report is plain data");
        assert_eq!(json["line"], 1);
        assert_eq!(json["column"], 5);
        assert_eq!(json["severity"], "error");
        assert_eq!(json["code"], "syntax");
    }
}
