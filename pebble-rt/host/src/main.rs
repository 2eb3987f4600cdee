//! The host command `pebble`.
fn main() {}
