//! The deterministic generator behind `random` (language section 18.4).

/// `state = (state × 25173 + 13849) mod 65536`, starting from 1.
///
/// A program may seed it with an integer of any size; only the remainder modulo 65536 influences what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    state: u16,
}

impl Default for Generator {
    fn default() -> Self {
        Self { state: 1 }
    }
}

impl Generator {
    /// Continues from `seed`.
    pub fn seed(&mut self, seed: u16) {
        self.state = seed;
    }

    /// Steps and returns the new state.
    pub fn next_state(&mut self) -> u16 {
        self.state = self.state.wrapping_mul(25173).wrapping_add(13849);
        self.state
    }

    /// A number from `low` to `high - 1`, or `None` when that range is empty.
    pub fn next_in_range(&mut self, low: i64, high: i64) -> Option<i64> {
        let width = i128::from(high) - i128::from(low);
        (width > 0).then(|| {
            let offset = i128::from(self.next_state()) % width;
            (i128::from(low) + offset) as i64
        })
    }

    /// A float in `[0, 1)` made of three steps, which gives it 48 bits.
    pub fn next_float(&mut self) -> f64 {
        let mut bits: u64 = 0;
        for _ in 0..3 {
            bits = bits << 16 | u64::from(self.next_state());
        }
        bits as f64 / (1u64 << 48) as f64
    }

    /// An index below `length`, unbiased enough for shuffling lists longer than the period of one step.
    pub fn next_index(&mut self, length: usize) -> usize {
        let high = u64::from(self.next_state());
        let low = u64::from(self.next_state());
        ((high << 16 | low) % (length.max(1) as u64)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_documented_one() {
        let mut generator = Generator::default();
        assert_eq!(generator.next_state(), 39022);
        generator.seed(42);
        assert_eq!(
            (generator.next_state(), generator.next_state()),
            (22539, 42944)
        );
    }

    #[test]
    fn a_range_excludes_its_end_and_refuses_to_be_empty() {
        let mut generator = Generator::default();
        assert!((0..1000).all(|_| {
            generator
                .next_in_range(-3, 4)
                .is_some_and(|n| (-3..4).contains(&n))
        }));
        assert_eq!(generator.next_in_range(4, 4), None);
        assert_eq!(
            generator
                .next_in_range(i64::MIN, i64::MAX)
                .map(|n| n < i64::MAX),
            Some(true)
        );
    }

    #[test]
    fn floats_stay_in_the_unit_interval() {
        let mut generator = Generator::default();
        assert!((0..1000).all(|_| (0.0..1.0).contains(&generator.next_float())));
    }
}
