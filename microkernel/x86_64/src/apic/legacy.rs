//! The two 8259 interrupt controllers: moved out of the exceptions' way and masked for good.

use x86::io::outb;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
/// Where their vectors would be: a spurious one may still come.
const VECTORS: [u8; 2] = [0x20, 0x28];

/// Initialises and masks both.
pub fn disable() {
    for (chip, wiring) in [(0, 4), (1, 2)] {
        // SAFETY: the ports are those of the 8259 pair; the sequence is its initialisation (ICW1–ICW4) and a full mask.
        unsafe {
            outb(COMMAND[chip], 0x11);
            outb(DATA[chip], VECTORS[chip]);
            outb(DATA[chip], wiring);
            outb(DATA[chip], 1);
            outb(DATA[chip], 0xff);
        }
    }
}
