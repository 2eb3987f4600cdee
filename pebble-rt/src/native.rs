//! How a builtin function is written.
//!
//! A builtin is a Rust function `fn(&mut NativeContext, &mut [Value]) -> NativeResult` in a static table: nothing is
//! built when a program starts. It gets its arguments in a slice, checked for their number; parameters that were not
//! given are `Value::Undefined`. It may take values out of the slice.
//!
//! Rules:
//! - It never calls a Pebble function. What needs that (a `key=`, an `__iter__`) is written in Pebble in the prelude, or
//!   asks the machine with [`NativeError::NeedsMethod`] or [`NativeError::TailCall`]. Generators and instances with
//!   `__iter__` never arrive, unless the function says [`NativeFunction::takes_iterators`]: the machine makes lists of
//!   them first.
//! - Memory is charged before it is taken: make values with the methods of [`Heap`] (`cx.heap().string(..)?`), and use
//!   `try_reserve` where a program determines a size.
//! - Work whose length a program determines is charged as it is done ([`NativeContext::charge`]): that is where Ctrl-C,
//!   kill and the step limit reach a long builtin.
//! - What blocks returns `Err(cx.block(started, resume))`; other green threads run until the answer is there.
//! - State that a module keeps for a program (a random generator) lives in [`NativeContext::state`].
//!
//! Who writes what: the engine has the core builtins (section 17) and the methods of lists, dicts, sets and tuples;
//! `modules` has the methods of strings and bytes, the other builtins, and all modules.

use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;

use crate::error::{ErrorClass, NativeError};
use crate::heap::{Heap, OutOfMemory};
use crate::system::{Answer, Data, Family, Request, Started, Stream, SystemError, Token};
use crate::value::Value;
use crate::vm::Core;

/// What a builtin returns.
pub type NativeResult = Result<Value, NativeError>;

/// The body of a builtin.
pub type NativeBody = fn(&mut NativeContext<'_>, &mut [Value]) -> NativeResult;

/// Goes on with a call whose request has been answered. `args` are those of the call, as it left them.
pub type Resume = fn(&mut NativeContext<'_>, &mut [Value], Answer) -> NativeResult;

/// No upper bound on the number of arguments.
pub const ANY_NUMBER: u8 = u8::MAX;

/// A builtin function.
pub struct NativeFunction {
    /// The plain name, which argument count errors show.
    pub name: &'static str,
    /// What `<builtin NAME>` shows: `math.abs` for a member of a module.
    pub display: &'static str,
    /// The fewest arguments.
    pub min: u8,
    /// The most arguments, or [`ANY_NUMBER`].
    pub max: u8,
    /// The names by which arguments can be given, in order; empty when only by position.
    pub parameters: &'static [&'static str],
    /// What must be granted for the function to exist.
    pub family: Family,
    /// Whether generators and other iterators arrive as they are.
    pub keeps_iterators: bool,
    /// What it does.
    pub body: NativeBody,
}

impl core::fmt::Debug for NativeFunction {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "NativeFunction({})", self.display)
    }
}

impl NativeFunction {
    /// A function of the core family with between `min` and `max` arguments.
    pub const fn new(name: &'static str, min: u8, max: u8, body: NativeBody) -> NativeFunction {
        NativeFunction {
            name,
            display: name,
            min,
            max,
            parameters: &[],
            family: Family::Core,
            keeps_iterators: false,
            body,
        }
    }

    /// Shows as `<builtin DISPLAY>`.
    pub const fn shown_as(mut self, display: &'static str) -> NativeFunction {
        self.display = display;
        self
    }

    /// Names its parameters, so that they can be given by keyword.
    pub const fn with_parameters(mut self, parameters: &'static [&'static str]) -> NativeFunction {
        self.parameters = parameters;
        self
    }

    /// Exists only where `family` is granted.
    pub const fn of(mut self, family: Family) -> NativeFunction {
        self.family = family;
        self
    }

    /// Gets generators and iterators as they are.
    pub const fn takes_iterators(mut self) -> NativeFunction {
        self.keeps_iterators = true;
        self
    }
}

/// A member of a native module.
#[derive(Clone, Copy, Debug)]
pub enum NativeMember {
    /// A function.
    Function(&'static NativeFunction),
    /// A value, made when it is read.
    Constant(fn(&Heap) -> Result<Value, OutOfMemory>),
}

/// A module of this crate (`math`, `os`...).
#[derive(Debug)]
pub struct NativeModule {
    /// The name `import` uses.
    pub name: &'static str,
    /// What must be granted for the module to exist.
    pub family: Family,
    /// Its members.
    pub members: &'static [(&'static str, NativeMember)],
}

/// A set of builtins. The engine is given several; for a name that two have, the earlier one counts.
#[derive(Debug, Default)]
pub struct Library {
    /// Tables of plain functions.
    pub functions: &'static [&'static [NativeFunction]],
    /// Modules.
    pub modules: &'static [&'static NativeModule],
    /// Methods of strings; the string is argument 0 and counts in `min` and `max`.
    pub string_methods: &'static [NativeFunction],
    /// Methods of bytes, likewise.
    pub bytes_methods: &'static [NativeFunction],
}

/// A call that waits for an answer; made by [`NativeContext::block`].
#[derive(Debug)]
pub struct Blocked {
    pub(crate) token: Token,
    pub(crate) resume: Resume,
    /// What `thread_list` shows in `blocked_on`, and the state with it.
    pub(crate) reason: BlockReason,
}

/// What a thread that waits for the system waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// A line of input.
    Input,
    /// A key.
    Terminal,
    /// Anything else: the thread counts as running.
    Other,
}

/// What a builtin can see and do.
#[derive(Debug)]
pub struct NativeContext<'a> {
    pub(crate) core: &'a mut Core,
}

impl NativeContext<'_> {
    /// The program's account; makes all values that live in memory.
    pub fn heap(&self) -> &Heap {
        &self.core.heap
    }

    /// Charges `steps` of work, about one per element handled. Fails with what ended the program's patience: an
    /// interrupt or the step limit.
    #[inline]
    pub fn charge(&mut self, steps: usize) -> Result<(), NativeError> {
        self.core.charge_steps(steps)
    }

    /// Writes to the output of the running thread, as `print` does.
    pub fn write_out(&mut self, text: &str) -> Result<(), NativeError> {
        self.core.write_out(text)
    }

    /// Writes to the error stream.
    pub fn write_error(&mut self, text: &str) -> Result<(), NativeError> {
        self.core
            .system
            .write(Stream::Error, text)
            .map_err(NativeError::from)
    }

    /// Asks the system and returns the answer if it comes at once, else blocks until it does: `resume` gets it either
    /// way.
    pub fn ask(
        &mut self,
        args: &mut [Value],
        family: Family,
        operation: &'static str,
        arguments: Vec<Data>,
        resume: Resume,
    ) -> NativeResult {
        match self.core.system.start(Request {
            family,
            operation,
            arguments,
        }) {
            Started::Ready(answer) => resume(self, args, answer),
            Started::Pending(token) => Err(self.block(token, BlockReason::Other, resume)),
        }
    }

    /// Starts a request; for those who handle both outcomes themselves.
    pub fn start(&mut self, request: Request) -> Started {
        self.core.system.start(request)
    }

    /// Starts reading a line of input.
    pub fn start_input(&mut self, prompt: &str) -> Started {
        self.core.system.start_input(prompt)
    }

    /// Makes the error that suspends this call until the request is answered.
    pub fn block(&mut self, token: Token, reason: BlockReason, resume: Resume) -> NativeError {
        NativeError::Blocked(Blocked {
            token,
            resume,
            reason,
        })
    }

    /// Whether `family` is granted.
    pub fn is_granted(&self, family: Family) -> bool {
        self.core.grants.has(family)
    }

    /// The state of type `T` that belongs to this program, made on first use.
    pub fn state<T: Any + Default>(&mut self) -> &mut T {
        self.core.states.get()
    }

    /// Two states at once, of different types.
    pub fn take_state<T: Any + Default>(&mut self) -> T {
        core::mem::take(self.core.states.get())
    }

    /// Milliseconds on a clock that never goes back.
    pub fn monotonic_ms(&mut self) -> u64 {
        self.core.system.monotonic_ms()
    }

    /// The program's arguments.
    pub fn arguments(&self) -> &[String] {
        &self.core.arguments
    }

    /// The value of a global variable of the main program (`CWD`, `ENV`...).
    pub fn global(&mut self, name: &str) -> Option<Value> {
        self.core.main_global(name)
    }

    /// Sets a global variable of the main program.
    pub fn set_global(&mut self, name: &str, value: Value) -> Result<(), NativeError> {
        self.core.set_main_global(name, value)
    }
}

impl From<SystemError> for NativeError {
    fn from(error: SystemError) -> NativeError {
        if error.is_whole {
            return NativeError::RaiseWhole {
                class: ErrorClass::System,
                text: error.text,
            };
        }
        NativeError::Raise {
            class: ErrorClass::System,
            detail: error.text,
        }
    }
}
