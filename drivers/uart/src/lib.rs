//! The 16550 serial port (National Semiconductor PC16550D).
//!
//! The driver keeps nothing of its own: output is taken from a ring and input put into one, both in the client's memory. A byte leaves the output ring only after it was
//! written to the transmitter, so a kill between the two repeats one byte at most and loses none; for the same reason a start finds
//! a transmitter that may still be busy with bytes of an earlier incarnation, and does not clear it.
#![no_std]
#![forbid(unsafe_code)]

pub mod spec;

use driver_lib::Ports;
use spec::{FifoControl, InterruptEnable, InterruptId, LineControl, LineStatus, ModemControl};

/// Bytes that the transmitter takes once it is empty.
pub const FIFO_BYTES: usize = 16;
/// The clock of the divisor, in Hz, divided by 16.
const BASE_BAUD: u32 = 115_200;

/// Where bytes to send come from.
pub trait Output {
    /// The next byte, which stays there.
    fn peek(&mut self) -> Option<u8>;
    /// The byte that was last peeked at is on its way.
    fn consume(&mut self);
}

/// Where received bytes go.
pub trait Input {
    /// Takes a byte; false if there is no room.
    fn push(&mut self, byte: u8) -> bool;
}

/// What went wrong at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// Nothing answers at the ports.
    Absent,
    /// The rate can't be made from the clock.
    UnsupportedBaud(u32),
}

/// What one service of the device did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Served {
    /// Bytes that were sent.
    pub sent: usize,
    /// Bytes that were received.
    pub received: usize,
    /// Bytes that were received and found no room.
    pub dropped: usize,
    /// Overruns and framing errors that the device reported.
    pub line_errors: usize,
}

/// The port.
#[derive(Debug)]
pub struct Uart<P> {
    ports: P,
    enabled: InterruptEnable,
}

impl<P: Ports> Uart<P> {
    /// Takes the port and sets it to `baud`, eight bits, no parity, one stop bit. Bytes that an earlier incarnation gave to the transmitter are still sent.
    pub fn start(mut ports: P, baud: u32) -> Result<Self, StartError> {
        let divisor = divisor(baud)?;
        if !answers(&mut ports) {
            return Err(StartError::Absent);
        }
        ports.write(spec::INTERRUPT_ENABLE, 0);
        set_divisor(&mut ports, divisor);
        if !InterruptId::from_bits_retain(ports.read(spec::INTERRUPT_ID))
            .contains(InterruptId::FIFO_ENABLED)
        {
            ports.write(
                spec::FIFO_CONTROL,
                (FifoControl::ENABLE
                    | FifoControl::CLEAR_RECEIVER
                    | FifoControl::CLEAR_TRANSMITTER)
                    .bits(),
            );
        }
        let modem = ModemControl::DATA_TERMINAL_READY
            | ModemControl::REQUEST_TO_SEND
            | ModemControl::INTERRUPTS;
        ports.write(spec::MODEM_CONTROL, modem.bits());
        let enabled = InterruptEnable::RECEIVED | InterruptEnable::LINE_STATUS;
        ports.write(spec::INTERRUPT_ENABLE, enabled.bits());
        Ok(Self { ports, enabled })
    }

    /// Does what there is to do: empties the receiver, fills the transmitter if it is empty, and asks for a transmit interrupt exactly while there is more to send.
    pub fn serve(&mut self, output: &mut impl Output, input: &mut impl Input) -> Served {
        let mut served = Served::default();
        self.receive(input, &mut served);
        self.send(output, &mut served);
        self.want_transmit_interrupt(output.peek().is_some());
        served
    }

    fn receive(&mut self, input: &mut impl Input, served: &mut Served) {
        // A receiver that never empties would hold the driver for ever: what is left after this many bytes interrupts again.
        for _ in 0..16 * FIFO_BYTES {
            let status = self.line_status();
            served.line_errors += usize::from(status.intersects(LineStatus::ERRORS));
            if !status.contains(LineStatus::DATA_READY) {
                return;
            }
            let byte = self.ports.read(spec::DATA);
            match input.push(byte) {
                true => served.received += 1,
                false => served.dropped += 1,
            }
        }
    }

    fn send(&mut self, output: &mut impl Output, served: &mut Served) {
        // QEMU and real lines differ in when the transmitter is empty again; a bounded number of fills serves both.
        for _ in 0..16 {
            if output.peek().is_none()
                || !self.line_status().contains(LineStatus::TRANSMITTER_EMPTY)
            {
                return;
            }
            for _ in 0..FIFO_BYTES {
                let Some(byte) = output.peek() else { return };
                self.ports.write(spec::DATA, byte);
                output.consume();
                served.sent += 1;
            }
        }
    }

    fn want_transmit_interrupt(&mut self, wanted: bool) {
        let mut enabled = self.enabled;
        enabled.set(InterruptEnable::TRANSMITTER_EMPTY, wanted);
        if enabled != self.enabled {
            self.enabled = enabled;
            self.ports.write(spec::INTERRUPT_ENABLE, enabled.bits());
        }
    }

    fn line_status(&mut self) -> LineStatus {
        LineStatus::from_bits_retain(self.ports.read(spec::LINE_STATUS))
    }
}

fn divisor(baud: u32) -> Result<u16, StartError> {
    let error = StartError::UnsupportedBaud(baud);
    if baud == 0 || !BASE_BAUD.is_multiple_of(baud) {
        return Err(error);
    }
    u16::try_from(BASE_BAUD / baud).map_err(|_| error)
}

/// The scratch register keeps what is written to it; an empty bus does not.
fn answers(ports: &mut impl Ports) -> bool {
    [0x5a, 0xa5].into_iter().all(|pattern| {
        ports.write(spec::SCRATCH, pattern);
        ports.read(spec::SCRATCH) == pattern
    })
}

fn set_divisor(ports: &mut impl Ports, divisor: u16) {
    let format = LineControl::EIGHT_BITS;
    ports.write(
        spec::LINE_CONTROL,
        (format | LineControl::DIVISOR_LATCH).bits(),
    );
    ports.write(spec::DIVISOR_LOW, divisor as u8);
    ports.write(spec::DIVISOR_HIGH, (divisor >> 8) as u8);
    ports.write(spec::LINE_CONTROL, format.bits());
}
