//! The machine's memory: what the firmware reported, and what of it is free.

use abi::layout::PAGE_SIZE;
use core::ops::Range;
use heapless::Vec;

/// Ranges that are kept.
const MAX_RANGES: usize = 64;
const PAGE: u64 = PAGE_SIZE as u64;

/// What a range of physical memory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// Memory for use.
    Usable,
    /// Memory that holds the firmware's tables.
    Firmware,
    /// Not to be touched, maybe not memory at all.
    Reserved,
}

/// The memory of the machine, whole pages only.
#[derive(Clone, Default, Debug)]
pub struct MemoryMap {
    ranges: Vec<(Range<u64>, MemoryKind), MAX_RANGES>,
}

impl MemoryMap {
    /// No memory.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds a range. Usable ones lose their cut pages, others are rounded out. What does not fit the table is left out, so
    /// it is never used.
    pub fn add(&mut self, range: Range<u64>, kind: MemoryKind) {
        let range = match kind {
            MemoryKind::Usable => range.start.next_multiple_of(PAGE)..range.end / PAGE * PAGE,
            _ => range.start / PAGE * PAGE..range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX - PAGE + 1),
        };
        if !range.is_empty() {
            let _ = self.ranges.push((range, kind));
        }
    }

    /// Takes `taken` out of the usable memory.
    pub fn reserve(&mut self, taken: Range<u64>) {
        let taken = taken.start / PAGE * PAGE..taken.end.next_multiple_of(PAGE);
        let mut kept = Self::new();
        for (range, kind) in &self.ranges {
            if *kind != MemoryKind::Usable {
                kept.add(range.clone(), *kind);
                continue;
            }
            kept.add(range.start..range.end.min(taken.start), *kind);
            kept.add(range.start.max(taken.end)..range.end, *kind);
        }
        *self = kept;
    }

    /// The usable ranges.
    pub fn usable(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.of_kind(MemoryKind::Usable)
    }

    /// All that is memory: usable, or full of the firmware's tables.
    pub fn memory(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.usable().chain(self.of_kind(MemoryKind::Firmware))
    }

    fn of_kind(&self, wanted: MemoryKind) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().filter(move |(_, kind)| *kind == wanted).map(|(range, _)| range.clone())
    }

    /// Bytes of usable memory.
    pub fn usable_bytes(&self) -> u64 {
        self.usable().map(|range| range.end - range.start).sum()
    }

    /// Takes `count` pages that follow each other from the usable memory below `limit`; their physical address.
    pub fn take_pages(&mut self, count: u64, limit: u64) -> Option<u64> {
        let length = count.checked_mul(PAGE)?;
        let fits = |range: &Range<u64>| range.end.min(limit).saturating_sub(range.start) >= length;
        let (range, _) = self.ranges.iter_mut().find(|(range, kind)| *kind == MemoryKind::Usable && fits(range))?;
        let start = range.start;
        range.start += length;
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(ranges: &[(Range<u64>, MemoryKind)]) -> MemoryMap {
        let mut map = MemoryMap::new();
        for (range, kind) in ranges {
            map.add(range.clone(), *kind);
        }
        map
    }

    #[test]
    fn usable_memory_loses_its_cut_pages_and_other_memory_gains_them() {
        let map = map(&[(0x1800..0x4800, MemoryKind::Usable), (0x9800..0xa001, MemoryKind::Firmware)]);
        assert!(map.usable().eq(core::iter::once(0x2000..0x4000)));
        assert!(map.memory().eq([0x2000..0x4000, 0x9000..0xb000]));
    }

    #[test]
    fn a_reserved_middle_leaves_both_ends() {
        let mut map = map(&[(0..0x10000, MemoryKind::Usable)]);
        map.reserve(0x4001..0x4002);
        assert!(map.usable().eq([0..0x4000, 0x5000..0x10000]));
    }

    #[test]
    fn pages_are_taken_once_and_below_the_limit() {
        let mut map = map(&[(0x1000..0x3000, MemoryKind::Usable), (0x10_0000..0x20_0000, MemoryKind::Usable)]);
        assert_eq!(map.take_pages(2, 0x8000), Some(0x1000));
        assert_eq!(map.take_pages(1, 0x8000), None);
        assert_eq!(map.take_pages(1, u64::MAX), Some(0x10_0000));
        assert_eq!(map.usable_bytes(), 0xf_f000);
    }

    proptest! {
        #[test]
        fn what_is_reserved_is_never_taken(start in 0_u64..0x40_0000, length in 1_u64..0x10_0000, count in 1_u64..16) {
            let mut map = map(&[(0..0x40_0000, MemoryKind::Usable)]);
            map.reserve(start..start + length);
            while let Some(page) = map.take_pages(count, u64::MAX) {
                prop_assert!(page + count * PAGE <= start || page >= start + length);
            }
        }

        #[test]
        fn any_range_can_be_added(start: u64, end: u64) {
            for kind in [MemoryKind::Usable, MemoryKind::Firmware, MemoryKind::Reserved] {
                let map = map(&[(start..end, kind)]);
                prop_assert!(map.memory().all(|range| range.start % PAGE == 0 && range.end % PAGE == 0));
            }
        }
    }
}
