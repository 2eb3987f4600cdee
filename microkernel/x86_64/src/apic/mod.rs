//! Interrupt controllers: the local APIC of each CPU, the I/O APICs, and who has which vector.

pub mod io;
pub mod legacy;
pub mod local;

/// Vectors above those of devices. Exceptions have 0–31; the old interrupt controllers, masked, would have 32–47.
pub mod vector {
    /// The one-shot timer of the local APIC.
    pub const TIMER: u8 = 0xf0;
    /// Another CPU has posted something.
    pub const POST: u8 = 0xf1;
    /// The local APIC found an error in a message.
    pub const ERROR: u8 = 0xfe;
    /// An interrupt that went away; needs no end.
    pub const SPURIOUS: u8 = 0xff;
}
