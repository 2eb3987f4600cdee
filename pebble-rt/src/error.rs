//! How things fail: the classes of errors a program can name, and what a builtin returns instead of a value.

use alloc::string::String;

use crate::heap::OutOfMemory;
use crate::value::CalledOff;
use crate::value::Value;

macro_rules! error_classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $parent:ident;)*) => {
        /// The built-in error classes. Each is a class that programs can name in `except`, and inherit from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ErrorClass {
            $($(#[$doc])* $name,)*
        }

        impl ErrorClass {
            /// All classes, parents before children.
            pub const ALL: &'static [ErrorClass] = &[$(ErrorClass::$name,)*];

            /// The name programs use.
            pub fn name(self) -> &'static str {
                match self { $(ErrorClass::$name => $text,)* }
            }

            /// The class this one inherits from; `Error` inherits from itself.
            pub fn parent(self) -> ErrorClass {
                match self { $(ErrorClass::$name => ErrorClass::$parent,)* }
            }

            /// The class of that name.
            pub fn by_name(name: &str) -> Option<ErrorClass> {
                match name { $($text => Some(ErrorClass::$name),)* _ => None }
            }
        }
    };
}

error_classes! {
    /// The root of all errors, and what `raise "text"` raises.
    Error = "Error", Error;
    /// An operation on a kind of value it does not apply to, or a wrong number of arguments.
    Type = "TypeError", Error;
    /// A value of the right kind that cannot be used.
    Value = "ValueError", Error;
    /// A name that stands for nothing.
    Name = "NameError", Error;
    /// A missing attribute.
    Attribute = "AttributeError", Error;
    /// Parent of the two below.
    Lookup = "LookupError", Error;
    /// An index outside of a sequence.
    Index = "IndexError", Lookup;
    /// A key that a dict does not hold.
    Key = "KeyError", Lookup;
    /// Division by zero, or a number too large to become a float.
    Arithmetic = "ArithmeticError", Error;
    /// A zero divisor.
    ZeroDivision = "ZeroDivisionError", Arithmetic;
    /// A module that cannot be imported.
    Import = "ImportError", Error;
    /// Source text that does not parse.
    Syntax = "SyntaxError", Error;
    /// A failed `assert`.
    Assertion = "AssertionError", Error;
    /// `next` on an iterator that has ended.
    StopIteration = "StopIteration", Error;
    /// The system refused: files, processes, terminal, network.
    System = "SystemError", Error;
    /// Something did not happen in time.
    Timeout = "TimeoutError", System;
    /// Parent of the limits below.
    Limit = "LimitError", Error;
    /// The memory limit.
    Memory = "MemoryError", Limit;
    /// The limit on nested calls.
    Recursion = "RecursionError", Limit;
    /// The limit on executed steps.
    Steps = "StepLimitError", Limit;
    /// The limit on output.
    Output = "OutputLimitError", Limit;
    /// Ctrl-C, or a request to end.
    Interrupt = "Interrupt", Error;
    /// All threads wait for each other.
    Deadlock = "DeadlockError", Error;
}

/// What a builtin returns when it does not return a value.
#[derive(Debug)]
pub enum NativeError {
    /// An error that the program can catch. `detail` has no `line N: ` in front; the machine adds the line of the call.
    Raise {
        /// The class.
        class: ErrorClass,
        /// The text.
        detail: String,
    },
    /// An error whose text is already whole, line and all (an error that another program ended with, say).
    RaiseWhole {
        /// The class.
        class: ErrorClass,
        /// The text as the program sees it.
        text: String,
    },
    /// The program asked to end with this status (`exit`).
    Exit(i32),
    /// The call goes on when the request it started has completed: see
    /// [`NativeContext::block`](crate::native::NativeContext::block), which makes this value.
    Blocked(crate::native::Blocked),
    /// The arguments need the program's own methods (`__iter__`, `__str__`, `__eq__`, `__lt__`...): the machine
    /// replaces argument `index` by what the method gives and calls the builtin again.
    NeedsMethod {
        /// Which argument.
        index: usize,
        /// What it must become.
        want: Want,
    },
    /// The thread waits for another one.
    Park(crate::vm::Park),
    /// An error object that is on its way already.
    Thrown(alloc::rc::Rc<crate::value::Raised>),
    /// `next` of a generator: the machine resumes it.
    Resume {
        /// The generator.
        generator: alloc::rc::Rc<crate::value::Generator>,
        /// What it gives when the generator has ended; without one that is an error.
        default: Option<Value>,
    },
    /// Goes on as a call of another callable with these arguments, whose result is the result.
    TailCall {
        /// What to call.
        callee: Value,
        /// With what.
        args: alloc::vec::Vec<Value>,
    },
}

/// What the machine shall turn an argument into before it calls a builtin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Anything that can be iterated becomes a list.
    List,
    /// Any value becomes its text (`__str__`).
    Text,
    /// Any value becomes its quoted text (`__repr__`).
    Quoted,
}

impl NativeError {
    /// An error of `class` with this text.
    pub fn new(class: ErrorClass, detail: impl Into<String>) -> NativeError {
        NativeError::Raise {
            class,
            detail: detail.into(),
        }
    }

    /// A [`ErrorClass::Type`] error: `NAME() expects ...`.
    pub fn type_error(detail: impl Into<String>) -> NativeError {
        NativeError::new(ErrorClass::Type, detail)
    }

    /// A [`ErrorClass::Value`] error.
    pub fn value_error(detail: impl Into<String>) -> NativeError {
        NativeError::new(ErrorClass::Value, detail)
    }

    /// A [`ErrorClass::System`] error.
    pub fn system(detail: impl Into<String>) -> NativeError {
        NativeError::new(ErrorClass::System, detail)
    }
}

impl From<CalledOff> for NativeError {
    fn from(_: CalledOff) -> NativeError {
        NativeError::new(ErrorClass::Interrupt, "interrupted")
    }
}

impl From<OutOfMemory> for NativeError {
    fn from(_: OutOfMemory) -> NativeError {
        NativeError::new(ErrorClass::Memory, "memory limit exceeded")
    }
}
