//! The front end: source text to syntax tree.

pub mod ast;
mod error;
mod source;

pub use error::{Excerpt, SyntaxError};
pub use source::{Location, SourceMap};
