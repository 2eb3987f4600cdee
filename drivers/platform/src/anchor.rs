//! What ties the wall clock to the time since boot.
//!
//! The clock shows whole seconds. Whoever took a new reading each time would see time jump back by up to a second, so one reading is kept, over restarts of the driver too, and
//! the time since boot counts from there. It is given up only when the clock has gone its own way: because somebody set it, or the machine stood still.

/// A reading of the clock is this far from the truth, and so is the one that it is compared with.
const TOLERANCE_SECONDS: u64 = 2;
const SECOND_NS: u64 = 1_000_000_000;

/// What the clock showed, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Nanoseconds since boot.
    pub at_ns: u64,
}

impl Anchor {
    /// Of this anchor and a new reading, the one to go by.
    #[must_use]
    pub fn or(self, reading: Self) -> Self {
        let passed = reading.at_ns.saturating_sub(self.at_ns) / SECOND_NS;
        let expected = self.seconds.saturating_add_unsigned(passed);
        if expected.abs_diff(reading.seconds) <= TOLERANCE_SECONDS {
            self
        } else {
            reading
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: Anchor = Anchor {
        seconds: 1000,
        at_ns: 5 * SECOND_NS,
    };

    #[test]
    fn a_reading_that_agrees_changes_nothing() {
        for (seconds, after_ns) in [(1000, 0), (1009, 10_999_999_999), (1012, 10 * SECOND_NS)] {
            let reading = Anchor {
                seconds,
                at_ns: ANCHOR.at_ns + after_ns,
            };
            assert_eq!(ANCHOR.or(reading), ANCHOR, "{reading:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        for seconds in [0, 1007, 1013, i64::MAX] {
            let reading = Anchor {
                seconds,
                at_ns: ANCHOR.at_ns + 10 * SECOND_NS,
            };
            assert_eq!(ANCHOR.or(reading), reading);
        }
    }
}
