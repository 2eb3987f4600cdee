//! What can go wrong between a client and a server, and in a system call.

use abi::Outcome;
use abi::outcome::NotDelivered;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A system call was refused, or ended other than well. It had no effect unless the operation says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SysError(pub Outcome);

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system call: {:?}", self.0)
    }
}

impl core::error::Error for SysError {}

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallError<E> {
    /// The method's own error: the server understood, and this is its answer.
    Method(E),
    /// The call itself failed.
    Failed(Failure),
}

/// What became of a call that has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The server never had it.
    NotDelivered(NotDelivered),
    /// The server had it and died; what it did is unknown. A replayable method was replayed once already.
    Interrupted {
        /// The incarnation that had it.
        incarnation: u64,
    },
    /// The deadline passed.
    DeadlinePassed {
        /// Whether the server had it.
        delivered: bool,
    },
    /// It was cancelled.
    Cancelled {
        /// Whether the server had it.
        delivered: bool,
    },
    /// The server's dispatcher refused it: nothing was done.
    Refused(Refusal),
    /// The reply does not decode: the server speaks another protocol, or lies.
    BadReply,
    /// The request does not fit a message, or carries too many handles. It was not sent.
    TooLarge,
    /// The kernel refused the call. It was not sent.
    System(SysError),
}

/// Why a dispatcher refused a call before any handler saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no method with this number.
    UnknownMethod,
    /// The message does not decode as the method's parameters.
    Malformed,
    /// The schema is another; this is the server's.
    WrongSchema {
        /// The server's hash.
        expected: u64,
    },
    /// The reply does not fit a message. What the method does was done.
    ReplyTooLarge,
    /// The server serves no such protocol on this Connection.
    WrongProtocol,
}

impl<E> From<Failure> for CallError<E> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<E> CallError<E> {
    /// The failure of the call itself, if that is what happened.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Method(_) => None,
            Self::Failed(failure) => Some(*failure),
        }
    }

    /// Changes the method's error and leaves a failure as it is.
    pub fn map_method<F>(self, change: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Method(error) => CallError::Method(change(error)),
            Self::Failed(failure) => CallError::Failed(failure),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDelivered(NotDelivered::Closed) => f.write_str("the service is gone"),
            Self::NotDelivered(NotDelivered::Revoked) => f.write_str("the connection was revoked"),
            Self::NotDelivered(NotDelivered::Refused) => {
                f.write_str("the service cannot take the call")
            }
            Self::Interrupted { incarnation } => {
                write!(
                    f,
                    "interrupted: the service (incarnation {incarnation}) died while it had the call"
                )
            }
            Self::DeadlinePassed { delivered: true } => {
                f.write_str("no answer before the deadline")
            }
            Self::DeadlinePassed { delivered: false } => {
                f.write_str("not received before the deadline")
            }
            Self::Cancelled { .. } => f.write_str("cancelled"),
            Self::Refused(refusal) => write!(f, "refused: {refusal:?}"),
            Self::BadReply => f.write_str("the reply does not decode"),
            Self::TooLarge => f.write_str("the request does not fit a message"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

impl<E: fmt::Debug> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(error) => write!(f, "{error:?}"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for CallError<E> {}
