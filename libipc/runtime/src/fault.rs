//! Fault injection: a process dies at a chosen point, to prove that nobody notices.
//!
//! Servers name points with [`point`]; dispatchers pass one before each handler, replies one after it. Armed by the supervisor only. Unarmed, a
//! point costs one load.

use crate::schema::Protocol;
use crate::sync::Lock;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a name, at most.
pub const MAX_NAME_BYTES: usize = 48;

static IS_ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: Lock<Plan> = Lock::new(Plan::NONE);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Point,
    BeforeMethod,
    AfterMethod,
}

struct Plan {
    place: Place,
    name: [u8; MAX_NAME_BYTES],
    length: usize,
    /// Passings until it happens.
    left: u32,
    /// The method whose answer is awaited ran: `AfterMethod` counts the next answer.
    is_running: bool,
}

impl Plan {
    const NONE: Self = Self {
        place: Place::Point,
        name: [0; MAX_NAME_BYTES],
        length: 0,
        left: 0,
        is_running: false,
    };

    fn is(&self, name: &str) -> bool {
        self.name.get(..self.length) == Some(name.as_bytes())
    }

    /// Counts a passing; `true` when it is the one.
    fn passes(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

/// Whether anything is armed.
#[inline(always)]
pub fn is_armed() -> bool {
    IS_ARMED.load(Ordering::Relaxed)
}

/// A named point in a server's code: between "available index written" and "doorbell", say.
#[inline(always)]
pub fn point(name: &str) {
    if is_armed() {
        pass_point(name);
    }
}

#[cold]
fn pass_point(name: &str) {
    let mut plan = PLAN.lock();
    if plan.place == Place::Point && plan.is(name) && plan.passes() {
        drop(plan);
        strike(name);
    }
}

#[cold]
pub(crate) fn before_method(protocol: &Protocol, number: Option<u8>) {
    let Some(method) = protocol
        .methods
        .iter()
        .find(|method| Some(method.number) == number)
    else {
        return;
    };
    let mut plan = PLAN.lock();
    if !plan.is(method.name) {
        return;
    }
    let place = plan.place;
    if place == Place::BeforeMethod && plan.passes() {
        drop(plan);
        strike(method.name);
    } else if place == Place::AfterMethod {
        plan.is_running = true;
    }
}

#[cold]
pub(crate) fn after_method() {
    let mut plan = PLAN.lock();
    if plan.place == Place::AfterMethod && core::mem::take(&mut plan.is_running) && plan.passes() {
        drop(plan);
        strike("after a method");
    }
}

/// Has the process die at the `n`-th passing of a point from now. `false` if the name is too long.
pub(crate) fn arm_point(name: &str, n: u32) -> bool {
    arm(Place::Point, name, n)
}

/// Has the process die at the `n`-th call of a method from now, before its handler runs, or after it and before the answer.
pub(crate) fn arm_method(name: &str, n: u32, is_after: bool) -> bool {
    arm(
        if is_after {
            Place::AfterMethod
        } else {
            Place::BeforeMethod
        },
        name,
        n,
    )
}

fn arm(place: Place, name: &str, n: u32) -> bool {
    if name.len() > MAX_NAME_BYTES {
        return false;
    }
    let mut plan = PLAN.lock();
    *plan = Plan {
        place,
        length: name.len(),
        left: n.max(1),
        ..Plan::NONE
    };
    plan.name[..name.len()].copy_from_slice(name.as_bytes());
    IS_ARMED.store(true, Ordering::Relaxed);
    true
}

/// Forgets what was armed.
pub(crate) fn disarm() {
    IS_ARMED.store(false, Ordering::Relaxed);
    *PLAN.lock() = Plan::NONE;
}

fn strike(name: &str) -> ! {
    disarm();
    crate::panic::die(format_args!("fault injected at {name}"))
}
