//! How often the rings are looked at. Writers never ring, so that logging costs them nothing; a quiet system is looked at seldom.

/// The shortest pause, after something was found.
pub const SHORTEST_NS: u64 = 20_000_000;
/// The longest, when all is quiet. A ring takes what a service says in this time.
pub const LONGEST_NS: u64 = 320_000_000;

/// The pause between two looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    pause: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { pause: SHORTEST_NS }
    }
}

impl Pace {
    /// Takes note of a look, and says when the next is due.
    pub fn next(&mut self, now: u64, found: usize) -> u64 {
        self.pause = match found {
            0 => (self.pause * 2).min(LONGEST_NS),
            _ => SHORTEST_NS,
        };
        now.saturating_add(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_slows_it_down_and_a_record_wakes_it_up() {
        let mut pace = Pace::default();
        let mut due = 0;
        for _ in 0..10 {
            due = pace.next(1_000, 0);
        }
        assert_eq!(due, 1_000 + LONGEST_NS);
        assert_eq!(pace.next(1_000, 3), 1_000 + SHORTEST_NS);
        assert_eq!(pace.next(u64::MAX, 0), u64::MAX);
    }
}
