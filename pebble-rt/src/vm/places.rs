//! Changing what is stored somewhere, where it is (10.2).

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Place, Root, Step};
use crate::error::{ErrorClass, NativeError};
use crate::symbol::Symbol;
use crate::value::{
    Class, Function, KeyError, Value, dict_for_change, list_for_change, set_for_change,
    tuple_for_change,
};

use super::Core;
use super::access::{Slice, bad_key, position};
use super::thread::WINDOW;

/// What stopped a change.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// An error.
    Error(NativeError),
    /// The key at this step must go through a method: `__getitem__` of the instance found there.
    Method { call: NativeError, step: usize },
}

impl From<NativeError> for Obstacle {
    fn from(error: NativeError) -> Obstacle {
        Obstacle::Error(error)
    }
}

impl From<crate::heap::OutOfMemory> for Obstacle {
    fn from(error: crate::heap::OutOfMemory) -> Obstacle {
        Obstacle::Error(error.into())
    }
}

type Change<'a, T> = &'a mut dyn FnMut(&mut Core, &mut Value) -> Result<T, NativeError>;

/// The registers and the function that a place refers to.
pub(crate) struct Site<'a> {
    pub(crate) window: &'a mut [Value; WINDOW],
    pub(crate) function: &'a Function,
    /// The class whose body runs.
    pub(crate) class: Option<Rc<Class>>,
}

impl Core {
    /// Lets `change` work on the value at `place`, its last `fewer` keys left out.
    pub(crate) fn change_place<T>(
        &mut self,
        site: &mut Site,
        place: &Place,
        fewer: usize,
        change: Change<'_, T>,
    ) -> Result<T, Obstacle> {
        let all = place.first_key as usize
            ..(place.first_key as usize + place.keys as usize - fewer).min(WINDOW);
        let scratch = usize::from(place.scratch);
        let resumes = place.keys > 0 && !site.window[scratch].is_undefined();
        let keys: Vec<Value> = all
            .clone()
            .map(|at| &site.window[at])
            .filter(|key| !key.is_undefined())
            .cloned()
            .collect();
        let done = all.len() - keys.len();
        let shift = |obstacle| match obstacle {
            Obstacle::Method { call, step } => Obstacle::Method {
                call,
                step: step + done,
            },
            other => other,
        };
        let mut walk = |core: &mut Core, value: &mut Value| core.descend(value, &keys, 0, change);
        if resumes {
            return walk(self, &mut site.window[scratch]).map_err(shift);
        }
        self.change_root(site, place, &mut walk).map_err(shift)
    }

    fn change_root<T>(
        &mut self,
        site: &mut Site,
        place: &Place,
        walk: &mut dyn FnMut(&mut Core, &mut Value) -> Result<T, Obstacle>,
    ) -> Result<T, Obstacle> {
        match place.root {
            Root::Local(register) => walk(self, &mut site.window[usize::from(register)]),
            Root::Global(slot) => self.change_global(slot, walk),
            Root::Attr(register, name) => {
                let object = site.window[usize::from(register)].clone();
                self.change_attribute(&object, Symbol(name), walk)
            }
            Root::Cell(register) => {
                let cell = site.window[usize::from(register)].clone();
                self.change_cell(&cell, walk)
                    .unwrap_or_else(|| Err(unknown("?").into()))
            }
            Root::Captured(index) => {
                let cell = site
                    .function
                    .captured
                    .get(usize::from(index))
                    .cloned()
                    .unwrap_or_default();
                self.change_cell(&cell, walk)
                    .unwrap_or_else(|| Err(unknown("?").into()))
            }
            Root::Chain(chain) => self.change_chain(site, chain, walk),
        }
    }

    fn change_global<T>(
        &mut self,
        slot: u32,
        walk: &mut dyn FnMut(&mut Core, &mut Value) -> Result<T, Obstacle>,
    ) -> Result<T, Obstacle> {
        // The variable is out of its slot while it changes; nothing else runs meanwhile.
        let index = slot as usize;
        let mut value = core::mem::take(&mut self.slots[index].variable);
        if value.is_undefined() {
            let Some(mut other) = self.read_slot(slot) else {
                return Err(self.unknown_variable(Symbol(self.slots[index].name)).into());
            };
            return walk(self, &mut other);
        }
        let result = walk(self, &mut value);
        self.slots[index].variable = value;
        result
    }

    fn change_cell<T>(
        &mut self,
        cell: &Value,
        walk: &mut dyn FnMut(&mut Core, &mut Value) -> Result<T, Obstacle>,
    ) -> Option<Result<T, Obstacle>> {
        let Value::Cell(cell) = cell else {
            return None;
        };
        if cell.get().is_undefined() {
            return None;
        }
        let mut value = cell.take();
        let result = walk(self, &mut value);
        cell.set(value);
        Some(result)
    }

    fn change_chain<T>(
        &mut self,
        site: &mut Site,
        chain: u32,
        walk: &mut dyn FnMut(&mut Core, &mut Value) -> Result<T, Obstacle>,
    ) -> Result<T, Obstacle> {
        let code = site.function.code.clone();
        let Some(chain) = code.chains.get(chain as usize) else {
            return Err(unknown("?").into());
        };
        for step in &chain.steps {
            match step {
                Step::Local(register) => {
                    let value = &mut site.window[usize::from(*register)];
                    if !value.is_undefined() {
                        return walk(self, value);
                    }
                }
                Step::Cell(register) => {
                    let cell = site.window[usize::from(*register)].clone();
                    if let Some(result) = self.change_cell(&cell, walk) {
                        return result;
                    }
                }
                Step::Captured(index) => {
                    let cell = site
                        .function
                        .captured
                        .get(usize::from(*index))
                        .cloned()
                        .unwrap_or_default();
                    if let Some(result) = self.change_cell(&cell, walk) {
                        return result;
                    }
                }
                Step::Class => {
                    let owner = site.class.clone().or_else(|| site.function.owner_class());
                    if let Some(class) = owner.filter(|class| class.member(chain.name).is_some()) {
                        return self.change_attribute(&Value::Class(class), chain.name, walk);
                    }
                }
                Step::Global(slot) => return self.change_global(*slot, walk),
            }
        }
        Err(self.unknown_variable(chain.name).into())
    }

    /// Works on an attribute in place. It is out of its object meanwhile, so that the work can go anywhere.
    fn change_attribute<T>(
        &mut self,
        object: &Value,
        name: Symbol,
        walk: &mut dyn FnMut(&mut Core, &mut Value) -> Result<T, Obstacle>,
    ) -> Result<T, Obstacle> {
        match object {
            Value::Instance(instance) => {
                if let Some(mut value) = instance.take_field(name) {
                    let result = walk(self, &mut value);
                    instance.set_field(name, value)?;
                    return result;
                }
                if let Some(mut value) =
                    instance.with_class(|class| class.change_attribute(name, core::mem::take))
                {
                    let result = walk(self, &mut value);
                    instance
                        .with_class(|class| class.change_attribute(name, |place| *place = value));
                    return result;
                }
            }
            Value::Class(class) => {
                if let Some(mut value) = class.change_attribute(name, core::mem::take) {
                    let result = walk(self, &mut value);
                    class.change_attribute(name, |place| *place = value);
                    return result;
                }
            }
            Value::Module(module) => {
                if let crate::value::ModuleKind::Program(number) = module.kind
                    && let Some(slot) = self.modules[number as usize].slots.get(&name).copied()
                    && !self.slots[slot as usize].variable.is_undefined()
                {
                    return self.change_global(slot, walk);
                }
            }
            _ => {}
        }
        let mut value = self.attribute(object, name)?;
        walk(self, &mut value)
    }

    /// Follows keys into lists, dicts and instances, each made the only holder's first.
    fn descend<T>(
        &mut self,
        value: &mut Value,
        keys: &[Value],
        step: usize,
        change: Change<'_, T>,
    ) -> Result<T, Obstacle> {
        self.unpinned(value, |core, value| {
            core.descend_unpinned(value, keys, step, change)
        })
    }

    fn descend_unpinned<T>(
        &mut self,
        value: &mut Value,
        keys: &[Value],
        step: usize,
        change: Change<'_, T>,
    ) -> Result<T, Obstacle> {
        let Some(key) = keys.get(step) else {
            return Ok(change(self, value)?);
        };
        match value {
            Value::List(list) => {
                let at = read_position(key, list.len())?;
                self.charge_unsharing(list, list.len())?;
                let list = list_for_change(list)?;
                self.descend(&mut list.as_mut_slice()[at], keys, step + 1, change)
            }
            Value::Tuple(tuple) => {
                let at = read_position(key, tuple.len())?;
                self.charge_unsharing(tuple, tuple.len())?;
                let items = tuple_for_change(tuple)?;
                self.descend(&mut items[at], keys, step + 1, change)
            }
            Value::Dict(dict) => {
                self.charge_unsharing(dict, dict.len())?;
                match dict_for_change(dict)?.get_mut(key) {
                    Ok(Some(entry)) => self.descend(entry, keys, step + 1, change),
                    Ok(None) => Err(NativeError::new(ErrorClass::Key, "dict key not found").into()),
                    Err(KeyError::NotAKey) => Err(bad_key().into()),
                    Err(KeyError::NeedsMethod) => {
                        let call =
                            self.prelude_call("_dict_get", [value.clone(), key.clone()].into());
                        Err(Obstacle::Method { call, step })
                    }
                }
            }
            Value::Ref(shared) => {
                let shared = shared.clone();
                let mut content = shared.change(core::mem::take);
                let result = self.descend(&mut content, keys, step, change);
                shared.set(content);
                result
            }
            Value::Instance(instance) if !instance.has_method(Symbol::GETITEM) => {
                let instance = instance.clone();
                let name = key.as_str().and_then(|name| self.interner.find(name));
                let taken =
                    name.and_then(|name| instance.take_field(name).map(|field| (name, field)));
                match taken {
                    Some((name, mut field)) => {
                        let result = self.descend(&mut field, keys, step + 1, change);
                        instance.set_field(name, field)?;
                        result
                    }
                    None => Err(self
                        .index(&Value::Instance(instance), key)
                        .err()
                        .unwrap_or_else(|| unknown("?"))
                        .into()),
                }
            }
            _ => match self.index(value, key) {
                Ok(mut read) => self.descend(&mut read, keys, step + 1, change),
                Err(call @ NativeError::TailCall { .. }) => Err(Obstacle::Method { call, step }),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// `container[key] = value`.
    pub(crate) fn set_index(
        &mut self,
        container: &mut Value,
        key: &Value,
        value: Value,
    ) -> Result<(), NativeError> {
        match container {
            Value::List(list) => {
                let at = write_position(key, list.len())?;
                self.charge_unsharing(list, list.len())?;
                list_for_change(list)?.as_mut_slice()[at] = value;
                Ok(())
            }
            Value::Dict(dict) => {
                self.charge_unsharing(dict, dict.len())?;
                match dict_for_change(dict)?.insert(key.clone(), value) {
                    Ok(stored) => stored.map(|_| ()).map_err(NativeError::from),
                    Err(_) => Err(bad_key()),
                }
            }
            Value::Instance(instance) => {
                let receiver = Value::Instance(instance.clone());
                if let Some(call) =
                    super::arithmetic::method_call(&receiver, Symbol::SETITEM, &[key, &value])
                {
                    return Err(call);
                }
                let Some(name) = key.as_str() else {
                    return Err(NativeError::type_error(
                        "instance field index must be a string",
                    ));
                };
                let name = self.interner.intern(name)?;
                Ok(instance.set_field(name, value)?)
            }
            Value::Ref(shared) => {
                let shared = shared.clone();
                let mut content = shared.change(core::mem::take);
                let result = self.set_index(&mut content, key, value);
                shared.set(content);
                result
            }
            _ => Err(NativeError::type_error(
                "indexed assignment requires a list or dict",
            )),
        }
    }

    /// `del container[key]`.
    pub(crate) fn delete_index(
        &mut self,
        container: &mut Value,
        key: &Value,
    ) -> Result<(), NativeError> {
        match container {
            Value::List(list) => {
                let at = write_position(key, list.len())?;
                self.charge_steps(1 + (list.len() - at) / 64)?;
                list_for_change(list)?.remove(at);
                Ok(())
            }
            Value::Dict(dict) => {
                self.charge_unsharing(dict, dict.len())?;
                match dict_for_change(dict)?.remove(key) {
                    Ok(Some(_)) => Ok(()),
                    Ok(None) => Err(NativeError::new(ErrorClass::Key, "dict key not found")),
                    Err(_) => Err(bad_key()),
                }
            }
            Value::Set(set) => match set_for_change(set)?.remove(key) {
                Ok(true) => Ok(()),
                _ => Err(NativeError::new(ErrorClass::Key, "set element not found")),
            },
            Value::Instance(instance) => {
                let receiver = Value::Instance(instance.clone());
                if let Some(call) =
                    super::arithmetic::method_call(&receiver, Symbol::DELITEM, &[key])
                {
                    return Err(call);
                }
                let name = key.as_str().and_then(|name| self.interner.find(name));
                match name.map(|name| instance.take_field(name).is_some()) {
                    Some(true) => Ok(()),
                    _ => Err(NativeError::new(
                        ErrorClass::Key,
                        "instance field not found",
                    )),
                }
            }
            Value::Ref(shared) => {
                let shared = shared.clone();
                let mut content = shared.change(core::mem::take);
                let result = self.delete_index(&mut content, key);
                shared.set(content);
                result
            }
            _ => Err(NativeError::type_error(
                "indexed assignment requires a list or dict",
            )),
        }
    }

    /// Replaces (or, without `value`, removes) a slice of the list in `container`.
    pub(crate) fn set_slice(
        &mut self,
        container: &mut Value,
        bounds: [&Value; 3],
        value: Option<&Value>,
    ) -> Result<(), NativeError> {
        if let Value::Ref(shared) = container {
            let shared = shared.clone();
            let mut content = shared.change(core::mem::take);
            let result = self.set_slice(&mut content, bounds, value);
            shared.set(content);
            return result;
        }
        let Value::List(list) = container else {
            return Err(NativeError::type_error("slice assignment requires a list"));
        };
        let slice = Slice::new(bounds, list.len())?;
        let items: Vec<Value> = match value {
            None => Vec::new(),
            Some(Value::List(items)) => items.iter().cloned().collect(),
            Some(Value::Tuple(items)) => items.iter().cloned().collect(),
            Some(_) => {
                return Err(NativeError::type_error(
                    "slice assignment requires a list on the right",
                ));
            }
        };
        self.charge_steps(1 + (list.len() + items.len()) / 64)?;
        let list = list_for_change(list)?;
        if slice.step == 1 {
            return Ok(list.splice(slice.start, slice.start + slice.count, items)?);
        }
        if value.is_none() {
            let mut positions: Vec<usize> = slice.positions().collect();
            positions.sort_unstable();
            for at in positions.into_iter().rev() {
                list.remove(at);
            }
            return Ok(());
        }
        if items.len() != slice.count {
            return Err(NativeError::value_error(format!(
                "slice of {} elements cannot take {}",
                slice.count,
                items.len()
            )));
        }
        for (at, item) in slice.positions().zip(items) {
            list.as_mut_slice()[at] = item;
        }
        Ok(())
    }

    /// Charges for the copy that is made before something shared changes.
    #[inline(always)]
    pub(crate) fn charge_unsharing<T>(
        &mut self,
        shared: &Rc<T>,
        length: usize,
    ) -> Result<(), NativeError> {
        if Rc::strong_count(shared) > 1 {
            return self.charge_steps(1 + length / 64);
        }
        Ok(())
    }

    /// `append(list, item)`; gives the list when `wanted`.
    pub(crate) fn append(&mut self, place: &mut Value, item: Value) -> Result<(), NativeError> {
        match place {
            Value::List(list) => {
                self.charge_unsharing(list, list.len())?;
                Ok(list_for_change(list)?.push(item)?)
            }
            Value::Ref(shared) => {
                let shared = shared.clone();
                let mut content = shared.change(core::mem::take);
                let result = self.append(&mut content, item);
                shared.set(content);
                result
            }
            _ => Err(NativeError::type_error(
                "append() expects a list as the first argument",
            )),
        }
    }

    /// `place = place + value`, in place when nobody else holds it.
    pub(crate) fn add_to_place(
        &mut self,
        place: &mut Value,
        value: &Value,
    ) -> Result<(), NativeError> {
        if self.add_in_place(place, value)? {
            return Ok(());
        }
        let sum = self.add(place, value)?;
        *place = sum;
        Ok(())
    }

    /// Appends to a string or list that nobody else holds. Says whether it did.
    #[inline]
    pub(crate) fn add_in_place(
        &mut self,
        place: &mut Value,
        value: &Value,
    ) -> Result<bool, NativeError> {
        match (place, value) {
            (Value::Str(text), Value::Str(tail)) => match Rc::get_mut(text) {
                Some(text) => {
                    text.push(tail.as_str(), tail.char_count())?;
                    Ok(true)
                }
                None => Ok(false),
            },
            (Value::List(list), Value::List(tail)) => match Rc::get_mut(list) {
                Some(list) => {
                    self.charge_steps(1 + tail.len() / 8)?;
                    list.reserve_amortised(tail.len())?;
                    for item in tail.iter() {
                        list.push(item.clone())?;
                    }
                    Ok(true)
                }
                None => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// Does `work` on `value` so that operands which the running expression read before, and which are this very
    /// object, neither stand in the way of a change in place nor miss it: reading does not copy.
    #[inline]
    pub(crate) fn unpinned<T>(
        &mut self,
        value: &mut Value,
        work: impl FnOnce(&mut Core, &mut Value) -> T,
    ) -> T {
        if self.pins.is_empty() {
            return work(self, value);
        }
        let same: Vec<usize> = (0..self.pins.len())
            .filter(|at| value.is_copied_on_binding() && self.pins[*at].is_same(value))
            .collect();
        for at in &same {
            self.pins[*at] = Value::Undefined;
        }
        let result = work(self, value);
        for at in same {
            if let Some(pin) = self.pins.get_mut(at) {
                *pin = value.clone();
            }
        }
        result
    }

    /// `unknown variable`.
    pub(crate) fn unknown_variable(&self, name: Symbol) -> NativeError {
        unknown(self.interner.text(name))
    }
}

pub(crate) fn unknown(name: &str) -> NativeError {
    NativeError::new(ErrorClass::Name, format!("unknown variable '{name}'"))
}

fn read_position(key: &Value, length: usize) -> Result<usize, NativeError> {
    let Some(index) = key.as_index() else {
        return Err(NativeError::type_error("index must be an integer"));
    };
    position(index, length).ok_or_else(|| NativeError::new(ErrorClass::Index, "index out of range"))
}

fn write_position(key: &Value, length: usize) -> Result<usize, NativeError> {
    let out_of_range = || NativeError::new(ErrorClass::Index, "list index out of range");
    match (key.as_index(), key) {
        (Some(index), _) => position(index, length).ok_or_else(out_of_range),
        (None, Value::Big(_)) => Err(out_of_range()),
        (None, _) => Err(NativeError::type_error("list index must be an integer")),
    }
}
