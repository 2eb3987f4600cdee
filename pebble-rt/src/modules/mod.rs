//! The standard library: modules, system functions and methods that programs call.
//!
//! The files with nouns for names (`number`, `json`, `regex`, …) are plain algorithms over Rust types.

pub mod calendar;
pub mod cells;
pub mod format_spec;
pub mod generator;
pub mod json;
pub mod number;
pub mod path;
pub mod regex;
pub mod store;
pub mod text_helpers;
pub mod trigonometry;
