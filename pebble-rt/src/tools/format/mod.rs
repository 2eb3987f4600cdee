//! The formatter: one spelling for every program, comments kept, meaning unchanged.
//!
//! Works on tokens, not on the tree, so that nothing the tree does not hold can get lost. Line breaks inside brackets stay where
//! the author put them; blanks, indentation, blank lines and the spacing of comments are ours. Formatting what has been
//! formatted changes nothing.

mod layout;
mod spacing;

use crate::syntax::{SyntaxError, parse};
use alloc::string::String;

/// Formats a program. One that does not parse is refused with its syntax error.
pub fn format(source: &str) -> Result<String, SyntaxError> {
    parse(source)?;
    layout::lay_out(source)
}

#[cfg(test)]
mod tests;
