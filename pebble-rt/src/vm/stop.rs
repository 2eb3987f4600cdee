//! Why the window of a call was left.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Insn, NOWHERE};
use crate::error::NativeError;
use crate::value::Value;

use super::Core;
use super::thread::FrameKind;

/// Why the window of a call was left.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A helper failed or wants a call. Where a call's result goes, and what it means.
    Fault(NativeError, u8, FrameKind),
    /// The same, and the instruction is done again when the call has returned.
    Retry(NativeError, u8),
    /// The fuel is used up.
    Fuel,
    /// The stack is too short for the call that was just entered.
    Grow,
    /// The frame returns this.
    Return(Value),
    /// The generator gives this.
    Yield(Value, u8),
    /// A call of something else than a plain function: callee in the first register.
    Call {
        callee: Value,
        first: u8,
        count: u8,
        result: u8,
    },
    /// Calls with arguments that were packed.
    CallPacked {
        callee: Value,
        arguments: Vec<Value>,
        keywords: Value,
        result: u8,
    },
    /// Makes a class.
    MakeClass(Insn),
    /// Imports.
    Import(Insn),
    /// A method call that no cache knows.
    Method(Insn),
    /// A method call on a place.
    PlaceMethod(Insn),
    /// An error that is on its way.
    Unwind(Rc<crate::value::Raised>),
    /// The next round of a loop over something that runs code.
    Next {
        source: Value,
        variable: u8,
        distance: i32,
    },
}

impl From<NativeError> for Stop {
    fn from(error: NativeError) -> Stop {
        Stop::Fault(error, NOWHERE, FrameKind::Normal)
    }
}

/// The running window is to be left; [`Core::stop`] says why.
pub(crate) struct Halted;

/// What a part of an instruction that stands outside the main loop came to.
pub(crate) type Step<T = ()> = Result<T, Halted>;

impl Core {
    /// Notes why the window is left.
    #[cold]
    #[inline(never)]
    pub(crate) fn halt(&mut self, stop: Stop) -> Halted {
        self.stop = Some(stop);
        Halted
    }

    /// Notes an error, or a call that stands for a result of `kind` in register `to`.
    #[cold]
    #[inline(never)]
    pub(crate) fn fault_to(&mut self, error: NativeError, to: u8, kind: FrameKind) -> Halted {
        self.halt(Stop::Fault(error, to, kind))
    }

    /// Notes an error.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, error: impl Into<NativeError>) -> Halted {
        self.halt(Stop::from(error.into()))
    }
}
