//! Moments that tasks wait for. The server's loop asks for the first one, and rings those that have passed.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Moments in nanoseconds since boot. Clones are the same moments.
#[derive(Clone, Default)]
pub struct Timers(Rc<RefCell<Moments>>);

#[derive(Default)]
struct Moments {
    /// By moment, and a number that tells those of one moment apart.
    waiting: BTreeMap<(u64, u64), Waiter>,
    next: u64,
}

struct Waiter {
    has_passed: Rc<Cell<bool>>,
    waker: Waker,
}

impl Timers {
    /// The first moment that somebody waits for.
    pub fn first(&self) -> Option<u64> {
        self.0.borrow().waiting.keys().next().map(|(at, _)| *at)
    }

    /// Wakes whoever waits for a moment that is not after `now`; `true` if there was somebody.
    pub fn ring(&self, now: u64) -> bool {
        let mut moments = self.0.borrow_mut();
        let later = moments.waiting.split_off(&(now.saturating_add(1), 0));
        let due = core::mem::replace(&mut moments.waiting, later);
        drop(moments);
        for waiter in due.values() {
            waiter.has_passed.set(true);
            waiter.waker.wake_by_ref();
        }
        !due.is_empty()
    }

    /// Waits until this moment.
    pub fn until(&self, at: u64) -> Until {
        let mut moments = self.0.borrow_mut();
        moments.next += 1;
        Until {
            timers: self.clone(),
            key: (at, moments.next),
            has_passed: Rc::default(),
        }
    }
}

/// A moment to wait for.
pub struct Until {
    timers: Timers,
    key: (u64, u64),
    has_passed: Rc<Cell<bool>>,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.has_passed.get() {
            return Poll::Ready(());
        }
        let waiter = Waiter {
            has_passed: self.has_passed.clone(),
            waker: context.waker().clone(),
        };
        self.timers.0.borrow_mut().waiting.insert(self.key, waiter);
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        self.timers.0.borrow_mut().waiting.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::pin::pin;

    fn poll(until: Pin<&mut Until>) -> bool {
        until
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_moment_comes_when_it_is_rung_and_not_before() {
        let timers = Timers::default();
        let (mut early, mut late) = (pin!(timers.until(5)), pin!(timers.until(9)));
        assert!(!poll(early.as_mut()) && !poll(late.as_mut()));
        assert_eq!(timers.first(), Some(5));
        assert!(!timers.ring(4), "nothing is due");
        assert!(timers.ring(5));
        assert!(poll(early.as_mut()) && !poll(late.as_mut()));
        assert_eq!(timers.first(), Some(9));
    }

    #[test]
    fn who_waits_no_longer_is_forgotten() {
        let timers = Timers::default();
        {
            let mut until = pin!(timers.until(5));
            assert!(!poll(until.as_mut()));
        }
        assert_eq!(timers.first(), None);
    }
}
