//! Moments and deadlines. Time is nanoseconds since boot, read from the time page without a system call.

use crate::incoming::Caller;
use core::time::Duration;

/// A moment: nanoseconds since boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(u64);

impl Instant {
    /// When the machine booted.
    pub const BOOT: Self = Self(0);

    /// Now.
    pub fn now() -> Self {
        Self(crate::sys::now_ns())
    }

    /// The moment so many nanoseconds after boot.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since boot.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// The moment `length` later; the last moment there is, if that is too far.
    pub fn after(self, length: Duration) -> Self {
        let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ns))
    }

    /// How long ago `earlier` was, as seen from this moment; zero if it was not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment after which nobody wants the answer any more. There is always one: "never" can't be said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Deadline(u64);

impl Deadline {
    /// At this moment.
    pub const fn at(moment: Instant) -> Self {
        Self(if moment.0 == abi::layout::NEVER {
            abi::layout::NEVER - 1
        } else {
            moment.0
        })
    }

    /// So long from now.
    pub fn after(length: Duration) -> Self {
        Self::at(Instant::now().after(length))
    }

    /// So many milliseconds from now.
    pub fn after_ms(length_ms: u64) -> Self {
        Self::after(Duration::from_millis(length_ms))
    }

    /// The moment.
    pub const fn moment(self) -> Instant {
        Instant(self.0)
    }

    /// The same, for a call that is made in the course of answering `caller`: it then ends no later than that caller's own deadline, runs at its
    /// priority, and is cancelled with it.
    pub fn on_behalf_of(self, caller: &Caller) -> Terms {
        Terms {
            deadline: self,
            on_behalf: caller.reply_handle(),
        }
    }

    pub(crate) const fn as_ns(self) -> u64 {
        self.0
    }
}

/// On what terms a call is made: until when, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    pub(crate) deadline: Deadline,
    pub(crate) on_behalf: abi::Handle,
}

impl Terms {
    /// Until when.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }
}

impl From<Deadline> for Terms {
    fn from(deadline: Deadline) -> Self {
        Self {
            deadline,
            on_behalf: abi::Handle::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_never() {
        assert_eq!(
            Deadline::at(Instant::from_ns(u64::MAX)).as_ns(),
            u64::MAX - 1
        );
        let far = Instant::from_ns(5).after(Duration::MAX);
        assert!(Deadline::at(far).as_ns() < abi::layout::NEVER);
    }

    #[test]
    fn time_between_moments_does_not_wrap() {
        let early = Instant::from_ns(10);
        let late = Instant::from_ns(30);
        assert_eq!(late.since(early), Duration::from_nanos(20));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
