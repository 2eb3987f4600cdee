//! The front end: source text to syntax tree.
//!
//! [`parse`] reads a file, [`parse_interactive`] what was typed at a prompt. Both report the first error only, with the wording
//! that the language prescribes. No input makes them panic, and the memory and stack they take is bounded by the input's
//! length and by the limits in [`ast`].

pub mod ast;
mod error;
pub(crate) mod lexer;
pub(crate) mod lines;
mod parser;
mod source;
mod strings;

pub use error::{Excerpt, SyntaxError};
pub use parser::{parse, parse_expression, parse_interactive};
pub use source::{Location, SourceMap};
