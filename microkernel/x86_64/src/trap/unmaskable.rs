//! What can come at any instruction, the kernel's own included: NMI, machine check, double fault, debug exception.
//!
//! These do not enter the core. An NMI is how one CPU stops the others before a panic; a debug exception of the kernel (a
//! single step that a user program left behind) is ignored; the others end the system.

use crate::panic::{self, ExceptionFrame};

const DEBUG: u64 = 1;
const NMI: u64 = 2;
const MACHINE_CHECK: u64 = 18;

/// Called from the entry with GS set to this CPU's area; returns to what was interrupted.
pub(super) extern "C" fn handle(frame: &ExceptionFrame) {
    match frame.vector {
        DEBUG => {}
        NMI if panic::is_stopping() => panic::halt(),
        NMI => {}
        MACHINE_CHECK => panic::unmaskable(frame, "machine check"),
        _ => panic::unmaskable(frame, "double fault (kernel stack overflow?)"),
    }
}
