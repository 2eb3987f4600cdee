//! The server's side: the one place where a server waits.

use crate::badge::Badge;
use crate::calls::{Calls, Completed};
use crate::control;
use crate::error::SysError;
use crate::handle::Handle;
use crate::incoming::IncomingCall;
use crate::message::Words;
use crate::object;
use crate::sys::{self, Registers};
use crate::time::Instant;
use abi::layout::NEVER;
use abi::message::{HandleTransfer, MAX_HANDLES, MAX_MESSAGE_BYTES};
use abi::{MessageInfo, Operation, Outcome, Rights, WakeKind};
use alloc::boxed::Box;

/// What ended a wait. Exactly one thing at a time; the rest stays queued.
#[derive(Debug)]
pub enum Wake<'e> {
    /// Somebody calls.
    Call(IncomingCall<'e>),
    /// A call that we started has ended.
    Completed(Completed),
    /// Somebody rang a Connection, once or more often since the last time.
    Rung(Badge),
    /// The last copy of a Connection is gone: nobody will call with this badge again.
    Closed(Badge),
    /// Bits of a Notification that is bound to the endpoint.
    Notified(Notified),
    /// The caller of a call that we still have is gone.
    Cancelled(Cancelled),
    /// The deadline passed; this is now.
    Deadline(Instant),
    /// The kernel can't deliver what is queued. `QuotaHandles`: a call carries handles and our table is full; it stays queued until some are
    /// closed. Anything else: the endpoint is gone, and so is the reason to live.
    Failed(SysError),
}

/// Bits of a bound Notification. They are cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notified {
    /// The cookie given when it was bound.
    pub cookie: u64,
    /// The bits.
    pub bits: u64,
}

/// The caller of a call that we have is gone. The [`Reply`](crate::Reply) is of no use any more: find and drop it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cancelled {
    /// Whose call it was.
    pub badge: Badge,
    reply: abi::Handle,
}

impl Cancelled {
    pub(crate) fn reply_handle(&self) -> abi::Handle {
        self.reply
    }
}

/// A message while it is looked at.
#[derive(Default)]
pub(crate) struct Buffers {
    pub badge: u64,
    /// The Reply's handle in the lower half, the caller's priority in the upper one.
    pub reply_and_priority: u64,
    pub info: MessageInfo,
    pub words: Words,
    pub handles: [HandleTransfer; MAX_HANDLES],
    pub handle_count: u8,
    /// Made when a handler first borrows from a long message.
    pub copy: Option<Box<[u8; MAX_MESSAGE_BYTES]>>,
}

/// An endpoint that this process receives on.
pub struct Endpoint {
    handle: Handle<object::Endpoint>,
    calls: Calls,
    buffers: Buffers,
}

impl Endpoint {
    /// Makes an endpoint of the process's own.
    ///
    /// # Errors
    /// The quota's.
    pub fn create() -> Result<Self, SysError> {
        Handle::<object::Endpoint>::create().map(Self::from_handle)
    }

    /// Receives on an endpoint that somebody else owns. If another process receives on it, [`Wake::Failed`] says `Busy`.
    pub fn from_handle(handle: Handle<object::Endpoint>) -> Self {
        let calls = Calls::new(handle.raw());
        Self {
            handle,
            calls,
            buffers: Buffers::default(),
        }
    }

    /// The handle.
    pub fn handle(&self) -> &Handle<object::Endpoint> {
        &self.handle
    }

    /// The calls that this process starts and whose ends arrive here.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// Mints a Connection: our end, to revoke it with, and the client's.
    ///
    /// # Errors
    /// `NoRights` without `MINT`; the quota's.
    pub fn mint(&self, badge: Badge) -> Result<Minted, SysError> {
        self.handle.mint(badge)
    }

    /// A minter that can be kept where the endpoint itself can't be reached, such as in handlers.
    ///
    /// # Errors
    /// `NoRights` without `DUPLICATE`.
    pub fn minter(&self) -> Result<Minter, SysError> {
        self.handle.restricted(Rights::MINT).map(Minter)
    }

    /// Binds a Notification: its bits then wake [`receive`](Self::receive) with this cookie.
    ///
    /// # Errors
    /// `NoRights` without `WAIT`; `Busy` if it is bound already.
    pub fn bind(
        &self,
        notification: &Handle<object::Notification>,
        cookie: u64,
    ) -> Result<(), SysError> {
        notification.bind(&self.handle, cookie)
    }

    /// Waits for the next thing, for ever or until `deadline`. The answer to the last call goes out in the same entry of the kernel.
    ///
    /// What the supervisor asks (is it alive, what does it serve, arm this fault) is answered in here and never seen by the server.
    pub fn receive(&mut self, deadline: impl Into<Option<Instant>>) -> Wake<'_> {
        let until = deadline.into().map_or(NEVER, Instant::as_ns);
        loop {
            let registers = self.enter(until);
            if !registers.is_ok() {
                return match registers.outcome() {
                    Outcome::DeadlinePassed => Wake::Deadline(Instant::now()),
                    outcome => Wake::Failed(SysError(outcome)),
                };
            }
            let info = registers.info();
            match WakeKind::from_number(info.flags()) {
                Some(WakeKind::Call) => {
                    let buffers = &mut self.buffers;
                    buffers.badge = registers.rdi;
                    buffers.reply_and_priority = registers.rsi;
                    buffers.info = info;
                    buffers.words = registers.words;
                    buffers.handle_count = 0;
                    if info.handles() != 0 {
                        (buffers.handles, buffers.handle_count) =
                            sys::block().received_handles(info.handles());
                    }
                    if !Badge::from_bits(registers.rdi).is_supervisor() {
                        break;
                    }
                    control::answer(IncomingCall::new(buffers));
                }
                Some(WakeKind::Completed) => {
                    let completed = self.calls.complete(
                        registers.rdi,
                        info,
                        registers.upper(),
                        registers.words,
                    );
                    if let Some(completed) = completed {
                        return Wake::Completed(completed);
                    }
                }
                Some(WakeKind::Rung) => return Wake::Rung(Badge::from_bits(registers.rdi)),
                Some(WakeKind::Closed) => return Wake::Closed(Badge::from_bits(registers.rdi)),
                Some(WakeKind::Notified) => {
                    return Wake::Notified(Notified {
                        cookie: registers.rdi,
                        bits: registers.rsi,
                    });
                }
                Some(WakeKind::Cancelled) => {
                    let badge = Badge::from_bits(registers.rdi);
                    return Wake::Cancelled(Cancelled {
                        badge,
                        reply: abi::Handle(registers.rsi as u32),
                    });
                }
                None => return Wake::Failed(SysError(Outcome::Unsupported)),
            }
        }
        Wake::Call(IncomingCall::new(&mut self.buffers))
    }

    #[inline(always)]
    fn enter(&self, until: u64) -> Registers {
        let block = sys::block();
        block.before_receiving();
        let pending = &block.pending;
        let reply = pending.reply.replace(0);
        let mut registers = Registers {
            rdi: u64::from(self.handle.raw().0) | (u64::from(reply) << 32),
            rsi: until,
            ..Registers::new(Operation::Receive)
        };
        if reply != 0 {
            let info = MessageInfo(pending.info.get()).with_code(Operation::ReplyReceive as u8);
            registers.rax = u64::from(info.0);
            registers.words = pending.words.get();
        }
        sys::system_call(&mut registers);
        registers
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        flush();
    }
}

/// The two ends of a fresh Connection.
#[derive(Debug)]
pub struct Minted {
    /// Ours: revokes all copies of the client's.
    pub ours: Handle<object::Connection>,
    /// The client's.
    pub client: Handle<object::Connection>,
}

/// The right to mint Connections to an endpoint.
#[derive(Debug)]
pub struct Minter(Handle<object::Endpoint>);

impl Minter {
    /// As [`Endpoint::mint`].
    ///
    /// # Errors
    /// The quota's.
    pub fn mint(&self, badge: Badge) -> Result<Minted, SysError> {
        self.0.mint(badge)
    }
}

/// Sends the answer that waits for the next `receive`, if there is one. Everything that blocks, and everything that needs the send page, does this
/// first, so that nobody's answer waits for something else.
#[inline(always)]
pub(crate) fn flush() {
    if sys::block().pending.reply.get() != 0 {
        flush_now();
    }
}

#[cold]
#[inline(never)]
fn flush_now() {
    let pending = &sys::block().pending;
    let (reply, info, words) = (
        pending.reply.replace(0),
        pending.info.get(),
        pending.words.get(),
    );
    crate::reply::send_now(abi::Handle(reply), MessageInfo(info), &words);
}

impl core::fmt::Debug for IncomingCall<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "IncomingCall({:?}, {} bytes)",
            self.badge(),
            self.length()
        )
    }
}
