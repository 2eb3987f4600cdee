//! The table of system calls: which handles each takes, with which rights, how many it returns, and who performs it.

use abi::{Operation, Outcome, Rights};

use super::{Next, Operands, Stop};
use crate::object::Kind;
use crate::{Kernel, Machine};

/// A handle that an operation takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// None.
    Absent,
    /// One of this kind, or of any.
    Needed(Option<Kind>, Rights),
    /// One of this kind, or 0.
    Optional(Kind, Rights),
}

/// The handles of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature {
    /// The low half of `rdi`.
    pub a: Parameter,
    /// The high half.
    pub b: Parameter,
    /// Handles that it returns, at most.
    pub results: u32,
}

macro_rules! parameter {
    (nothing) => { Parameter::Absent };
    (anything [$($right:ident)*]) => { Parameter::Needed(None, parameter!(rights $($right)*)) };
    ($kind:ident [$($right:ident)*]) => { Parameter::Needed(Some(Kind::$kind), parameter!(rights $($right)*)) };
    ($kind:ident [$($right:ident)*] or nothing) => { Parameter::Optional(Kind::$kind, parameter!(rights $($right)*)) };
    (rights $($right:ident)*) => { Rights::empty()$(.union(Rights::$right))* };
}

macro_rules! system_calls {
    ($($operation:ident($a:ident $([$($a_right:ident)*])? $(or $a_else:ident)?, $b:ident $([$($b_right:ident)*])? $(or $b_else:ident)?) -> $results:literal = $handler:ident;)*) => {
        /// The signature of an operation. Those that are not in the table resolve their handles themselves.
        pub const fn of(operation: Operation) -> Signature {
            match operation {
                $(Operation::$operation => Signature {
                    a: parameter!($a $([$($a_right)*])? $(or $a_else)?),
                    b: parameter!($b $([$($b_right)*])? $(or $b_else)?),
                    results: $results,
                },)*
                _ => Signature { a: Parameter::Absent, b: Parameter::Absent, results: 0 },
            }
        }

        impl<M: Machine> Kernel<M> {
            /// Performs a system call whose handles are resolved.
            pub(super) fn run(&self, operation: Operation, operands: &Operands<'_>) -> Result<Next, Stop> {
                match operation {
                    $(Operation::$operation => self.$handler(operands),)*
                    _ => Err(Stop::Refused(Outcome::BadOperation)),
                }
            }
        }
    };
}

system_calls! {
    HandleClose(anything [], nothing) -> 0 = handle_close;
    HandleDuplicate(anything [DUPLICATE], nothing) -> 1 = handle_duplicate;
    HandleInfo(anything [], nothing) -> 0 = handle_info;
    ProcessCreate(Quota [MANAGE], Connection [CALL] or nothing) -> 1 = process_create;
    ProcessMap(Process [MAP], Memory [MAP]) -> 0 = process_map;
    ProcessUnmap(Process [MAP], nothing) -> 0 = process_unmap;
    ProcessProtect(Process [MAP], nothing) -> 0 = process_protect;
    ProcessGrant(Process [MANAGE], anything [TRANSFER]) -> 0 = process_grant;
    ProcessKill(Process [MANAGE], nothing) -> 0 = process_kill;
    ProcessExit(nothing, nothing) -> 0 = process_exit;
    ProcessMove(Process [MANAGE], nothing) -> 0 = process_move;
    ProcessInfo(Process [INSPECT], nothing) -> 0 = process_info;
    ProcessThread(Process [INSPECT MANAGE], nothing) -> 1 = process_thread;
    ProcessRead(Process [READ], nothing) -> 0 = process_read;
    ProcessWrite(Process [WRITE], nothing) -> 0 = process_write;
    ProcessBudget(Process [OWN], nothing) -> 0 = process_budget;
    ThreadCreate(Process [MANAGE], nothing) -> 1 = thread_create;
    ThreadStart(Thread [MANAGE], nothing) -> 0 = thread_start;
    ThreadSuspend(Thread [MANAGE], nothing) -> 0 = thread_suspend;
    ThreadResume(Thread [MANAGE], nothing) -> 0 = thread_resume;
    ThreadPriority(Thread [MANAGE], nothing) -> 0 = thread_priority;
    ThreadRegisters(Thread [READ], nothing) -> 0 = thread_registers;
    ThreadSetRegisters(Thread [WRITE], nothing) -> 0 = thread_set_registers;
    ThreadExit(nothing, nothing) -> 0 = thread_exit;
    ThreadInfo(Thread [INSPECT], nothing) -> 0 = thread_info;
    EndpointCreate(Quota [MANAGE] or nothing, nothing) -> 1 = endpoint_create;
    EndpointMint(Endpoint [MINT], Quota [MANAGE] or nothing) -> 2 = endpoint_mint;
    ConnectionRevoke(Connection [REVOKE], nothing) -> 0 = connection_revoke;
    EndpointInfo(Endpoint [INSPECT], nothing) -> 0 = endpoint_info;
    CallCreate(Endpoint [RECEIVE], nothing) -> 1 = call_create;
    LeaseCopy(Memory [] or nothing, Reply []) -> 0 = lease_copy;
    NotificationCreate(Quota [MANAGE] or nothing, nothing) -> 1 = notification_create;
    NotificationSignal(Notification [SIGNAL], nothing) -> 0 = notification_signal;
    NotificationWait(Notification [WAIT], nothing) -> 0 = notification_wait;
    NotificationPoll(Notification [WAIT], nothing) -> 0 = notification_poll;
    NotificationBind(Notification [WAIT], Endpoint [RECEIVE]) -> 0 = notification_bind;
    MemoryCreate(Quota [MANAGE] or nothing, nothing) -> 1 = memory_create;
    MemoryResize(Memory [MANAGE], nothing) -> 0 = memory_resize;
    MemoryInfo(Memory [INSPECT], nothing) -> 0 = memory_info;
    CapsuleCreate(Quota [MANAGE] or nothing, nothing) -> 1 = capsule_create;
    CapsuleMemory(Capsule [READ], nothing) -> 1 = capsule_memory;
    CapsuleKeep(Capsule [WRITE], anything [TRANSFER DUPLICATE]) -> 0 = capsule_keep;
    CapsuleTake(Capsule [READ], nothing) -> 1 = capsule_take;
    CapsuleClear(Capsule [WRITE], nothing) -> 0 = capsule_clear;
    InterruptBind(Interrupt [MANAGE], Notification [SIGNAL]) -> 0 = interrupt_bind;
    InterruptAcknowledge(Interrupt [SIGNAL], nothing) -> 0 = interrupt_acknowledge;
    IoSpaceMap(IoSpace [MAP], Memory [MAP]) -> 0 = io_space_map;
    IoSpaceUnmap(IoSpace [MAP], nothing) -> 0 = io_space_unmap;
    IoSpaceRelease(IoSpace [REVOKE], nothing) -> 0 = io_space_release;
    IoPortsEnable(IoPorts [MAP], nothing) -> 0 = io_ports_enable;
    QuotaSplit(Quota [MANAGE], nothing) -> 1 = quota_split;
    QuotaRead(Quota [INSPECT], nothing) -> 0 = quota_read;
    QuotaClose(Quota [OWN], nothing) -> 0 = quota_close;
    HardwareInterrupt(Hardware [MANAGE], nothing) -> 1 = hardware_interrupt;
    HardwareMemory(Hardware [MANAGE], nothing) -> 1 = hardware_memory;
    HardwareIoSpace(Hardware [MANAGE], nothing) -> 1 = hardware_io_space;
    HardwarePorts(Hardware [MANAGE], nothing) -> 1 = hardware_ports;
    HardwareLog(Hardware [MANAGE], nothing) -> 0 = hardware_log;
    HardwareCpu(Hardware [INSPECT], nothing) -> 0 = hardware_cpu;
    HardwareIdle(Hardware [INSPECT], Notification [SIGNAL]) -> 0 = hardware_idle;
}
