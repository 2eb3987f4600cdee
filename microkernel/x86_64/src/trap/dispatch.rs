//! From an entry to the kernel core and back: which event this is, and what the core wants to run next.

use super::entry;
use crate::apic::{local as apic, vector};
use crate::cpu::local::CpuLocal;
use crate::cpu::vectors;
use crate::panic::{self, KernelFrame};
use abi::FaultKind;
use core::arch::asm;
use core::ptr;
use kernel_core::machine::{Access, DEVICE_VECTORS, Exception, FastResume, Resume, UserContext};
use x86::controlregs::cr2;

const PAGE_FAULT: u8 = 14;
const FIRST_INTERRUPT: u8 = 32;
/// Bits of a page fault's error code (Intel SDM 3A §4.7).
const ERROR_WRITE: u64 = 1 << 1;
const ERROR_FETCH: u64 = 1 << 4;

/// What the way out loads, in rax and rdx.
#[repr(C)]
pub struct Departure {
    context: *const UserContext,
    /// The words of the message are loaded from here.
    words: *const UserContext,
}

impl Departure {
    fn of(context: *const UserContext) -> Self {
        Self { context, words: context }
    }
}

/// The current thread executed SYSCALL; its registers are saved.
pub(super) extern "C" fn system_call() -> Departure {
    let cpu = CpuLocal::this();
    match cpu.kernel.try_fast() {
        Some(FastResume { context, words }) => Departure { context: ready(cpu, context), words },
        None => long_system_call(cpu),
    }
}

/// What the fast path leaves alone.
#[cold]
#[inline(never)]
fn long_system_call(cpu: &'static CpuLocal) -> Departure {
    context_for(cpu, cpu.kernel.long_syscall())
}

/// User mode was interrupted, or faulted; its registers are saved.
pub(super) extern "C" fn from_user(vector: u8, error_code: u64) -> Departure {
    let cpu = CpuLocal::this();
    let resume = match vector {
        PAGE_FAULT => page_fault(cpu, error_code),
        ..FIRST_INTERRUPT => cpu.kernel.exception(Exception { kind: fault_kind(vector), address: 0, error_code }),
        _ => interrupt(cpu, vector),
    };
    context_for(cpu, resume)
}

/// An interrupt came while this CPU idled.
pub(super) extern "C" fn while_idle(vector: u8) -> Departure {
    let cpu = CpuLocal::this();
    context_for(cpu, interrupt(cpu, vector))
}

/// The kernel itself faulted.
pub(super) extern "C" fn from_kernel(frame: &KernelFrame) -> ! {
    panic::kernel_exception(frame)
}

fn page_fault(cpu: &'static CpuLocal, error_code: u64) -> Resume<'static> {
    // SAFETY: reading CR2 has no effect; it still holds this fault's address, since nothing faulted in between.
    let address = unsafe { cr2() } as u64;
    let access = if error_code & ERROR_FETCH != 0 {
        Access::Execute
    } else if error_code & ERROR_WRITE != 0 {
        Access::Write
    } else {
        Access::Read
    };
    cpu.kernel.page_fault(address, access, error_code)
}

fn fault_kind(vector: u8) -> FaultKind {
    match vector {
        0 => FaultKind::DivideError,
        1 => FaultKind::Debug,
        3 => FaultKind::Breakpoint,
        6 => FaultKind::InvalidOpcode,
        12 => FaultKind::StackSegment,
        13 => FaultKind::GeneralProtection,
        16 | 19 => FaultKind::FloatingPoint,
        17 => FaultKind::Alignment,
        _ => FaultKind::Other,
    }
}

fn interrupt(cpu: &'static CpuLocal, vector: u8) -> Resume<'static> {
    match vector {
        vector::TIMER => {
            apic::end_of_interrupt();
            if cpu.kernel.machine().timer_is_due() { cpu.kernel.timer() } else { cpu.kernel.resume() }
        }
        vector::POST => {
            apic::end_of_interrupt();
            cpu.kernel.ipi()
        }
        vector if DEVICE_VECTORS.contains(&vector) => {
            let resume = cpu.kernel.interrupt(vector);
            apic::end_of_interrupt();
            resume
        }
        vector::ERROR => {
            crate::say!("local APIC {}: error {:#x}", apic::id(), apic::take_errors());
            apic::end_of_interrupt();
            cpu.kernel.resume()
        }
        // A spurious interrupt, of the local APIC or of the masked 8259s, has no end to announce.
        _ => cpu.kernel.resume(),
    }
}

/// Makes a context ready to be loaded, if another one was loaded last.
#[inline]
fn ready(cpu: &'static CpuLocal, context: &'static UserContext) -> *const UserContext {
    if !ptr::eq(context, cpu.current.get()) {
        switch(cpu, context);
    }
    context
}

/// The context to leave the kernel with. Idles, if that is what the core wants.
fn context_for(cpu: &'static CpuLocal, mut resume: Resume<'static>) -> Departure {
    loop {
        match resume {
            Resume::User(context) => return Departure::of(ready(cpu, context)),
            Resume::Idle => {
                cpu.current.set(ptr::null());
                // SAFETY: the stack that is abandoned holds nothing that is needed again.
                unsafe { entry::idle() }
            }
            Resume::Poll => {
                cpu.current.set(ptr::null());
                // SAFETY: as for `idle`, if an interrupt comes; else it returns with interrupts off.
                unsafe { entry::poll() };
                resume = cpu.kernel.resume();
            }
        }
    }
}

/// Leaves the kernel for the first time on this CPU.
pub fn leave(resume: Resume<'static>) -> ! {
    let departure = context_for(CpuLocal::this(), resume);
    // SAFETY: the context is the one that the core named, made ready by `context_for`.
    unsafe { entry::leave_kernel_for(departure.context) }
}

/// Puts in place what the way out does not load: vector registers, segment registers and their bases. Everything that
/// another thread could have left there is overwritten.
#[inline]
fn switch(cpu: &'static CpuLocal, context: &UserContext) {
    vectors::load_for(context);
    // SAFETY: null selectors can always be loaded. The fs base is canonical: it was read from the register, or the core made
    // sure that it is in user space. Between the two SWAPGS the GS base is the user's, which becomes zero; NMI-class entries
    // do not mind, and no other interrupt comes in the kernel.
    unsafe {
        asm!(
            "mov ds, {zero:e}",
            "mov es, {zero:e}",
            "mov fs, {zero:e}",
            "swapgs",
            "mov gs, {zero:e}",
            "wrgsbase {zero}",
            "swapgs",
            "wrfsbase {base}",
            zero = in(reg) 0_u64,
            base = in(reg) context.fs_base.get(),
            options(nostack, preserves_flags),
        );
    }
    cpu.current.set(context);
}
