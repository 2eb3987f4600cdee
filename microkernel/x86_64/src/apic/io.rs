//! I/O APICs (Intel 82093AA §3): each line gets a vector and stays masked until a driver wants it.
//!
//! A level-triggered line is masked when it interrupts and unmasked when the driver has served it. An edge-triggered one is
//! not masked then, because the controller forgets an edge that comes while the line is masked.

use abi::boot::MAX_IO_APICS;
use heapless::Vec;
use kernel_core::machine::{InterruptLine, NoSuchLine, Polarity, Trigger};
use spin::Mutex;

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// One I/O APIC.
struct IoApic {
    base: u64,
    first_gsi: u32,
    lines: u32,
}

/// All of them. The lock is short: a line is set up once and masked or unmasked by the CPU that serves it.
static IO_APICS: Mutex<Vec<IoApic, MAX_IO_APICS>> = Mutex::new(Vec::new());

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: `add`'s caller vouched for the mapping; the two registers are selected and read under the lock.
        unsafe {
            (self.base as *mut u32).wrapping_byte_add(SELECT as usize).write_volatile(register);
            (self.base as *mut u32).wrapping_byte_add(WINDOW as usize).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe {
            (self.base as *mut u32).wrapping_byte_add(SELECT as usize).write_volatile(register);
            (self.base as *mut u32).wrapping_byte_add(WINDOW as usize).write_volatile(value);
        }
    }

    fn line(&self, gsi: u32) -> Option<u32> {
        gsi.checked_sub(self.first_gsi).filter(|&line| line < self.lines)
    }
}

/// Adds an I/O APIC whose first line is the global system interrupt `first_gsi`, and masks all its lines.
///
/// # Safety
/// `base` is an uncached mapping of its registers that stays for ever.
pub unsafe fn add(base: u64, first_gsi: u32) {
    let mut added = IoApic { base, first_gsi, lines: 0 };
    added.lines = (added.read(VERSION) >> 16 & 0xff) + 1;
    for line in 0..added.lines {
        added.write(REDIRECTION + 2 * line, MASKED);
    }
    // There are never more than the tables were read for.
    let _ = IO_APICS.lock().push(added);
}

/// Routes a line to a vector of the CPU with this APIC identifier, masked.
pub fn route(line: InterruptLine, vector: u8, apic_id: u8) -> Result<(), NoSuchLine> {
    let level = if line.trigger == Trigger::Level { LEVEL } else { 0 };
    let polarity = if line.polarity == Polarity::ActiveLow { ACTIVE_LOW } else { 0 };
    with_line(line.gsi, |chip, index| {
        chip.write(REDIRECTION + 2 * index, MASKED);
        chip.write(REDIRECTION + 2 * index + 1, u32::from(apic_id) << 24);
        chip.write(REDIRECTION + 2 * index, MASKED | level | polarity | u32::from(vector));
    })
    .ok_or(NoSuchLine)
}

/// Masks a line.
pub fn mask(gsi: u32) {
    with_line(gsi, |chip, index| {
        let entry = chip.read(REDIRECTION + 2 * index);
        chip.write(REDIRECTION + 2 * index, entry | MASKED);
    });
}

/// Unmasks a line.
pub fn unmask(gsi: u32) {
    with_line(gsi, |chip, index| {
        let entry = chip.read(REDIRECTION + 2 * index);
        chip.write(REDIRECTION + 2 * index, entry & !MASKED);
    });
}

fn with_line<T>(gsi: u32, action: impl FnOnce(&IoApic, u32) -> T) -> Option<T> {
    let chips = IO_APICS.lock();
    let (chip, line) = chips.iter().find_map(|chip| chip.line(gsi).map(|line| (chip, line)))?;
    Some(action(chip, line))
}
