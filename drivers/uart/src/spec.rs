//! Registers of the 16550, as the PC16550D data sheet names them (§8.0).

use driver_lib::Port;

/// Receiver buffer (read) and transmitter holding register (write).
pub const DATA: Port = Port(0);
/// Interrupt enable.
pub const INTERRUPT_ENABLE: Port = Port(1);
/// Divisor latch, low byte, while the latch is open.
pub const DIVISOR_LOW: Port = Port(0);
/// Divisor latch, high byte, while the latch is open.
pub const DIVISOR_HIGH: Port = Port(1);
/// Interrupt identification (read).
pub const INTERRUPT_ID: Port = Port(2);
/// FIFO control (write).
pub const FIFO_CONTROL: Port = Port(2);
/// Line control.
pub const LINE_CONTROL: Port = Port(3);
/// Modem control.
pub const MODEM_CONTROL: Port = Port(4);
/// Line status.
pub const LINE_STATUS: Port = Port(5);
/// Scratch.
pub const SCRATCH: Port = Port(7);

bitflags::bitflags! {
    /// Interrupts that the device may raise (§8.6.7).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct InterruptEnable: u8 {
        /// Data was received.
        const RECEIVED = 1;
        /// The transmitter is empty.
        const TRANSMITTER_EMPTY = 2;
        /// An error on the line.
        const LINE_STATUS = 4;
    }

    /// Interrupt identification (§8.6.6).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct InterruptId: u8 {
        /// No interrupt is pending.
        const NONE_PENDING = 1;
        /// The FIFOs are on (both bits).
        const FIFO_ENABLED = 0xc0;
    }

    /// FIFO control (§8.6.5).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct FifoControl: u8 {
        /// The FIFOs are on.
        const ENABLE = 1;
        /// Drop what was received.
        const CLEAR_RECEIVER = 2;
        /// Drop what is to be sent.
        const CLEAR_TRANSMITTER = 4;
    }

    /// Line control (§8.6.1).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LineControl: u8 {
        /// Eight data bits (both bits).
        const EIGHT_BITS = 3;
        /// The divisor latch is open.
        const DIVISOR_LATCH = 0x80;
    }

    /// Modem control (§8.6.8).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ModemControl: u8 {
        /// Data terminal ready.
        const DATA_TERMINAL_READY = 1;
        /// Request to send.
        const REQUEST_TO_SEND = 2;
        /// OUT2, which lets interrupts through on a PC.
        const INTERRUPTS = 8;
    }

    /// Line status (§8.6.3).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LineStatus: u8 {
        /// A byte can be read.
        const DATA_READY = 1;
        /// Overrun, parity, framing.
        const ERRORS = 2 | 4 | 8;
        /// The transmitter's FIFO is empty.
        const TRANSMITTER_EMPTY = 0x20;
    }
}
