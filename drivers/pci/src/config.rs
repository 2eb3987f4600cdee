//! Configuration space: addresses, and the registers that all functions have (PCI Local Bus 3.0 §6.1).

/// Bus, device and function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Address {
    /// Bus.
    pub bus: u8,
    /// Device, 0–31.
    pub device: u8,
    /// Function, 0–7.
    pub function: u8,
}

impl Address {
    /// Where the function's 4 KiB lie in a memory-mapped window that starts with `first_bus` (PCI Express Base 5.0 §7.2.2).
    pub const fn window_offset(self, first_bus: u8) -> Option<usize> {
        match self.bus.checked_sub(first_bus) {
            Some(bus) => Some(
                (bus as usize) << 20
                    | (self.device as usize & 31) << 15
                    | (self.function as usize & 7) << 12,
            ),
            None => None,
        }
    }
}

/// Access to configuration space, four aligned bytes at a time.
pub trait ConfigSpace {
    /// Reads; all ones where nothing answers.
    fn read(&self, address: Address, offset: u16) -> u32;
    /// Writes; nothing happens where nothing answers.
    fn write(&mut self, address: Address, offset: u16, value: u32);

    /// Reads two bytes.
    fn read_u16(&self, address: Address, offset: u16) -> u16 {
        (self.read(address, offset & !3) >> (8 * (offset & 2))) as u16
    }

    /// Reads a byte.
    fn read_u8(&self, address: Address, offset: u16) -> u8 {
        (self.read(address, offset & !3) >> (8 * (offset & 3))) as u8
    }

    /// Writes two bytes, leaving the other two as they are read.
    fn write_u16(&mut self, address: Address, offset: u16, value: u16) {
        let shift = 8 * (offset & 2);
        let word = self.read(address, offset & !3) & !(0xffff << shift);
        self.write(address, offset & !3, word | u32::from(value) << shift);
    }
}

/// Vendor identification; all ones: nothing is there.
pub const VENDOR: u16 = 0x00;
/// Device identification.
pub const DEVICE: u16 = 0x02;
/// Command.
pub const COMMAND: u16 = 0x04;
/// Status.
pub const STATUS: u16 = 0x06;
/// Programming interface, subclass and class, from the second byte of this word.
pub const CLASS: u16 = 0x08;
/// Header type.
pub const HEADER_TYPE: u16 = 0x0e;
/// The first window.
pub const BAR0: u16 = 0x10;
/// Subsystem identification.
pub const SUBSYSTEM: u16 = 0x2e;
/// Where the list of capabilities starts.
pub const CAPABILITIES: u16 = 0x34;
/// The interrupt line that firmware chose.
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Which pin is used; 0: none.
pub const INTERRUPT_PIN: u16 = 0x3d;

bitflags::bitflags! {
    /// The command register (§6.2.2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Command: u16 {
        /// Answers to ports.
        const PORTS = 1 << 0;
        /// Answers to memory.
        const MEMORY = 1 << 1;
        /// May read and write memory by itself.
        const BUS_MASTER = 1 << 2;
        /// Raises no INTx.
        const NO_LINE = 1 << 10;
    }
}

/// Status bit: there is a list of capabilities.
pub const STATUS_CAPABILITIES: u16 = 1 << 4;

/// Changes the command register: `set` on, `clear` off.
pub fn change_command(
    space: &mut impl ConfigSpace,
    address: Address,
    set: Command,
    clear: Command,
) {
    let now = Command::from_bits_retain(space.read_u16(address, COMMAND));
    // The upper half of this word is the status register, whose bits are cleared by writing ones: write zeroes there.
    space.write(address, COMMAND, u32::from(((now - clear) | set).bits()));
}
