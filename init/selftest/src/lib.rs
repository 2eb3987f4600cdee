//! What the tests inside the guest and the benchmarks share.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod console;
