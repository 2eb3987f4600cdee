//! One processor: its segments, features, clock, registers and the area that its GS base points to.

pub mod clock;
pub mod features;
pub mod local;
pub mod random;
pub mod segments;
pub mod vectors;
