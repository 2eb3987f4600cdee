//! The fast path: a short call to a receiver that waits on this CPU, and its answer.
//!
//! Nothing is decided here that the long way would decide otherwise: whatever is out of the ordinary, the long way gets, before anything was
//! changed. The budget is 150 instructions in each direction (`docs/kernel/fast-path.md` walks through them); the benchmark
//! `call_registers` holds it there.

use abi::Operation;

use crate::kernel::Kernel;
use crate::machine::{Machine, Resume};

impl<M: Machine> Kernel<M> {
    /// Performs the current thread's system call if it is a short one.
    #[inline]
    pub fn try_fast(&self) -> Option<Resume<'_>> {
        let name = self.current();
        if name.is_none() || self.fast_path.get() == 0 {
            return None;
        }
        let thread = self.at(name);
        let operation = thread.context.info.get() as u8;
        if operation == Operation::Null as u8 {
            thread.context.info.set(abi::Outcome::Ok as u64);
            return Some(Resume::User(&thread.context));
        }
        None
    }
}
