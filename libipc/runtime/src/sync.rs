//! A lock for the few things that the threads of a process share. All threads of a process run on one CPU, so whoever finds it taken lets the
//! holder run.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that one thread at a time may use.
#[derive(Debug)]
pub struct Lock<T> {
    is_taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a guard only, and there is one guard at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until it is free and takes it. Not again in the same thread.
    pub fn lock(&self) -> Guard<'_, T> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            pause();
        }
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let taken =
            self.is_taken
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then_some(Guard { lock: self })
    }
}

fn pause() {
    core::hint::spin_loop();
    #[cfg(target_os = "none")]
    {
        // Yielding sends nothing and needs no memory, so it is safe wherever a lock is.
        let mut registers = crate::sys::Registers::new(abi::Operation::Yield);
        crate::sys::system_call(&mut registers);
    }
    #[cfg(not(target_os = "none"))]
    std::thread::yield_now();
}

/// The lock is taken while this lives.
#[derive(Debug)]
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.is_taken.store(false, Ordering::Release);
    }
}
