//! What the processor can do, and switching it on: protection bits, SYSCALL, FSGSBASE.

use super::segments::{KERNEL_CODE, KERNEL_DATA};
use crate::trap;
use x86::bits64::rflags::RFlags;
use x86::controlregs::{Cr0, Cr4, cr0, cr0_write, cr4_write};
use x86::cpuid::CpuId;
use x86::msr::{IA32_EFER, IA32_FMASK, IA32_LSTAR, IA32_PAT, IA32_STAR, rdmsr, wrmsr};

/// EFER: SYSCALL, no-execute.
const EFER_BITS: u64 = 1 << 0 | 1 << 11;
/// The page attribute table: as after reset (write-back, write-through, uncached-, uncached, and again), but with
/// write-combining in place of write-through.
const PAGE_ATTRIBUTES: u64 = 0x0007_0106_0007_0106;
/// IA32_ARCH_CAPABILITIES and IA32_SPEC_CTRL (Intel SDM 4, table 2-2).
const ARCH_CAPABILITIES: u32 = 0x10a;
const SPEC_CTRL: u32 = 0x48;
const CAPABILITY_RDCL_NO: u64 = 1 << 0;
const CAPABILITY_IBRS_ALL: u64 = 1 << 1;
const SPEC_CTRL_IBRS: u64 = 1 << 0;

/// Why this processor can't run the system: the name of what it lacks.
#[derive(Clone, Copy, Debug)]
pub struct MissingFeature(pub &'static str);

/// Checks that the processor has what the kernel and its programs rely on.
pub fn check() -> Result<(), MissingFeature> {
    let id = CpuId::new();
    let basic = id.get_feature_info();
    let basic = basic.as_ref();
    let has = |found: Option<bool>, name| {
        if found == Some(true) { Ok(()) } else { Err(MissingFeature(name)) }
    };
    has(basic.map(|info| info.has_sse2()), "SSE2")?;
    has(basic.map(|info| info.has_fxsave_fxstor()), "FXSAVE")?;
    has(basic.map(|info| info.has_apic()), "a local APIC")?;
    has(basic.map(|info| info.has_tsc()), "a time-stamp counter")?;
    has(id.get_extended_feature_info().map(|info| info.has_fsgsbase()), "FSGSBASE")?;
    let extended = id.get_extended_processor_and_feature_identifiers();
    has(extended.as_ref().map(|info| info.has_execute_disable()), "no-execute pages")?;
    has(extended.as_ref().map(|info| info.has_syscall_sysret()), "SYSCALL")
}

/// Switches this CPU's protection and its system-call entry on.
///
/// # Safety
/// [`check`] succeeded; the CPU has its segments, its final page tables and its GS base.
pub unsafe fn enable() {
    let id = CpuId::new();
    let extended = id.get_extended_feature_info();
    let extended = extended.as_ref();
    let mut wanted = Cr4::CR4_ENABLE_PAE
        | Cr4::CR4_ENABLE_GLOBAL_PAGES
        | Cr4::CR4_ENABLE_SSE
        | Cr4::CR4_UNMASKED_SSE
        | Cr4::CR4_ENABLE_FSGSBASE
        | Cr4::CR4_ENABLE_MACHINE_CHECK;
    wanted.set(Cr4::CR4_ENABLE_SMEP, extended.is_some_and(|info| info.has_smep()));
    wanted.set(Cr4::CR4_ENABLE_SMAP, extended.is_some_and(|info| info.has_smap()));
    wanted.set(Cr4::CR4_ENABLE_UMIP, extended.is_some_and(|info| info.has_umip()));
    // SAFETY: every feature is one that the processor reports; the kernel never touches user pages and never executes
    // them, so SMAP and SMEP hold at once. The entry address is the one of `trap::syscall`. FMASK clears what user mode
    // may have set and the kernel must not see: interrupts, direction, trap, nested task, alignment check.
    unsafe {
        cr4_write(wanted);
        let flags =
            Cr0::CR0_WRITE_PROTECT | Cr0::CR0_NUMERIC_ERROR | Cr0::CR0_MONITOR_COPROCESSOR | Cr0::CR0_ALIGNMENT_MASK;
        cr0_write((cr0() | flags) & !(Cr0::CR0_EMULATE_COPROCESSOR | Cr0::CR0_TASK_SWITCHED));
        wrmsr(IA32_EFER, rdmsr(IA32_EFER) | EFER_BITS);
        wrmsr(IA32_STAR, u64::from(KERNEL_DATA) << 48 | u64::from(KERNEL_CODE) << 32);
        wrmsr(IA32_LSTAR, trap::system_call_entry());
        let hidden = RFlags::FLAGS_IF
            | RFlags::FLAGS_DF
            | RFlags::FLAGS_TF
            | RFlags::FLAGS_NT
            | RFlags::FLAGS_AC
            | RFlags::FLAGS_IOPL3;
        wrmsr(IA32_FMASK, hidden.bits());
        wrmsr(IA32_PAT, PAGE_ATTRIBUTES);
    }
    enable_speculation_control();
}

/// Turns on what keeps user mode from steering the kernel's speculation, where the processor says that setting it once is
/// enough. One that leaks kernel memory to user mode by speculation is named at boot: see [`is_leaky`].
fn enable_speculation_control() {
    if capabilities() & CAPABILITY_IBRS_ALL != 0 {
        // SAFETY: a processor with this capability has the register; the bit only restricts speculation.
        unsafe { wrmsr(SPEC_CTRL, SPEC_CTRL_IBRS) };
    }
}

/// Whether the processor admits that user mode can read kernel memory by speculation, which this kernel does not prevent.
pub fn is_leaky() -> bool {
    let id = CpuId::new();
    let is_intel = id.get_vendor_info().is_some_and(|vendor| vendor.as_str() == "GenuineIntel");
    // An emulated processor does not speculate, and has no register to say so.
    let is_emulated = id.get_hypervisor_info().is_some() && !has_capabilities();
    is_intel && !is_emulated && capabilities() & CAPABILITY_RDCL_NO == 0
}

fn capabilities() -> u64 {
    if has_capabilities() {
        // SAFETY: the processor reports the register, and reading it has no effect.
        unsafe { rdmsr(ARCH_CAPABILITIES) }
    } else {
        0
    }
}

/// CPUID.(EAX=7,ECX=0):EDX bit 29.
fn has_capabilities() -> bool {
    x86::cpuid::cpuid!(0).eax >= 7 && x86::cpuid::cpuid!(7, 0).edx & 1 << 29 != 0
}
