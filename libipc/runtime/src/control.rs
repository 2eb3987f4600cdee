//! What the supervisor says to every process: answered inside the runtime, between two wakes of the server.

use crate::calls::{Calls, Pending, decode_answer};
use crate::error::Failure;
use crate::fault;
use crate::handle::Handle;
use crate::incoming::IncomingCall;
use crate::object::{Connection, Notification};
use crate::schema::Replay;
use crate::time::{Deadline, Instant};
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering};
use serde::{Deserialize, Serialize};

static REFUSED: AtomicU64 = AtomicU64::new(0);
static INCARNATION: AtomicU64 = AtomicU64::new(0);

/// What the supervisor asks. Encoded as the argument of method 1 of a Connection with the supervisor's badge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Are you alive?
    Heartbeat,
    /// Die at the `n`-th passing of a named point.
    KillAtPoint {
        /// The point.
        point: String,
        /// Which passing, from 1.
        n: u32,
    },
    /// Die at the `n`-th call of a method.
    KillAtMethod {
        /// The method.
        method: String,
        /// Which call, from 1.
        n: u32,
        /// After the handler and before the answer, else before the handler.
        is_after: bool,
    },
    /// Forget what was armed.
    Disarm,
    /// Stop answering once this is answered.
    Hang {
        /// By waiting for what nobody brings, else by looping.
        waits: bool,
        /// For so many milliseconds; `None`: for ever.
        ms: Option<u32>,
    },
}

/// What the process says about itself in a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Its incarnation.
    pub incarnation: u64,
    /// Malformed calls it refused.
    pub refused: u64,
    /// Log records it dropped because its ring was full.
    pub log_dropped: u64,
}

/// An order was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderError {
    /// The name is longer than [`fault::MAX_NAME_BYTES`].
    NameTooLong,
}

/// The method's number.
const ORDER: u8 = 1;

/// Starts an order; its answer is the process's health.
///
/// # Errors
/// As [`Calls::start`].
pub fn start_order(
    calls: &Calls,
    connection: &Handle<Connection>,
    order: &Order,
    deadline: Deadline,
) -> Result<Pending<Health, OrderError>, Failure> {
    calls.start(
        connection,
        ORDER,
        Replay::Never,
        deadline.into(),
        &(order,),
        decode_answer,
    )
}

#[cfg(target_os = "none")]
/// Remembers which incarnation this is.
pub(crate) fn set_incarnation(incarnation: u64) {
    INCARNATION.store(incarnation, Ordering::Relaxed);
}

/// Counts a call that was refused for what it was.
pub(crate) fn count_refusal() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// Calls refused so far because they were malformed or asked for what there is not.
pub fn refused_calls() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

/// Answers an order.
#[cold]
pub(crate) fn answer(call: IncomingCall<'_>) {
    if call.method() != Some(ORDER) {
        call.refuse(crate::error::Refusal::UnknownMethod);
        return;
    }
    let mut hang = None;
    call.answer(|_, (order,): (Order,)| {
        if let Order::Hang { waits, ms } = order {
            hang = Some((waits, ms));
        }
        obey(&order)
    });
    // The supervisor must not wait until the server has something else to do.
    crate::endpoint::flush();
    if let Some((waits, ms)) = hang {
        stop_answering(waits, ms);
    }
}

/// What a server does that has lost its way.
fn stop_answering(waits: bool, ms: Option<u32>) {
    let until = match ms {
        Some(ms) => Deadline::after_ms(u64::from(ms)),
        None => Deadline::at(Instant::from_ns(u64::MAX)),
    };
    if waits && let Ok(nobody) = Handle::<Notification>::create() {
        // It ends in any case: by time, or by whoever kills us.
        let _ = nobody.wait(1, until);
        return;
    }
    while Instant::now() < until.moment() {
        core::hint::spin_loop();
    }
}

fn obey(order: &Order) -> Result<Health, OrderError> {
    let is_known = match order {
        Order::Heartbeat | Order::Hang { .. } => true,
        Order::KillAtPoint { point, n } => fault::arm_point(point, *n),
        Order::KillAtMethod {
            method,
            n,
            is_after,
        } => fault::arm_method(method, *n, *is_after),
        Order::Disarm => {
            fault::disarm();
            true
        }
    };
    let health = Health {
        incarnation: INCARNATION.load(Ordering::Relaxed),
        refused: refused_calls(),
        log_dropped: crate::log::dropped(),
    };
    if is_known {
        Ok(health)
    } else {
        Err(OrderError::NameTooLong)
    }
}
