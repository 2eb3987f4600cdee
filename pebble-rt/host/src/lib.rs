//! The host side of Pebble: the local machine as the system behind programs.
#![forbid(unsafe_code)]

pub mod system;
