//! Who runs: run queues, timers, the inbox, switching, and work in slices.

pub mod budget;
pub mod death;
pub mod inbox;
pub mod migrate;
pub mod ready;
pub mod switch;
pub mod timer;
pub mod work;
