# The program that makes random system calls: see fuzz.rs, which has its bytes (as fuzz.s -o fuzz.o; objcopy -O binary -j .text fuzz.o).
#
# It starts with a seed in rdi and a number of calls in rsi, keeps them in rbx and rbp, and the multiplier of its random numbers in rsp: the
# three registers that survive a system call. It has no stack. What would end it, or never come back, it leaves out.
.intel_syntax noprefix
# The next random number.
.macro step
  imul rbx, rsp
  add rbx, 0x3c6ef35f
.endm
# A handle that is likely to exist: a slot below 32, in its first generation.
.macro slot reg
  step
  mov \reg, rbx
  shr \reg, 59
  or \reg, 0x4000
.endm
# A number of any length, two in three times a whole number of pages.
.macro word reg
  step
  mov rcx, rbx
  shr rcx, 58
  mov \reg, rbx
  rol \reg, 13
  shr \reg, cl
  bt rbx, 40
  jc 1f
  shl \reg, 12
1:
.endm
start:
  mov rbx, rdi
  mov rbp, rsi
  movabs rsp, 0x5851f42d4c95
next:
  slot rdi
  slot rcx
  shl rcx, 32
  bt rbx, 50
  jc 1f
  or rdi, rcx
1:
  step
  mov rsi, rbx
  shr rsi, 32
  word rdx
  word r8
  word r9
  word r10
  word r12
  word r13
  word r14
  word r15
  # The send page: two handles, copied with all but `OWN`, and a lease.
  slot rax
  movabs rcx, 0x1000300000000
  or rcx, rax
  mov [0x20000f40], rcx
  mov [0x20000f48], rdi
  movabs rcx, 0xc00000000
  or rcx, rax
  mov [0x20000f60], rcx
  mov [0x20000f68], rdx
  mov [0x20000f70], r8
  shl rax, 32
  mov r11, rax
# The operation, but for kill, exit, start and suspend.
again:
  step
  mov rax, rbx
  shr rax, 56
  cmp al, 29
  je again
  cmp al, 30
  je again
  cmp al, 41
  je again
  cmp al, 42
  je again
  cmp al, 47
  je again
  # The length, and one time in two handles and leases.
  or rax, r11
  step
  mov rcx, rbx
  shr rcx, 57
  shl rcx, 8
  or rax, rcx
  mov rcx, rbx
  shr rcx, 20
  and rcx, 0x01600000
  bt rbx, 50
  jc 1f
  or rax, rcx
1:
  syscall
  dec rbp
  jnz next
  mov eax, 30
  mov edx, 7
  syscall
  ud2
