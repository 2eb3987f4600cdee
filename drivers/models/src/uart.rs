//! A 16550 that a test plays the other end of.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use driver_lib::{Port, Ports};

const FIFO_BYTES: usize = 16;

#[derive(Debug, Default)]
struct State {
    transmit: VecDeque<u8>,
    receive: VecDeque<u8>,
    sent: Vec<u8>,
    interrupt_enable: u8,
    line_control: u8,
    modem_control: u8,
    divisor: u16,
    scratch: u8,
    fifo_enabled: bool,
    absent: bool,
    cleared_bytes: usize,
}

/// The port as the driver sees it; clones are the same device.
#[derive(Clone, Debug, Default)]
pub struct Uart(Rc<RefCell<State>>);

impl Uart {
    /// A device after power-on.
    pub fn new() -> Self {
        Self::default()
    }

    /// A range of ports where nothing answers.
    pub fn absent() -> Self {
        let uart = Self::default();
        uart.0.borrow_mut().absent = true;
        uart
    }

    /// Lets the line carry away `count` bytes of the transmitter.
    pub fn transmit(&self, count: usize) {
        let mut state = self.0.borrow_mut();
        for _ in 0..count {
            let Some(byte) = state.transmit.pop_front() else {
                return;
            };
            state.sent.push(byte);
        }
    }

    /// What came out of the line.
    pub fn sent(&self) -> Vec<u8> {
        self.0.borrow().sent.clone()
    }

    /// Types bytes at the other end; what does not fit the FIFO is lost, as on a real line.
    pub fn type_bytes(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        for &byte in bytes {
            if state.receive.len() < FIFO_BYTES {
                state.receive.push_back(byte);
            }
        }
    }

    /// Whether the device pulls its interrupt line.
    pub fn interrupts(&self) -> bool {
        let state = self.0.borrow();
        let receive = state.interrupt_enable & 1 != 0 && !state.receive.is_empty();
        let transmit = state.interrupt_enable & 2 != 0 && state.transmit.is_empty();
        (receive || transmit) && state.modem_control & 8 != 0
    }

    /// Bytes that the driver threw away by clearing the transmitter.
    pub fn cleared_bytes(&self) -> usize {
        self.0.borrow().cleared_bytes
    }

    /// The divisor latch.
    pub fn divisor(&self) -> u16 {
        self.0.borrow().divisor
    }
}

impl Ports for Uart {
    fn read(&mut self, port: Port) -> u8 {
        let mut state = self.0.borrow_mut();
        if state.absent {
            return 0xff;
        }
        let latch = state.line_control & 0x80 != 0;
        match port.0 {
            0 if latch => state.divisor as u8,
            1 if latch => (state.divisor >> 8) as u8,
            0 => state.receive.pop_front().unwrap_or(0),
            1 => state.interrupt_enable,
            2 => {
                let cause = if state.interrupt_enable & 1 != 0 && !state.receive.is_empty() {
                    0x04
                } else if state.interrupt_enable & 2 != 0 && state.transmit.is_empty() {
                    0x02
                } else {
                    0x01
                };
                cause | if state.fifo_enabled { 0xc0 } else { 0 }
            }
            3 => state.line_control,
            4 => state.modem_control,
            5 => {
                u8::from(!state.receive.is_empty())
                    | if state.transmit.is_empty() { 0x60 } else { 0 }
            }
            7 => state.scratch,
            _ => 0,
        }
    }

    fn write(&mut self, port: Port, value: u8) {
        let mut state = self.0.borrow_mut();
        let latch = state.line_control & 0x80 != 0;
        match port.0 {
            0 if latch => state.divisor = state.divisor & 0xff00 | u16::from(value),
            1 if latch => state.divisor = state.divisor & 0x00ff | u16::from(value) << 8,
            0 if state.transmit.len() < FIFO_BYTES => state.transmit.push_back(value),
            1 => state.interrupt_enable = value & 0x0f,
            2 => {
                let enabled = value & 1 != 0;
                if value & 4 != 0 || enabled != state.fifo_enabled {
                    state.cleared_bytes += state.transmit.len();
                    state.transmit.clear();
                }
                if value & 2 != 0 {
                    state.receive.clear();
                }
                state.fifo_enabled = enabled;
            }
            3 => state.line_control = value,
            4 => state.modem_control = value,
            7 => state.scratch = value,
            _ => {}
        }
    }
}
