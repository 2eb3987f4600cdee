//! The client's side: a call that waits for its answer.

use crate::endpoint::flush;
use crate::error::{CallError, Failure, Refusal, SysError};
use crate::handle::Handle;
use crate::message::{Malformed, Page, TooLarge, Words, decode, encode};
use crate::object::Connection;
use crate::random;
use crate::reply::{STATUS_ERROR, STATUS_OK, STATUS_REFUSED};
use crate::schema::{
    DESCRIBE, Description, HELLO, MAX_DESCRIPTION_BYTES, Replay, parse_description,
};
use crate::sys::{self, Registers};
use crate::time::{Deadline, Terms};
use crate::transfer::Arrived;
use abi::message::{REGISTER_BYTES, TransferMode};
use abi::outcome::NotDelivered;
use abi::{CallOutcome, MessageInfo, Operation, Outcome};
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// First byte of an answer: the method's result follows.
pub const ANSWER_OK: u8 = STATUS_OK;
/// First byte of an answer: the method's own error follows.
pub const ANSWER_ERROR: u8 = STATUS_ERROR;

/// How long [`hello`] waits if nobody says otherwise: enough for a service that is only started by this call.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Calls `method` and waits for its answer. The generated clients are thin shells around this.
///
/// # Errors
/// The method's own error, or what became of the call. After *interrupted* a replayable method has been called once more already.
#[inline]
pub fn call<A, T, E>(
    connection: &Handle<Connection>,
    method: u8,
    replay: Replay,
    terms: Terms,
    arguments: &A,
) -> Result<T, CallError<E>>
where
    A: Serialize,
    T: DeserializeOwned,
    E: DeserializeOwned,
{
    let number = match replay {
        Replay::Journaled => Some(random::request_number()),
        Replay::Idempotent | Replay::Never => None,
    };
    let mut words = Words::default();
    // Answers before questions: nobody is to wait for us while we wait for somebody else.
    flush();
    let info = pack(method, number, arguments, &mut words, Page::Send)?;
    let answer = enter(connection, terms, info, &words);
    if answer.info().code() == Outcome::Interrupted as u8 && replay != Replay::Never {
        // The answer has overwritten neither our words nor the send page.
        let again = enter(connection, terms, info, &words);
        return unpack(&again);
    }
    unpack(&answer)
}

/// Packs a request.
#[inline(always)]
pub(crate) fn pack<A: Serialize>(
    method: u8,
    number: Option<u64>,
    arguments: &A,
    words: &mut Words,
    page: Page<'_>,
) -> Result<MessageInfo, Failure> {
    let packed = match number {
        None => encode(&(method, arguments), words, page, TransferMode::Copy),
        Some(number) => encode(
            &(method, number, arguments),
            words,
            page,
            TransferMode::Copy,
        ),
    };
    packed.map_err(|TooLarge| Failure::TooLarge)
}

#[inline(always)]
fn enter(
    connection: &Handle<Connection>,
    terms: Terms,
    info: MessageInfo,
    words: &Words,
) -> Registers {
    let mut registers = Registers {
        rax: u64::from(info.with_code(Operation::Call as u8).0),
        rdi: u64::from(connection.raw().0) | (u64::from(terms.on_behalf.0) << 32),
        rsi: terms.deadline.as_ns(),
        words: *words,
    };
    sys::block().before_receiving();
    sys::system_call(&mut registers);
    registers
}

/// Takes the answer out of the registers, or out of the thread's receive page.
#[inline(always)]
fn unpack<T: DeserializeOwned, E: DeserializeOwned>(answer: &Registers) -> Result<T, CallError<E>> {
    if !answer.is_ok() {
        let ended = CallOutcome {
            outcome: answer.outcome(),
            detail: answer.upper(),
        };
        return Err(CallError::Failed(failure(ended, &answer.words)));
    }
    let info = answer.info();
    let block = sys::block();
    let arrived = if info.handles() == 0 {
        None
    } else {
        let (handles, count) = block.received_handles(info.handles());
        Some(Arrived::new(&handles, count))
    };
    let length = info.length();
    let result = match answer.words.0.get(..length) {
        Some(bytes) => unpack_bytes(bytes),
        None => block.with_received(length, unpack_bytes),
    };
    drop(arrived);
    result
}

/// Decodes an answer.
#[inline(always)]
pub(crate) fn unpack_bytes<T: DeserializeOwned, E: DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, CallError<E>> {
    match bytes.split_first() {
        Some((&STATUS_OK, rest)) => {
            decode(rest).map_err(|Malformed| CallError::Failed(Failure::BadReply))
        }
        Some((&STATUS_ERROR, rest)) => Err(match decode(rest) {
            Ok(error) => CallError::Method(error),
            Err(Malformed) => CallError::Failed(Failure::BadReply),
        }),
        Some((&STATUS_REFUSED, rest)) => Err(CallError::Failed(match decode::<Refusal>(rest) {
            Ok(refusal) => Failure::Refused(refusal),
            Err(Malformed) => Failure::BadReply,
        })),
        _ => Err(CallError::Failed(Failure::BadReply)),
    }
}

/// What an outcome other than `Ok` means for a call.
#[cold]
pub(crate) fn failure(ended: CallOutcome, words: &Words) -> Failure {
    let delivered = ended.detail != 0;
    match ended.outcome {
        Outcome::NotDelivered => Failure::NotDelivered(match ended.detail {
            0 => NotDelivered::Closed,
            1 => NotDelivered::Revoked,
            _ => NotDelivered::Refused,
        }),
        Outcome::Interrupted => Failure::Interrupted {
            incarnation: words.to_words()[0],
        },
        Outcome::DeadlinePassed => Failure::DeadlinePassed { delivered },
        Outcome::Cancelled => Failure::Cancelled { delivered },
        outcome => Failure::System(SysError(outcome)),
    }
}

/// Greets a server: both sides must have the same schema.
///
/// # Errors
/// `Refused(WrongSchema)`, or what became of the call.
pub fn hello(
    connection: &Handle<Connection>,
    hash: u64,
    deadline: Deadline,
) -> Result<(), Failure> {
    match call::<_, (), ()>(
        connection,
        HELLO,
        Replay::Idempotent,
        deadline.into(),
        &(hash,),
    ) {
        Ok(()) => Ok(()),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(CallError::Method(())) => Err(Failure::BadReply),
    }
}

/// Asks a server for the schema of the protocol that this Connection speaks.
///
/// # Errors
/// `BadReply` if what it says is no description; what became of a call.
pub fn describe(
    connection: &Handle<Connection>,
    deadline: Deadline,
) -> Result<Description, Failure> {
    let mut bytes = alloc::vec::Vec::new();
    while bytes.len() < MAX_DESCRIPTION_BYTES {
        let offset = bytes.len() as u32;
        let page = call::<_, alloc::vec::Vec<u8>, ()>(
            connection,
            DESCRIBE,
            Replay::Idempotent,
            deadline.into(),
            &(offset,),
        );
        match page {
            Ok(page) if page.is_empty() => {
                return parse_description(&bytes).ok_or(Failure::BadReply);
            }
            Ok(page) => bytes.extend_from_slice(&page),
            Err(CallError::Failed(failure)) => return Err(failure),
            Err(CallError::Method(())) => return Err(Failure::BadReply),
        }
    }
    Err(Failure::BadReply)
}

/// Makes a call with bytes that are encoded already: method number, then the postcard of the arguments. For callers that learned the protocol
/// at run time, from its schema. The answer is the status byte ([`ANSWER_OK`] or [`ANSWER_ERROR`]) and the postcard of result or error; handles in it are closed.
///
/// # Errors
/// What became of the call.
pub fn call_bytes(
    connection: &Handle<Connection>,
    request: &[u8],
    handles: &[abi::Handle],
    terms: impl Into<Terms>,
) -> Result<alloc::vec::Vec<u8>, Failure> {
    let answer = call_bytes_with_handles(connection, request, handles, terms.into())?;
    for handle in answer.handles {
        crate::transfer::close(handle.handle());
    }
    Ok(answer.bytes)
}

/// An answer as bytes, and the handles beside it, which the holder has to close.
#[derive(Debug)]
pub struct RawAnswer {
    /// Status byte and postcard.
    pub bytes: alloc::vec::Vec<u8>,
    /// The handles, with their kinds.
    pub handles: alloc::vec::Vec<abi::message::HandleTransfer>,
}

/// As [`call_bytes`], with the handles of the answer.
///
/// # Errors
/// What became of the call.
pub fn call_bytes_with_handles(
    connection: &Handle<Connection>,
    request: &[u8],
    handles: &[abi::Handle],
    terms: Terms,
) -> Result<RawAnswer, Failure> {
    flush();
    let mut words = Words::default();
    crate::transfer::begin(TransferMode::Copy);
    for handle in handles {
        crate::transfer::push(*handle, abi::Rights::all()).ok_or(Failure::TooLarge)?;
    }
    let limit = if handles.is_empty() {
        abi::message::MAX_MESSAGE_BYTES
    } else {
        abi::message::MAX_BYTES_WITH_TRANSFERS
    };
    if request.len() > limit {
        return Err(Failure::TooLarge);
    }
    let fill = |page: &mut [u8]| {
        match words.0.get_mut(..request.len()) {
            Some(slot) => slot.copy_from_slice(request),
            None => page[..request.len()].copy_from_slice(request),
        }
        if !handles.is_empty() {
            crate::transfer::write_area(&mut page[abi::message::TRANSFER_OFFSET..]);
        }
    };
    sys::block().with_send_page(fill).ok_or(Failure::TooLarge)?;
    let info = MessageInfo::new(0, request.len()).with_handles(handles.len());
    let answer = enter(connection, terms, info, &words);
    if answer.outcome() != Outcome::Ok {
        return Err(failure(
            CallOutcome {
                outcome: answer.outcome(),
                detail: answer.upper(),
            },
            &answer.words,
        ));
    }
    let info = answer.info();
    let (list, count) = sys::block().received_handles(info.handles());
    let bytes = if info.length() <= REGISTER_BYTES {
        answer.words.0[..info.length()].to_vec()
    } else {
        sys::block().with_received(info.length(), <[u8]>::to_vec)
    };
    let refused = match bytes.split_first() {
        Some((&(STATUS_OK | STATUS_ERROR), _)) => {
            return Ok(RawAnswer {
                bytes,
                handles: list[..usize::from(count)].to_vec(),
            });
        }
        Some((&STATUS_REFUSED, rest)) => decode::<Refusal>(rest).ok(),
        _ => None,
    };
    drop(Arrived::new(&list, count));
    Err(refused.map_or(Failure::BadReply, Failure::Refused))
}
