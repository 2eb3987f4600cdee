//! The end of the line: a panic, an exception of the kernel, a fatal report. Stops the other CPUs, takes the debug UART,
//! says what happened and where, and halts.

use crate::apic::local as apic;
use crate::debug_uart;
use crate::paging::layout::{STACK_BASE, text_range};
use crate::paging::stacks::SLOT;
use core::arch::asm;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_x86_64::symbols::lookup;
use spin::Once;
use x86::controlregs::{cr2, cr3};
use x86::io::{outb, outl};

/// QEMU's `isa-debug-exit`; where there is none, nobody listens.
const DEBUG_EXIT: u16 = 0xf4;
/// What a panic writes there: QEMU then exits with 2 × 0x10 + 1.
const EXIT_PANIC: u32 = 0x10;
/// The reset control register of PC chipsets, and the keyboard controller's reset line.
const RESET_CONTROL: u16 = 0xcf9;
const KEYBOARD_COMMAND: u16 = 0x64;
const MAX_FRAMES: usize = 32;

static IS_STOPPING: AtomicBool = AtomicBool::new(false);
static SYMBOLS: Once<&'static [u8]> = Once::new();

/// What an exception of the kernel finds on the stack, lowest address first.
#[repr(C)]
pub struct ExceptionFrame {
    /// Which exception.
    pub vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// The same below the registers, as `trap::entry` pushes them.
#[repr(C)]
pub struct KernelFrame {
    registers: [u64; REGISTERS.len()],
    exception: ExceptionFrame,
}

/// The order in which `trap::entry` pushes registers.
const REGISTERS: [&str; 15] =
    ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const RBP: usize = 6;

impl fmt::Display for ExceptionFrame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: reading the two registers has no effect.
        let (address, root) = unsafe { (cr2(), cr3()) };
        let Self { vector, error_code, rip, cs, rflags, rsp, ss } = self;
        write!(out, "vector {vector}, error code {error_code:#x}, cr2 {address:#x}, cr3 {root:#x}\n  rip {rip:#x}, ")?;
        write!(out, "cs {cs:#x}, rflags {rflags:#x}, rsp {rsp:#x}, ss {ss:#x}")
    }
}

impl fmt::Display for KernelFrame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n ", self.exception)?;
        REGISTERS.iter().zip(&self.registers).try_for_each(|(name, value)| write!(out, " {name} {value:#x}"))
    }
}

/// Gives backtraces names: the table is the boot image's (`abi::image::EntryKind::KernelSymbols`).
pub fn set_symbols(table: &'static [u8]) {
    SYMBOLS.call_once(|| table);
}

/// Whether a CPU has panicked and the others are to stop.
pub fn is_stopping() -> bool {
    IS_STOPPING.load(Ordering::Acquire)
}

/// Halts this CPU for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off the CPU does nothing more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let frame: u64;
    // SAFETY: reading rbp has no effect.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack)) };
    stop(format_args!("{info}"), 0, frame)
}

/// The kernel faulted.
pub fn kernel_exception(frame: &KernelFrame) -> ! {
    stop(format_args!("exception in the kernel: {frame}"), frame.exception.rip, frame.registers[RBP])
}

/// Something came that nothing can go on after.
pub fn unmaskable(frame: &ExceptionFrame, what: &str) -> ! {
    stop(format_args!("{what}: {frame}"), frame.rip, 0)
}

/// Stops everything with a message and a backtrace that starts at `rip` and the stack frame `frame`.
fn stop(message: fmt::Arguments<'_>, rip: u64, frame: u64) -> ! {
    take_over();
    crate::say!("PANIC on CPU {}: {message}", apic_number());
    if rip != 0 {
        crate::say!("  at {}", Symbol(rip));
    }
    backtrace(frame);
    // SAFETY: the port is the debug exit's, or nobody's.
    unsafe { outl(DEBUG_EXIT, EXIT_PANIC) };
    halt()
}

/// Ends the system with a reason that is not the kernel's own fault, and restarts the machine.
pub fn fatal(reason: &str) -> ! {
    take_over();
    crate::say!("FATAL: {reason}");
    crate::say!("restarting the machine");
    // SAFETY: these ports reset the machine, which is what is wanted; where one does nothing the next is tried.
    unsafe {
        outb(RESET_CONTROL, 0x02);
        outb(RESET_CONTROL, 0x06);
        outb(KEYBOARD_COMMAND, 0xfe);
    }
    halt()
}

/// Ends a boot that can't succeed: the message says what is needed.
pub fn refuse(message: fmt::Arguments<'_>) -> ! {
    crate::say!("can't start: {message}");
    // SAFETY: as in `stop`.
    unsafe { outl(DEBUG_EXIT, EXIT_PANIC) };
    halt()
}

/// Makes this CPU the only one that runs. Whoever comes second, on this CPU or another, halts.
fn take_over() {
    // SAFETY: an interrupt now would only do harm.
    unsafe { asm!("cli", options(nomem, nostack)) };
    if IS_STOPPING.swap(true, Ordering::AcqRel) {
        halt();
    }
    if apic::is_mapped() {
        apic::send_nmi_to_others();
    }
    debug_uart::seize();
}

fn apic_number() -> u8 {
    if apic::is_mapped() { apic::id() } else { 0 }
}

/// Follows the frame pointers up the stack.
fn backtrace(mut frame: u64) {
    for _ in 0..MAX_FRAMES {
        // A frame is believed if it lies in one of the kernel's stacks, whose slots are mapped at their upper end.
        let slot_end = frame | (SLOT - 1);
        if frame < STACK_BASE || !frame.is_multiple_of(8) || slot_end - frame < 32 {
            return;
        }
        // SAFETY: frames are only followed upwards from this stack's, and stay below the end of its slot, where it is mapped.
        let (next, caller) = unsafe { ((frame as *const u64).read(), (frame as *const u64).add(1).read()) };
        if !text_range().contains(&caller) {
            return;
        }
        // A call that never returns may be the last instruction of its function: the one before says who called.
        crate::say!("  from {}", Symbol(caller - 1));
        if next <= frame || next > slot_end {
            return;
        }
        frame = next;
    }
}

/// An address in the kernel's text, shown with its function's name.
struct Symbol(u64);

impl fmt::Display for Symbol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SYMBOLS.get().and_then(|table| lookup(table, self.0)) {
            Some((name, offset)) => write!(out, "{:#x} {name}+{offset:#x}", self.0),
            None => write!(out, "{:#x}", self.0),
        }
    }
}
