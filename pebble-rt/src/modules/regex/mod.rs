//! Regular expressions in time linear in the text: no backtracking, no back references, no look-around.
//!
//! `parse` reads a pattern into a tree, `compile` turns it into a small program, `run` simulates all ways through the
//! program at once. The order of alternatives and of greedy and lazy repetitions decides which match is reported, as
//! in backtracking engines.

mod compile;
mod parse;
mod run;

use alloc::string::String;
use alloc::vec::Vec;

use compile::Program;
pub use parse::RegexError;

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Letters match in either case.
    pub ignore_case: bool,
    /// `^` and `$` also match at line ends.
    pub multi_line: bool,
    /// `.` also matches a line feed.
    pub dot_all: bool,
}

/// Where a match has to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Anywhere at or after the start.
    Free,
    /// It begins at the start.
    Start,
    /// It fills everything from the start to the end of the text.
    Whole,
}

/// Byte offsets of the match and its groups: element 0 is the whole match.
pub type Spans = Vec<Option<(usize, usize)>>;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Regex {
    program: Program,
    names: Vec<(String, usize)>,
}

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, RegexError> {
        let parsed = parse::parse(pattern, flags)?;
        let program = compile::compile(&parsed)?;
        Ok(Self {
            program,
            names: parsed.names,
        })
    }

    /// Number of groups, without the whole match.
    pub fn group_count(&self) -> usize {
        self.program.slots / 2 - 1
    }

    /// The named groups with their numbers.
    pub fn group_names(&self) -> &[(String, usize)] {
        &self.names
    }

    /// Instructions of the compiled program, as a measure of its memory.
    pub fn size(&self) -> usize {
        self.program.code.len()
    }

    /// Finds the first match at or after the byte offset `start`, which lies on a character boundary.
    ///
    /// `charge` is told the work done from time to time and may stop the search.
    pub fn find<E>(
        &self,
        text: &str,
        start: usize,
        anchor: Anchor,
        charge: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<Option<Spans>, E> {
        run::find(&self.program, text, start, anchor, charge)
    }
}

/// Puts a backslash before every character that means something in a pattern.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()[]{}|^$-#&~ \t\n\r".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use core::convert::Infallible;
    use proptest::prelude::*;

    fn spans(pattern: &str, text: &str) -> Option<Spans> {
        find_with(pattern, text, Flags::default(), Anchor::Free)
    }

    fn find_with(pattern: &str, text: &str, flags: Flags, anchor: Anchor) -> Option<Spans> {
        let regex = Regex::new(pattern, flags).expect("a valid pattern");
        match regex.find::<Infallible>(text, 0, anchor, &mut |_| Ok(())) {
            Ok(found) => found,
            Err(never) => match never {},
        }
    }

    fn found<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
        spans(pattern, text)
            .and_then(|spans| spans[0])
            .map(|(start, end)| &text[start..end])
    }

    #[test]
    fn literals_classes_and_repetitions_match() {
        for (pattern, text, expected) in [
            ("b+", "aabbbc", Some("bbb")),
            ("b+?", "aabbbc", Some("b")),
            ("a|ab", "ab", Some("a")),
            ("(a|ab)(c|bcd)", "abcd", Some("abcd")),
            ("[a-c]+[^a-c]", "xxabcd", Some("abcd")),
            (r"\d{2,3}", "1 12345", Some("123")),
            (r"\w+\s\w+", "-hello world-", Some("hello world")),
            ("^b", "ab", None),
            ("b$", "ab", Some("b")),
            (r"\bcat\b", "concat cat", Some("cat")),
            ("x*", "aaa", Some("")),
            ("é.", "caféx", Some("éx")),
            ("[]a]+", "x]a", Some("]a")),
            ("[a-]+", "x-a", Some("-a")),
            (r"a{,2}", "aaa", Some("aa")),
            ("a{x", "a{x", Some("a{x")),
            ("(?i)HeLLo", "say hello", Some("hello")),
            ("(a*)*b", "aaab", Some("aaab")),
            ("(?:ab)+", "ababa", Some("abab")),
            (r"\x41\u00e9", "Aé", Some("Aé")),
            ("a.c", "a\nc", None),
            (r"[\d.]+", "v1.2.3", Some("1.2.3")),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn groups_are_numbered_and_named() {
        let regex = Regex::new(r"(?P<key>\w+)=(\d+)?(;)?", Flags::default()).expect("valid");
        assert_eq!(
            (regex.group_count(), regex.group_names().to_vec()),
            (3, vec![("key".to_string(), 1)])
        );
        assert_eq!(
            spans(r"(?P<key>\w+)=(\d+)?(;)?", " ab=12"),
            Some(vec![Some((1, 6)), Some((1, 3)), Some((4, 6)), None])
        );
        assert_eq!(
            spans("(a)|(b)", "b"),
            Some(vec![Some((0, 1)), None, Some((0, 1))])
        );
        assert_eq!(
            spans("(a|b)*", "ab"),
            Some(vec![Some((0, 2)), Some((1, 2))])
        );
    }

    #[test]
    fn flags_and_anchors_change_the_result() {
        let lines = Flags {
            multi_line: true,
            ..Flags::default()
        };
        assert_eq!(
            find_with("^b$", "a\nb\nc", lines, Anchor::Free),
            Some(vec![Some((2, 3))])
        );
        let dots = Flags {
            dot_all: true,
            ..Flags::default()
        };
        assert_eq!(
            find_with("a.c", "a\nc", dots, Anchor::Start),
            Some(vec![Some((0, 3))])
        );
        assert_eq!(find_with("b", "ab", Flags::default(), Anchor::Start), None);
        assert_eq!(
            find_with("a|ab", "ab", Flags::default(), Anchor::Whole),
            Some(vec![Some((0, 2))])
        );
        assert_eq!(
            find_with("a+?", "aaa", Flags::default(), Anchor::Whole),
            Some(vec![Some((0, 3))])
        );
    }

    #[test]
    fn what_cannot_be_compiled_says_why() {
        for (pattern, message) in [
            ("(a", "missing ')' at position 0"),
            ("a)", "unbalanced ')' at position 1"),
            ("[a", "unterminated character class at position 0"),
            ("*a", "nothing to repeat at position 0"),
            ("a**", "multiple repeat at position 2"),
            ("[z-a]", "invalid character range at position 1"),
            (r"(a)\1", "back references are not supported at position 3"),
            ("(?=a)", "look-around is not supported at position 0"),
            ("a{3,2}", "invalid repetition at position 1"),
            ("\\", "pattern ends with a backslash at position 0"),
            (
                "(?P<a>x)(?P<a>y)",
                "group name 'a' is used twice at position 8",
            ),
            ("(?P<1>x)", "invalid group name at position 0"),
            (
                "((a{1000}){1000}){1000}",
                "pattern is too large at position 0",
            ),
        ] {
            assert_eq!(
                Regex::new(pattern, Flags::default())
                    .map(|_| ())
                    .map_err(|e| e.to_string()),
                Err(message.to_string()),
                "{pattern:?}"
            );
        }
        let deep = "(".repeat(5000) + &")".repeat(5000);
        assert!(Regex::new(&deep, Flags::default()).is_err());
    }

    #[test]
    fn the_search_is_linear_and_can_be_stopped() {
        let text = "a".repeat(20_000);
        let regex = Regex::new("(a|a)*(a*)*b", Flags::default()).expect("valid");
        let mut work = 0;
        assert_eq!(
            regex.find::<Infallible>(&text, 0, Anchor::Free, &mut |n| {
                work += n;
                Ok(())
            }),
            Ok(None)
        );
        assert!(work < 20_000 * regex.size() * 2, "{work}");
        assert_eq!(
            regex.find(&text, 0, Anchor::Free, &mut |_| Err("stop")),
            Err("stop")
        );
    }

    proptest! {
        #[test]
        fn any_pattern_compiles_or_is_refused(pattern in "[a-c(){}\\[\\]|*+?.^$\\\\dwb0-3,:<>P=!-]{0,14}", text in "[a-c1 \n]{0,12}") {
            if let Ok(regex) = Regex::new(&pattern, Flags::default())
                && let Ok(Some(spans)) = regex.find::<Infallible>(&text, 0, Anchor::Free, &mut |_| Ok(())) {
                    prop_assert_eq!(spans.len(), regex.group_count() + 1);
                    prop_assert!(spans.iter().flatten().all(|(start, end)| start <= end && *end <= text.len()));
                }
        }

        #[test]
        fn an_escaped_text_matches_itself(text in ".{0,12}") {
            let spans = find_with(&escape(&text), &text, Flags { dot_all: true, ..Flags::default() }, Anchor::Whole);
            prop_assert_eq!(spans, Some(vec![Some((0, text.len()))]));
        }
    }
}
