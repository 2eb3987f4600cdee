//! Which handles each operation takes, with which rights, and how many it returns.

use abi::{Operation, Rights};

use crate::object::header::Kind;

/// A handle that an operation takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// None.
    Absent,
    /// One of this kind.
    Needed(Kind, Rights),
    /// One of this kind, or 0.
    Optional(Kind, Rights),
    /// One of any kind.
    Any(Rights),
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

/// The signature of an operation. Those that are not here take none, or resolve their handles themselves.
pub const fn of(operation: Operation) -> Signature {
    use Operation as Op;
    use Parameter::{Absent, Any, Needed, Optional};
    let none = Rights::empty();
    let (a, b, results) = match operation {
        Op::HandleClose | Op::HandleInfo => (Any(none), Absent, 0),
        Op::HandleDuplicate => (Any(Rights::DUPLICATE), Absent, 1),
        Op::ProcessCreate => (Needed(Kind::Quota, Rights::MANAGE), Optional(Kind::Connection, Rights::CALL), 1),
        Op::ProcessMap => (Needed(Kind::Process, Rights::MAP), Needed(Kind::Memory, Rights::MAP), 0),
        Op::ProcessUnmap | Op::ProcessProtect => (Needed(Kind::Process, Rights::MAP), Absent, 0),
        Op::ProcessGrant => (Needed(Kind::Process, Rights::MANAGE), Any(Rights::TRANSFER), 0),
        Op::ProcessKill | Op::ProcessMove => (Needed(Kind::Process, Rights::MANAGE), Absent, 0),
        Op::ProcessInfo => (Needed(Kind::Process, Rights::INSPECT), Absent, 0),
        Op::ProcessThread => (Needed(Kind::Process, Rights::INSPECT.union(Rights::MANAGE)), Absent, 1),
        Op::ProcessRead => (Needed(Kind::Process, Rights::READ), Absent, 0),
        Op::ProcessWrite => (Needed(Kind::Process, Rights::WRITE), Absent, 0),
        Op::ThreadCreate => (Needed(Kind::Process, Rights::MANAGE), Absent, 1),
        Op::ThreadStart | Op::ThreadSuspend | Op::ThreadResume | Op::ThreadPriority => {
            (Needed(Kind::Thread, Rights::MANAGE), Absent, 0)
        }
        Op::ThreadRegisters => (Needed(Kind::Thread, Rights::READ), Absent, 0),
        Op::ThreadSetRegisters => (Needed(Kind::Thread, Rights::WRITE), Absent, 0),
        Op::ThreadInfo => (Needed(Kind::Thread, Rights::INSPECT), Absent, 0),
        Op::EndpointMint => (Needed(Kind::Endpoint, Rights::MINT), Absent, 2),
        Op::ConnectionRevoke => (Needed(Kind::Connection, Rights::REVOKE), Absent, 0),
        Op::EndpointInfo => (Needed(Kind::Endpoint, Rights::INSPECT), Absent, 0),
        Op::CallCreate => (Needed(Kind::Endpoint, Rights::RECEIVE), Absent, 1),
        Op::NotificationSignal => (Needed(Kind::Notification, Rights::SIGNAL), Absent, 0),
        Op::NotificationWait | Op::NotificationPoll => (Needed(Kind::Notification, Rights::WAIT), Absent, 0),
        Op::NotificationBind => (Needed(Kind::Notification, Rights::WAIT), Needed(Kind::Endpoint, Rights::RECEIVE), 0),
        Op::MemoryResize => (Needed(Kind::Memory, Rights::MANAGE), Absent, 0),
        Op::MemoryInfo => (Needed(Kind::Memory, Rights::INSPECT), Absent, 0),
        Op::CapsuleMemory => (Needed(Kind::Capsule, Rights::READ), Absent, 1),
        Op::CapsuleKeep => (Needed(Kind::Capsule, Rights::WRITE), Any(Rights::TRANSFER.union(Rights::DUPLICATE)), 0),
        Op::CapsuleTake => (Needed(Kind::Capsule, Rights::READ), Absent, 1),
        Op::CapsuleClear => (Needed(Kind::Capsule, Rights::WRITE), Absent, 0),
        Op::InterruptBind => (Needed(Kind::Interrupt, Rights::MANAGE), Needed(Kind::Notification, Rights::SIGNAL), 0),
        Op::InterruptAcknowledge => (Needed(Kind::Interrupt, Rights::SIGNAL), Absent, 0),
        Op::IoSpaceMap => (Needed(Kind::IoSpace, Rights::MAP), Needed(Kind::Memory, Rights::MAP), 0),
        Op::IoSpaceUnmap => (Needed(Kind::IoSpace, Rights::MAP), Absent, 0),
        Op::IoSpaceRelease => (Needed(Kind::IoSpace, Rights::REVOKE), Absent, 0),
        Op::IoPortsEnable => (Needed(Kind::IoPorts, Rights::MAP), Absent, 0),
        Op::QuotaSplit => (Needed(Kind::Quota, Rights::MANAGE), Absent, 1),
        Op::QuotaRead => (Needed(Kind::Quota, Rights::INSPECT), Absent, 0),
        Op::QuotaClose => (Needed(Kind::Quota, Rights::OWN), Absent, 0),
        Op::HardwareInterrupt | Op::HardwareMemory | Op::HardwareIoSpace | Op::HardwarePorts => {
            (Needed(Kind::Hardware, Rights::MANAGE), Absent, 1)
        }
        Op::HardwareLog => (Needed(Kind::Hardware, Rights::MANAGE), Absent, 0),
        Op::HardwareCpu => (Needed(Kind::Hardware, Rights::INSPECT), Absent, 0),
        Op::HardwareIdle => (Needed(Kind::Hardware, Rights::INSPECT), Needed(Kind::Notification, Rights::SIGNAL), 0),
        Op::EndpointCreate | Op::NotificationCreate | Op::MemoryCreate | Op::CapsuleCreate => (Absent, Absent, 1),
        _ => (Absent, Absent, 0),
    };
    Signature { a, b, results }
}
