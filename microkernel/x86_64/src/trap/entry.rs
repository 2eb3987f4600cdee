//! The ways into the kernel and out of it, in assembly.
//!
//! From user mode all ways save the registers in the context of the current thread (`CpuLocal::current`), never on a stack,
//! and continue in Rust on the CPU's one kernel stack, which is empty at every entry. Rust answers with the context to go on
//! with, and the way out loads it. Nothing of the kernel's is left in a register: every one is loaded from the context, and
//! vector registers are [`crate::cpu::vectors`]' business.
//!
//! The kernel runs with interrupts off; it lets them in only while it idles (or polls), where nothing needs to be kept: an
//! interrupt from kernel mode starts over with an empty stack.
//!
//! Entries that can come at any instruction (NMI, machine check, debug, double fault) have stacks of their own. They do not
//! look at whether GS is the kernel's: the top of their stack says which CPU this is.

use super::dispatch;
use super::unmaskable;
use crate::cpu::local::CpuLocal;
use crate::cpu::segments::{USER_CODE, USER_DATA};
use crate::cpu::vectors::SAVED;
use core::arch::global_asm;
use core::mem::offset_of;
use kernel_core::machine::UserContext;

const WORDS: usize = offset_of!(UserContext, words);

global_asm!(
    r#"
    .section .text.entry, "ax", @progbits

    /* SYSCALL: rcx = return address, r11 = flags; interrupts are off (FMASK); all else is the user's. */
    .balign 64
    .global system_call_entry
system_call_entry:
    swapgs                              /* GS: the CPU's area */
    mov gs:[{scratch}], rsp
    mov rsp, gs:[{current}]             /* not a stack: a base register that holds nothing of the user's */
    mov [rsp + {rip}], rcx
    mov [rsp + {rflags}], r11
    mov rcx, gs:[{scratch}]
    mov [rsp + {user_rsp}], rcx
    rdfsbase rcx
    mov [rsp + {fs_base}], rcx
    mov [rsp + {info}], rax
    mov [rsp + {handles}], rdi
    mov [rsp + {argument}], rsi
    mov [rsp + {word0}], rdx            /* the words of the message, in its order */
    mov [rsp + {word1}], r8
    mov [rsp + {word2}], r9
    mov [rsp + {word3}], r10
    mov [rsp + {word4}], r12
    mov [rsp + {word5}], r13
    mov [rsp + {word6}], r14
    mov [rsp + {word7}], r15
    mov [rsp + {rbx}], rbx
    mov [rsp + {rbp}], rbp
    mov qword ptr [rsp + {entered}], {by_syscall}
    mov rsp, gs:[{stack_top}]
    xor ebp, ebp                        /* backtraces end here */
    call {system_call}                  /* rax, rdx: what to go on with */

    /* The way out: rax = the context to load, rdx = where the words of the message are. */
leave_kernel:
    mov r8, [rdx + {word1}]
    mov r9, [rdx + {word2}]
    mov r10, [rdx + {word3}]
    mov r12, [rdx + {word4}]
    mov r13, [rdx + {word5}]
    mov r14, [rdx + {word6}]
    mov r15, [rdx + {word7}]
    mov rdx, [rdx + {word0}]
    mov rdi, [rax + {handles}]
    mov rsi, [rax + {argument}]
    mov rbx, [rax + {rbx}]
    mov rbp, [rax + {rbp}]
    mov rcx, [rax + {rip}]
    cmp qword ptr [rax + {entered}], {by_syscall}
    jne 2f                              /* interrupted: rcx and r11 count */
    bt rcx, 47                          /* SYSRET to an address that is not the user's faults in ring 0 on some */
    jc 2f                               /* processors: such a one goes by IRETQ */
    mov r11, [rax + {rflags}]
    mov rsp, [rax + {user_rsp}]
    mov rax, [rax + {info}]
    swapgs                              /* NMI and the like use stacks of their own, so this stack pointer is harmless */
    sysretq

    /* The way out for an interrupted thread: an IRETQ frame on the kernel's stack. */
2:  push {user_data}
    push qword ptr [rax + {user_rsp}]
    push qword ptr [rax + {rflags}]
    push {user_code}
    push rcx
    mov rcx, [rax + {saved_rcx}]
    mov r11, [rax + {saved_r11}]
    mov rax, [rax + {info}]
    swapgs
leave_by_iret:
    iretq                               /* faults if the address is not canonical: see bad_return */

    /* Called from Rust with a context (rdi): leaves the kernel for it. */
    .global leave_kernel_for
leave_kernel_for:
    mov rax, rdi
    mov rdx, rdi
    mov rsp, gs:[{stack_top}]
    jmp leave_kernel

    /* Interrupts and exceptions: [rsp] = vector, error code, rip, cs, rflags, rsp, ss. */
interrupt_common:
    test byte ptr [rsp + 24], 3
    jz interrupt_from_kernel
    swapgs
    mov gs:[{scratch}], rdi
    mov rdi, gs:[{current}]
    mov [rdi + {info}], rax
    mov rax, gs:[{scratch}]
    mov [rdi + {handles}], rax
    mov [rdi + {argument}], rsi
    mov [rdi + {word0}], rdx
    mov [rdi + {word1}], r8
    mov [rdi + {word2}], r9
    mov [rdi + {word3}], r10
    mov [rdi + {word4}], r12
    mov [rdi + {word5}], r13
    mov [rdi + {word6}], r14
    mov [rdi + {word7}], r15
    mov [rdi + {rbx}], rbx
    mov [rdi + {rbp}], rbp
    mov [rdi + {saved_rcx}], rcx
    mov [rdi + {saved_r11}], r11
    mov rax, [rsp + 16]
    mov [rdi + {rip}], rax
    mov rax, [rsp + 32]
    mov [rdi + {rflags}], rax
    mov rax, [rsp + 40]
    mov [rdi + {user_rsp}], rax
    rdfsbase rax
    mov [rdi + {fs_base}], rax
    mov qword ptr [rdi + {entered}], {by_interrupt}
    fxsave64 [rdi + {vector}]
    mov qword ptr [rdi + {vector_saved}], 1
    mov edi, [rsp]                      /* first argument: the vector */
    mov rsi, [rsp + 8]                  /* second: the error code */
    mov rsp, gs:[{stack_top}]           /* the debug exception comes on a stack of its own */
    push 2                              /* alignment check and direction are not the user's in here */
    popfq
    xor ebp, ebp
    call {from_user}
    jmp leave_kernel

    /* In kernel mode there are interrupts only while it idles, and exceptions only by mistake. */
interrupt_from_kernel:
    cmp dword ptr [rsp], 32
    jae 3f
    push rax
    lea rax, [rip + leave_by_iret]
    cmp [rsp + 24], rax
    pop rax
    je bad_return
    sub rsp, 120                        /* the registers, for the panic's dump */
    mov [rsp], rax
    mov [rsp + 8], rbx
    mov [rsp + 16], rcx
    mov [rsp + 24], rdx
    mov [rsp + 32], rsi
    mov [rsp + 40], rdi
    mov [rsp + 48], rbp
    mov [rsp + 56], r8
    mov [rsp + 64], r9
    mov [rsp + 72], r10
    mov [rsp + 80], r11
    mov [rsp + 88], r12
    mov [rsp + 96], r13
    mov [rsp + 104], r14
    mov [rsp + 112], r15
    mov rdi, rsp
    and rsp, -16
    call {from_kernel}
    ud2

    /* An interrupt while idle: the stack holds nothing of value. */
3:  mov edi, [rsp]
    mov rsp, gs:[{stack_top}]
    xor ebp, ebp
    call {while_idle}
    jmp leave_kernel

    /* IRETQ refused the thread's state. Its context is as it was, so this counts as the thread's own exception. */
bad_return:
    swapgs                              /* leave_kernel had given GS back */
    mov edi, [rsp]
    mov rsi, [rsp + 8]
    mov rsp, gs:[{stack_top}]
    xor ebp, ebp
    call {from_user}
    jmp leave_kernel

    /* Idle: interrupts on, halted; whatever comes starts over. */
    .global idle
idle:
    mov rsp, gs:[{stack_top}]
4:  sti
    hlt
    jmp 4b

    /* Lets pending interrupts in, each of which starts over, then returns. */
    .global poll
poll:
    sti
    nop                                 /* interrupts are recognised after the instruction that follows STI */
    cli
    ret

    /* NMI, machine check, double fault, and debug exceptions of the kernel: [rsp] = vector, error code, frame. */
unmaskable_common:
    test byte ptr [rsp + 24], 3
    jz 5f
    cmp dword ptr [rsp], 1
    je interrupt_common                 /* a debug exception of user mode is an exception like any other */
5:  cld
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push rbx
    rdgsbase rbx                        /* whoever's it was */
    mov rax, rsp
    or rax, {stack_mask}                /* the last word below the top of this stack's slot is the CPU's area */
    mov rax, [rax - 15]
    wrgsbase rax
    lea rdi, [rsp + 80]
    push rbp
    mov rbp, rsp
    and rsp, -16
    call {unmaskable}
    mov rsp, rbp
    pop rbp
    wrgsbase rbx
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

    /* A stub of 16 bytes for each vector: gives those without an error code a zero, and says which vector it is. */
    .balign 64
    .global interrupt_stubs
interrupt_stubs:
    .set number, 0
    .rept 256
    .balign 16
    .if !((number == 8) || ((number >= 10) && (number <= 14)) || (number == 17) || (number == 21) || (number == 29) || (number == 30))
    push 0
    .endif
    push number
    .if (number == 1) || (number == 2) || (number == 8) || (number == 18)
    jmp unmaskable_common
    .else
    jmp interrupt_common
    .endif
    .set number, number + 1
    .endr
    .text
    "#,
    scratch = const offset_of!(CpuLocal, scratch),
    current = const offset_of!(CpuLocal, current),
    stack_top = const offset_of!(CpuLocal, stack_top),
    info = const offset_of!(UserContext, info),
    handles = const offset_of!(UserContext, handles),
    argument = const offset_of!(UserContext, argument),
    word0 = const WORDS,
    word1 = const WORDS + 8,
    word2 = const WORDS + 16,
    word3 = const WORDS + 24,
    word4 = const WORDS + 32,
    word5 = const WORDS + 40,
    word6 = const WORDS + 48,
    word7 = const WORDS + 56,
    rbx = const offset_of!(UserContext, rbx),
    rbp = const offset_of!(UserContext, rbp),
    user_rsp = const offset_of!(UserContext, rsp),
    rip = const offset_of!(UserContext, rip),
    rflags = const offset_of!(UserContext, rflags),
    saved_rcx = const offset_of!(UserContext, rcx),
    saved_r11 = const offset_of!(UserContext, r11),
    fs_base = const offset_of!(UserContext, fs_base),
    entered = const offset_of!(UserContext, entered),
    vector = const offset_of!(UserContext, vector),
    vector_saved = const offset_of!(UserContext, machine) + 8 * SAVED,
    by_syscall = const UserContext::BY_SYSCALL,
    by_interrupt = const UserContext::BY_INTERRUPT,
    user_code = const USER_CODE,
    user_data = const USER_DATA,
    stack_mask = const crate::paging::stacks::SLOT - 1,
    system_call = sym dispatch::system_call,
    from_user = sym dispatch::from_user,
    from_kernel = sym dispatch::from_kernel,
    while_idle = sym dispatch::while_idle,
    unmaskable = sym unmaskable::handle,
);

unsafe extern "C" {
    #[link_name = "system_call_entry"]
    safe static SYSTEM_CALL_ENTRY: u8;
    #[link_name = "interrupt_stubs"]
    safe static INTERRUPT_STUBS: u8;
    /// Idles for ever.
    pub(super) fn idle() -> !;
    /// Lets pending interrupts in, which may never return, or returns.
    pub(super) fn poll();
    /// Leaves the kernel for a thread.
    pub(super) fn leave_kernel_for(context: *const UserContext) -> !;
}

/// Where SYSCALL leads.
pub fn system_call_entry() -> u64 {
    (&raw const SYSTEM_CALL_ENTRY) as u64
}

/// Where a vector leads.
pub(super) fn stub(vector: u8) -> u64 {
    (&raw const INTERRUPT_STUBS) as u64 + 16 * u64::from(vector)
}
