//! The board: wall clock, firmware configuration, power.
//!
//! Served by `drivers/platform`.

use libipc::prelude::*;

/// Errors of the platform.
#[message]
pub enum Error {
    /// No such firmware file.
    NotFound,
    /// The caller's Connection does not allow this.
    NotPermitted,
    /// The device is not there or gives nonsense.
    Unavailable,
}

/// See the module.
#[protocol(name = "platform", version = 1)]
pub trait Platform {
    /// Seconds since 1970-01-01 UTC that the clock showed, and the nanoseconds since boot at that moment, which may be long ago: the same reading is given until the clock is set.
    #[idempotent]
    fn wall_clock(&mut self) -> Result<(i64, u64), Error>;

    /// Reads up to 2 KiB of a firmware configuration file (`opt/…`) from `offset`.
    #[idempotent]
    fn firmware_file(&mut self, name: String, offset: u32) -> Result<Vec<u8>, Error>;

    /// Names of the firmware configuration files, from index `from`, as many as fit.
    #[idempotent]
    fn firmware_files(&mut self, from: u32) -> Result<Vec<String>, Error>;

    /// Switches the machine off.
    fn power_off(&mut self) -> Result<(), Error>;

    /// Resets the machine.
    fn reset(&mut self) -> Result<(), Error>;
}
