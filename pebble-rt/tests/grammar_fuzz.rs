//! Programs made by a grammar: they parse, the formatter keeps their meaning, and broken ones are refused without a panic.
//! `cargo xtask fuzz pebble-rt --cases N` makes many.

mod grammar;

use grammar::{Dialect, program};
use pebble_rt::syntax::parse;
use pebble_rt::tools::format;
use proptest::prelude::*;

/// What a tree says, without the places.
fn meaning(source: &str) -> Option<String> {
    parse(source).ok().map(|tree| format!("{tree:?}"))
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Original), Just(Dialect::Whole)]
}

proptest! {
    #[test]
    fn formatting_keeps_the_tree(bytes in prop::collection::vec(any::<u8>(), 0..300), dialect in dialects()) {
        let source = program(&bytes, dialect);
        let before = parse(&source);
        prop_assert!(before.is_ok(), "{}\n{source}", before.unwrap_err());
        let formatted = format(&source).expect("what parses can be formatted");
        prop_assert_eq!(meaning(&source), meaning(&formatted), "{}\n{}", source, formatted);
        prop_assert_eq!(format(&formatted).expect("it still parses"), formatted);
    }

    #[test]
    fn broken_programs_are_refused_in_order(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[ -~\n\téü]{0,3}"), 1..4),
    ) {
        let mut source: Vec<char> = program(&bytes, Dialect::Whole).chars().collect();
        for (place, text) in edits {
            let at = place.index(source.len());
            source.splice(at..=at, text.chars());
            if source.is_empty() {
                break;
            }
        }
        let source: String = source.into_iter().collect();
        match parse(&source) {
            Ok(_) => {
                let formatted = format(&source).expect("what parses can be formatted");
                prop_assert_eq!(meaning(&source), meaning(&formatted), "{}\n{}", source, formatted);
            }
            Err(error) => {
                let lines = source.split(['\n', '\r']).count() as u32;
                prop_assert!((1..=lines).contains(&error.line), "{error} in {lines} lines");
                prop_assert!(error.span.end as usize <= source.len());
            }
        }
    }
}
