//! From the loader's jump to the first line of Rust: 32-bit protected mode without paging, to 64-bit mode in the upper half.
//!
//! The entry is the one of PVH (Xen's "HVM direct boot ABI"): flat 32-bit segments, paging off, `ebx` = physical address of
//! `hvm_start_info`. The boot page tables map the first 4 GiB three times with 2 MiB pages: at their own addresses (this code
//! and the start of the other CPUs run there), at the direct map's, and the first 1 GiB in the topmost 2 GiB, where the
//! kernel is linked. They are not W^X; they serve until [`crate::paging`] has built the real ones.

use core::arch::global_asm;

global_asm!(
    r#"
    /* XEN_ELFNOTE_PHYS32_ENTRY: where a PVH loader jumps to. */
    .section .note.pvh, "a", @note
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_entry

    .section .boot.text, "ax", @progbits
    .code32
    .global pvh_entry
pvh_entry:
    cli
    cld
    mov edi, ebx                       /* hvm_start_info: first argument of Rust */
    lea esp, [boot_stack_top]
    call boot_enter_long_mode          /* comes back in 64-bit mode */
    .code64
    mov edi, edi                       /* the upper half of rdi is not defined after the change of mode */
    mov rsp, offset boot_stack_top + {kernel_offset}
    xor ebp, ebp                       /* the first frame of every backtrace */
    mov rax, offset {start}
    call rax
    ud2

    /* Turns on paging and long mode and returns to its caller's next instruction in 64-bit mode. Used by every CPU. */
    .code32
    .global boot_enter_long_mode
boot_enter_long_mode:
    mov eax, 0x20                      /* CR4.PAE */
    mov cr4, eax
    lea eax, [boot_pml4]
    mov cr3, eax
    mov ecx, 0xc0000080                /* EFER: LME, NXE */
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, 0x80010001                /* CR0: PG, WP, PE */
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    pop edx                            /* the way back, as a far return */
    push 8
    push edx
    retf

    .section .boot.data, "aw", @progbits
    .balign 4096
    .global boot_pml4
boot_pml4:
    .quad boot_pdpt + 3
    .fill 255, 8, 0
    .quad boot_pdpt + 3                /* slot 256: the direct map */
    .fill 254, 8, 0
    .quad boot_pdpt_high + 3           /* slot 511: the kernel */
boot_pdpt:
    .quad boot_directories + 3
    .quad boot_directories + 0x1003
    .quad boot_directories + 0x2003
    .quad boot_directories + 0x3003
    .fill 508, 8, 0
boot_pdpt_high:
    .fill 510, 8, 0
    .quad boot_directories + 3
    .quad 0
boot_directories:
    .set address, 0
    .rept 2048
    .quad address + 0x83               /* present, writable, 2 MiB */
    .set address, address + 0x200000
    .endr

    .balign 16
    .global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff           /* 64-bit code */
    .quad 0x00cf93000000ffff           /* data */
    .quad 0x00cf9b000000ffff           /* 32-bit code, for CPUs that come from 16-bit mode */
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .long boot_gdt

    .balign 16
    .fill 32768, 1, 0
    .global boot_stack_top
boot_stack_top:
    .text
    "#,
    kernel_offset = const crate::paging::layout::KERNEL_OFFSET,
    start = sym super::start,
);
