//! The text helpers that every program can call (language sections 18.2 and 19), on plain Rust strings.
//!
//! Positions and lengths count code points, as everywhere in the language.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Lines of a text: 0 for the empty text, otherwise one more than its line feeds.
pub fn count_lines(text: &str) -> usize {
    if text.is_empty() {
        0
    } else {
        1 + text.bytes().filter(|b| *b == b'\n').count()
    }
}

/// What stands before the first line feed.
pub fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or("")
}

/// The characters from `start` to `end - 1`; positions outside the text are skipped.
pub fn slice_text(text: &str, start: i64, end: i64) -> &str {
    let start = usize::try_from(start).unwrap_or(0);
    let end = usize::try_from(end).unwrap_or(0);
    if end <= start {
        return "";
    }
    if text.is_ascii() {
        return &text[start.min(text.len())..end.min(text.len())];
    }
    let offset = |from: &str, count: usize| {
        from.char_indices()
            .nth(count)
            .map_or(from.len(), |(at, _)| at)
    };
    let tail = &text[offset(text, start)..];
    &tail[..offset(tail, end - start)]
}

/// Pads with blanks to `width`, or cuts to it.
pub fn pad_right(text: &str, width: i64) -> String {
    let width = usize::try_from(width).unwrap_or(0);
    let mut padded: String = text.chars().take(width).collect();
    let length = padded.chars().count();
    padded.extend(core::iter::repeat_n(' ', width - length));
    padded
}

/// The text without its first `count` characters.
pub fn drop_characters(text: &str, count: usize) -> &str {
    text.char_indices()
        .nth(count)
        .map_or("", |(at, _)| &text[at..])
}

/// The position of `needle` at or after `from`.
pub fn find_character(text: &str, needle: &str, from: i64) -> Option<usize> {
    let from = usize::try_from(from).unwrap_or(0);
    text.chars()
        .enumerate()
        .skip(from)
        .find(|(_, c)| {
            let mut buffer = [0; 4];
            *c.encode_utf8(&mut buffer) == *needle
        })
        .map(|(position, _)| position)
}

/// Writes backslash, line feed, tab and carriage return as two characters each.
pub fn escape_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Undoes [`escape_text`]; any other escaped character stands for itself.
pub fn unescape_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}

/// A size for people: `10 B`, `1.5 KB`, `3.0 MB`, `GB`, with one truncated decimal.
pub fn format_bytes(count: i64) -> String {
    const UNITS: [&str; 3] = ["KB", "MB", "GB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit_size: i64 = 1024;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && count / unit_size >= 1024 {
        unit_size *= 1024;
        unit += 1;
    }
    let whole = count / unit_size;
    let tenth = (i128::from(count % unit_size) * 10 / i128::from(unit_size)) as i64;
    format!("{whole}.{tenth} {}", UNITS[unit])
}

/// The parts of a text between separators, at most `limit` cuts made from the left.
pub fn split_on(text: &str, separator: &str, limit: usize) -> Vec<String> {
    text.splitn(limit.saturating_add(1), separator)
        .map(ToString::to_string)
        .collect()
}

/// As [`split_on`], with the cuts made from the right.
pub fn split_on_from_right(text: &str, separator: &str, limit: usize) -> Vec<String> {
    let mut parts: Vec<String> = text
        .rsplitn(limit.saturating_add(1), separator)
        .map(ToString::to_string)
        .collect();
    parts.reverse();
    parts
}

/// The words of a text, at most `limit` cuts made from the left; the last word keeps the blanks inside it.
pub fn split_blanks(text: &str, limit: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest.trim_end().to_string());
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        parts.push(rest[..end].to_string());
        rest = rest[end..].trim_start();
    }
    parts
}

/// As [`split_blanks`], with the cuts made from the right.
pub fn split_blanks_from_right(text: &str, limit: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest.trim_start().to_string());
            break;
        }
        let start = rest
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_whitespace())
            .map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(rest[start..].to_string());
        rest = rest[..start].trim_end();
    }
    parts.reverse();
    parts
}

/// The lines of a text without their ends (LF, CR LF or CR); a final end makes no empty last line.
pub fn split_line_ends(text: &str, keep_ends: LineEnds) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let terminator = match &rest.as_bytes()[end..] {
            [] => 0,
            [b'\r', b'\n', ..] => 2,
            _ => 1,
        };
        let kept = if keep_ends == LineEnds::Kept {
            end + terminator
        } else {
            end
        };
        lines.push(rest[..kept].to_string());
        rest = &rest[end + terminator..];
    }
    lines
}

/// Whether [`split_line_ends`] leaves the line ends in its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// Lines come without their ends.
    Dropped,
    /// Each line keeps its end.
    Kept,
}

/// Where a text goes in a wider field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The text first, the filling after it.
    Left,
    /// The filling first.
    Right,
    /// Filling on both sides, the odd one after the text.
    Center,
}

/// Fills a text up to `width` characters.
pub fn justify(text: &str, width: usize, fill: char, side: Side) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let before = match side {
        Side::Left => 0,
        Side::Right => missing,
        Side::Center => missing / 2,
    };
    let mut filled = String::with_capacity(text.len() + missing * fill.len_utf8());
    filled.extend(core::iter::repeat_n(fill, before));
    filled.push_str(text);
    filled.extend(core::iter::repeat_n(fill, missing - before));
    filled
}

/// Fills with zeros after the sign.
pub fn zero_fill(text: &str, width: usize) -> String {
    let split = usize::from(text.starts_with(['+', '-']));
    let sign = &text[..split];
    let mut filled = sign.to_string();
    filled.push_str(&justify(
        &text[split..],
        width.saturating_sub(split),
        '0',
        Side::Right,
    ));
    filled
}

/// Divides truncating toward zero; the remainder has the dividend's sign.
pub fn truncating_division(dividend: i64, divisor: i64) -> Option<(i128, i128)> {
    let (dividend, divisor) = (i128::from(dividend), i128::from(divisor));
    Some((
        dividend.checked_div(divisor)?,
        dividend.checked_rem(divisor)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn lines_are_counted_as_documented() {
        assert_eq!(
            [
                count_lines(""),
                count_lines("a"),
                count_lines("a\n"),
                count_lines("a\nb")
            ],
            [0, 1, 2, 2]
        );
        assert_eq!([first_line(""), first_line("a\nb")], ["", "a"]);
    }

    #[test]
    fn slices_skip_positions_outside() {
        assert_eq!(slice_text("hello", 1, 3), "el");
        assert_eq!(slice_text("hello", -5, 2), "he");
        assert_eq!(slice_text("hello", 3, 99), "lo");
        assert_eq!(slice_text("hello", 3, 2), "");
        assert_eq!(slice_text("häöü", 1, 3), "äö");
    }

    #[test]
    fn padding_also_cuts() {
        assert_eq!(
            [
                pad_right("ab", 4),
                pad_right("abcdef", 4),
                pad_right("ab", -1)
            ],
            ["ab  ", "abcd", ""]
        );
    }

    #[test]
    fn characters_are_found_from_a_position() {
        assert_eq!(find_character("äbcb", "b", 0), Some(1));
        assert_eq!(find_character("äbcb", "b", 2), Some(3));
        assert_eq!(find_character("abc", "x", 0), None);
        assert_eq!(find_character("abc", "", 0), None);
    }

    #[test]
    fn sizes_are_truncated_to_one_decimal() {
        let sizes = [10, 1536, 3 << 20, 1023, 1024, 1 << 30, 1 << 40, i64::MAX].map(format_bytes);
        assert_eq!(
            sizes,
            [
                "10 B",
                "1.5 KB",
                "3.0 MB",
                "1023 B",
                "1.0 KB",
                "1.0 GB",
                "1024.0 GB",
                "8589934591.9 GB"
            ]
        );
    }

    #[test]
    fn splitting_on_blanks_drops_them() {
        assert_eq!(split_blanks("  a b\tc ", usize::MAX), vec!["a", "b", "c"]);
        assert_eq!(split_blanks(" a b c ", 1), vec!["a", "b c"]);
        assert_eq!(split_blanks_from_right(" a b c ", 1), vec!["a b", "c"]);
        assert_eq!(split_on("a,b,c", ",", 1), vec!["a", "b,c"]);
        assert_eq!(split_on_from_right("a,b,c", ",", 1), vec!["a,b", "c"]);
    }

    #[test]
    fn line_ends_of_three_kinds_are_known() {
        assert_eq!(
            split_line_ends("a\r\nb\rc\n\nd", LineEnds::Dropped),
            vec!["a", "b", "c", "", "d"]
        );
        assert_eq!(
            split_line_ends("a\nb\n", LineEnds::Kept),
            vec!["a\n", "b\n"]
        );
    }

    #[test]
    fn zeros_follow_the_sign() {
        assert_eq!(
            [zero_fill("-7", 4), zero_fill("7", 3), zero_fill("abcd", 2)],
            ["-007", "007", "abcd"]
        );
        assert_eq!(justify("ab", 5, '*', Side::Center), "*ab**");
    }

    #[test]
    fn division_truncates_toward_zero() {
        assert_eq!(truncating_division(-7, 2), Some((-3, -1)));
        assert_eq!(truncating_division(7, -2), Some((-3, 1)));
        assert_eq!(truncating_division(1, 0), None);
    }

    proptest! {
        #[test]
        fn unescaping_undoes_escaping(text in "[\\\\\n\t\ra-cé]{0,20}") {
            prop_assert_eq!(unescape_text(&escape_text(&text)), text);
        }

        #[test]
        fn slices_never_panic(text in ".{0,12}", start in -3i64..16, end in -3i64..16) {
            let slice = slice_text(&text, start, end);
            prop_assert!(slice.chars().count() <= text.chars().count());
        }
    }
}
