//! What the kernel tells a supervisor about a thread that can't go on, and how a process ended.

/// The kinds of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the processor's")]
pub enum FaultKind {
    PageFault = 1,
    GeneralProtection = 2,
    InvalidOpcode = 3,
    DivideError = 4,
    Breakpoint = 5,
    Debug = 6,
    StackSegment = 7,
    FloatingPoint = 8,
    Alignment = 9,
    /// Anonymous memory could not be filled: the quota is used up.
    OutOfMemory = 10,
    Other = 11,
}

impl FaultKind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::PageFault,
            2 => Self::GeneralProtection,
            3 => Self::InvalidOpcode,
            4 => Self::DivideError,
            5 => Self::Breakpoint,
            6 => Self::Debug,
            7 => Self::StackSegment,
            8 => Self::FloatingPoint,
            9 => Self::Alignment,
            10 => Self::OutOfMemory,
            11 => Self::Other,
            _ => return None,
        })
    }
}

/// The eight words of a fault call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultMessage {
    /// What happened.
    pub kind: FaultKind,
    /// The address that was touched; 0 if the fault has none.
    pub address: u64,
    /// Where the thread stands.
    pub instruction_pointer: u64,
    /// Its stack pointer.
    pub stack_pointer: u64,
    /// The processor's error code.
    pub error_code: u64,
    /// The thread's number in its process.
    pub thread: u64,
}

impl FaultMessage {
    /// As message words.
    pub const fn to_words(self) -> [u64; 8] {
        [
            self.kind as u64,
            self.address,
            self.instruction_pointer,
            self.stack_pointer,
            self.error_code,
            self.thread,
            0,
            0,
        ]
    }

    /// From message words; `None` if the kind is unknown.
    pub const fn from_words(words: [u64; 8]) -> Option<Self> {
        if words[0] > 0xff {
            return None;
        }
        match FaultKind::from_number(words[0] as u8) {
            Some(kind) => Some(Self {
                kind,
                address: words[1],
                instruction_pointer: words[2],
                stack_pointer: words[3],
                error_code: words[4],
                thread: words[5],
            }),
            None => None,
        }
    }
}
