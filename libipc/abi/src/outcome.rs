//! What a system call, a call and a wait can end with.

/// The low byte of `rax` after a system call.
///
/// 0–15 are ends of calls and waits, 16 and up are refusals that had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Done; for a call: the reply is here.
    Ok = 0,
    /// The server never had the call. Detail: [`NotDelivered`].
    NotDelivered = 1,
    /// The server had the call and died, or dropped it: what it did is unknown. Word 0: incarnation that had it.
    Interrupted = 2,
    /// The deadline passed. Detail of a call: 1 if the server had it.
    DeadlinePassed = 3,
    /// The call was cancelled. Detail: 1 if the server had it.
    Cancelled = 4,

    /// No such handle, or a stale one.
    BadHandle = 16,
    /// The handle names an object of another type.
    WrongType = 17,
    /// The handle lacks a right that the operation needs.
    NoRights = 18,
    /// An argument is outside what the operation takes.
    BadArgument = 19,
    /// There is no such operation.
    BadOperation = 20,
    /// The quota has no frames left.
    QuotaFrames = 21,
    /// The quota has no handles left, or the table is full.
    QuotaHandles = 22,
    /// The quota has no threads left.
    QuotaThreads = 23,
    /// The machine has no frame left (the quotas promise more than there is).
    NoMemory = 24,
    /// The address range is outside user space, unaligned, or wraps.
    BadAddress = 25,
    /// Something is mapped there already.
    AlreadyMapped = 26,
    /// Nothing is mapped there.
    NotMapped = 27,
    /// It would have to wait, and this operation does not.
    WouldBlock = 28,
    /// In use: the endpoint has a receiver, the call is under way, the slot is taken.
    Busy = 29,
    /// The object is in a state that does not allow it (dead, already started, not yet started).
    InvalidState = 30,
    /// The thing named inside the object does not exist (slot, thread number, CPU).
    NotFound = 31,
    /// The machine can't do this (no such interrupt line, no contiguous memory).
    Unsupported = 32,
}

impl Outcome {
    /// The outcome with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Ok,
            1 => Self::NotDelivered,
            2 => Self::Interrupted,
            3 => Self::DeadlinePassed,
            4 => Self::Cancelled,
            16 => Self::BadHandle,
            17 => Self::WrongType,
            18 => Self::NoRights,
            19 => Self::BadArgument,
            20 => Self::BadOperation,
            21 => Self::QuotaFrames,
            22 => Self::QuotaHandles,
            23 => Self::QuotaThreads,
            24 => Self::NoMemory,
            25 => Self::BadAddress,
            26 => Self::AlreadyMapped,
            27 => Self::NotMapped,
            28 => Self::WouldBlock,
            29 => Self::Busy,
            30 => Self::InvalidState,
            31 => Self::NotFound,
            32 => Self::Unsupported,
            _ => return None,
        })
    }
}

/// Why a call was not delivered: the detail of [`Outcome::NotDelivered`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u32)]
pub enum NotDelivered {
    /// The endpoint is gone.
    Closed = 0,
    /// The Connection was revoked.
    Revoked = 1,
    /// The server can't take it (no budget; the call that it was made on behalf of has ended).
    Refused = 2,
}

/// How a call ended, as one value: the outcome (one of the first five) and its detail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct CallOutcome {
    /// What happened.
    pub outcome: Outcome,
    /// More about it; see each [`Outcome`].
    pub detail: u32,
}

impl CallOutcome {
    /// Packs it into the upper half of `rax` of a `Completed` wake: outcome in bits 0–7, detail above.
    pub const fn to_bits(self) -> u32 {
        self.outcome as u32 | (self.detail << 8)
    }

    /// Unpacks [`CallOutcome::to_bits`].
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match Outcome::from_number(bits as u8) {
            Some(outcome) => Some(Self {
                outcome,
                detail: bits >> 8,
            }),
            None => None,
        }
    }
}

/// What ended a `receive`: the flags of [`MessageInfo`](crate::MessageInfo) on the way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum WakeKind {
    /// A call arrived.
    Call = 0,
    /// A Call of ours ended.
    Completed = 1,
    /// A Connection was rung.
    Rung = 2,
    /// A Connection's last copy went.
    Closed = 3,
    /// Bits of a bound Notification.
    Notified = 4,
    /// The caller of a call that we have went away.
    Cancelled = 5,
}

impl WakeKind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Call,
            1 => Self::Completed,
            2 => Self::Rung,
            3 => Self::Closed,
            4 => Self::Notified,
            5 => Self::Cancelled,
            _ => return None,
        })
    }
}
