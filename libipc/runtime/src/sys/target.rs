//! The kernel itself. The only `SYSCALL` instruction of user space is here.

use super::{Arguments, Registers, operate};
use crate::block::ThreadBlock;
use crate::error::SysError;
use crate::message::Words;
use abi::layout::{PAGE_SIZE, TIME_PAGE_ADDRESS, TimePage};
use abi::{MessageInfo, Operation, syscall::MemoryKind, syscall::protection};
use core::arch::asm;

/// Enters the kernel.
#[inline(always)]
pub(crate) fn system_call(registers: &mut Registers) {
    let [
        mut w0,
        mut w1,
        mut w2,
        mut w3,
        mut w4,
        mut w5,
        mut w6,
        mut w7,
    ] = registers.words.to_words();
    // SAFETY: the kernel changes exactly the registers that are named here (decision 0001, section 1), and memory only in this thread's message
    // pages and the pages of Calls, which are reached through raw pointers, and in what the operation maps or unmaps, which its caller answers for.
    unsafe {
        asm!(
            "syscall",
            inout("rax") registers.rax,
            inout("rdi") registers.rdi,
            inout("rsi") registers.rsi,
            inout("rdx") w0,
            inout("r8") w1,
            inout("r9") w2,
            inout("r10") w3,
            inout("r12") w4,
            inout("r13") w5,
            inout("r14") w6,
            inout("r15") w7,
            lateout("rcx") _, lateout("r11") _,
            lateout("xmm0") _, lateout("xmm1") _, lateout("xmm2") _, lateout("xmm3") _,
            lateout("xmm4") _, lateout("xmm5") _, lateout("xmm6") _, lateout("xmm7") _,
            lateout("xmm8") _, lateout("xmm9") _, lateout("xmm10") _, lateout("xmm11") _,
            lateout("xmm12") _, lateout("xmm13") _, lateout("xmm14") _, lateout("xmm15") _,
            lateout("st(0)") _, lateout("st(1)") _, lateout("st(2)") _, lateout("st(3)") _,
            lateout("st(4)") _, lateout("st(5)") _, lateout("st(6)") _, lateout("st(7)") _,
            options(nostack),
        );
    }
    registers.words = Words::from_words([w0, w1, w2, w3, w4, w5, w6, w7]);
}

/// Enters the kernel for an operation without message, handles or results: no register but `rax` says anything, either way.
#[inline(always)]
pub(crate) fn system_call_bare(operation: Operation) -> MessageInfo {
    let mut rax = u64::from(operation as u8);
    // SAFETY: as for `system_call`; the registers of a message count as changed.
    unsafe {
        asm!(
            "syscall",
            inout("rax") rax,
            lateout("rdi") _, lateout("rsi") _, lateout("rdx") _,
            lateout("r8") _, lateout("r9") _, lateout("r10") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            lateout("rcx") _, lateout("r11") _,
            lateout("xmm0") _, lateout("xmm1") _, lateout("xmm2") _, lateout("xmm3") _,
            lateout("xmm4") _, lateout("xmm5") _, lateout("xmm6") _, lateout("xmm7") _,
            lateout("xmm8") _, lateout("xmm9") _, lateout("xmm10") _, lateout("xmm11") _,
            lateout("xmm12") _, lateout("xmm13") _, lateout("xmm14") _, lateout("xmm15") _,
            lateout("st(0)") _, lateout("st(1)") _, lateout("st(2)") _, lateout("st(3)") _,
            lateout("st(4)") _, lateout("st(5)") _, lateout("st(6)") _, lateout("st(7)") _,
            options(nostack),
        );
    }
    MessageInfo(rax as u32)
}

/// This thread's block, found through the fs base.
#[inline(always)]
pub(crate) fn block() -> &'static ThreadBlock {
    let block: *const ThreadBlock;
    // SAFETY: `set_block` ran in this thread before any function that calls this one was entered (the functions behind it are never inlined into the
    // one that sets the block) and stored at fs:0 the block's own address, which never changes afterwards, so the read depends on nothing and may be
    // done once for many; blocks are never freed while their thread runs.
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) block, options(pure, nomem, nostack, preserves_flags));
        &*block
    }
}

/// Makes `block` this thread's.
pub(crate) fn set_block(block: &'static ThreadBlock) {
    block.remember_address();
    // SAFETY: the kernel enables FSGSBASE, and nothing else uses the fs base (the target has no thread-local storage).
    unsafe {
        asm!("wrfsbase {}", in(reg) block as *const ThreadBlock, options(nostack, preserves_flags))
    };
}

/// The time page.
pub(crate) fn time_page() -> &'static TimePage {
    // SAFETY: the kernel maps a time page, aligned and read-only, at this address in every process, for ever, and does not change it.
    unsafe { &*(TIME_PAGE_ADDRESS as *const TimePage) }
}

/// The processor's time-stamp counter.
#[inline(always)]
pub(crate) fn counter() -> u64 {
    // SAFETY: RDTSC has no effect but its result; user space may use it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Nanoseconds since boot.
pub(crate) fn now_ns() -> u64 {
    let page = time_page();
    let ticks = counter().saturating_sub(page.tsc_at_boot);
    ((u128::from(ticks) * u128::from(page.multiplier)) >> 32) as u64
}

/// Maps memory at an address that the runtime chooses.
pub(crate) fn map(
    memory: abi::Handle,
    offset: u64,
    length: u64,
    protection: u64,
) -> Result<*mut u8, SysError> {
    let address = crate::space::take(length)?;
    let arguments = Arguments {
        a: crate::boot::own_process().0,
        b: memory.0,
        s: protection,
        words: [address, offset, length, 0, 0, 0, 0, 0],
        ..Arguments::default()
    };
    match operate(Operation::ProcessMap, arguments) {
        Ok(_) => Ok(address as *mut u8),
        Err(error) => {
            crate::space::give_back(address, length);
            Err(error)
        }
    }
}

/// Ends a mapping made by [`map`]. The caller has no reference into it any more.
pub(crate) fn unmap(address: *mut u8, length: u64) {
    let arguments = Arguments {
        a: crate::boot::own_process().0,
        words: [address as u64, length, 0, 0, 0, 0, 0, 0],
        ..Arguments::default()
    };
    if operate(Operation::ProcessUnmap, arguments).is_ok() {
        crate::space::give_back(address as u64, length);
    }
}

/// An address for the message page of a Call, which the kernel is going to map there.
pub(crate) fn allocate_page() -> Result<*mut u8, SysError> {
    crate::space::take(PAGE_SIZE as u64).map(|address| address as *mut u8)
}

/// Fresh zeroed memory, readable and writable, that stays mapped for ever.
pub(crate) fn grow(length: u64) -> Result<*mut u8, SysError> {
    let made = operate(
        Operation::MemoryCreate,
        Arguments {
            words: [length, MemoryKind::Anonymous as u64, 0, 0, 0, 0, 0, 0],
            ..Arguments::default()
        },
    )?;
    let memory = abi::Handle(made.rdi as u32);
    let mapped = map(memory, 0, length, protection::READ | protection::WRITE);
    // The mapping keeps the memory; the handle is not needed any more, and if closing it failed there would be nothing to do about it.
    let _ = operate(
        Operation::HandleClose,
        Arguments {
            a: memory.0,
            ..Arguments::default()
        },
    );
    mapped
}

/// Faults: the kernel freezes the thread and tells the supervisor.
pub(crate) fn fault() -> ! {
    // SAFETY: `ud2` has no effect but the fault.
    unsafe { asm!("ud2", options(noreturn, nostack)) }
}
