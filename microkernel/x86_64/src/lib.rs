//! The part of the x86-64 kernel that needs no hardware: what it reads, computes and looks up, so that the host can test it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod firmware;
pub mod ratio;
pub mod symbols;
