//! The debug UART: write-only, on COM1.
//!
//! It carries the kernel's words until a driver gets the ports, and a panic's afterwards. It never reads anything and has
//! no interrupt.

use core::fmt::{self, Write};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;
use x86::io::{inb, outb};

/// The ports of COM1 (16550): first and count.
pub const PORTS: (u16, u16) = (0x3f8, 8);
const DATA: u16 = PORTS.0;
const INTERRUPT_ENABLE: u16 = PORTS.0 + 1;
const FIFO_CONTROL: u16 = PORTS.0 + 2;
const LINE_CONTROL: u16 = PORTS.0 + 3;
const MODEM_CONTROL: u16 = PORTS.0 + 4;
const LINE_STATUS: u16 = PORTS.0 + 5;
const TRANSMITTER_EMPTY: u8 = 0x20;
/// How often the line status is read before a byte is given up: a missing or stuck UART never stops the kernel.
const PATIENCE: u32 = 100_000;

static UART: Mutex<Uart> = Mutex::new(Uart);
static IS_OURS: AtomicBool = AtomicBool::new(true);

struct Uart;

impl Uart {
    fn put(&mut self, byte: u8) {
        // SAFETY: the ports of COM1 are the kernel's until `release`, and again for a panic; reading the status and writing
        // the data register touch no memory.
        unsafe {
            for _ in 0..PATIENCE {
                if inb(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                    break;
                }
                spin_loop();
            }
            outb(DATA, byte);
        }
    }

    fn set_up(&mut self) {
        // SAFETY: as in `put`. The sequence is the 16550's: no interrupts, 115200 baud, 8N1, FIFO on, DTR and RTS.
        unsafe {
            outb(INTERRUPT_ENABLE, 0);
            outb(LINE_CONTROL, 0x80);
            outb(DATA, 1);
            outb(INTERRUPT_ENABLE, 0);
            outb(LINE_CONTROL, 3);
            outb(FIFO_CONTROL, 7);
            outb(MODEM_CONTROL, 3);
        }
    }
}

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

/// Sets the UART up. Called once, before anything is written.
pub fn init() {
    UART.lock().set_up();
}

/// Writes a line, if the ports are still the kernel's.
pub fn write(arguments: fmt::Arguments<'_>) {
    if IS_OURS.load(Ordering::Relaxed) {
        // Writing to the UART can't fail.
        let _ = UART.lock().write_fmt(arguments);
    }
}

/// Writes a byte as it is, if the ports are still the kernel's.
pub fn write_byte(byte: u8) {
    if IS_OURS.load(Ordering::Relaxed) {
        UART.lock().put(byte);
    }
}

/// Falls silent if a driver's new range of ports has one of the UART's.
pub fn release_if_within(first: u16, count: u16) {
    let (ours, theirs) = (PORTS.0..PORTS.0 + PORTS.1, u32::from(first)..u32::from(first) + u32::from(count));
    if ours.into_iter().any(|port| theirs.contains(&port.into())) {
        IS_OURS.store(false, Ordering::Relaxed);
    }
}

/// Takes the ports for a panic's last words, whoever has them.
pub fn seize() {
    // A CPU that was stopped may hold the lock; at worst two lines mix.
    if UART.is_locked() {
        // SAFETY: the machine is stopping: the holder of the lock was halted or is this CPU, and never goes on writing.
        unsafe { UART.force_unlock() };
    }
    UART.lock().set_up();
    IS_OURS.store(true, Ordering::Relaxed);
}

/// Writes a line to the debug UART.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::debug_uart::write(format_args!("kernel: {}\n", format_args!($($argument)*)))
    };
}
