//! Lists and tuples.
//!
//! How a list holds its elements is its own affair: others go through the methods here.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::heap::{Heap, OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::value::Value;

const SLOT_BYTES: usize = size_of::<Value>();

/// A list object. Changed in place only by whoever holds the one reference to it.
#[derive(Debug)]
pub struct ListObj {
    items: Vec<Value>,
    charged_slots: usize,
    heap: Heap,
}

impl ListObj {
    /// An empty list.
    pub fn new(heap: &Heap) -> Result<ListObj, OutOfMemory> {
        heap.charge(OBJECT_OVERHEAD_BYTES)?;
        Ok(ListObj {
            items: Vec::new(),
            charged_slots: 0,
            heap: heap.clone(),
        })
    }

    /// Takes over `items`, charging what they hold.
    pub fn from_vec(heap: &Heap, items: Vec<Value>) -> Result<ListObj, OutOfMemory> {
        heap.charge(OBJECT_OVERHEAD_BYTES + items.capacity() * SLOT_BYTES)?;
        Ok(ListObj {
            charged_slots: items.capacity(),
            items,
            heap: heap.clone(),
        })
    }

    /// An independent list of the same elements.
    pub fn duplicate(&self) -> Result<ListObj, OutOfMemory> {
        let mut copy = ListObj::new(&self.heap)?;
        copy.reserve(self.items.len())?;
        copy.items.extend(self.items.iter().cloned());
        Ok(copy)
    }

    /// How many elements there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The element at `index`, shared.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.items.get(index)
    }

    /// The elements in order.
    #[inline(always)]
    pub fn iter(&self) -> core::slice::Iter<'_, Value> {
        self.items.iter()
    }

    /// The elements as a slice.
    #[inline(always)]
    pub fn as_slice(&self) -> &[Value] {
        &self.items
    }

    /// The elements to change in place; the number of them stays.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [Value] {
        &mut self.items
    }

    /// Room for `more` elements, charged.
    pub fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        if self.items.capacity() - self.items.len() < more {
            self.grow_to(self.items.len().checked_add(more).ok_or(OutOfMemory)?)?;
        }
        Ok(())
    }

    /// Room for `more` elements, and as much again as the list has when it must grow: many of these stay linear.
    pub fn reserve_amortised(&mut self, more: usize) -> Result<(), OutOfMemory> {
        if self.items.capacity() - self.items.len() >= more {
            return Ok(());
        }
        let wanted = self.items.len().checked_add(more).ok_or(OutOfMemory)?;
        self.grow_to(wanted.max(self.items.len() + self.items.len() / 2))
    }

    /// Adds an element at the end, in amortised constant time.
    #[inline(always)]
    pub fn push(&mut self, item: Value) -> Result<(), OutOfMemory> {
        if self.items.len() == self.items.capacity() {
            self.grow()?;
        }
        self.items.push(item);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let slots = self.items.len();
        let more = if slots < 1024 {
            slots.max(4)
        } else {
            slots / 2
        };
        self.grow_to(slots + more)
    }

    fn grow_to(&mut self, slots: usize) -> Result<(), OutOfMemory> {
        let bytes = slots
            .saturating_sub(self.charged_slots)
            .saturating_mul(SLOT_BYTES);
        self.heap.charge(bytes)?;
        if self
            .items
            .try_reserve_exact(slots - self.items.len())
            .is_err()
        {
            self.heap.credit(bytes);
            return Err(OutOfMemory);
        }
        self.charged_slots = self.charged_slots.max(slots);
        Ok(())
    }

    /// Removes the last element.
    pub fn pop(&mut self) -> Option<Value> {
        self.items.pop()
    }

    /// Inserts before `index`, which is clamped to the end.
    pub fn insert(&mut self, index: usize, item: Value) -> Result<(), OutOfMemory> {
        self.reserve(1)?;
        self.items.insert(index.min(self.items.len()), item);
        Ok(())
    }

    /// Removes the element at `index`, if there is one.
    pub fn remove(&mut self, index: usize) -> Option<Value> {
        (index < self.items.len()).then(|| self.items.remove(index))
    }

    /// Shortens the list to `length`.
    pub fn truncate(&mut self, length: usize) {
        if length < self.items.len() {
            let tail = self.items.split_off(length);
            self.heap.release(tail);
        }
    }

    /// Removes all elements and gives the memory back.
    pub fn clear(&mut self) {
        let items = core::mem::take(&mut self.items);
        self.heap.credit(self.charged_slots * SLOT_BYTES);
        self.charged_slots = 0;
        self.heap.release(items);
    }

    /// Replaces the elements from `start` to `end` (in range and ordered) by `items`.
    pub fn splice(
        &mut self,
        start: usize,
        end: usize,
        items: Vec<Value>,
    ) -> Result<(), OutOfMemory> {
        let (start, end) = (start.min(self.items.len()), end.min(self.items.len()));
        let end = end.max(start);
        self.reserve(items.len().saturating_sub(end - start))?;
        let removed: Vec<Value> = self.items.splice(start..end, items).collect();
        self.heap.release(removed);
        Ok(())
    }
}

impl Drop for ListObj {
    #[inline]
    fn drop(&mut self) {
        self.heap
            .credit(OBJECT_OVERHEAD_BYTES + self.charged_slots * SLOT_BYTES);
        let items = core::mem::take(&mut self.items);
        self.heap.release(items);
    }
}

/// A tuple object: never changed.
#[derive(Debug)]
pub struct TupleObj {
    items: Vec<Value>,
    heap: Heap,
}

impl TupleObj {
    /// Takes over `items`, charging what they hold.
    pub fn from_vec(heap: &Heap, items: Vec<Value>) -> Result<TupleObj, OutOfMemory> {
        heap.charge(OBJECT_OVERHEAD_BYTES + items.capacity() * SLOT_BYTES)?;
        Ok(TupleObj {
            items,
            heap: heap.clone(),
        })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.items.get(index)
    }

    /// The elements in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Value> {
        self.items.iter()
    }

    /// The elements as a slice.
    pub fn as_slice(&self) -> &[Value] {
        &self.items
    }
}

/// The tuple behind `shared`, to change a list or dict inside one of its elements.
pub fn tuple_for_change(shared: &mut Rc<TupleObj>) -> Result<&mut [Value], OutOfMemory> {
    if Rc::get_mut(shared).is_none() {
        let items = shared.items.clone();
        *shared = Rc::new(TupleObj::from_vec(&shared.heap, items)?);
    }
    Rc::get_mut(shared)
        .map(|tuple| &mut tuple.items[..])
        .ok_or(OutOfMemory)
}

impl Drop for TupleObj {
    fn drop(&mut self) {
        self.heap
            .credit(OBJECT_OVERHEAD_BYTES + self.items.capacity() * SLOT_BYTES);
        let items = core::mem::take(&mut self.items);
        self.heap.release(items);
    }
}

impl Heap {
    /// A list of `items`.
    pub fn list(&self, items: Vec<Value>) -> Result<Value, OutOfMemory> {
        Ok(Value::List(Rc::new(ListObj::from_vec(self, items)?)))
    }

    /// A tuple of `items`.
    pub fn tuple(&self, items: Vec<Value>) -> Result<Value, OutOfMemory> {
        Ok(Value::Tuple(Rc::new(TupleObj::from_vec(self, items)?)))
    }

    /// An empty vector with room for `count` values, refused when the program may not hold as many. The room is
    /// charged by whoever takes the vector over.
    pub fn values(&self, count: usize) -> Result<Vec<Value>, OutOfMemory> {
        let bytes = count.checked_mul(SLOT_BYTES).ok_or(OutOfMemory)?;
        self.charge(bytes)?;
        self.credit(bytes);
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
        Ok(values)
    }
}

/// The list behind `shared` to change in place, made the only one first if others hold it too.
#[inline(always)]
pub fn list_for_change(shared: &mut Rc<ListObj>) -> Result<&mut ListObj, OutOfMemory> {
    if Rc::get_mut(shared).is_none() {
        unshare_list(shared)?;
    }
    Rc::get_mut(shared).ok_or(OutOfMemory)
}

#[cold]
#[inline(never)]
fn unshare_list(shared: &mut Rc<ListObj>) -> Result<(), OutOfMemory> {
    *shared = Rc::new(shared.duplicate()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeply_nested_list_is_dropped_without_deep_stack() {
        let heap = Heap::new(1 << 30);
        let mut nested = heap.list(Vec::new()).unwrap();
        for _ in 0..300_000 {
            nested = heap.list(alloc::vec![nested]).unwrap();
        }
        drop(nested);
        assert_eq!(heap.used_bytes(), 0);
    }

    #[test]
    fn a_list_past_the_limit_is_refused() {
        let heap = Heap::new(10_000);
        let mut list = ListObj::new(&heap).unwrap();
        let refused = (0..10_000).any(|i| list.push(Value::Int(i)).is_err());
        assert!(refused);
        assert!(heap.used_bytes() <= 10_000);
    }
}
