//! The kernel on a model machine: a seed decides which CPU does what next, and everything is checked after each step.

#![allow(dead_code, reason = "each test binary uses its own part")]

mod cast;
mod check;
mod machine;
mod world;

#[allow(unused_imports, reason = "as above")]
pub use cast::{Client, Place, Server};
#[allow(unused_imports, reason = "as above")]
pub use world::{Actor, Reply, Request, World, sent};
