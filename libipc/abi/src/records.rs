//! Records that system calls fill in or read in a message page.

/// A thread's registers, as `ThreadRegisters` writes them to the caller's receive page and `ThreadSetRegisters` reads them from its send page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "the names are the processor's")]
pub struct ThreadRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub fs_base: u64,
}

/// What a process is doing: bits 0–7 of word 0 of `ProcessInfo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum ProcessState {
    /// It has no started thread yet, or runs.
    Alive = 0,
    /// It is being taken apart.
    Dying = 1,
    /// It is gone; the record is left.
    Dead = 2,
}

/// Why a process ended: bits 8–15 of word 0 of `ProcessInfo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum DeathCause {
    /// It has not ended.
    None = 0,
    /// It called `ProcessExit`; the code is the exit status.
    Exited = 1,
    /// Somebody called `ProcessKill`; the code is theirs.
    Killed = 2,
    /// Its quota was closed.
    QuotaClosed = 3,
    /// It faulted and had no fault connection (or a dead one); the code is the [`FaultKind`](crate::FaultKind).
    Faulted = 4,
}

/// What a thread is doing: bits 0–7 of word 0 of `ThreadInfo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum ThreadState {
    /// Made, not yet started.
    Created = 0,
    /// Running, or waiting for the CPU.
    Ready = 1,
    /// In `call`.
    Calling = 2,
    /// In `receive` on an endpoint.
    Receiving = 3,
    /// In `notification_wait`.
    Waiting = 4,
    /// Frozen by a fault.
    Faulted = 5,
    /// Suspended.
    Suspended = 6,
    /// Ended.
    Dead = 7,
}
