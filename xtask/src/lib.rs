//! Builds PebbleOS, runs it, drives it and tests it.
//!
//! `cargo xtask` shows the verbs, which are in [`verbs`], a file each. What they share: [`workspace`] knows where things
//! are, [`guest_build`] turns the workspace into what boots, [`doctor`] provides what the host lacks, and [`machine`] runs
//! guests and talks with them; the scenario tests in `xtask/scenarios` use the same code.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod code_lines;
pub mod command;
pub mod deadline;
pub mod doctor;
pub mod figures;
pub mod guest_build;
pub mod guest_image;
pub mod guest_suite;
pub mod machine;
pub mod performance_page;
pub mod protocol_pages;
pub mod tally;
pub mod verbs;
pub mod workspace;
