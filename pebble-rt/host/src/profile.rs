//! `--profile`: where a program spends its steps, by looking at where it is every so many of them.

use pebble_rt::engine::{ProgramError, Step, TraceEntry, Vm};
use std::collections::HashMap;

/// Steps between two looks.
const SAMPLE_STEPS: u64 = 1_000;

/// Places shown, at most.
const MAX_SHOWN: usize = 20;

/// Runs what is loaded to its end and reports on standard error.
pub fn run(vm: &mut Vm) -> Result<i32, ProgramError> {
    let mut samples = Samples::default();
    let outcome = loop {
        match vm.run(SAMPLE_STEPS) {
            Step::Finished(status) => break Ok(status),
            Step::Failed(error) => break Err(error),
            Step::Yielded => samples.add(&vm.trace()),
            Step::Blocked(patience) => vm.wait(patience),
        }
    };
    eprint!("{}", samples.report());
    outcome
}

/// How often something was seen.
#[derive(Default)]
struct Samples {
    total: u64,
    /// The function on top.
    functions: HashMap<String, u64>,
    /// The function anywhere on the stack.
    callers: HashMap<String, u64>,
    lines: HashMap<String, u64>,
}

impl Samples {
    fn add(&mut self, trace: &[TraceEntry]) {
        let Some(top) = trace.last() else { return };
        self.total += 1;
        *self.functions.entry(title(top)).or_default() += 1;
        *self
            .lines
            .entry(format!("{}:{}", top.label, top.line))
            .or_default() += 1;
        let mut seen: Vec<String> = trace.iter().map(title).collect();
        seen.sort_unstable();
        seen.dedup();
        for function in seen {
            *self.callers.entry(function).or_default() += 1;
        }
    }

    fn report(&self) -> String {
        let mut text = format!(
            "profile: {} samples, one every {SAMPLE_STEPS} steps\n",
            self.total
        );
        text += "\n   self  with calls  function\n";
        for (function, count) in ranked(&self.functions) {
            let with_calls = self.callers.get(function).copied().unwrap_or(count);
            text += &format!(
                "{:6.1}% {:10.1}%  {function}\n",
                self.percent(count),
                self.percent(with_calls)
            );
        }
        text += "\n   self  line\n";
        for (line, count) in ranked(&self.lines) {
            text += &format!("{:6.1}%  {line}\n", self.percent(count));
        }
        text
    }

    fn percent(&self, count: u64) -> f64 {
        count as f64 * 100.0 / self.total.max(1) as f64
    }
}

fn title(entry: &TraceEntry) -> String {
    let function = if entry.function.is_empty() {
        "top level"
    } else {
        &entry.function
    };
    format!("{function} ({})", entry.label)
}

/// The most frequent first, equals by name.
fn ranked(counts: &HashMap<String, u64>) -> Vec<(&str, u64)> {
    let mut list: Vec<(&str, u64)> = counts
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    list.sort_unstable_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
    list.truncate(MAX_SHOWN);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_comes_first() {
        let entry = |function: &str, line| TraceEntry {
            function: function.into(),
            label: "a.peb".into(),
            line,
        };
        let mut samples = Samples::default();
        samples.add(&[entry("", 9), entry("f", 2)]);
        samples.add(&[entry("", 9), entry("f", 3)]);
        samples.add(&[entry("", 9)]);
        let report = samples.report();
        let place = |needle: &str| report.find(needle).unwrap_or(usize::MAX);
        assert!(place("f (a.peb)") < place("top level (a.peb)"), "{report}");
        assert!(report.contains("100.0%  top level (a.peb)"), "{report}");
    }
}
