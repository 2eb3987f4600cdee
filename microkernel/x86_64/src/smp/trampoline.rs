//! The first steps of a CPU that another one started: from 16-bit mode to Rust.
//!
//! The CPUs come one after the other, so they share the boot stack and the words in which the next one finds its number.

use crate::paging::direct;
use crate::paging::layout::KERNEL_OFFSET;
use crate::paging::stacks;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// The page tables that a new CPU changes to.
static ROOT: AtomicU64 = AtomicU64::new(0);
/// Where its stack starts.
static STACK: AtomicU64 = AtomicU64::new(0);
/// Its number plus one, taken by the CPU that comes; 0 if none is wanted.
static WANTED: AtomicU64 = AtomicU64::new(0);

global_asm!(
    r#"
    .section .rodata.trampoline, "a", @progbits
    .code16
    .global trampoline_start
trampoline_start:                       /* in its page below 1 MiB: cs = page / 16, ip = 0 */
    cli
    cld
    mov ax, cs
    mov ds, ax
    .byte 0x66, 0x0f, 0x01, 0x16        /* lgdt with a 32-bit base, from ds:disp16 */
    .word trampoline_gdt - trampoline_start
    mov eax, cr0
    or al, 1                            /* protected mode, paging off */
    mov cr0, eax
    .byte 0x66, 0xea                    /* far jump with a 32-bit offset, to flat 32-bit code */
    .long started_protected
    .word 0x18
trampoline_gdt:
    .word 31
    .long boot_gdt
    .global trampoline_end
trampoline_end:

    .section .boot.text, "ax", @progbits
    .code32
started_protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    lea esp, [boot_stack_top]
    call boot_enter_long_mode           /* comes back in 64-bit mode */
    .code64
    mov rax, offset started_high        /* only the upper half stays mapped */
    jmp rax

    .text
started_high:
    xor ecx, ecx
    xchg rcx, [rip + {wanted}]          /* this CPU's number plus one */
    test rcx, rcx
    jz 2f
    mov rax, [rip + {root}]
    mov rsp, [rip + {stack}]
    mov cr3, rax
    lea rdi, [rcx - 1]
    xor ebp, ebp
    call {start}
2:  cli                                 /* came too late: not wanted any more */
    hlt
    jmp 2b
    "#,
    wanted = sym WANTED,
    root = sym ROOT,
    stack = sym STACK,
    start = sym crate::start_other_cpu,
);

unsafe extern "C" {
    #[link_name = "trampoline_start"]
    safe static START: u8;
    #[link_name = "trampoline_end"]
    safe static END: u8;
}

/// Puts the 16-bit code into the page at `page`.
pub fn install(page: u64, root: u64) {
    ROOT.store(root, Ordering::Relaxed);
    let length = (&raw const END) as usize - (&raw const START) as usize;
    let Some(target) = direct::pointer(page, length as u64) else {
        return;
    };
    // SAFETY: the page is free memory below 1 MiB and mapped; the code is shorter than a page.
    unsafe { target.copy_from_nonoverlapping(&raw const START, length) };
}

/// Makes everything ready for the CPU that will have this number.
pub fn prepare(number: usize) {
    STACK.store(stacks::kernel_stack_top(number), Ordering::Relaxed);
    WANTED.store(number as u64 + 1, Ordering::Release);
}

/// Takes the word back; whether that was in time.
pub fn cancel() -> bool {
    WANTED.swap(0, Ordering::AcqRel) != 0
}

const _: () = assert!(KERNEL_OFFSET == 0xffff_ffff_8000_0000, "the code model and the linker script rely on it");
