//! Indexes, slices, attributes, membership, comparison.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeMember, NativeResult};
use crate::symbol::Symbol;
use crate::syntax::ast::CompareOperator;
use crate::value::{
    BoundMethod, Class, DictObj, Equality, Instance, KeyError, Member, Module, ModuleKind,
    Unordered, Value, equal, order,
};

use super::Core;
use super::arithmetic::method_call;

pub(crate) fn bad_key() -> NativeError {
    NativeError::type_error("dict keys must be strings, numbers, booleans, or None")
}

fn index_error(text: &str) -> NativeError {
    NativeError::new(ErrorClass::Index, text)
}

/// The place in a sequence that an index means; negative ones count from the end.
#[inline]
pub(crate) fn position(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(length as i64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|at| *at < length)
}

impl Core {
    /// `object[key]`.
    #[inline(never)]
    pub(crate) fn index(&mut self, object: &Value, key: &Value) -> NativeResult {
        match object {
            Value::Dict(dict) => {
                let found = self.lookup(dict, key)?;
                found.ok_or_else(|| NativeError::new(ErrorClass::Key, "dict key not found"))
            }
            Value::Instance(instance) => self.index_instance(instance, object, key),
            Value::Ref(shared) => {
                let content = shared.get();
                self.index(&content, key)
            }
            Value::Bytes(_) | Value::List(_) | Value::Tuple(_) | Value::Str(_) => {
                self.index_sequence(object, key)
            }
            _ => {
                if key.as_index().is_none() {
                    return Err(NativeError::type_error("index must be an integer"));
                }
                Err(NativeError::type_error(
                    "only strings, lists, and dicts can be indexed",
                ))
            }
        }
    }

    fn index_sequence(&mut self, object: &Value, key: &Value) -> NativeResult {
        let Some(index) = key.as_index() else {
            return Err(match key {
                Value::Big(_) => index_error("index out of range"),
                _ => NativeError::type_error("index must be an integer"),
            });
        };
        let length = self.length_of_sequence(object);
        let Some(at) = position(index, length) else {
            return Err(index_error("index out of range"));
        };
        Ok(match object {
            Value::List(list) => list.get(at).cloned().unwrap_or_default(),
            Value::Tuple(tuple) => tuple.get(at).cloned().unwrap_or_default(),
            Value::Bytes(bytes) => bytes
                .as_slice()
                .get(at)
                .map_or(Value::None, |byte| Value::Int(i64::from(*byte))),
            Value::Str(text) => match text.char_at(at) {
                Some(character) => self.char_string(character)?,
                None => return Err(index_error("index out of range")),
            },
            _ => Value::None,
        })
    }

    fn length_of_sequence(&self, object: &Value) -> usize {
        match object {
            Value::List(list) => list.len(),
            Value::Tuple(tuple) => tuple.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Str(text) => text.char_count(),
            _ => 0,
        }
    }

    /// The entry of a dict, if it has one.
    pub(crate) fn lookup(
        &mut self,
        dict: &Rc<DictObj>,
        key: &Value,
    ) -> Result<Option<Value>, NativeError> {
        match dict.get(key) {
            Ok(found) => Ok(found.cloned()),
            Err(KeyError::NotAKey) => Err(bad_key()),
            Err(KeyError::NeedsMethod) => {
                Err(self.prelude_call("_dict_get", [Value::Dict(dict.clone()), key.clone()].into()))
            }
        }
    }

    fn index_instance(
        &mut self,
        instance: &Rc<Instance>,
        object: &Value,
        key: &Value,
    ) -> NativeResult {
        if let Some(call) = method_call(object, Symbol::GETITEM, &[key]) {
            return Err(call);
        }
        let Some(name) = key.as_str() else {
            return Err(NativeError::type_error(
                "instance field index must be a string",
            ));
        };
        let field = self
            .interner
            .find(name)
            .and_then(|name| instance.field(name));
        field.ok_or_else(|| NativeError::new(ErrorClass::Key, "instance field not found"))
    }

    /// A call of a function of the prelude, as the rest of an operation.
    pub(crate) fn prelude_call(&mut self, name: &str, args: Vec<Value>) -> NativeError {
        self.load_prelude();
        let function = self.interner.find(name).and_then(|name| {
            let slot = self.find_slot(super::core::PRELUDE, name)?;
            Some(slot.function.clone())
        });
        match function {
            Some(callee) if !callee.is_undefined() => NativeError::TailCall { callee, args },
            _ => NativeError::type_error(format!("the prelude has no '{name}'")),
        }
    }

    /// `len(value)`.
    #[inline(never)]
    pub(crate) fn length(&mut self, value: &Value) -> NativeResult {
        let length = match value {
            Value::Str(text) => text.char_count(),
            Value::List(list) => list.len(),
            Value::Dict(dict) => dict.len(),
            Value::Tuple(tuple) => tuple.len(),
            Value::Set(set) => set.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Ref(shared) => return self.length(&shared.get()),
            _ => {
                return Err(method_call(value, Symbol::LEN, &[]).unwrap_or_else(|| {
                    NativeError::type_error("len() expects a string, list, or dict")
                }));
            }
        };
        Ok(Value::Int(length as i64))
    }

    /// `item in container`, without methods of the program's.
    pub(crate) fn contains(
        &mut self,
        container: &Value,
        item: &Value,
    ) -> Result<bool, NativeError> {
        match container {
            Value::Str(text) => match item {
                Value::Str(part) => {
                    self.charge_steps(1 + text.as_str().len() / 32)?;
                    Ok(text.as_str().contains(part.as_str()))
                }
                _ => Err(NativeError::type_error(
                    "'in' requires a string on the left of a string",
                )),
            },
            Value::List(list) => self.contains_item(container, list.as_slice(), item),
            Value::Tuple(tuple) => self.contains_item(container, tuple.as_slice(), item),
            Value::Dict(dict) => match dict.contains(item) {
                Ok(found) => Ok(found),
                Err(KeyError::NotAKey) => Err(bad_key()),
                Err(KeyError::NeedsMethod) => {
                    Err(self.prelude_call("_dict_has", [container.clone(), item.clone()].into()))
                }
            },
            Value::Set(set) => match set.contains(item) {
                Ok(found) => Ok(found),
                Err(KeyError::NotAKey) => Ok(false),
                Err(KeyError::NeedsMethod) => {
                    Err(self.prelude_call("_item_in", [container.clone(), item.clone()].into()))
                }
            },
            Value::Bytes(bytes) => match item {
                Value::Int(number) => {
                    Ok(u8::try_from(*number).is_ok_and(|byte| bytes.as_slice().contains(&byte)))
                }
                Value::Bytes(part) => {
                    let (whole, part) = (bytes.as_slice(), part.as_slice());
                    self.charge_steps(1 + whole.len() * part.len().max(1) / 64)?;
                    Ok(part.is_empty() || whole.windows(part.len()).any(|window| window == part))
                }
                _ => Ok(false),
            },
            Value::Ref(shared) => {
                let content = shared.get();
                self.contains(&content, item)
            }
            Value::Class(_) | Value::Generator(_) | Value::Iter(_) => {
                Err(self.prelude_call("_item_in", [container.clone(), item.clone()].into()))
            }
            Value::Instance(instance) => {
                if let Some(call) = method_call(container, Symbol::CONTAINS, &[item]) {
                    return Err(call);
                }
                if instance.has_method(Symbol::ITER) || instance.has_method(Symbol::GETITEM) {
                    return Err(
                        self.prelude_call("_item_in", [container.clone(), item.clone()].into())
                    );
                }
                Err(NativeError::type_error(
                    "'in' requires a string, list, tuple, dict, or set on the right",
                ))
            }
            _ => Err(NativeError::type_error(
                "'in' requires a string, list, tuple, dict, or set on the right",
            )),
        }
    }

    fn contains_item(
        &mut self,
        container: &Value,
        items: &[Value],
        item: &Value,
    ) -> Result<bool, NativeError> {
        self.charge_steps(1 + items.len() / 8)?;
        for candidate in items {
            match equal(candidate, item) {
                Equality::Equal => return Ok(true),
                Equality::Different => {}
                Equality::NeedsMethod => {
                    return Err(
                        self.prelude_call("_item_in", [container.clone(), item.clone()].into())
                    );
                }
            }
        }
        Ok(false)
    }

    /// Whether two values are equal; a call when an instance's own method must say.
    pub(crate) fn equals(&mut self, left: &Value, right: &Value) -> Result<bool, NativeError> {
        match equal(left, right) {
            Equality::Equal => Ok(true),
            Equality::Different => Ok(false),
            Equality::NeedsMethod => Err(method_call(left, Symbol::EQ, &[right])
                .or_else(|| method_call(right, Symbol::EQ, &[left]))
                .unwrap_or_else(|| {
                    self.prelude_call("_deep_equal", [left.clone(), right.clone()].into())
                })),
        }
    }

    /// An ordering; `operator` is what was written, for the error text.
    pub(crate) fn ordered(
        &mut self,
        operator: CompareOperator,
        left: &Value,
        right: &Value,
    ) -> Result<bool, NativeError> {
        let wanted = |ordering: Ordering| match operator {
            CompareOperator::Less => ordering.is_lt(),
            CompareOperator::LessEqual => ordering.is_le(),
            CompareOperator::Greater => ordering.is_gt(),
            _ => ordering.is_ge(),
        };
        match order(left, right) {
            Ok(ordering) => Ok(ordering.is_some_and(wanted)),
            Err(Unordered::NoOrder) | Err(Unordered::NeedsMethod) => {
                if let Some(call) = ordering_call(operator, left, right) {
                    return Err(call);
                }
                if let (Value::Set(a), Value::Set(b)) = (left, right) {
                    let within = |a: &crate::value::SetObj, b: &crate::value::SetObj| {
                        a.iter().all(|item| b.contains(item) == Ok(true))
                    };
                    return Ok(match operator {
                        CompareOperator::Less => a.len() < b.len() && within(a, b),
                        CompareOperator::LessEqual => within(a, b),
                        CompareOperator::Greater => b.len() < a.len() && within(b, a),
                        _ => within(b, a),
                    });
                }
                let is_sequence = |value: &Value| matches!(value, Value::List(_) | Value::Tuple(_));
                if is_sequence(left)
                    && is_sequence(right)
                    && order(left, right) == Err(Unordered::NeedsMethod)
                {
                    let operator = self.heap.string(operator.symbol())?;
                    return Err(self.prelude_call(
                        "_deep_order",
                        [operator, left.clone(), right.clone()].into(),
                    ));
                }
                let symbol = operator.symbol();
                Err(NativeError::type_error(format!(
                    "'{symbol}' requires two numbers, two strings, or two lists"
                )))
            }
        }
    }

    /// `left operator right` for all comparison operators, as a truth. Calls come back as errors whose result's truth
    /// counts; for `!=` and `not in` its opposite.
    pub(crate) fn compare(
        &mut self,
        operator: CompareOperator,
        left: &Value,
        right: &Value,
    ) -> Result<bool, NativeError> {
        match operator {
            CompareOperator::Equal => self.equals(left, right),
            CompareOperator::NotEqual => self.equals(left, right).map(|same| !same),
            CompareOperator::In => self.contains(right, left),
            CompareOperator::NotIn => self.contains(right, left).map(|found| !found),
            CompareOperator::Is => Ok(left.is_same(right)),
            CompareOperator::IsNot => Ok(!left.is_same(right)),
            _ => self.ordered(operator, left, right),
        }
    }

    /// `object.name`.
    #[inline(never)]
    pub(crate) fn attribute(&mut self, object: &Value, name: Symbol) -> NativeResult {
        match object {
            Value::Instance(instance) => self.instance_attribute(instance, object, name),
            Value::Class(class) => self.class_attribute(class, name),
            Value::Module(module) => self.module_attribute(module, name),
            Value::Error(_) => Err(NativeError::type_error("errors have no attributes here")),
            _ if self.builtin_method(object, name).is_some() => {
                Ok(Value::Bound(Rc::new(BoundMethod {
                    receiver: object.clone(),
                    function: Value::Undefined,
                    name,
                })))
            }
            Value::Func(_) | Value::Native(_) if name == Symbol::NAME => self.function_name(object),
            _ => Err(NativeError::new(
                ErrorClass::Attribute,
                "attribute access requires a module, class, or instance",
            )),
        }
    }

    fn function_name(&mut self, function: &Value) -> NativeResult {
        let name = match function {
            Value::Func(function) => String::from(function.name()),
            Value::Native(function) => String::from(function.name),
            _ => String::new(),
        };
        Ok(self.heap.owned_string(name)?)
    }

    fn instance_attribute(
        &mut self,
        instance: &Rc<Instance>,
        object: &Value,
        name: Symbol,
    ) -> NativeResult {
        if let Some(field) = instance.field(name) {
            return Ok(field);
        }
        let class = instance.class();
        match class.member(name) {
            Some(Member::Attribute(value)) => Ok(value),
            Some(Member::Method(function)) => Ok(bound(object, function, name)),
            None if name == Symbol::CLASS => Ok(Value::Class(class)),
            None => {
                if class.has_special_methods() && class.method(Symbol::GETATTR).is_some() {
                    let name = Value::Str(self.interner.object(name));
                    if let Some(call) = method_call(object, Symbol::GETATTR, &[&name]) {
                        return Err(call);
                    }
                }
                Err(NativeError::new(
                    ErrorClass::Attribute,
                    format!(
                        "instance of '{}' has no member '{}'",
                        class.name(),
                        self.interner.text(name)
                    ),
                ))
            }
        }
    }

    pub(crate) fn class_attribute(&mut self, class: &Rc<Class>, name: Symbol) -> NativeResult {
        match class.member(name) {
            Some(Member::Attribute(value) | Member::Method(value)) => Ok(value),
            None if name == Symbol::NAME => Ok(self.heap.string(class.name())?),
            None => Err(NativeError::new(
                ErrorClass::Attribute,
                format!(
                    "class '{}' has no member '{}'",
                    class.name(),
                    self.interner.text(name)
                ),
            )),
        }
    }

    pub(crate) fn module_attribute(&mut self, module: &Rc<Module>, name: Symbol) -> NativeResult {
        match self.module_member(module, name)? {
            Some(value) => Ok(value),
            None => Err(NativeError::new(
                ErrorClass::Attribute,
                format!(
                    "module '{}' has no member '{}'",
                    module.name,
                    self.interner.text(name)
                ),
            )),
        }
    }

    /// A member of a module: what it binds, or a module that hangs off it.
    pub(crate) fn module_member(
        &mut self,
        module: &Rc<Module>,
        name: Symbol,
    ) -> Result<Option<Value>, NativeError> {
        if let ModuleKind::Program(number) = module.kind
            && let Some(slot) = self.find_slot(number, name)
        {
            let found = [&slot.variable, &slot.function, &slot.nested]
                .into_iter()
                .find(|value| !value.is_undefined());
            if let Some(value) = found {
                return Ok(Some(value.clone()));
            }
        }
        if let Some(child) = module.children.borrow().get(&name) {
            return Ok(Some(child.clone()));
        }
        let ModuleKind::Native(native) = module.kind else {
            return Ok(None);
        };
        let text = self.interner.text(name);
        match native.members.iter().find(|(member, _)| *member == text) {
            Some((_, NativeMember::Function(function))) if self.grants.has(function.family) => {
                Ok(Some(Value::Native(function)))
            }
            Some((_, NativeMember::Constant(make))) => Ok(Some(make(&self.heap)?)),
            _ => Ok(None),
        }
    }

    /// `object.name = value`.
    #[inline(never)]
    pub(crate) fn set_attribute(
        &mut self,
        object: &Value,
        name: Symbol,
        value: Value,
    ) -> Result<(), NativeError> {
        match object {
            Value::Instance(instance) => Ok(instance.set_field(name, value)?),
            Value::Class(class) => Ok(class.set_attribute(name, value)?),
            Value::Module(module) => {
                match module.kind {
                    ModuleKind::Program(number) => {
                        let slot = self.slot(number, name);
                        self.slots[slot as usize].variable = value;
                    }
                    _ => {
                        module.children.borrow_mut().insert(name, value);
                    }
                }
                Ok(())
            }
            _ => Err(NativeError::new(
                ErrorClass::Attribute,
                "attribute assignment requires a module, class, or instance",
            )),
        }
    }

    /// `del object.name`.
    pub(crate) fn delete_attribute(
        &mut self,
        object: &Value,
        name: Symbol,
    ) -> Result<(), NativeError> {
        let removed = match object {
            Value::Instance(instance) => instance.take_field(name).is_some(),
            Value::Class(class) => class.remove_member(name),
            Value::Module(module) => match module.kind {
                ModuleKind::Program(number) => {
                    let slot = self.slot(number, name);
                    let slot = &mut self.slots[slot as usize];
                    let before = core::mem::take(&mut slot.variable);
                    !before.is_undefined() || !core::mem::take(&mut slot.function).is_undefined()
                }
                _ => module.children.borrow_mut().remove(&name).is_some(),
            },
            _ => {
                return Err(NativeError::new(
                    ErrorClass::Attribute,
                    "attribute assignment requires a module, class, or instance",
                ));
            }
        };
        if removed {
            Ok(())
        } else {
            self.attribute(object, name).map(|_| ())
        }
    }

    /// `object[start:stop:step]`.
    pub(crate) fn slice(&mut self, object: &Value, bounds: [&Value; 3]) -> NativeResult {
        let length = match object {
            Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_) => {
                self.length_of_sequence(object)
            }
            Value::Ref(shared) => return self.slice(&shared.get(), bounds),
            Value::Instance(_) => {
                let slice = self.heap.tuple(bounds.into_iter().cloned().collect())?;
                return Err(
                    method_call(object, Symbol::GETITEM, &[&slice]).unwrap_or_else(not_sliceable)
                );
            }
            _ => return Err(not_sliceable()),
        };
        let slice = Slice::new(bounds, length)?;
        self.charge_steps(1 + slice.count / 8)?;
        if let (Value::Str(text), 1) = (object, slice.step) {
            return Ok(self
                .heap
                .string(text.slice(slice.start, slice.start + slice.count))?);
        }
        match object {
            Value::Str(text) => {
                let characters: Vec<char> = text.as_str().chars().collect();
                let picked = slice
                    .positions()
                    .filter_map(|at| characters.get(at))
                    .collect();
                Ok(self.heap.owned_string(picked)?)
            }
            Value::Bytes(bytes) => {
                let picked = slice
                    .positions()
                    .filter_map(|at| bytes.as_slice().get(at).copied())
                    .collect();
                Ok(self.heap.bytes(picked)?)
            }
            Value::List(list) => {
                let mut picked = self.heap.values(slice.count)?;
                picked.extend(slice.positions().filter_map(|at| list.get(at).cloned()));
                Ok(self.heap.list(picked)?)
            }
            Value::Tuple(tuple) => {
                let mut picked = self.heap.values(slice.count)?;
                picked.extend(slice.positions().filter_map(|at| tuple.get(at).cloned()));
                Ok(self.heap.tuple(picked)?)
            }
            _ => Err(not_sliceable()),
        }
    }
}

pub(crate) fn bound(receiver: &Value, function: Value, name: Symbol) -> Value {
    Value::Bound(Rc::new(BoundMethod {
        receiver: receiver.clone(),
        function,
        name,
    }))
}

fn not_sliceable() -> NativeError {
    NativeError::type_error("only strings, lists, tuples, and bytes can be sliced")
}

/// Comparison by the special methods of instances; `a > b` falls back to `b < a`, `a >= b` to not `a < b`.
fn ordering_call(operator: CompareOperator, left: &Value, right: &Value) -> Option<NativeError> {
    match operator {
        CompareOperator::Less => method_call(left, Symbol::LT, &[right])
            .or_else(|| method_call(right, Symbol::GT, &[left])),
        CompareOperator::Greater => method_call(left, Symbol::GT, &[right])
            .or_else(|| method_call(right, Symbol::LT, &[left])),
        CompareOperator::LessEqual => method_call(left, Symbol::LE, &[right])
            .or_else(|| method_call(right, Symbol::GE, &[left])),
        _ => method_call(left, Symbol::GE, &[right])
            .or_else(|| method_call(right, Symbol::LE, &[left])),
    }
}

/// A slice of a sequence of known length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) start: usize,
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Slice {
    pub(crate) fn new(bounds: [&Value; 3], length: usize) -> Result<Slice, NativeError> {
        let bound = |value: &Value| match value {
            Value::None | Value::Undefined => Ok(None),
            Value::Big(number) => Ok(Some(if num_traits::Signed::is_negative(number.number()) {
                i64::MIN
            } else {
                i64::MAX
            })),
            other => match other.as_index() {
                Some(index) => Ok(Some(index)),
                None => Err(NativeError::type_error("slice bounds must be integers")),
            },
        };
        let step = bound(bounds[2])?.unwrap_or(1);
        if step == 0 {
            return Err(NativeError::value_error("slice step cannot be zero"));
        }
        let length = length as i64;
        let (low, high) = if step > 0 {
            (0, length)
        } else {
            (-1, length - 1)
        };
        let clamp = |index: i64| {
            let index = if index < 0 {
                index.saturating_add(length)
            } else {
                index
            };
            index.clamp(low, high)
        };
        let start = bound(bounds[0])?.map_or(if step > 0 { low } else { high }, clamp);
        let stop = bound(bounds[1])?.map_or(if step > 0 { high } else { low }, clamp);
        let distance = if step > 0 { stop - start } else { start - stop };
        let stride = step.unsigned_abs();
        let count = if distance <= 0 {
            0
        } else {
            (distance as u64).div_ceil(stride) as usize
        };
        Ok(Slice {
            start: start.max(0) as usize,
            step,
            count,
        })
    }

    pub(crate) fn positions(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |at| (self.start as i64 + at as i64 * self.step) as usize)
    }
}
