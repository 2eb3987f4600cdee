//! `ci`: exactly what continuous integration runs.

use super::test::{self, Parts};
use crate::arguments::Arguments;
use anyhow::Result;

/// Runs the verb.
pub fn run(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    test::run_parts(Parts::ALL, None)
}
