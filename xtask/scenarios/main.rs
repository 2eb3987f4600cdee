//! Scenarios: a booted system, seen from outside.
fn main() {}
