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
    /// Writes two bytes in one access, for registers that are two ports wide. A model that has none takes them one after the other.
    fn write_u16(&mut self, port: Port, value: u16) {
        self.write(port, value as u8);
        self.write(Port(port.0.wrapping_add(1)), (value >> 8) as u8);
    }
}
