//! The kernel for x86-64: boots the machine, carries out what `kernel-core` decides, and decides nothing itself.
//!
//! Reading order: [`boot`] (from the loader to init), [`trap`] (into the kernel and out of it), [`machine`] (what the core asks
//! of the hardware), then the hardware: [`cpu`], [`paging`], [`apic`], [`smp`], [`iommu`], [`debug_uart`]; at the end [`panic`].
#![no_std]
#![no_main]

mod apic;
mod boot;
mod cpu;
mod debug_uart;
mod iommu;
mod machine;
mod paging;
mod panic;
mod smp;
mod trap;

/// Where a CPU that another one started enters Rust; called from the trampoline.
extern "C" fn start_other_cpu(number: usize) -> ! {
    boot::start_other(number)
}
