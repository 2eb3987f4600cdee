//! I/O ports of the x86.

/// The number of a port, relative to the device's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port(pub u16);

/// A device's range of ports.
pub trait Ports {
    /// Reads a byte. A port outside the range reads as `0xff`.
    fn read(&mut self, port: Port) -> u8;
    /// Writes a byte. A port outside the range takes nothing.
    fn write(&mut self, port: Port, value: u8);
}
