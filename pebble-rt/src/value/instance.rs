//! Instances, and the cells of variables that closures share.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::cells::{ValueCell, ValueCells};
use crate::heap::{OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::symbol::Symbol;
use crate::value::{Class, Value};

/// The home of a variable that closures share.
#[derive(Debug, Default)]
pub struct CellObj(ValueCell);

impl CellObj {
    /// A home that holds `value`.
    pub fn new(value: Value) -> CellObj {
        CellObj(ValueCell::new(value))
    }

    /// What it holds.
    #[inline(always)]
    pub fn get(&self) -> Value {
        self.0.get()
    }

    /// Replaces what it holds.
    #[inline(always)]
    pub fn set(&self, value: Value) {
        self.0.set(value);
    }

    /// Takes what it holds; nothing is there then.
    pub fn take(&self) -> Value {
        self.0.replace(Value::Undefined)
    }
}

/// Where an instance of a class keeps a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u32);

/// Fields past the slots of the class, in order.
type ExtraFields = Vec<(Symbol, Value)>;

/// An instance of a class: shared wherever it is bound.
#[derive(Debug)]
pub struct Instance {
    class: Rc<Class>,
    /// By slot of the class; `Undefined` where this instance has no such field.
    slots: ValueCells,
    #[allow(
        clippy::box_collection,
        reason = "rare, and one word instead of three in every object"
    )]
    extra: RefCell<Option<Box<ExtraFields>>>,
    charged_slots: Cell<usize>,
    /// What its `__hash__` gave, once that was asked.
    hash: Cell<Option<u32>>,
}

const FIELD_BYTES: usize = size_of::<Value>();

impl Instance {
    /// An instance without fields.
    pub fn new(class: Rc<Class>) -> Result<Instance, OutOfMemory> {
        let room = class.slot_count();
        class
            .heap()
            .charge(OBJECT_OVERHEAD_BYTES * 2 + room * FIELD_BYTES)?;
        Ok(Instance {
            class,
            slots: ValueCells::with_capacity(room),
            extra: RefCell::new(None),
            charged_slots: Cell::new(room),
            hash: Cell::new(None),
        })
    }

    /// What its `__hash__` gave, if that was asked already.
    pub fn known_hash(&self) -> Option<u32> {
        self.hash.get()
    }

    /// Remembers what its `__hash__` gave.
    pub fn remember_hash(&self, hash: u32) {
        self.hash.set(Some(hash));
    }

    /// Its class.
    #[inline(always)]
    pub fn class(&self) -> Rc<Class> {
        self.class.clone()
    }

    /// The stamp of its class.
    #[inline(always)]
    pub fn class_stamp(&self) -> u32 {
        self.class.stamp()
    }

    /// Lets `look` see its class without taking a reference.
    #[inline(always)]
    pub fn with_class<T>(&self, look: impl FnOnce(&Class) -> T) -> T {
        look(&self.class)
    }

    /// Whether the class has a method of this special name.
    pub fn has_method(&self, name: Symbol) -> bool {
        let class = &self.class;
        class.has_special_methods() && class.method(name).is_some()
    }

    /// The field in a slot, `Undefined` if this instance has none there.
    #[inline(always)]
    pub fn get_slot(&self, slot: Slot) -> Value {
        self.slots.get(slot.0 as usize)
    }

    /// Sets the field in a slot that the class has given out.
    #[inline(always)]
    pub fn set_slot(&self, slot: Slot, value: Value) -> Result<(), OutOfMemory> {
        match self.slots.replace(slot.0 as usize, value) {
            Ok(before) => {
                if before.is_counted() {
                    drop(before);
                } else {
                    core::mem::forget(before);
                }
                Ok(())
            }
            Err(value) => self.add_slot(slot, value),
        }
    }

    #[inline(never)]
    fn add_slot(&self, slot: Slot, value: Value) -> Result<(), OutOfMemory> {
        if self.slots.len() != slot.0 as usize {
            return self.grow_to_slot(slot, value);
        }
        match self.slots.push_within_capacity(value) {
            Ok(()) => Ok(()),
            Err(value) => self.grow_to_slot(slot, value),
        }
    }

    #[cold]
    fn grow_to_slot(&self, slot: Slot, value: Value) -> Result<(), OutOfMemory> {
        let class = &self.class;
        let wanted = class.slot_count().max(slot.0 as usize + 1);
        let charged = self.charged_slots.get();
        class
            .heap()
            .charge(wanted.saturating_sub(charged) * FIELD_BYTES)?;
        self.charged_slots.set(charged.max(wanted));
        let mut slots = self.slots.take();
        slots.reserve_exact(wanted.saturating_sub(slots.len()));
        slots.resize_with(slot.0 as usize, Value::default);
        slots.push(value);
        self.slots.set(slots);
        Ok(())
    }

    /// Field `name`.
    pub fn field(&self, name: Symbol) -> Option<Value> {
        let slot = self.class.slot(name);
        let value = match slot {
            Some(slot) => self.get_slot(slot),
            None => self
                .extra
                .borrow()
                .as_ref()?
                .iter()
                .find(|(known, _)| *known == name)?
                .1
                .clone(),
        };
        (!value.is_undefined()).then_some(value)
    }

    /// Sets field `name`.
    pub fn set_field(&self, name: Symbol, value: Value) -> Result<(), OutOfMemory> {
        let slot = self.class.slot_for_write(name);
        match slot {
            Some(slot) => self.set_slot(slot, value),
            None => self.set_extra(name, value),
        }
    }

    fn set_extra(&self, name: Symbol, value: Value) -> Result<(), OutOfMemory> {
        let mut extra = self.extra.borrow_mut();
        let fields = extra.get_or_insert_default();
        if let Some(place) = fields.iter_mut().find(|(known, _)| *known == name) {
            let before = core::mem::replace(&mut place.1, value);
            drop(extra);
            drop(before);
            return Ok(());
        }
        self.class.heap().charge(FIELD_BYTES * 2)?;
        fields.push((name, value));
        Ok(())
    }

    /// Takes field `name` out, if there is one. Its slot stays.
    pub fn take_field(&self, name: Symbol) -> Option<Value> {
        let taken = match self.class.slot(name) {
            Some(slot) => self
                .slots
                .replace(slot.0 as usize, Value::Undefined)
                .unwrap_or_default(),
            None => {
                let mut extra = self.extra.borrow_mut();
                let mut fields = extra.as_mut()?.iter_mut();
                core::mem::take(&mut fields.find(|(known, _)| *known == name)?.1)
            }
        };
        (!taken.is_undefined()).then_some(taken)
    }

    /// All fields, in the order the class laid them out.
    pub fn field_list(&self) -> Vec<(Symbol, Value)> {
        let in_slots = self
            .class
            .slot_names()
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name, self.slots.get(at)));
        let extra = self.extra.borrow();
        let extra = extra.iter().flat_map(|extra| extra.iter().cloned());
        in_slots
            .chain(extra)
            .filter(|(_, value)| !value.is_undefined())
            .collect()
    }

    /// Takes all fields away: what breaking a cycle does.
    pub fn clear_fields(&self) -> Vec<Value> {
        let mut values = self.slots.take();
        if let Some(extra) = self.extra.take() {
            values.extend(extra.into_iter().map(|(_, value)| value));
        }
        values
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let mut values = self.slots.take();
        let mut bytes = OBJECT_OVERHEAD_BYTES * 2 + self.charged_slots.get() * FIELD_BYTES;
        if let Some(extra) = self.extra.get_mut().take() {
            bytes += extra.len() * FIELD_BYTES * 2;
            values.extend(extra.into_iter().map(|(_, value)| value));
        }
        let heap = self.class.heap();
        heap.credit(bytes);
        if values.iter().any(Value::is_counted) {
            heap.release(values);
        }
    }
}
