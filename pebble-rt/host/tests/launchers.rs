//! `pebble run` and `pebble exec` say the same about programs that a grammar makes, and neither panics.

#[path = "../../tests/grammar/mod.rs"]
mod grammar;
mod support;

use grammar::{Dialect, program};
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::fs;
use std::process::Output;
use support::{Scratch, difference, pebble};

/// Each case starts two processes, so there are few of them unless somebody asks for more.
const CASES: u32 = 24;

fn start(launcher: &str, source: &str) -> Output {
    let root = Scratch::new(launcher).expect("a folder can be made");
    fs::write(root.path().join("example.peb"), source).expect("the program can be written");
    let folder = root.path().display().to_string();
    let arguments = [launcher, "--root", &folder, "example.peb"].map(str::to_owned);
    pebble(&arguments, b"").expect("the program ends")
}

proptest! {
    #![proptest_config(Config { cases: cases(), ..Config::default() })]

    #[test]
    fn both_launchers_agree(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        whole in any::<bool>(),
    ) {
        let dialect = if whole { Dialect::Whole } else { Dialect::Original };
        let source = program(&bytes, dialect);
        let (run, exec) = (start("run", &source), start("exec", &source));
        for output in [&run, &exec] {
            let status = output.status.code();
            prop_assert!(matches!(status, Some(0 | 1)), "{status:?}\n{source}\n{output:?}");
            let errors = String::from_utf8_lossy(&output.stderr);
            prop_assert!(!errors.contains("panicked"), "{errors}\n{source}");
        }
        let mut report = String::new();
        for (what, one, other) in [("output", &run.stdout, &exec.stdout), ("error output", &run.stderr, &exec.stderr)] {
            report += &difference(what, &String::from_utf8_lossy(one), &String::from_utf8_lossy(other));
        }
        prop_assert!(report.is_empty(), "{report}\n{source}");
    }
}

/// What `cargo xtask fuzz` asks for, but a hundredth of it.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse::<u32>().ok());
    asked.map_or(CASES, |cases| (cases / 100).max(1))
}
