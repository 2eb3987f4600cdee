//! Bytecode.

mod code;

pub use code::Code;
