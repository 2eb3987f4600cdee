//! The board of a PC: what is on it and has no driver of its own.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod anchor;
pub mod cmos;
pub mod firmware;
pub mod power;
