//! How long a service that died waits for its next start.
//!
//! At once, then after 10, 50 and 250 ms, then no more until somebody asks: a crash loop starves nobody. A service that then ran for
//! [`CALM_NS`] starts from the beginning.

/// Pauses before the first, second … restart in a row.
pub const PAUSES_MS: [u64; 4] = [0, 10, 50, 250];
/// A service that ran so long is no longer in a crash loop.
pub const CALM_NS: u64 = 5_000_000_000;

/// What to do about a death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Start again at this time, in nanoseconds since boot.
    StartAt(u64),
    /// It died too often: wait for a request.
    GiveUp,
}

/// Deaths in a row of one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
    deaths: usize,
}

impl Backoff {
    /// Judges a death at `now` of an incarnation that had come up at `running_since` (`None`: it never did).
    pub fn on_death(&mut self, now: u64, running_since: Option<u64>) -> Verdict {
        if running_since.is_some_and(|since| now.saturating_sub(since) >= CALM_NS) {
            self.deaths = 0;
        }
        let verdict = match PAUSES_MS.get(self.deaths) {
            Some(pause) => Verdict::StartAt(now.saturating_add(pause * 1_000_000)),
            None => Verdict::GiveUp,
        };
        self.deaths += 1;
        verdict
    }

    /// Forgets what was: somebody asked for a start.
    pub fn reset(&mut self) {
        self.deaths = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_slows_down_and_ends() {
        let mut backoff = Backoff::default();
        let verdicts: [Verdict; 5] = core::array::from_fn(|_| backoff.on_death(1_000, Some(900)));
        let at = |ms: u64| Verdict::StartAt(1_000 + ms * 1_000_000);
        assert_eq!(verdicts, [at(0), at(10), at(50), at(250), Verdict::GiveUp]);
    }

    #[test]
    fn a_service_that_ran_calmly_starts_at_once_again() {
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            backoff.on_death(0, None);
        }
        assert_eq!(
            backoff.on_death(CALM_NS + 7, Some(7)),
            Verdict::StartAt(CALM_NS + 7)
        );
    }
}
