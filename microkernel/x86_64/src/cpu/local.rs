//! The area of a CPU, which its GS base points to while it is in the kernel.
//!
//! Everything in it belongs to that CPU alone: the kernel of one CPU never looks into another's area.

use super::segments::Segments;
use crate::machine::X86;
use abi::layout::MAX_CPUS;
use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::ptr;
use kernel_core::machine::UserContext;
use kernel_core::{Kernel, Shared};
use x86::msr::{IA32_GS_BASE, IA32_KERNEL_GSBASE, wrmsr};

/// What all CPUs' kernels share.
static SHARED: Shared = Shared::new();

/// The areas. Number 0 is the boot CPU's.
static AREAS: [CpuLocal; MAX_CPUS] = {
    const { assert!(MAX_CPUS == 8) };
    [
        CpuLocal::new(0),
        CpuLocal::new(1),
        CpuLocal::new(2),
        CpuLocal::new(3),
        CpuLocal::new(4),
        CpuLocal::new(5),
        CpuLocal::new(6),
        CpuLocal::new(7),
    ]
};

/// A CPU's area. The first fields are known to the assembly in [`crate::trap`] by their offsets.
#[repr(C, align(64))]
pub struct CpuLocal {
    /// Where a register is put while there is nowhere else.
    pub scratch: Cell<u64>,
    /// The context of the thread that ran last; where registers are saved.
    pub current: Cell<*const UserContext>,
    /// Where the kernel's stack starts.
    pub stack_top: Cell<u64>,
    /// The machine-independent kernel of this CPU.
    pub kernel: Kernel<X86>,
    /// Segments and task state.
    segments: UnsafeCell<Segments>,
}

// SAFETY: each CPU uses only its own area (`CpuLocal::this`), and a kernel entry is never interrupted by another; the boot CPU
// prepares the areas of the others before it starts them.
unsafe impl Sync for CpuLocal {}

impl CpuLocal {
    const fn new(number: usize) -> Self {
        Self {
            scratch: Cell::new(0),
            current: Cell::new(ptr::null()),
            stack_top: Cell::new(0),
            kernel: Kernel::new(X86::new(number), number, &SHARED),
            segments: UnsafeCell::new(Segments::new()),
        }
    }

    /// The area of CPU number `number`, for its own use and for preparing it.
    pub fn of(number: usize) -> &'static Self {
        &AREAS[number]
    }

    /// This CPU's area.
    #[inline]
    pub fn this() -> &'static Self {
        let area: *const Self;
        // SAFETY: while a CPU is in the kernel its GS base is the address of its area (`load`, and every entry's SWAPGS), and
        // areas are static. FSGSBASE is on: without it no CPU gets this far.
        unsafe {
            asm!("rdgsbase {}", out(reg) area, options(nomem, nostack, preserves_flags, pure));
            &*area
        }
    }

    /// Changes the segments.
    pub fn with_segments<T>(&'static self, change: impl FnOnce(&mut Segments) -> T) -> T {
        // SAFETY: only this CPU (or the boot CPU before this one runs) comes here, and `change` has no way to come here again:
        // it gets nothing but the segments.
        change(unsafe { &mut *self.segments.get() })
    }

    /// Loads this CPU's segments and makes its GS base point here.
    ///
    /// # Safety
    /// Called once on the CPU whose area it is, with the stacks set.
    pub unsafe fn load(&'static self) {
        // SAFETY: areas are static; the rest is the caller's. The user's GS base starts as zero.
        unsafe {
            self.with_segments(|segments| segments.load());
            wrmsr(IA32_GS_BASE, ptr::from_ref(self) as u64);
            wrmsr(IA32_KERNEL_GSBASE, 0);
        }
    }
}
