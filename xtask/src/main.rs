//! Builds PebbleOS, runs it, drives it and tests it.
fn main() {}
