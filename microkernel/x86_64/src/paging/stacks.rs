//! The kernel's stacks: for each CPU one for the kernel and one for each kind of exception that has its own.
//!
//! Each stack ends at the top of a slot of its own and the slot's rest is unmapped, so an overflow faults. The last words of
//! a slot hold the address of the CPU's area, which is how an entry that trusts nothing finds it.

use super::kernel_map::{KernelMap, NoBootMemory};
use super::layout::STACK_BASE;
use crate::cpu::local::CpuLocal;
use crate::cpu::segments::InterruptStack;

/// Bytes of address space for a stack.
pub const SLOT: u64 = 64 << 10;
/// Bytes at the top that are not stack: the address of the CPU's area, and alignment.
const RESERVED: u64 = 16;
const KERNEL_PAGES: u64 = 8;
const INTERRUPT_PAGES: u64 = 2;
const SLOTS_PER_CPU: u64 = 1 + InterruptStack::ALL.len() as u64;

/// The top of a slot: number 0 is the kernel's stack, the others are interrupt stacks.
fn slot_top(cpu: usize, slot: u64) -> u64 {
    STACK_BASE + SLOT * (cpu as u64 * SLOTS_PER_CPU + slot + 1)
}

/// Where the kernel's stack of a CPU starts.
pub fn kernel_stack_top(cpu: usize) -> u64 {
    slot_top(cpu, 0) - RESERVED
}

/// Maps the stacks of a CPU.
pub fn map(map: &mut KernelMap<'_>, cpu: usize) -> Result<(), NoBootMemory> {
    map.map_stack(slot_top(cpu, 0), KERNEL_PAGES)?;
    for stack in InterruptStack::ALL {
        map.map_stack(slot_top(cpu, stack as u64), INTERRUPT_PAGES)?;
    }
    Ok(())
}

/// Tells a CPU's area and its task state where its stacks are.
///
/// # Safety
/// The stacks of `cpu` are mapped in the active address space, and the CPU does not use them yet.
pub unsafe fn announce(cpu: usize) {
    let area = CpuLocal::of(cpu);
    area.stack_top.set(kernel_stack_top(cpu));
    for slot in 0..SLOTS_PER_CPU {
        let owner = (slot_top(cpu, slot) - RESERVED) as *mut u64;
        // SAFETY: the words are at the top of a mapped stack that nobody uses yet.
        unsafe { owner.write(core::ptr::from_ref(area) as u64) };
    }
    area.with_segments(|segments| {
        segments.set_kernel_stack(kernel_stack_top(cpu));
        for stack in InterruptStack::ALL {
            segments.set_interrupt_stack(stack, slot_top(cpu, stack as u64) - RESERVED);
        }
    });
}
