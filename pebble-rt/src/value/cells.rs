//! Values behind a shared reference: the fields of instances and the variables that closures share.
//!
//! Nothing is lent out and nothing is dropped while a borrow is open: values come out by clone or by replacement. So
//! no program can meet a borrow twice, whatever dropping a value does.

use alloc::vec::Vec;
use core::cell::RefCell;

use crate::value::Value;

/// One value behind a shared reference.
#[derive(Default)]
pub struct ValueCell(RefCell<Value>);

impl core::fmt::Debug for ValueCell {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(formatter)
    }
}

impl ValueCell {
    /// A cell that holds `value`.
    pub fn new(value: Value) -> ValueCell {
        ValueCell(RefCell::new(value))
    }

    /// What it holds.
    #[inline(always)]
    pub fn get(&self) -> Value {
        self.0.borrow().clone()
    }

    /// Puts `value` there and returns what was.
    #[inline(always)]
    pub fn replace(&self, value: Value) -> Value {
        self.0.replace(value)
    }

    /// Puts `value` there.
    #[inline(always)]
    pub fn set(&self, value: Value) {
        let before = self.replace(value);
        if before.is_counted() {
            drop(before);
        } else {
            core::mem::forget(before);
        }
    }
}

/// A row of values behind a shared reference.
#[derive(Default)]
pub struct ValueCells(RefCell<Vec<Value>>);

impl core::fmt::Debug for ValueCells {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let values = (0..self.len()).map(|index| self.get(index));
        formatter.debug_list().entries(values).finish()
    }
}

impl ValueCells {
    /// An empty row with room for `slots` values.
    pub fn with_capacity(slots: usize) -> ValueCells {
        ValueCells(RefCell::new(Vec::with_capacity(slots)))
    }

    /// How many values there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// The value at `index`, `Undefined` past the end.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Value {
        match self.0.borrow().get(index) {
            Some(value) => value.clone(),
            None => Value::Undefined,
        }
    }

    /// Exchanges the value at `index`, or gives `value` back when there is none.
    #[inline(always)]
    pub fn replace(&self, index: usize, value: Value) -> Result<Value, Value> {
        match self.0.borrow_mut().get_mut(index) {
            Some(place) => Ok(core::mem::replace(place, value)),
            None => Err(value),
        }
    }

    /// Adds a value at the end if there is room, or gives it back.
    #[inline(always)]
    pub fn push_within_capacity(&self, value: Value) -> Result<(), Value> {
        let mut values = self.0.borrow_mut();
        if values.len() == values.capacity() {
            return Err(value);
        }
        values.push(value);
        Ok(())
    }

    /// All values; the row is empty then.
    pub fn take(&self) -> Vec<Value> {
        self.0.take()
    }

    /// Makes `values` the row.
    pub fn set(&self, values: Vec<Value>) {
        let before = self.0.replace(values);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Heap;
    use alloc::rc::Rc;

    #[test]
    fn what_is_replaced_comes_out_whole() {
        let cells = ValueCells::with_capacity(1);
        assert!(cells.push_within_capacity(Value::Int(1)).is_ok());
        assert!(cells.push_within_capacity(Value::Int(2)).is_err());
        assert!(matches!(cells.replace(0, Value::None), Ok(Value::Int(1))));
        assert!(matches!(
            cells.replace(1, Value::Int(3)),
            Err(Value::Int(3))
        ));
        assert!(cells.get(7).is_undefined());
    }

    #[test]
    fn a_cell_that_holds_itself_can_be_emptied() {
        let cell = Rc::new(crate::value::CellObj::new(Value::None));
        cell.set(Value::Cell(cell.clone()));
        assert_eq!(Rc::strong_count(&cell), 2);
        cell.set(Value::None);
        assert_eq!(Rc::strong_count(&cell), 1);
    }

    #[test]
    fn dropping_what_was_there_may_reach_the_cell_again() {
        let heap = Heap::new(1 << 20);
        let cell = ValueCell::new(
            heap.list(Vec::from([Value::Int(1)]))
                .expect("there is room"),
        );
        let kept = cell.get();
        cell.set(Value::Int(2));
        drop(kept);
        assert!(matches!(cell.get(), Value::Int(2)));
    }
}
