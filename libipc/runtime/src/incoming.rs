//! A call that a server has received: who it is from, what it asks, and the one-time right to answer it.

use crate::badge::Badge;
use crate::control;
use crate::endpoint::Buffers;
use crate::error::Refusal;
use crate::fault;
use crate::message::{Malformed, decode};
use crate::reply::{Journal, RawReply, Reply, RequestNumber};
use crate::schema::{self, DESCRIBE, HELLO, Protocol};
use crate::sys;
use crate::transfer::Arrived;
use abi::message::{MAX_MESSAGE_BYTES, REGISTER_BYTES};
use alloc::boxed::Box;
use core::mem::{self, ManuallyDrop};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Who is calling. Given to every handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The badge of the Connection: the kernel's word on who it is.
    pub badge: Badge,
    /// The caller's priority.
    pub priority: u8,
    /// The client's number for this request; journaled methods have one.
    pub request: Option<RequestNumber>,
    reply: abi::Handle,
}

impl Caller {
    /// Names the Reply on whose behalf further calls are made. It gives no right to answer.
    pub(crate) fn reply_handle(&self) -> abi::Handle {
        self.reply
    }
}

/// A received call. Dropped without an answer, it ends at the caller as interrupted.
///
/// One pointer, so that handing it on costs nothing; what the kernel said about the call is beside the message.
pub struct IncomingCall<'e> {
    buffers: &'e mut Buffers,
}

impl<'e> IncomingCall<'e> {
    /// The call that was just received into `buffers`.
    #[inline(always)]
    pub(crate) fn new(buffers: &'e mut Buffers) -> Self {
        Self { buffers }
    }

    /// Who is calling.
    #[inline(always)]
    pub fn caller(&self) -> Caller {
        Caller {
            badge: self.badge(),
            priority: (self.buffers.reply_and_priority >> 32) as u8,
            request: None,
            reply: abi::Handle(self.buffers.reply_and_priority as u32),
        }
    }

    /// The badge of the Connection.
    #[inline(always)]
    pub fn badge(&self) -> Badge {
        Badge::from_bits(self.buffers.badge)
    }

    /// The number of the method, if there is one.
    #[inline(always)]
    pub fn method(&self) -> Option<u8> {
        match self.buffers.info.length() {
            0 => None,
            length if length <= REGISTER_BYTES => Some(self.buffers.words.0[0]),
            _ => sys::block().with_received(1, |bytes| bytes.first().copied()),
        }
    }

    /// The eight words of a message that is not a protocol's (a fault, for one).
    pub fn words(&self) -> [u64; 8] {
        self.buffers.words.to_words()
    }

    /// Length of the message in bytes.
    pub fn length(&self) -> usize {
        self.buffers.info.length()
    }

    /// Takes the right to answer, for a call that is not a protocol's. Handles that came with it are closed.
    pub fn into_reply(self) -> RawReply {
        let caller = self.caller();
        self.close_handles();
        mem::forget(self);
        RawReply::new(caller)
    }

    /// Answers a call of a protocol with what `handler` makes of its arguments, which are decoded before it runs.
    #[inline(always)]
    pub fn answer<A, T, E>(self, handler: impl FnOnce(Caller, A) -> Result<T, E>)
    where
        A: DeserializeOwned,
        T: Serialize,
        E: Serialize,
    {
        match self.open::<A>() {
            Ok((reply, arguments)) => {
                let result = handler(reply.caller(), arguments);
                reply.queue(&result);
            }
            Err(call) => call.refuse(Refusal::Malformed),
        }
    }

    /// As [`answer`](Self::answer), for arguments that borrow from the message.
    pub fn answer_borrowed<A, T, E, F>(mut self, handler: F)
    where
        A: for<'a> Borrowed<'a> + ?Sized,
        T: Serialize,
        E: Serialize,
        F: for<'a> FnOnce(Caller, <A as Borrowed<'a>>::Value) -> Result<T, E>,
    {
        self.settle();
        let arrived = self.arrive();
        let reply = RawReply::new(self.caller());
        // The right to answer is in `reply` now, the handles in `arrived`.
        let this = ManuallyDrop::new(self);
        let decoded = decode::<(u8, <A as Borrowed<'_>>::Value)>(this.settled_bytes());
        drop(arrived);
        match decoded {
            Ok((_, arguments)) => {
                let result = handler(reply.caller(), arguments);
                reply.queue(&result);
            }
            Err(Malformed) => {
                control::count_refusal();
                reply.queue_refusal(Refusal::Malformed);
            }
        }
    }

    /// Hands the arguments and the right to answer to `handler`, which answers later.
    #[inline(always)]
    pub fn defer<A, T, E>(
        self,
        encode: fn(RawReply, Result<T, E>),
        handler: impl FnOnce(Caller, A, Reply<T, E>),
    ) where
        A: DeserializeOwned,
    {
        match self.open::<A>() {
            Ok((reply, arguments)) => {
                let caller = reply.caller();
                handler(caller, arguments, Reply::new(reply, encode));
            }
            Err(call) => call.refuse(Refusal::Malformed),
        }
    }

    /// Answers a call of a journaled method: from the journal if it was answered before, else with what `handler` makes of it, which is journaled
    /// before it goes out.
    pub fn answer_journaled<S, A, T, E>(
        mut self,
        server: &mut S,
        handler: impl FnOnce(&mut S, Caller, A) -> Result<T, E>,
    ) where
        S: Journal + ?Sized,
        A: DeserializeOwned,
        T: Serialize,
        E: Serialize,
    {
        match self.open_numbered::<A>() {
            Ok((reply, request, arguments)) => {
                if let Some(bytes) = server.recall(reply.caller().badge, request) {
                    reply.queue_bytes(bytes);
                    return;
                }
                let result = handler(server, reply.caller(), arguments);
                reply.queue_journaled(server, request, &result);
            }
            Err(Malformed) => self.refuse(Refusal::Malformed),
        }
    }

    /// As [`answer_journaled`](Self::answer_journaled), for handlers that answer later, with [`Reply::send_journaled`].
    pub fn defer_journaled<S, A, T, E>(
        mut self,
        server: &mut S,
        encode: fn(RawReply, Result<T, E>),
        handler: impl FnOnce(&mut S, Caller, A, Reply<T, E>),
    ) where
        S: Journal + ?Sized,
        A: DeserializeOwned,
    {
        match self.open_numbered::<A>() {
            Ok((reply, request, arguments)) => {
                if let Some(bytes) = server.recall(reply.caller().badge, request) {
                    reply.queue_bytes(bytes);
                    return;
                }
                let caller = reply.caller();
                handler(server, caller, arguments, Reply::new(reply, encode));
            }
            Err(Malformed) => self.refuse(Refusal::Malformed),
        }
    }

    /// Answers what every protocol has: the greeting, the question for the schema. All else is refused.
    #[cold]
    pub fn answer_common(self, protocol: &Protocol) {
        match self.method() {
            Some(HELLO) => match self.open::<(u64,)>() {
                Ok((reply, (hash,))) if hash == protocol.hash => reply.queue(&Ok::<(), ()>(())),
                Ok((reply, _)) => reply.queue_refusal(Refusal::WrongSchema {
                    expected: protocol.hash,
                }),
                Err(call) => call.refuse(Refusal::Malformed),
            },
            Some(DESCRIBE) => {
                self.answer(|_, (offset,): (u32,)| Ok::<_, ()>(schema::page(protocol, offset)))
            }
            _ => self.refuse(Refusal::UnknownMethod),
        }
    }

    /// Refuses the call and counts that.
    #[cold]
    pub fn refuse(self, refusal: Refusal) {
        self.close_handles();
        control::count_refusal();
        let reply = RawReply::new(self.caller());
        mem::forget(self);
        reply.queue_refusal(refusal);
    }

    /// Passes the place where a fault can be armed for this method. Generated dispatchers call it before the handler runs.
    #[inline(always)]
    pub fn fault_before(&self, protocol: &'static Protocol) {
        if fault::is_armed() {
            fault::before_method(protocol, self.method());
        }
    }

    #[inline(always)]
    fn open<A: DeserializeOwned>(mut self) -> Result<(RawReply, A), Self> {
        match self.decode_owned::<(u8, A)>() {
            Ok((_, arguments)) => {
                let reply = RawReply::new(self.caller());
                mem::forget(self);
                Ok((reply, arguments))
            }
            Err(Malformed) => Err(self),
        }
    }

    fn open_numbered<A: DeserializeOwned>(
        &mut self,
    ) -> Result<(RawReply, RequestNumber, A), Malformed> {
        let (_, number, arguments) = self.decode_owned::<(u8, u64, A)>()?;
        let request = RequestNumber(number);
        let caller = Caller {
            request: Some(request),
            ..self.caller()
        };
        // The right to answer passes on: dropping this value must not close it.
        self.buffers.reply_and_priority = 0;
        Ok((RawReply::new(caller), request, arguments))
    }

    #[inline(always)]
    fn decode_owned<V: DeserializeOwned>(&mut self) -> Result<V, Malformed> {
        let length = self.buffers.info.length();
        let arrived = self.arrive();
        let value = match self.buffers.words.0.get(..length) {
            Some(bytes) => decode(bytes),
            None => sys::block().with_received(length, |bytes| decode(bytes)),
        };
        drop(arrived);
        value
    }

    #[inline(always)]
    fn arrive(&mut self) -> Arrived {
        Arrived::new(
            &self.buffers.handles,
            mem::take(&mut self.buffers.handle_count),
        )
    }

    fn close_handles(&self) {
        drop(Arrived::new(
            &self.buffers.handles,
            self.buffers.handle_count,
        ));
    }

    /// Copies a message out of the receive page, so that the handler may borrow from it and make calls at the same time.
    #[inline(always)]
    fn settle(&mut self) {
        if self.buffers.info.length() > REGISTER_BYTES {
            self.settle_page();
        }
    }

    #[cold]
    #[inline(never)]
    fn settle_page(&mut self) {
        let length = self.buffers.info.length();
        let copy = self
            .buffers
            .copy
            .get_or_insert_with(|| Box::new([0; MAX_MESSAGE_BYTES]));
        sys::block().with_received(length, |bytes| copy[..bytes.len()].copy_from_slice(bytes));
    }

    fn settled_bytes(&self) -> &[u8] {
        let length = self.buffers.info.length();
        match (self.buffers.words.0.get(..length), &self.buffers.copy) {
            (Some(bytes), _) => bytes,
            (None, Some(copy)) => &copy[..length.min(MAX_MESSAGE_BYTES)],
            (None, None) => &[],
        }
    }
}

impl Drop for IncomingCall<'_> {
    fn drop(&mut self) {
        self.close_handles();
        drop(RawReply::new(self.caller()));
    }
}

/// Arguments that borrow from the message: a family of types, one for each lifetime. Generated.
pub trait Borrowed<'a> {
    /// The arguments.
    type Value: Deserialize<'a>;
}
