//! Names that one task at a time may work on: a file whose version is compared and which is then replaced, say.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Names in use, with those who wait for them. Clones are the same names.
#[derive(Clone, Default)]
pub struct Locks(Rc<RefCell<BTreeMap<String, VecDeque<Waker>>>>);

/// The right to work on a name, until this goes.
pub struct Locked {
    locks: Locks,
    name: String,
}

/// Waits for a name.
pub struct Locking<'n> {
    locks: Locks,
    name: &'n str,
}

impl Locks {
    /// Waits until nobody else works on `name`.
    pub fn lock<'n>(&self, name: &'n str) -> Locking<'n> {
        Locking {
            locks: self.clone(),
            name,
        }
    }
}

impl Future for Locking<'_> {
    type Output = Locked;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Locked> {
        let mut names = self.locks.0.borrow_mut();
        if let Some(waiting) = names.get_mut(self.name) {
            waiting.push_back(context.waker().clone());
            return Poll::Pending;
        }
        names.insert(self.name.to_string(), VecDeque::new());
        Poll::Ready(Locked {
            locks: self.locks.clone(),
            name: self.name.to_string(),
        })
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // All are woken, since some may be gone; the first that runs gets the name and the others wait again.
        let waiting = self.locks.0.borrow_mut().remove(&self.name);
        for waker in waiting.into_iter().flatten() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::pin::pin;

    fn poll(locking: Pin<&mut Locking<'_>>) -> Option<Locked> {
        match locking.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(locked) => Some(locked),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_name_has_one_owner_at_a_time() {
        let locks = Locks::default();
        let first = poll(pin!(locks.lock("/a"))).expect("it is free");
        let mut second = pin!(locks.lock("/a"));
        assert!(poll(second.as_mut()).is_none());
        assert!(poll(pin!(locks.lock("/b"))).is_some(), "another name");
        drop(first);
        let owned = poll(second.as_mut()).expect("it is free again");
        assert!(poll(pin!(locks.lock("/a"))).is_none());
        drop(owned);
        assert!(locks.0.borrow().is_empty(), "nothing is left behind");
    }
}
