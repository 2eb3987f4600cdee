//! Memory: frames and who has them.

pub mod frame;
