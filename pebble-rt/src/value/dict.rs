//! Dicts and sets: hash tables that remember the order of insertion.
//!
//! Entries stand in a vector in that order; a table of their positions, probed linearly, finds them by hash. A removed
//! entry leaves a hole that the next growth closes. Up to eight entries there is no table: looking through the hashes
//! is faster.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::heap::{Heap, OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::value::compare::hash_integer;
use crate::value::{StrObj, Value, hash_key, key_equal};

const ENTRY_BYTES: usize = size_of::<Entry>();
const UNINDEXED_ENTRIES: usize = 8;
const FREE: u32 = u32::MAX;

/// Why a value cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Values of this kind are no keys.
    NotAKey,
    /// The instance has methods of its own for this (`__hash__`), which only the machine can call.
    NeedsMethod,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: u32,
    /// `Undefined` marks a hole.
    key: Value,
    value: Value,
}

/// A dict object. Changed in place only by whoever holds the one reference to it.
#[derive(Debug)]
pub struct DictObj {
    entries: Vec<Entry>,
    table: Vec<u32>,
    live: usize,
    charged_bytes: usize,
    heap: Heap,
}

impl DictObj {
    /// An empty dict.
    pub fn new(heap: &Heap) -> Result<DictObj, OutOfMemory> {
        heap.charge(OBJECT_OVERHEAD_BYTES)?;
        Ok(DictObj {
            entries: Vec::new(),
            table: Vec::new(),
            live: 0,
            charged_bytes: 0,
            heap: heap.clone(),
        })
    }

    /// An independent dict of the same entries.
    pub fn duplicate(&self) -> Result<DictObj, OutOfMemory> {
        let mut copy = DictObj::new(&self.heap)?;
        copy.resize(self.live)?;
        for entry in self
            .entries
            .iter()
            .filter(|entry| !entry.key.is_undefined())
        {
            copy.append_entry(entry.clone());
        }
        Ok(copy)
    }

    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The value under `key`.
    #[inline]
    pub fn get(&self, key: &Value) -> Result<Option<&Value>, KeyError> {
        let hash = hash_key(key)?;
        Ok(self
            .find(hash, key)
            .map(|position| &self.entries[position].value))
    }

    /// The value under `key`, if there is one; for an entry that cannot be told without the program, `None` too.
    #[inline(never)]
    pub fn peek(&self, key: &Value) -> Option<&Value> {
        let position = self.position(key)?;
        self.entries.get(position).map(|entry| &entry.value)
    }

    /// The same, to change in place.
    #[inline(never)]
    pub fn peek_mut(&mut self, key: &Value) -> Option<&mut Value> {
        let position = self.position(key)?;
        self.entries.get_mut(position).map(|entry| &mut entry.value)
    }

    #[inline(always)]
    fn position(&self, key: &Value) -> Option<usize> {
        match key {
            Value::Str(wanted) => self.probe(wanted.hash(), |entry| is_text(entry, wanted)),
            Value::Int(wanted) => self.probe(hash_integer(*wanted), |entry| match &entry.key {
                Value::Int(number) => number == wanted,
                other => key_equal(other, key),
            }),
            _ => self.find(hash_key(key).ok()?, key),
        }
    }

    /// The value under `key`, to change in place.
    #[inline]
    pub fn get_mut(&mut self, key: &Value) -> Result<Option<&mut Value>, KeyError> {
        let hash = hash_key(key)?;
        match self.find(hash, key) {
            Some(position) => Ok(Some(&mut self.entries[position].value)),
            None => Ok(None),
        }
    }

    /// The value under a string key.
    pub fn get_str(&self, key: &str) -> Option<&Value> {
        let hash = super::string::hash_bytes(key.as_bytes()).max(1);
        let found = self.probe(hash, |entry| entry.key.as_str() == Some(key));
        found.map(|position| &self.entries[position].value)
    }

    /// Whether there is an entry under `key`.
    pub fn contains(&self, key: &Value) -> Result<bool, KeyError> {
        Ok(self.get(key)?.is_some())
    }

    /// Adds an entry or replaces the value of the one there is, whose key and place stay.
    pub fn insert(
        &mut self,
        key: Value,
        value: Value,
    ) -> Result<Result<Option<Value>, OutOfMemory>, KeyError> {
        let hash = hash_key(&key)?;
        if let Some(position) = self.find(hash, &key) {
            let before = core::mem::replace(&mut self.entries[position].value, value);
            return Ok(Ok(Some(before)));
        }
        Ok(self.append_new(Entry { hash, key, value }).map(|()| None))
    }

    fn append_new(&mut self, entry: Entry) -> Result<(), OutOfMemory> {
        if self.entries.len() == self.entries.capacity() {
            self.resize(self.live + (self.live / 2).max(4))?;
        }
        self.append_entry(entry);
        Ok(())
    }

    /// Removes the entry under `key`.
    pub fn remove(&mut self, key: &Value) -> Result<Option<Value>, KeyError> {
        let hash = hash_key(key)?;
        Ok(self
            .find(hash, key)
            .map(|position| self.remove_at(position).1))
    }

    fn remove_at(&mut self, position: usize) -> (Value, Value) {
        let entry = &mut self.entries[position];
        let removed = (
            core::mem::take(&mut entry.key),
            core::mem::take(&mut entry.value),
        );
        self.live -= 1;
        if self.live == 0 {
            self.entries.clear();
            self.table.fill(FREE);
        }
        removed
    }

    /// Removes the entry added last.
    pub fn pop_last(&mut self) -> Option<(Value, Value)> {
        let position = self
            .entries
            .iter()
            .rposition(|entry| !entry.key.is_undefined())?;
        Some(self.remove_at(position))
    }

    /// Removes all entries and gives the memory back.
    pub fn clear(&mut self) {
        self.heap.credit(self.charged_bytes);
        self.charged_bytes = 0;
        self.live = 0;
        self.table = Vec::new();
        self.release_entries();
    }

    fn release_entries(&mut self) {
        let entries = core::mem::take(&mut self.entries);
        if entries.is_empty() {
            return;
        }
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            if !matches!(
                entry.value,
                Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::None
            ) {
                values.push(entry.value);
            }
            if matches!(entry.key, Value::Tuple(_) | Value::Instance(_)) {
                values.push(entry.key);
            }
        }
        self.heap.release(values);
    }

    /// The entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Value, &Value)> {
        let live = self
            .entries
            .iter()
            .filter(|entry| !entry.key.is_undefined());
        live.map(|entry| (&entry.key, &entry.value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.iter().map(|(_, value)| value)
    }

    /// The values in order, to change in place.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries
            .iter_mut()
            .filter(|entry| !entry.key.is_undefined())
            .map(|entry| &mut entry.value)
    }

    /// The entry at or after `cursor` among the places of entries, and the cursor behind it. For iterators that live
    /// longer than a borrow.
    pub fn entry_after(&self, cursor: usize) -> Option<(usize, &Value, &Value)> {
        let rest = self.entries.get(cursor..)?;
        let skipped = rest.iter().position(|entry| !entry.key.is_undefined())?;
        let entry = &rest[skipped];
        Some((cursor + skipped + 1, &entry.key, &entry.value))
    }

    #[inline]
    fn find(&self, hash: u32, key: &Value) -> Option<usize> {
        if let Value::Str(wanted) = key {
            return self.probe(hash, |entry| is_text(entry, wanted));
        }
        self.probe(hash, |entry| key_equal(&entry.key, key))
    }

    #[inline(always)]
    fn probe(&self, hash: u32, is_wanted: impl Fn(&Entry) -> bool) -> Option<usize> {
        if self.table.is_empty() {
            return self.entries.iter().position(|entry| {
                entry.hash == hash && !entry.key.is_undefined() && is_wanted(entry)
            });
        }
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let position = self.table[slot];
            if position == FREE {
                return None;
            }
            if let Some(entry) = self.entries.get(position as usize)
                && entry.hash == hash
                && is_wanted(entry)
            {
                return Some(position as usize);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn append_entry(&mut self, entry: Entry) {
        let position = self.entries.len() as u32;
        if !self.table.is_empty() {
            place(&mut self.table, entry.hash, position);
        }
        self.entries.push(entry);
        self.live += 1;
    }

    /// Closes the holes and makes room for `wanted` entries and, past eight, a table at most two thirds full.
    fn resize(&mut self, wanted: usize) -> Result<(), OutOfMemory> {
        let table_slots = if wanted <= UNINDEXED_ENTRIES {
            0
        } else {
            (wanted + wanted / 2)
                .checked_next_power_of_two()
                .ok_or(OutOfMemory)?
        };
        if table_slots >= FREE as usize {
            return Err(OutOfMemory);
        }
        let bytes =
            wanted.checked_mul(ENTRY_BYTES).ok_or(OutOfMemory)? + table_slots * size_of::<u32>();
        self.heap.charge(bytes.saturating_sub(self.charged_bytes))?;
        self.charged_bytes = self.charged_bytes.max(bytes);
        self.entries.retain(|entry| !entry.key.is_undefined());
        let more = wanted.saturating_sub(self.entries.len());
        self.entries
            .try_reserve_exact(more)
            .map_err(|_| OutOfMemory)?;
        if table_slots != self.table.len() {
            let mut table = Vec::new();
            table
                .try_reserve_exact(table_slots)
                .map_err(|_| OutOfMemory)?;
            table.resize(table_slots, FREE);
            self.table = table;
        } else {
            self.table.fill(FREE);
        }
        if !self.table.is_empty() {
            for (position, entry) in self.entries.iter().enumerate() {
                place(&mut self.table, entry.hash, position as u32);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn is_text(entry: &Entry, wanted: &Rc<StrObj>) -> bool {
    match &entry.key {
        Value::Str(text) => Rc::ptr_eq(text, wanted) || text.as_str() == wanted.as_str(),
        _ => false,
    }
}

fn place(table: &mut [u32], hash: u32, position: u32) {
    let mask = table.len() - 1;
    let mut slot = hash as usize & mask;
    while table[slot] != FREE {
        slot = (slot + 1) & mask;
    }
    table[slot] = position;
}

impl Drop for DictObj {
    fn drop(&mut self) {
        self.heap.credit(OBJECT_OVERHEAD_BYTES + self.charged_bytes);
        self.release_entries();
    }
}

/// A set object: a dict without values.
#[derive(Debug)]
pub struct SetObj {
    entries: DictObj,
}

impl SetObj {
    /// An empty set.
    pub fn new(heap: &Heap) -> Result<SetObj, OutOfMemory> {
        Ok(SetObj {
            entries: DictObj::new(heap)?,
        })
    }

    /// An independent set of the same elements.
    pub fn duplicate(&self) -> Result<SetObj, OutOfMemory> {
        Ok(SetObj {
            entries: self.entries.duplicate()?,
        })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `item` is an element.
    pub fn contains(&self, item: &Value) -> Result<bool, KeyError> {
        self.entries.contains(item)
    }

    /// Adds `item`; an equal element stays as it is.
    pub fn insert(&mut self, item: Value) -> Result<Result<(), OutOfMemory>, KeyError> {
        if self.entries.contains(&item)? {
            return Ok(Ok(()));
        }
        Ok(self.entries.insert(item, Value::None)?.map(|_| ()))
    }

    /// Removes `item` and says whether it was an element.
    pub fn remove(&mut self, item: &Value) -> Result<bool, KeyError> {
        Ok(self.entries.remove(item)?.is_some())
    }

    /// Removes the element added last.
    pub fn pop_last(&mut self) -> Option<Value> {
        self.entries.pop_last().map(|(item, _)| item)
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The elements in order of insertion.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.entries.keys()
    }

    /// See [`DictObj::entry_after`].
    pub fn item_after(&self, cursor: usize) -> Option<(usize, &Value)> {
        self.entries
            .entry_after(cursor)
            .map(|(next, item, _)| (next, item))
    }
}

/// The dict behind `shared` to change in place, made the only one first if others hold it too.
#[inline]
pub fn dict_for_change(shared: &mut Rc<DictObj>) -> Result<&mut DictObj, OutOfMemory> {
    if Rc::get_mut(shared).is_none() {
        *shared = Rc::new(shared.duplicate()?);
    }
    Rc::get_mut(shared).ok_or(OutOfMemory)
}

/// The set behind `shared` to change in place, made the only one first if others hold it too.
pub fn set_for_change(shared: &mut Rc<SetObj>) -> Result<&mut SetObj, OutOfMemory> {
    if Rc::get_mut(shared).is_none() {
        *shared = Rc::new(shared.duplicate()?);
    }
    Rc::get_mut(shared).ok_or(OutOfMemory)
}

impl Heap {
    /// An empty dict object, to fill and wrap in a [`Value::Dict`].
    pub fn dict(&self) -> Result<DictObj, OutOfMemory> {
        DictObj::new(self)
    }

    /// A dict with string keys, as builtins return.
    pub fn record(
        &self,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Value, OutOfMemory> {
        let mut dict = DictObj::new(self)?;
        for (name, value) in fields {
            if let Ok(stored) = dict.insert(self.string(name)?, value) {
                stored?;
            }
        }
        Ok(Value::Dict(Rc::new(dict)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_dict(heap: &Heap, count: i64) -> DictObj {
        let mut dict = DictObj::new(heap).unwrap();
        for i in 0..count {
            dict.insert(Value::Int(i * 7), Value::Int(i))
                .unwrap()
                .unwrap();
        }
        dict
    }

    #[test]
    fn equal_numbers_of_different_types_are_one_key() {
        let heap = Heap::new(1 << 20);
        let mut dict = DictObj::new(&heap).unwrap();
        dict.insert(Value::Int(1), Value::Int(10)).unwrap().unwrap();
        dict.insert(Value::float(1.0), Value::Int(11))
            .unwrap()
            .unwrap();
        dict.insert(Value::bool(true), Value::Int(12))
            .unwrap()
            .unwrap();
        let entries: Vec<_> = dict.iter().collect();
        assert!(matches!(entries[..], [(Value::Int(1), Value::Int(12))]));
    }

    #[test]
    fn removal_keeps_the_order_of_the_rest() {
        let heap = Heap::new(1 << 20);
        let mut dict = number_dict(&heap, 100);
        for i in 0..50 {
            assert!(dict.remove(&Value::Int(i * 14)).unwrap().is_some());
        }
        for i in 100..150 {
            dict.insert(Value::Int(i * 7), Value::Int(i))
                .unwrap()
                .unwrap();
        }
        let order: Vec<i64> = dict.values().filter_map(Value::as_int).collect();
        assert!(order.is_sorted());
        assert_eq!(dict.len(), 100);
        assert!(dict.get(&Value::Int(14)).unwrap().is_none());
        assert!(dict.get(&Value::Int(21)).unwrap().is_some());
        drop(dict);
        assert_eq!(heap.used_bytes(), 0);
    }

    #[test]
    fn a_list_is_no_key() {
        let heap = Heap::new(1 << 20);
        let dict = DictObj::new(&heap).unwrap();
        assert_eq!(
            dict.get(&heap.list(Vec::new()).unwrap()).err(),
            Some(KeyError::NotAKey)
        );
    }
}
