//! The kernel's calls as they are: eight words in registers, without protocols, buffers or replays.
//!
//! For what measures or tests the kernel itself. A server or a client speaks a protocol.

use crate::handle::Handle;
use crate::message::Words;
use crate::object::{Connection, Endpoint};
use crate::sys::{self, Registers};
use crate::time::Deadline;
use abi::layout::NEVER;
use abi::{MessageInfo, Operation};

/// What a wait on an endpoint gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Outcome, kind of wake and shape of the message.
    pub info: MessageInfo,
    /// The badge, or the cookie.
    pub badge: u64,
    /// The Reply, of a call; the bits, of a notification.
    pub reply: u64,
}

/// The processor's time-stamp counter.
#[cfg(target_os = "none")]
#[inline(always)]
pub fn counter() -> u64 {
    sys::counter()
}

/// Enters the kernel and leaves it.
#[inline(always)]
pub fn null() -> MessageInfo {
    sys::system_call_bare(Operation::Null)
}

/// Lets others of the same priority run.
#[inline(always)]
pub fn yield_now() -> MessageInfo {
    sys::system_call_bare(Operation::Yield)
}

/// Calls with a message of `length` bytes: the words, or, if it is longer, what is in the thread's send page. The answer's words replace those of
/// the message.
#[inline(always)]
pub fn call(
    connection: &Handle<Connection>,
    deadline: Deadline,
    length: usize,
    words: &mut [u64; 8],
) -> MessageInfo {
    crate::endpoint::flush();
    let operation = MessageInfo::new(Operation::Call as u8, length);
    let target = u64::from(connection.raw().0);
    enter(operation, target, deadline.as_ns(), words).info
}

/// Waits for ever for the next thing that happens at the endpoint.
#[inline(always)]
pub fn receive(endpoint: &Handle<Endpoint>, words: &mut [u64; 8]) -> Received {
    crate::endpoint::flush();
    let operation = MessageInfo::new(Operation::Receive as u8, 0);
    enter(operation, u64::from(endpoint.raw().0), NEVER, words)
}

/// Answers a call with a message of `length` bytes, as [`call`] takes it, and waits for the next thing.
#[inline(always)]
pub fn reply_receive(
    endpoint: &Handle<Endpoint>,
    received: Received,
    length: usize,
    words: &mut [u64; 8],
) -> Received {
    let operation = MessageInfo::new(Operation::ReplyReceive as u8, length);
    let target = u64::from(endpoint.raw().0) | (received.reply << 32);
    enter(operation, target, NEVER, words)
}

#[inline(always)]
fn enter(operation: MessageInfo, target: u64, until: u64, words: &mut [u64; 8]) -> Received {
    sys::block().before_receiving();
    let mut registers = Registers {
        rax: u64::from(operation.0),
        rdi: target,
        rsi: until,
        words: Words::from_words(*words),
    };
    sys::system_call(&mut registers);
    *words = registers.words.to_words();
    Received {
        info: registers.info(),
        badge: registers.rdi,
        reply: registers.rsi,
    }
}
