//! Turning ticks of one clock into ticks of another without a division.

const NANOSECONDS: u64 = 1_000_000_000;

/// A factor in 2^-32 that turns ticks of one frequency into ticks of another.
#[derive(Clone, Copy, Debug)]
pub struct Ratio(pub u64);

impl Ratio {
    /// Nanoseconds per tick of a clock.
    pub fn to_nanoseconds(frequency: u64) -> Self {
        Self(((u128::from(NANOSECONDS) << 32) / u128::from(frequency.max(1))) as u64)
    }

    /// Ticks of a clock per nanosecond.
    pub fn from_nanoseconds(frequency: u64) -> Self {
        Self(((u128::from(frequency) << 32) / u128::from(NANOSECONDS)) as u64)
    }

    /// `ticks` times the factor.
    #[inline]
    pub fn apply(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.0)) >> 32) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_ticks_is_a_second_of_nanoseconds() {
        for frequency in [1_000_000_000, 2_596_000_000, 3_579_545] {
            let second = Ratio::to_nanoseconds(frequency).apply(frequency);
            assert!(second.abs_diff(NANOSECONDS) <= 1 + frequency / 1_000_000_000, "{frequency}: {second}");
        }
    }

    #[test]
    fn years_of_ticks_do_not_overflow() {
        let century = 100 * 365 * 86_400 * 4_000_000_000;
        let nanoseconds = Ratio::to_nanoseconds(4_000_000_000).apply(century);
        assert!(nanoseconds.abs_diff(century / 4) < century / 1_000_000_000);
    }

    #[test]
    fn a_clock_that_stands_still_gives_no_time() {
        assert_eq!(Ratio::from_nanoseconds(0).apply(u64::MAX), 0);
    }
}
