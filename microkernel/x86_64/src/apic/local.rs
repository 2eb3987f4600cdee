//! The local APIC through its memory-mapped registers (Intel SDM 3A §11.4): timer, interrupts between CPUs, end of interrupt.

use super::vector;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use x86::msr::{IA32_APIC_BASE, rdmsr, wrmsr};

/// A register, by its offset.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Register {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    ErrorStatus = 0x280,
    CommandLow = 0x300,
    CommandHigh = 0x310,
    LvtTimer = 0x320,
    LvtLint0 = 0x350,
    LvtLint1 = 0x360,
    LvtError = 0x370,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    DivideConfiguration = 0x3e0,
}

const GLOBAL_ENABLE: u64 = 1 << 11;
const X2APIC_ENABLE: u64 = 1 << 10;
const BASE_MASK: u64 = 0x000f_ffff_ffff_f000;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DIVIDE_BY_1: u32 = 0b1011;
const SEND_PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_STARTUP: u32 = 6 << 8;
const TO_OTHERS: u32 = 3 << 18;

/// Where the registers are mapped; the same address reaches each CPU's own.
static BASE: AtomicU64 = AtomicU64::new(0);

/// The physical address of the registers.
pub fn physical_base() -> u64 {
    // SAFETY: `features::check` found a local APIC, so the register is there; reading it has no effect.
    unsafe { rdmsr(IA32_APIC_BASE) & BASE_MASK }
}

/// Tells where the registers are mapped.
///
/// # Safety
/// `address` is an uncached mapping of the page at [`physical_base`] that stays for ever.
pub unsafe fn set_base(address: u64) {
    BASE.store(address, Ordering::Relaxed);
}

fn pointer(register: Register) -> *mut u32 {
    (BASE.load(Ordering::Relaxed) + register as u64) as *mut u32
}

fn read(register: Register) -> u32 {
    // SAFETY: the register lies in the page that `set_base`'s caller vouched for.
    unsafe { pointer(register).read_volatile() }
}

fn write(register: Register, value: u32) {
    // SAFETY: as in `read`. What the values do is argued where they are made; none of them makes the APIC touch memory.
    unsafe { pointer(register).write_volatile(value) }
}

/// Switches this CPU's local APIC on, with its timer stopped.
pub fn enable() {
    // SAFETY: the register is there, and the address in it stays. The APIC is left in its memory-mapped mode, which all
    // processors have.
    unsafe {
        let base = rdmsr(IA32_APIC_BASE);
        if base & X2APIC_ENABLE != 0 {
            // The way from x2APIC back to xAPIC leads through "off".
            wrmsr(IA32_APIC_BASE, base & !(X2APIC_ENABLE | GLOBAL_ENABLE));
        }
        wrmsr(IA32_APIC_BASE, base & !X2APIC_ENABLE | GLOBAL_ENABLE);
    }
    write(Register::TaskPriority, 0);
    write(Register::LvtLint0, MASKED);
    write(Register::LvtLint1, DELIVER_NMI);
    write(Register::LvtError, vector::ERROR.into());
    write(Register::DivideConfiguration, DIVIDE_BY_1);
    write(Register::LvtTimer, vector::TIMER.into());
    write(Register::InitialCount, 0);
    write(Register::Spurious, SOFTWARE_ENABLE | u32::from(vector::SPURIOUS));
}

/// This CPU's identifier.
pub fn id() -> u8 {
    (read(Register::Id) >> 24) as u8
}

/// Ends the interrupt that is being served.
#[inline]
pub fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Reads and clears the errors.
pub fn take_errors() -> u32 {
    write(Register::ErrorStatus, 0);
    read(Register::ErrorStatus)
}

/// Starts the one-shot timer, which interrupts after so many of its ticks; 0 stops it.
pub fn start_timer(count: u32) {
    write(Register::InitialCount, count);
}

/// What the timer has left to count.
pub fn timer_count() -> u32 {
    read(Register::CurrentCount)
}

fn command(high: u32, low: u32) {
    while read(Register::CommandLow) & SEND_PENDING != 0 {
        spin_loop();
    }
    write(Register::CommandHigh, high);
    write(Register::CommandLow, low);
}

fn target(id: u8) -> u32 {
    u32::from(id) << 24
}

/// Interrupts the CPU with this identifier by [`vector::POST`].
pub fn send_post(id: u8) {
    command(target(id), ASSERT | u32::from(vector::POST));
}

/// Sends a non-maskable interrupt to all other CPUs.
pub fn send_nmi_to_others() {
    command(0, TO_OTHERS | ASSERT | DELIVER_NMI);
}

/// Resets a CPU, which then waits for [`send_startup`].
pub fn send_init(id: u8) {
    command(target(id), ASSERT | DELIVER_INIT);
}

/// Starts a CPU that was reset at the page `page` (below 1 MiB) in 16-bit mode.
pub fn send_startup(id: u8, page: u8) {
    command(target(id), ASSERT | DELIVER_STARTUP | u32::from(page));
}

/// Whether [`set_base`] has been called.
pub fn is_mapped() -> bool {
    BASE.load(Ordering::Relaxed) != 0
}
