//! The Pebble language: source text to syntax tree to bytecode to a virtual machine.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod modules;

pub mod syntax;
