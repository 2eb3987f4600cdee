//! Which pages of a PCI function its driver gets, and which only the bus's driver does.
//!
//! Whoever can write an MSI-X table can raise any interrupt, so the pages that hold it belong to the driver of the bus. The kernel gives memory by pages.

use abi::layout::PAGE_SIZE;
use alloc::vec::Vec;
use protocols::pci::Function;

const PAGE: u64 = PAGE_SIZE as u64;
/// Bytes of an entry of an MSI-X table (PCI 3.0 §6.8.2).
const TABLE_ENTRY_BYTES: u64 = 16;

/// Pages of physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages {
    /// The first address, page-aligned.
    pub base: u64,
    /// Bytes, whole pages.
    pub length: u64,
}

impl Pages {
    /// The pages that hold a range; `None` if it is empty or beyond all addresses.
    fn around(base: u64, length: u64) -> Option<Self> {
        let start = base - base % PAGE;
        let end = base.checked_add(length)?.checked_next_multiple_of(PAGE)?;
        (length != 0).then_some(Self {
            base: start,
            length: end - start,
        })
    }

    /// What lies before `other`; all of it, if they do not overlap.
    fn before(self, other: Self) -> Option<Self> {
        let end = self.base + self.length;
        if other.base >= end || other.base + other.length <= self.base {
            return Some(self);
        }
        let length = other.base.saturating_sub(self.base);
        (length != 0).then_some(Self { length, ..self })
    }
}

/// The pages that hold the function's MSI-X table, if it has one where it says.
pub fn table(function: &Function) -> Option<Pages> {
    let msix = function.msix.as_ref()?;
    let bar = function
        .bars
        .iter()
        .find(|bar| bar.index == msix.bar && !bar.is_port)?;
    let length = u64::from(msix.vectors) * TABLE_ENTRY_BYTES;
    let offset = u64::from(msix.offset);
    if offset.checked_add(length)? > bar.length {
        return None;
    }
    Pages::around(bar.base.checked_add(offset)?, length)
}

/// The windows that the driver gets: the number of each, and its pages.
pub fn of_driver(function: &Function) -> Vec<(u8, Pages)> {
    let table = table(function);
    let windows = function.bars.iter().filter(|bar| !bar.is_port);
    windows
        .filter_map(|bar| {
            let pages = Pages::around(bar.base, bar.length)?;
            let rest = match table {
                Some(table) => pages.before(table)?,
                None => pages,
            };
            Some((bar.index, rest))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use protocols::pci::{Address, Bar, MsixTable};

    fn bar(index: u8, base: u64, length: u64) -> Bar {
        Bar {
            index,
            base,
            length,
            is_port: false,
            is_prefetchable: false,
        }
    }

    fn function(bars: Vec<Bar>, msix: Option<MsixTable>) -> Function {
        Function {
            address: Address {
                bus: 0,
                device: 1,
                function: 0,
            },
            vendor: 1,
            device: 2,
            subsystem: 3,
            class: (2, 0, 0),
            bars,
            msix,
            has_msi: false,
            line: None,
            virtio: vec![],
        }
    }

    fn table_at(bar: u8, offset: u32, vectors: u16) -> Option<MsixTable> {
        Some(MsixTable {
            bar,
            offset,
            vectors,
        })
    }

    #[test]
    fn a_table_in_a_window_of_its_own_stays_with_the_bus() {
        let it = function(
            vec![bar(1, 0xfe00_0000, 0x1000), bar(4, 0xfd00_0000, 0x4000)],
            table_at(1, 0, 3),
        );
        let rest = Pages {
            base: 0xfd00_0000,
            length: 0x4000,
        };
        assert_eq!(of_driver(&it), [(4, rest)]);
        let pages = Pages {
            base: 0xfe00_0000,
            length: 0x1000,
        };
        assert_eq!(table(&it), Some(pages));
    }

    #[test]
    fn a_table_inside_cuts_the_window_short() {
        let it = function(vec![bar(0, 0xfe00_0000, 0x4000)], table_at(0, 0x2000, 65));
        let before = Pages {
            base: 0xfe00_0000,
            length: 0x2000,
        };
        assert_eq!(of_driver(&it), [(0, before)]);
    }

    #[test]
    fn nonsense_about_the_table_gives_no_table_and_small_windows_get_their_page() {
        let it = function(vec![bar(0, 0xfe00_0100, 0x100)], table_at(0, 0xf0, 65));
        assert_eq!(table(&it), None);
        let page = Pages {
            base: 0xfe00_0000,
            length: 0x1000,
        };
        assert_eq!(of_driver(&it), [(0, page)]);
        let far = function(vec![bar(0, u64::MAX - 5, 0x100)], None);
        assert_eq!(of_driver(&far), []);
    }
}
