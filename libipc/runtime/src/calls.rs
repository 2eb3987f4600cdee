//! Calls that do not block: started here, finished where the server waits.
//!
//! Each has a kernel Call with a message page of its own, made when first needed and used again. A replayable call that was interrupted is started
//! again by [`Endpoint::receive`](crate::Endpoint::receive), once, before anybody hears of it.

use crate::client::{failure, pack, unpack_bytes};
use crate::error::{CallError, Failure, SysError};
use crate::handle::Handle;
use crate::message::{Page, Words};
use crate::object::{self, Connection};
use crate::page::CallPage;
use crate::random;
use crate::schema::Replay;
use crate::sys::{self, Arguments, Registers, operate};
use crate::time::Terms;
use crate::transfer::{self, Arrived};
use abi::message::{HandleTransfer, MAX_HANDLES};
use abi::{CallOutcome, MessageInfo, Operation, Outcome};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Calls under way at once, at most. More is refused, so that a server that is slow to finish can't grow without limit.
pub const MAX_CALLS: usize = 512;

/// Names a call under way; never the same twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(u64);

/// The calls that report their ends to one endpoint. Clones are the same calls.
#[derive(Clone)]
pub struct Calls(Rc<RefCell<Pool>>);

struct Pool {
    endpoint: abi::Handle,
    slots: Vec<Slot>,
    free: Vec<usize>,
    next: u64,
}

struct Slot {
    call: Handle<object::Call>,
    page: CallPage,
    /// The call that uses the slot, 0 if none.
    id: u64,
    replay: Option<Request>,
}

/// What it takes to make a call again.
struct Request {
    connection: abi::Handle,
    terms: Terms,
    info: MessageInfo,
    words: Words,
    /// Copies of the handles in the request; the sender may have closed its own.
    kept: Vec<abi::Handle>,
}

impl Calls {
    pub(crate) fn new(endpoint: abi::Handle) -> Self {
        Self(Rc::new(RefCell::new(Pool {
            endpoint,
            slots: Vec::new(),
            free: Vec::new(),
            next: 1,
        })))
    }

    /// Starts a call of `method`. The generated clients' `start_…` are thin shells around this.
    ///
    /// `connection` must stay open until the call has ended.
    ///
    /// # Errors
    /// `TooLarge`; `System(QuotaHandles)` when [`MAX_CALLS`] are under way; what the kernel says. Nothing was sent.
    pub fn start<A: Serialize, T, E>(
        &self,
        connection: &Handle<Connection>,
        method: u8,
        replay: Replay,
        terms: Terms,
        arguments: &A,
        decode: fn(&[u8]) -> Result<T, CallError<E>>,
    ) -> Result<Pending<T, E>, Failure> {
        let number = match replay {
            Replay::Journaled => Some(random::request_number()),
            Replay::Idempotent | Replay::Never => None,
        };
        let mut pool = self.0.borrow_mut();
        let index = pool.take_slot().map_err(Failure::System)?;
        let started = pool.start(index, connection, method, number, replay, terms, arguments);
        match started {
            Ok(id) => Ok(Pending { id, decode }),
            Err(failure) => {
                pool.release(index);
                Err(failure)
            }
        }
    }

    /// How many calls are under way.
    pub fn under_way(&self) -> usize {
        let pool = self.0.borrow();
        pool.slots.len() - pool.free.len()
    }

    /// Cancels a call. Its end still arrives, as [`Failure::Cancelled`] or as what happened first.
    pub fn cancel(&self, id: CallId) {
        let pool = self.0.borrow();
        if let Some(slot) = pool.slots.iter().find(|slot| slot.id == id.0) {
            // A call that has just ended can't be cancelled, which is as well.
            let _ = operate(
                Operation::CallCancel,
                Arguments {
                    c: slot.call.raw().0,
                    ..Arguments::default()
                },
            );
        }
    }

    /// Takes the end of a call from the registers. `None` if the call was started again, or is none of ours.
    #[inline(never)]
    pub(crate) fn complete(
        &self,
        cookie: u64,
        info: MessageInfo,
        ended: u32,
        words: Words,
    ) -> Option<Completed> {
        let mut pool = self.0.borrow_mut();
        let index = usize::try_from(cookie).ok()?;
        let slot = pool.slots.get_mut(index)?;
        if slot.id == 0 {
            return None;
        }
        let ended = CallOutcome::from_bits(ended).unwrap_or(CallOutcome {
            outcome: Outcome::Unsupported,
            detail: 0,
        });
        if ended.outcome == Outcome::Interrupted
            && let Some(request) = slot.replay.take()
            && slot.submit(&request).is_ok()
        {
            return None;
        }
        slot.replay = None;
        let (handles, handle_count) = slot.page.handles(info.handles());
        Some(Completed {
            id: CallId(slot.id),
            index,
            ended,
            info,
            words,
            handles,
            handle_count,
            pool: self.clone(),
        })
    }
}

impl Pool {
    fn take_slot(&mut self) -> Result<usize, SysError> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = self.slots.len();
        if index >= MAX_CALLS {
            return Err(SysError(Outcome::QuotaHandles));
        }
        let page = CallPage::reserve()?;
        let arguments = Arguments {
            a: self.endpoint.0,
            words: [index as u64, page.address(), 0, 0, 0, 0, 0, 0],
            ..Arguments::default()
        };
        let made = operate(Operation::CallCreate, arguments)?;
        let call = Handle::from_raw(abi::Handle(made.rdi as u32));
        self.slots.push(Slot {
            call,
            page,
            id: 0,
            replay: None,
        });
        Ok(index)
    }

    #[allow(clippy::too_many_arguments, reason = "they are the parts of a call")]
    fn start<A: Serialize>(
        &mut self,
        index: usize,
        connection: &Handle<Connection>,
        method: u8,
        number: Option<u64>,
        replay: Replay,
        terms: Terms,
        arguments: &A,
    ) -> Result<CallId, Failure> {
        let slot = &mut self.slots[index];
        let mut words = Words::default();
        let info = pack(
            method,
            number,
            arguments,
            &mut words,
            Page::Call(&mut slot.page),
        )?;
        let mut request = Request {
            connection: connection.raw(),
            terms,
            info,
            words,
            kept: Vec::new(),
        };
        slot.submit(&request).map_err(Failure::System)?;
        if replay != Replay::Never && request.keep_handles() {
            slot.replay = Some(request);
        }
        let id = self.next;
        self.next += 1;
        slot.id = id;
        Ok(CallId(id))
    }

    fn release(&mut self, index: usize) {
        self.slots[index].id = 0;
        self.free.push(index);
    }
}

impl Slot {
    fn submit(&mut self, request: &Request) -> Result<(), SysError> {
        if !request.kept.is_empty() {
            request.rewrite_handles(&mut self.page);
        }
        let mut registers = Registers {
            rax: u64::from(request.info.with_code(Operation::CallStart as u8).0)
                | (u64::from(self.call.raw().0) << 32),
            rdi: u64::from(request.connection.0) | (u64::from(request.terms.on_behalf.0) << 32),
            rsi: request.terms.deadline.as_ns(),
            words: request.words,
        };
        sys::system_call(&mut registers);
        match registers.outcome() {
            Outcome::Ok => Ok(()),
            outcome => Err(SysError(outcome)),
        }
    }
}

impl Request {
    /// Copies the handles that were just encoded, for a replay. `false` if that failed: then there is no replay.
    fn keep_handles(&mut self) -> bool {
        let outgoing = &sys::block().outgoing;
        for slot in outgoing.list.iter().take(self.info.handles()) {
            let transfer = slot.get();
            let arguments = Arguments {
                a: transfer.handle,
                words: [u64::from(transfer.rights), 0, 0, 0, 0, 0, 0, 0],
                ..Arguments::default()
            };
            match operate(Operation::HandleDuplicate, arguments) {
                Ok(made) => self.kept.push(abi::Handle(made.rdi as u32)),
                Err(_) => {
                    self.kept.drain(..).for_each(transfer::close);
                    return false;
                }
            }
        }
        true
    }

    /// Puts the kept copies where the first ones were.
    fn rewrite_handles(&self, page: &mut CallPage) {
        transfer::begin(abi::message::TransferMode::Copy);
        for handle in &self.kept {
            // There are no more of them than fitted before.
            let _ = transfer::push(*handle, abi::Rights::all());
        }
        page.with_mut(|page| transfer::write_area(&mut page[abi::message::TRANSFER_OFFSET..]));
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.kept.drain(..).for_each(transfer::close);
    }
}

/// A call under way that will have this result or error.
pub struct Pending<T, E> {
    id: CallId,
    decode: fn(&[u8]) -> Result<T, CallError<E>>,
}

impl<T, E> Pending<T, E> {
    /// Which call it is, to find this value again when it completes.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Takes the answer out of the end of this call: the one whose [`id`](Completed::id) is [`self.id()`](Self::id). The end of another call is no answer.
    ///
    /// # Errors
    /// The method's error, or what became of the call.
    pub fn finish(self, completed: Completed) -> Result<T, CallError<E>> {
        if completed.id != self.id {
            return Err(CallError::Failed(Failure::BadReply));
        }
        completed.read(self.decode)
    }
}

impl<T, E> fmt::Debug for Pending<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({})", self.id.0)
    }
}

/// The end of a call that we started.
pub struct Completed {
    id: CallId,
    index: usize,
    ended: CallOutcome,
    info: MessageInfo,
    words: Words,
    handles: [HandleTransfer; MAX_HANDLES],
    handle_count: u8,
    pool: Calls,
}

impl Completed {
    /// Which call it is.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// How the call itself ended; `None` if there is an answer.
    pub fn failure(&self) -> Option<Failure> {
        match self.ended.outcome {
            Outcome::Ok => None,
            _ => Some(failure(self.ended, &self.words)),
        }
    }

    fn read<T, E>(
        mut self,
        decode: fn(&[u8]) -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>> {
        if let Some(failure) = self.failure() {
            return Err(CallError::Failed(failure));
        }
        let arrived = Arrived::new(&self.handles, core::mem::take(&mut self.handle_count));
        let length = self.info.length();
        let result = match self.words.0.get(..length) {
            Some(bytes) => decode(bytes),
            None => self.pool.0.borrow().slots[self.index]
                .page
                .with(length, decode),
        };
        drop(arrived);
        result
    }
}

impl Drop for Completed {
    fn drop(&mut self) {
        drop(Arrived::new(&self.handles, self.handle_count));
        self.pool.0.borrow_mut().release(self.index);
    }
}

impl fmt::Debug for Completed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Completed({}, {:?})", self.id.0, self.ended.outcome)
    }
}

/// Decodes the answer of a started call. For generated code.
///
/// # Errors
/// The method's error, or `BadReply`.
pub fn decode_answer<T: DeserializeOwned, E: DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, CallError<E>> {
    unpack_bytes(bytes)
}
