//! The one-time right to answer a call.

use crate::badge::Badge;
use crate::control;
use crate::endpoint::{self, flush};
use crate::error::Refusal;
use crate::fault;
use crate::incoming::Caller;
use crate::message::{Page, TooLarge, Words, encode};
use crate::sys::{self, Registers};
use crate::transfer;
use abi::message::TransferMode;
use abi::{MessageInfo, Operation};
use core::fmt;
use core::mem;
use serde::{Deserialize, Serialize};

/// First byte of a reply: the method's result follows.
pub(crate) const STATUS_OK: u8 = 0;
/// First byte of a reply: the method's error follows.
pub(crate) const STATUS_ERROR: u8 = 1;
/// First byte of a reply: a [`Refusal`] follows.
pub(crate) const STATUS_REFUSED: u8 = 2;

/// A client's number for a request of a journaled method: the same in a replay, and never used again by that client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestNumber(pub u64);

/// What a server with journaled methods keeps: the answers it gave, until the client can't ask again.
///
/// Whoever implements it makes the answer durable (in the capsule) together with the effect: after [`remember`](Self::remember) returned, a
/// successor of the server finds both or neither.
pub trait Journal {
    /// The answer that this request got before, if it did.
    fn recall(&mut self, client: Badge, request: RequestNumber) -> Option<&[u8]>;

    /// Keeps an answer before it goes out. Answers with handles are not kept: such a method must be able to run again.
    fn remember(&mut self, client: Badge, request: RequestNumber, answer: &[u8]);
}

/// The right to answer one call, with bytes of any kind. Dropped unused, it ends the call at its caller as interrupted.
pub struct RawReply {
    caller: Caller,
}

impl RawReply {
    #[inline(always)]
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Who gets the answer.
    #[inline(always)]
    pub fn caller(&self) -> Caller {
        self.caller
    }

    #[inline(always)]
    fn take(self) -> abi::Handle {
        let handle = self.caller.reply_handle();
        mem::forget(self);
        handle
    }

    /// Answers with eight words: an answer that is not a protocol's.
    pub fn send_words(self, words: [u64; 8], length: usize) {
        send_now(
            self.take(),
            MessageInfo::new(0, length.min(abi::message::REGISTER_BYTES)),
            &Words::from_words(words),
        );
    }

    /// Answers at once with a method's result.
    pub fn send<T: Serialize, E: Serialize>(self, result: Result<T, E>) {
        let mut words = Words::default();
        match encode_result(&result, &mut words) {
            Ok(info) => send_now(self.take(), info, &words),
            Err(TooLarge) => self.queue_refusal(Refusal::ReplyTooLarge),
        }
    }

    /// Answers with a method's result. The answer goes out with the next `receive`, or before anything else that waits.
    #[inline(always)]
    pub(crate) fn queue<T: Serialize, E: Serialize>(self, result: &Result<T, E>) {
        if fault::is_armed() {
            fault::after_method();
        }
        flush();
        let mut words = Words::default();
        match encode_result(result, &mut words) {
            Ok(info) if info.handles() == 0 => {
                let pending = &sys::block().pending;
                pending.words.set(words);
                pending.info.set(info.0);
                pending.reply.set(self.take().0);
            }
            // The value that owns the handles is about to be dropped: they have to be gone before.
            Ok(info) => send_now(self.take(), info, &words),
            Err(TooLarge) => self.queue_refusal(Refusal::ReplyTooLarge),
        }
    }

    /// Refuses; the handler did not run.
    #[cold]
    pub(crate) fn queue_refusal(self, refusal: Refusal) {
        let mut words = Words::default();
        // A refusal is a few bytes and always fits.
        if let Ok(info) = encode(
            &(STATUS_REFUSED, refusal),
            &mut words,
            Page::Send,
            TransferMode::Move,
        ) {
            send_now(self.take(), info, &words);
        }
    }

    /// Answers with bytes encoded before.
    pub(crate) fn queue_bytes(self, bytes: &[u8]) {
        let mut words = Words::default();
        flush();
        let length = bytes.len();
        let fits = match words.0.get_mut(..length) {
            Some(slot) => {
                slot.copy_from_slice(bytes);
                true
            }
            None => sys::block()
                .with_send_page(|page| match page.get_mut(..length) {
                    Some(slot) => {
                        slot.copy_from_slice(bytes);
                        true
                    }
                    None => false,
                })
                .unwrap_or(false),
        };
        if fits {
            send_now(self.take(), MessageInfo::new(0, length), &words);
        } else {
            self.queue_refusal(Refusal::ReplyTooLarge);
        }
    }

    /// Journals the answer, then sends it.
    pub(crate) fn queue_journaled<J, T, E>(
        self,
        journal: &mut J,
        request: RequestNumber,
        result: &Result<T, E>,
    ) where
        J: Journal + ?Sized,
        T: Serialize,
        E: Serialize,
    {
        let mut words = Words::default();
        match encode_result(result, &mut words) {
            Ok(info) => {
                if info.handles() == 0 {
                    let length = info.length();
                    match words.0.get(..length) {
                        Some(bytes) => journal.remember(self.caller.badge, request, bytes),
                        None => {
                            sys::block().with_send_page(|page| {
                                journal.remember(self.caller.badge, request, &page[..length])
                            });
                        }
                    }
                }
                if fault::is_armed() {
                    fault::after_method();
                }
                send_now(self.take(), info, &words);
            }
            Err(TooLarge) => self.queue_refusal(Refusal::ReplyTooLarge),
        }
    }
}

impl Drop for RawReply {
    fn drop(&mut self) {
        transfer::close(self.caller.reply_handle());
    }
}

#[inline(always)]
fn encode_result<T: Serialize, E: Serialize>(
    result: &Result<T, E>,
    words: &mut Words,
) -> Result<MessageInfo, TooLarge> {
    match result {
        Ok(value) => encode(&(STATUS_OK, value), words, Page::Send, TransferMode::Move),
        Err(error) => encode(
            &(STATUS_ERROR, error),
            words,
            Page::Send,
            TransferMode::Move,
        ),
    }
}

/// Sends an answer that is encoded already. The kernel consumes the Reply even when the caller is gone.
pub(crate) fn send_now(reply: abi::Handle, info: MessageInfo, words: &Words) {
    let mut registers = Registers {
        rax: u64::from(info.with_code(Operation::Reply as u8).0),
        rdi: u64::from(reply.0) << 32,
        rsi: 0,
        words: *words,
    };
    sys::system_call(&mut registers);
    if !registers.is_ok() {
        // Not consumed: a handle in the answer could not pass. The caller must not wait for ever.
        control::count_refusal();
        transfer::close(reply);
    }
}

/// The right to answer one call of a method with this result and error. Kept while the answer is being worked on.
pub struct Reply<T, E> {
    raw: RawReply,
    encode: fn(RawReply, Result<T, E>),
}

impl<T, E> Reply<T, E> {
    pub(crate) fn new(raw: RawReply, encode: fn(RawReply, Result<T, E>)) -> Self {
        Self { raw, encode }
    }

    /// Who gets the answer; also what further calls are made on behalf of.
    pub fn caller(&self) -> Caller {
        self.raw.caller
    }

    /// Answers. Never blocks, and does nothing if the caller is gone.
    pub fn send(self, result: Result<T, E>) {
        if fault::is_armed() {
            fault::after_method();
        }
        (self.encode)(self.raw, result);
    }

    /// Answers with success.
    pub fn ok(self, value: T) {
        self.send(Ok(value));
    }

    /// Answers with the method's error.
    pub fn err(self, error: E) {
        self.send(Err(error));
    }

    /// Journals the answer, then sends it: for deferred handlers of journaled methods.
    pub fn send_journaled<J: Journal + ?Sized>(self, journal: &mut J, result: Result<T, E>)
    where
        T: Serialize,
        E: Serialize,
    {
        match self.raw.caller.request {
            Some(request) => self.raw.queue_journaled(journal, request, &result),
            None => self.send(result),
        }
    }

    /// Whether `cancelled` speaks of this call: its caller is gone, and this value is to be dropped.
    pub fn is_cancelled_by(&self, cancelled: &endpoint::Cancelled) -> bool {
        self.raw.caller.reply_handle() == cancelled.reply_handle()
    }
}

impl<T, E> fmt::Debug for Reply<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", self.raw.caller.badge)
    }
}
