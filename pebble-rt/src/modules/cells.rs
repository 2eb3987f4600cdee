//! The cell array behind `memory` and `heap` (language sections 18.5 and 18.6), generic over what a cell holds.
//!
//! Sizes and indices come from programs as signed integers; every operation checks all of them before it changes anything.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

/// Cells that an object of the heap needs besides its payload: its kind and its payload size.
pub const HEADER_CELLS: i64 = 2;

/// Why an operation on cells cannot be done. The texts are those a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellError {
    /// An index below zero.
    NegativeIndex,
    /// An index or a range that ends beyond the last cell.
    OutOfRange,
    /// No room for an allocation, or no memory for so many cells.
    OutOfMemory,
    /// A size below zero, for the function named.
    NegativeSize(&'static str),
    /// A count below zero, for the function named.
    NegativeCount(&'static str),
    /// `memory.reset` to a mark that was not taken.
    ResetOutOfRange,
    /// `heap.alloc` with a payload below zero.
    NegativePayload,
    /// No room for an object.
    HeapOutOfMemory,
    /// An offset outside an object, for `read` or `write`.
    HeapOffset(&'static str),
    /// More values than the object has room for.
    PayloadTooLarge,
    /// `heap.reset` to a place beyond what is used.
    HeapResetOutOfRange,
    /// `heap.reset` with a count of objects below zero.
    HeapResetCount,
}

impl core::fmt::Display for CellError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NegativeIndex => f.write_str("memory index cannot be negative"),
            Self::OutOfRange => f.write_str("memory index is out of range"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::NegativeSize(name) => write!(f, "{name}() requires a non-negative size"),
            Self::NegativeCount(name) => write!(f, "{name}() requires a non-negative count"),
            Self::ResetOutOfRange => f.write_str("memory.reset() mark is out of range"),
            Self::NegativePayload => {
                f.write_str("heap.alloc() requires a non-negative payload size")
            }
            Self::HeapOutOfMemory => f.write_str("heap out of memory"),
            Self::HeapOffset(name) => write!(f, "heap.{name}() offset is out of range"),
            Self::PayloadTooLarge => f.write_str("heap.store() payload is larger than object size"),
            Self::HeapResetOutOfRange => f.write_str("heap.reset() mark is out of range"),
            Self::HeapResetCount => f.write_str("heap.reset() count cannot be negative"),
        }
    }
}

/// The cells of a program, with the marks of both allocators.
#[derive(Debug, Clone)]
pub struct Cells<V> {
    cells: Vec<V>,
    top: usize,
    heap_next: usize,
    heap_count: i64,
}

impl<V> Default for Cells<V> {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            top: 0,
            heap_next: 0,
            heap_count: 0,
        }
    }
}

/// What the heap's mark holds: where the next object goes, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeapMark {
    /// First cell that no object uses.
    pub next: i64,
    /// Objects allocated so far.
    pub count: i64,
}

impl<V: Clone> Cells<V> {
    /// Replaces the array by `size` copies of `zero`, for the function `name`.
    pub fn init(&mut self, name: &'static str, size: i64, zero: &V) -> Result<(), CellError> {
        if size < 0 {
            return Err(CellError::NegativeSize(name));
        }
        let size = usize::try_from(size).map_err(|_| CellError::OutOfMemory)?;
        let mut cells = Vec::new();
        cells
            .try_reserve_exact(size)
            .map_err(|_| CellError::OutOfMemory)?;
        cells.resize(size, zero.clone());
        *self = Self {
            cells,
            ..Self::default()
        };
        Ok(())
    }

    /// Number of cells.
    pub fn size(&self) -> usize {
        self.cells.len()
    }

    /// All cells.
    pub fn all(&self) -> &[V] {
        &self.cells
    }

    fn index(&self, index: i64) -> Result<usize, CellError> {
        let index = usize::try_from(index).map_err(|_| CellError::NegativeIndex)?;
        if index < self.cells.len() {
            Ok(index)
        } else {
            Err(CellError::OutOfRange)
        }
    }

    fn range(&self, name: &'static str, base: i64, count: i64) -> Result<Range<usize>, CellError> {
        let count = usize::try_from(count).map_err(|_| CellError::NegativeCount(name))?;
        let base = usize::try_from(base).map_err(|_| CellError::NegativeIndex)?;
        let end = base
            .checked_add(count)
            .filter(|end| *end <= self.cells.len() || count == 0);
        // An empty range touches no cell, so it may stand anywhere.
        if count == 0 {
            return Ok(0..0);
        }
        end.map(|end| base..end).ok_or(CellError::OutOfRange)
    }

    /// The value of a cell.
    pub fn read(&self, index: i64) -> Result<&V, CellError> {
        Ok(&self.cells[self.index(index)?])
    }

    /// Changes a cell.
    pub fn write(&mut self, index: i64, value: V) -> Result<(), CellError> {
        let index = self.index(index)?;
        self.cells[index] = value;
        Ok(())
    }

    /// Sets every cell to `zero` and takes all allocations back.
    pub fn clear(&mut self, zero: &V) {
        self.cells.fill(zero.clone());
        self.top = 0;
        self.heap_next = 0;
        self.heap_count = 0;
    }

    /// Sets every cell.
    pub fn fill(&mut self, value: &V) {
        self.cells.fill(value.clone());
    }

    /// Copies a range over another as through a temporary, for the function `name`.
    pub fn copy(
        &mut self,
        name: &'static str,
        source: i64,
        target: i64,
        count: i64,
    ) -> Result<(), CellError> {
        let source = self.range(name, source, count)?;
        let target = self.range(name, target, count)?;
        let moved = self.cells[source].to_vec();
        self.cells[target].clone_from_slice(&moved);
        Ok(())
    }

    /// The cells of a range.
    pub fn slice(&self, base: i64, count: i64) -> Result<&[V], CellError> {
        let range = self.range("memory.slice", base, count)?;
        Ok(&self.cells[range])
    }

    /// Writes values into consecutive cells.
    pub fn store(&mut self, base: i64, values: &[V]) -> Result<(), CellError> {
        let count = i64::try_from(values.len()).map_err(|_| CellError::OutOfRange)?;
        let range = self.range("memory.store", base, count)?;
        self.cells[range].clone_from_slice(values);
        Ok(())
    }

    /// Sets the cells of a range to `zero`.
    pub fn zero(&mut self, base: i64, count: i64, zero: &V) -> Result<(), CellError> {
        let range = self.range("memory.zero", base, count)?;
        self.cells[range].fill(zero.clone());
        Ok(())
    }

    /// Orders two ranges by their first pair of cells that `order` finds different.
    pub fn compare<E: From<CellError>>(
        &self,
        left: i64,
        right: i64,
        count: i64,
        mut order: impl FnMut(&V, &V) -> Result<Ordering, E>,
    ) -> Result<Ordering, E> {
        let left = self.range("memory.compare", left, count)?;
        let right = self.range("memory.compare", right, count)?;
        for (a, b) in self.cells[left].iter().zip(&self.cells[right]) {
            let ordering = order(a, b)?;
            if ordering != Ordering::Equal {
                return Ok(ordering);
            }
        }
        Ok(Ordering::Equal)
    }

    /// Takes `size` cells from the unallocated end and returns the first.
    pub fn alloc(&mut self, size: i64) -> Result<i64, CellError> {
        let size = usize::try_from(size).map_err(|_| CellError::NegativeSize("memory.alloc"))?;
        let end = self
            .top
            .checked_add(size)
            .filter(|end| *end <= self.cells.len())
            .ok_or(CellError::OutOfMemory)?;
        let start = core::mem::replace(&mut self.top, end);
        Ok(start as i64)
    }

    /// The first cell that is not allocated.
    pub fn top(&self) -> i64 {
        self.top as i64
    }

    /// Gives back what was allocated since `mark`.
    pub fn reset(&mut self, mark: i64) -> Result<(), CellError> {
        let mark = usize::try_from(mark).map_err(|_| CellError::ResetOutOfRange)?;
        if mark > self.top.max(self.cells.len()) {
            return Err(CellError::ResetOutOfRange);
        }
        self.top = mark;
        Ok(())
    }

    /// Makes an object with a payload of zeros and returns its pointer.
    pub fn heap_alloc(
        &mut self,
        kind: V,
        size: i64,
        zero: &V,
        as_cell: impl Fn(i64) -> V,
    ) -> Result<i64, CellError> {
        if size < 0 {
            return Err(CellError::NegativePayload);
        }
        let needed = size
            .checked_add(HEADER_CELLS)
            .and_then(|n| usize::try_from(n).ok());
        let end = needed
            .and_then(|needed| self.heap_next.checked_add(needed))
            .filter(|end| *end <= self.cells.len())
            .ok_or(CellError::HeapOutOfMemory)?;
        let pointer = core::mem::replace(&mut self.heap_next, end);
        self.cells[pointer] = kind;
        self.cells[pointer + 1] = as_cell(size);
        self.cells[pointer + 2..end].fill(zero.clone());
        self.heap_count = self.heap_count.saturating_add(1);
        Ok(pointer as i64)
    }

    /// Cells that objects use.
    pub fn heap_used(&self) -> i64 {
        self.heap_next as i64
    }

    /// Number of objects.
    pub fn heap_count(&self) -> i64 {
        self.heap_count
    }

    /// The kind of an object.
    pub fn heap_kind(&self, pointer: i64) -> Result<&V, CellError> {
        self.read(pointer)
    }

    /// The payload size of an object, as its header says; `size_of` reads a cell as an integer.
    pub fn heap_size(
        &self,
        pointer: i64,
        size_of: impl Fn(&V) -> Option<i64>,
    ) -> Result<i64, CellError> {
        let at = pointer.checked_add(1).ok_or(CellError::OutOfRange)?;
        if pointer < 0 {
            return Err(CellError::NegativeIndex);
        }
        size_of(self.read(at)?).ok_or(CellError::OutOfRange)
    }

    /// The cell of a payload offset, for the function `name`.
    pub fn heap_cell(
        &self,
        name: &'static str,
        pointer: i64,
        offset: i64,
        size_of: impl Fn(&V) -> Option<i64>,
    ) -> Result<i64, CellError> {
        let size = self.heap_size(pointer, size_of)?;
        if offset < 0 || offset >= size {
            return Err(CellError::HeapOffset(name));
        }
        (pointer + HEADER_CELLS)
            .checked_add(offset)
            .ok_or(CellError::OutOfRange)
    }

    /// Replaces the first cells of a payload.
    pub fn heap_store(
        &mut self,
        pointer: i64,
        values: &[V],
        size_of: impl Fn(&V) -> Option<i64>,
    ) -> Result<(), CellError> {
        let size = self.heap_size(pointer, size_of)?;
        if i64::try_from(values.len()).is_ok_and(|count| count <= size) {
            return self.store(pointer + HEADER_CELLS, values);
        }
        Err(CellError::PayloadTooLarge)
    }

    /// The payload of an object.
    pub fn heap_slice(
        &self,
        pointer: i64,
        size_of: impl Fn(&V) -> Option<i64>,
    ) -> Result<&[V], CellError> {
        let size = self.heap_size(pointer, size_of)?;
        self.slice(pointer.saturating_add(HEADER_CELLS), size)
    }

    /// What [`heap_reset`](Self::heap_reset) needs to come back here.
    pub fn heap_mark(&self) -> HeapMark {
        HeapMark {
            next: self.heap_used(),
            count: self.heap_count,
        }
    }

    /// Forgets the objects made since `mark`.
    pub fn heap_reset(&mut self, mark: HeapMark) -> Result<(), CellError> {
        let next = usize::try_from(mark.next).map_err(|_| CellError::HeapResetOutOfRange)?;
        if next > self.cells.len() {
            return Err(CellError::HeapResetOutOfRange);
        }
        if mark.count < 0 {
            return Err(CellError::HeapResetCount);
        }
        self.heap_next = next;
        self.heap_count = mark.count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn cells(size: i64) -> Cells<i64> {
        let mut cells = Cells::default();
        cells.init("memory.init", size, &0).expect("a small array");
        cells
    }

    fn size_of(cell: &i64) -> Option<i64> {
        Some(*cell)
    }

    #[test]
    fn indices_are_checked() {
        let mut cells = cells(4);
        assert_eq!(cells.write(3, 9), Ok(()));
        assert_eq!(cells.read(3), Ok(&9));
        assert_eq!(cells.read(-1), Err(CellError::NegativeIndex));
        assert_eq!(cells.read(4), Err(CellError::OutOfRange));
        assert_eq!(
            cells.init("memory.init", -1, &0).map_err(|e| e.to_string()),
            Err("memory.init() requires a non-negative size".into())
        );
        assert_eq!(
            cells.init("memory.init", i64::MAX, &0),
            Err(CellError::OutOfMemory)
        );
    }

    #[test]
    fn overlapping_copies_go_through_a_temporary() {
        let mut cells = cells(5);
        assert_eq!(cells.store(0, &[1, 2, 3]), Ok(()));
        assert_eq!(cells.copy("memory.copy", 0, 1, 3), Ok(()));
        assert_eq!(cells.all(), [1, 1, 2, 3, 0]);
        assert_eq!(
            cells.copy("memory.move", 0, 1, -1),
            Err(CellError::NegativeCount("memory.move"))
        );
        assert_eq!(
            cells.copy("memory.copy", 0, 3, 3),
            Err(CellError::OutOfRange)
        );
    }

    #[test]
    fn allocation_ends_at_the_last_cell() {
        let mut cells = cells(4);
        assert_eq!(
            (cells.alloc(3), cells.alloc(2), cells.alloc(1)),
            (Ok(0), Err(CellError::OutOfMemory), Ok(3))
        );
        assert_eq!((cells.reset(1), cells.top()), (Ok(()), 1));
        assert_eq!(cells.reset(5), Err(CellError::ResetOutOfRange));
        assert_eq!(cells.reset(-1), Err(CellError::ResetOutOfRange));
    }

    #[test]
    fn comparison_finds_the_first_difference() {
        let mut cells = cells(4);
        cells.store(0, &[1, 2, 1, 3]).expect("fits");
        let order = |a: &i64, b: &i64| Ok::<_, CellError>(a.cmp(b));
        assert_eq!(cells.compare(0, 2, 2, order), Ok(Ordering::Less));
        assert_eq!(cells.compare(0, 2, 1, order), Ok(Ordering::Equal));
        assert_eq!(cells.compare(3, 0, 2, order), Err(CellError::OutOfRange));
    }

    #[test]
    fn objects_have_a_header_and_a_zeroed_payload() {
        let mut cells = cells(8);
        cells.fill(&7);
        assert_eq!(cells.heap_alloc(5, 2, &0, |n| n), Ok(0));
        assert_eq!(cells.heap_alloc(6, 1, &0, |n| n), Ok(4));
        assert_eq!(
            cells.heap_alloc(6, 0, &0, |n| n),
            Err(CellError::HeapOutOfMemory)
        );
        assert_eq!(
            (cells.heap_kind(4).copied(), cells.heap_size(0, size_of)),
            (Ok(6), Ok(2))
        );
        assert_eq!(
            cells.heap_cell("read", 0, 2, size_of),
            Err(CellError::HeapOffset("read"))
        );
        assert_eq!(
            cells.heap_store(0, &[1, 2, 3], size_of),
            Err(CellError::PayloadTooLarge)
        );
        assert_eq!(cells.heap_store(0, &[1, 2], size_of), Ok(()));
        assert_eq!(
            cells.heap_slice(0, size_of).map(<[i64]>::to_vec),
            Ok(vec![1, 2])
        );
        assert_eq!(cells.heap_mark(), HeapMark { next: 7, count: 2 });
        assert_eq!(
            cells.heap_reset(HeapMark { next: 9, count: 0 }),
            Err(CellError::HeapResetOutOfRange)
        );
        assert_eq!(
            cells.heap_reset(HeapMark { next: 0, count: -1 }),
            Err(CellError::HeapResetCount)
        );
    }

    proptest! {
        #[test]
        fn no_numbers_make_it_panic(a in any::<i64>(), b in -2i64..10, c in -2i64..10) {
            let mut cells = cells(6);
            let _ = cells.copy("memory.copy", a, b, c);
            let _ = cells.copy("memory.copy", b, c, a);
            let _ = cells.slice(a, b);
            let _ = cells.zero(b, a, &0);
            let _ = cells.alloc(a);
            let _ = cells.reset(b);
            let _ = cells.heap_alloc(1, b, &0, |n| n);
            let _ = cells.heap_slice(a, size_of);
            let _ = cells.heap_cell("read", b, a, size_of);
            let _ = cells.heap_store(c, &[1, 2], size_of);
        }
    }
}
