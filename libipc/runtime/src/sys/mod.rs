//! The way into the kernel.
//!
//! Inside PebbleOS that is the `SYSCALL` instruction; on the host it is whatever [`host::Backend`] the test installed. Everything above this
//! module is the same code in both places.

#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(target_os = "none")]
mod target;

use crate::error::SysError;
use crate::message::Words;
use abi::{MessageInfo, Operation, Outcome};

#[cfg(not(target_os = "none"))]
pub(crate) use host::{allocate_page, block, map, now_ns, system_call, unmap};
#[cfg(target_os = "none")]
pub(crate) use target::{
    allocate_page, block, counter, fault, grow, map, now_ns, set_block, system_call,
    system_call_bare, unmap,
};

/// The registers of a system call, going in and coming out. See `docs/decisions/0001-kernel-abi.md`, section 1.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    /// [`MessageInfo`], and the third handle or result in the upper half.
    pub rax: u64,
    /// The object and a Reply; badge or first result.
    pub rdi: u64,
    /// Deadline or first argument; second result.
    pub rsi: u64,
    /// The message.
    pub words: Words,
}

impl Registers {
    /// Registers for an operation without message or handles.
    #[inline(always)]
    pub fn new(operation: Operation) -> Self {
        Self {
            rax: u64::from(operation as u8),
            ..Self::default()
        }
    }

    /// The info word.
    #[inline(always)]
    pub fn info(&self) -> MessageInfo {
        MessageInfo(self.rax as u32)
    }

    /// The upper half of `rax`.
    #[inline(always)]
    pub fn upper(&self) -> u32 {
        (self.rax >> 32) as u32
    }

    /// Whether the outcome is `Ok`.
    #[inline(always)]
    pub fn is_ok(&self) -> bool {
        self.rax as u8 == Outcome::Ok as u8
    }

    /// The outcome. A number that we do not know counts as a refusal.
    #[inline(always)]
    pub fn outcome(&self) -> Outcome {
        Outcome::from_number(self.info().code()).unwrap_or(Outcome::Unsupported)
    }
}

/// Arguments of an operation other than a call: three handles, a word in `rsi`, eight words.
#[derive(Clone, Copy, Default)]
pub(crate) struct Arguments {
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub s: u64,
    pub words: [u64; 8],
}

/// Runs an operation without message, handles or results.
#[cfg(not(target_os = "none"))]
pub(crate) fn system_call_bare(operation: Operation) -> MessageInfo {
    let mut registers = Registers::new(operation);
    system_call(&mut registers);
    registers.info()
}

/// Runs an operation that succeeds or is refused.
pub(crate) fn operate(operation: Operation, arguments: Arguments) -> Result<Registers, SysError> {
    let mut registers = Registers {
        rax: u64::from(operation as u8) | (u64::from(arguments.c) << 32),
        rdi: u64::from(arguments.a) | (u64::from(arguments.b) << 32),
        rsi: arguments.s,
        words: Words::from_words(arguments.words),
    };
    system_call(&mut registers);
    match registers.outcome() {
        Outcome::Ok => Ok(registers),
        outcome => Err(SysError(outcome)),
    }
}
