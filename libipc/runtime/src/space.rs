//! Which addresses of our address space are free to map something at.
//!
//! Ranges are taken from the start; ranges given back are remembered as long as there is room to remember them (addresses are plenty, memory for
//! bookkeeping is what the heap itself asks for here).

use crate::error::SysError;
use crate::sync::Lock;
use abi::Outcome;
use abi::layout::PAGE_SIZE;

const REMEMBERED: usize = 64;

static SPACE: Lock<Space> = Lock::new(Space {
    next: 0,
    end: 0,
    free: [(0, 0); REMEMBERED],
});

struct Space {
    next: u64,
    end: u64,
    /// Start and length of ranges that were given back; length 0: no range.
    free: [(u64, u64); REMEMBERED],
}

impl Space {
    fn take(&mut self, length: u64) -> Option<u64> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .filter(|length| *length != 0)?;
        // One page between ranges stays free, so that running past an end faults.
        let length = length.checked_add(PAGE_SIZE as u64)?;
        if let Some(range) = self.free.iter_mut().find(|range| range.1 >= length) {
            let start = range.0;
            *range = (range.0 + length, range.1 - length);
            return Some(start);
        }
        let start = self.next;
        self.next = start.checked_add(length).filter(|end| *end <= self.end)?;
        Some(start)
    }

    fn give_back(&mut self, start: u64, length: u64) {
        let Some(length) = length
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .and_then(|length| length.checked_add(PAGE_SIZE as u64))
        else {
            return;
        };
        if let Some(range) = self
            .free
            .iter_mut()
            .find(|range| range.1 != 0 && (range.0 + range.1 == start || start + length == range.0))
        {
            *range = (range.0.min(start), range.1 + length);
        } else if let Some(range) = self.free.iter_mut().find(|range| range.1 == 0) {
            *range = (start, length);
        }
    }
}

/// Says which addresses are ours to map at. Called at process start.
#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host has an address space of its own")
)]
pub(crate) fn set_range(start: u64, end: u64) {
    let mut space = SPACE.lock();
    (space.next, space.end) = (start, end);
}

/// Takes a range of whole pages.
#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host has an address space of its own")
)]
pub(crate) fn take(length: u64) -> Result<u64, SysError> {
    SPACE
        .lock()
        .take(length)
        .ok_or(SysError(Outcome::BadAddress))
}

/// Gives a range back that [`take`] gave out.
#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host has an address space of its own")
)]
pub(crate) fn give_back(start: u64, length: u64) {
    SPACE.lock().give_back(start, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space {
            next: 0x10_0000,
            end: 0x20_0000,
            free: [(0, 0); REMEMBERED],
        }
    }

    #[test]
    fn ranges_do_not_touch_and_are_used_again() {
        let mut space = space();
        let first = space.take(5000).unwrap();
        let second = space.take(4096).unwrap();
        assert_eq!(second - first, 3 * 4096);
        space.give_back(first, 5000);
        assert_eq!(space.take(8192), Some(first));
    }

    #[test]
    fn neighbours_become_one_range() {
        let mut space = space();
        let ranges: std::vec::Vec<u64> = (0..4).map(|_| space.take(4096).unwrap()).collect();
        for range in &ranges {
            space.give_back(*range, 4096);
        }
        assert_eq!(space.take(7 * 4096), Some(ranges[0]));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let mut space = space();
        assert_eq!(space.take(0), None);
        assert_eq!(space.take(u64::MAX), None);
        assert_eq!(space.take(0x10_0000), None);
    }
}
