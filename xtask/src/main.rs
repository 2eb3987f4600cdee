//! `cargo xtask`: see the table in [`xtask::verbs`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::verbs::main(std::env::args_os().skip(1))
}
