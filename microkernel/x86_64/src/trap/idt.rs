//! The interrupt descriptor table, one for all CPUs: every vector leads to its stub.

use super::entry;
use crate::cpu::segments::{InterruptStack, KERNEL_CODE};
use core::arch::asm;
use spin::Once;

const VECTORS: usize = 256;
/// Present, interrupt gate (interrupts off).
const INTERRUPT_GATE: u8 = 0x8e;
/// The same, and user mode may use it (INT3).
const USER_GATE: u8 = INTERRUPT_GATE | 3 << 5;
const BREAKPOINT: u8 = 3;

/// A gate (Intel SDM 3A §6.14.1).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

#[repr(C, align(16))]
struct Table([Gate; VECTORS]);

static TABLE: Once<Table> = Once::new();

fn gate(vector: u8) -> Gate {
    let offset = entry::stub(vector);
    Gate {
        offset_low: offset as u16,
        selector: KERNEL_CODE,
        stack: stack_of(vector).map_or(0, |stack| stack as u8),
        kind: if vector == BREAKPOINT { USER_GATE } else { INTERRUPT_GATE },
        offset_middle: (offset >> 16) as u16,
        offset_high: (offset >> 32) as u32,
        reserved: 0,
    }
}

/// Exceptions that can come while the stack pointer or GS is not the kernel's have stacks of their own.
fn stack_of(vector: u8) -> Option<InterruptStack> {
    match vector {
        1 => Some(InterruptStack::Debug),
        2 => Some(InterruptStack::Nmi),
        8 => Some(InterruptStack::DoubleFault),
        18 => Some(InterruptStack::MachineCheck),
        _ => None,
    }
}

/// Fills the table. Called once, before the first [`load`].
pub fn fill() {
    TABLE.call_once(|| Table(core::array::from_fn(|vector| gate(vector as u8))));
}

/// Loads the table on this CPU.
pub fn load() {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let Some(table) = TABLE.get() else { return };
    let pointer = Pointer { limit: (size_of::<Table>() - 1) as u16, base: table.0.as_ptr() as u64 };
    // SAFETY: the table is static and every gate leads to a stub that takes what the processor pushes.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, readonly)) };
}
