//! Logins that failed, by address: guessing gets slow for whoever guesses, and for nobody else.

use alloc::vec::Vec;

/// Failures within [`WINDOW_NS`] from which on the next attempt is delayed.
pub const MAX_FAILURES: usize = 10;
/// How far back failures count.
pub const WINDOW_NS: u64 = 10_000_000_000;
/// The first delay; each further failure doubles it.
const FIRST_DELAY_NS: u64 = 1_000_000_000;
/// The longest delay.
pub const MAX_DELAY_NS: u64 = 30_000_000_000;
/// How long an address that fails no more is remembered.
const FORGET_NS: u64 = 120_000_000_000;
/// Addresses that are remembered, at most: the one that failed longest ago is forgotten first.
const MAX_ADDRESSES: usize = 256;

/// Failures of every address.
#[derive(Debug)]
pub struct Attempts<A> {
    addresses: Vec<(A, Failures)>,
}

#[derive(Debug, Default)]
struct Failures {
    recent: Vec<u64>,
    delay_ns: u64,
    last_ns: u64,
}

impl<A> Default for Attempts<A> {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
        }
    }
}

impl<A: PartialEq + Copy> Attempts<A> {
    /// How long an attempt from this address has to wait.
    pub fn delay_ns(&self, address: A, now: u64) -> u64 {
        self.addresses
            .iter()
            .find(|(known, failures)| *known == address && !failures.is_old(now))
            .map_or(0, |(_, failures)| failures.delay_ns)
    }

    /// An attempt has failed.
    pub fn failed(&mut self, address: A, now: u64) {
        self.addresses.retain(|(_, failures)| !failures.is_old(now));
        let place = match self
            .addresses
            .iter()
            .position(|(known, _)| *known == address)
        {
            Some(place) => place,
            None => {
                if self.addresses.len() >= MAX_ADDRESSES {
                    self.forget_oldest();
                }
                self.addresses.push((address, Failures::default()));
                self.addresses.len() - 1
            }
        };
        if let Some((_, failures)) = self.addresses.get_mut(place) {
            failures.add(now);
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .addresses
            .iter()
            .enumerate()
            .min_by_key(|(_, (_, failures))| failures.last_ns)
            .map(|(place, _)| place);
        if let Some(place) = oldest {
            self.addresses.swap_remove(place);
        }
    }
}

impl Failures {
    fn is_old(&self, now: u64) -> bool {
        now.saturating_sub(self.last_ns) > FORGET_NS
    }

    fn add(&mut self, now: u64) {
        self.last_ns = now;
        if self.delay_ns > 0 {
            self.delay_ns = (2 * self.delay_ns).min(MAX_DELAY_NS);
            return;
        }
        self.recent
            .retain(|at| now.saturating_sub(*at) <= WINDOW_NS);
        self.recent.push(now);
        if self.recent.len() >= MAX_FAILURES {
            self.delay_ns = FIRST_DELAY_NS;
            self.recent.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn ten_failures_in_ten_seconds_delay_the_next_and_each_further_one_doubles_that() {
        let mut attempts = Attempts::default();
        for at in 0..9 {
            attempts.failed(1, at * SECOND / 2);
            assert_eq!(attempts.delay_ns(1, at * SECOND), 0);
        }
        attempts.failed(1, 5 * SECOND);
        let mut delays = Vec::new();
        for at in 6..13 {
            delays.push(attempts.delay_ns(1, at * SECOND) / SECOND);
            attempts.failed(1, at * SECOND);
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(attempts.delay_ns(2, 13 * SECOND), 0, "another address");
    }

    #[test]
    fn slow_failures_are_mistakes_and_delay_nobody() {
        let mut attempts = Attempts::default();
        for at in 0..40 {
            attempts.failed(1, at * 2 * SECOND);
        }
        assert_eq!(attempts.delay_ns(1, 80 * SECOND), 0);
    }

    #[test]
    fn an_address_that_is_quiet_for_two_minutes_is_forgiven() {
        let mut attempts = Attempts::default();
        (0..12).for_each(|_| attempts.failed(1, SECOND));
        assert!(attempts.delay_ns(1, 100 * SECOND) > 0);
        assert_eq!(attempts.delay_ns(1, 122 * SECOND), 0);
    }

    #[test]
    fn any_number_of_addresses_takes_a_bounded_space() {
        let mut attempts = Attempts::default();
        for address in 0..100_000_u32 {
            attempts.failed(address, SECOND);
        }
        assert!(attempts.addresses.len() <= MAX_ADDRESSES);
    }
}
