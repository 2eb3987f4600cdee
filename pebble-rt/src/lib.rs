//! The Pebble language: source text to syntax tree to bytecode to a virtual machine.
//!
//! Reading order: [`value`] is what programs compute with, [`heap`] what it costs, [`error`] how things fail,
//! [`native`] how a builtin function is written, [`system`] what the world behind the program looks like, and
//! [`engine`] how an embedder runs a program.
#![no_std]
#![forbid(unsafe_code)]
#![allow(
    clippy::result_large_err,
    reason = "an error that ends a program is made once, and carries all that people want to know"
)]

extern crate alloc;

mod builtins;
mod bytecode;
mod compile;
pub mod engine;
pub mod error;
pub mod heap;
pub mod modules;
pub mod native;
pub mod symbol;
pub mod syntax;
pub mod system;
pub mod tools;
pub mod value;
pub mod vm;
