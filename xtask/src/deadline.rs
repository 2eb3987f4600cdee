//! A moment by which something must have happened: every wait in the tools has one.

use std::time::{Duration, Instant};

/// How long a waiting loop sleeps between two looks at something that can't wake it (a file, a process).
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A moment by which something must have happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// This long from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// So many seconds from now.
    pub fn after_seconds(seconds: u64) -> Self {
        Self::after(Duration::from_secs(seconds))
    }

    /// What is left; nothing once it has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// Looks again and again until `look` finds something; nothing if it has not by then.
    pub fn poll<T>(self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            std::thread::sleep(self.remaining()?.min(LOOK_AGAIN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_looks_at_least_once_even_when_it_is_too_late() {
        assert_eq!(Deadline::after(Duration::ZERO).poll(|| Some(1)), Some(1));
        assert_eq!(Deadline::after(Duration::ZERO).poll(|| None::<u8>), None);
    }
}
