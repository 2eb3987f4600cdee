//! The virtual machine.

mod access;
mod arithmetic;
mod core;
mod execute;
mod flow;
mod imports;
mod link;
mod methods;
mod places;
mod program;
mod registers;
mod slow;
mod states;
mod stop;
mod surroundings;
mod thread;
mod threads;
mod uncommon;

use alloc::rc::Rc;

use crate::value::{Raised, Value};

pub(crate) use self::arithmetic::work_on;
pub use self::core::Core;
pub use self::program::{Vm, compile_to_bytecode};
pub use self::states::States;
pub use self::threads::Park;
pub use crate::compile::Pace;

pub(crate) use self::access::{bad_key, position};
pub(crate) use self::arithmetic::method_call;
pub(crate) use self::flow::is_callable;
pub(crate) use self::threads::{CHANNEL, CHANNEL_METHODS, FUNCTIONS as THREAD_FUNCTIONS};
pub(crate) use crate::builtins::PRELUDE_SOURCE;

/// Why a thread stopped running for now.
#[derive(Debug)]
pub(crate) enum Pause {
    /// Its fuel is used up.
    Fuel,
    /// It has ended with this value.
    Done(Value),
    /// It has ended with an error.
    Failed(Rc<Raised>),
    /// It waits for the system.
    Waiting,
    /// It waits for another thread.
    Parked(Park),
    /// The program asked to end.
    Exit(i32),
}
