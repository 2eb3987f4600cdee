//! Instructions that are too rare or too long for the main loop.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::bytecode::{Code, Insn, NOWHERE, Op, Root, Step};
use crate::error::{ErrorClass, NativeError, Want};
use crate::symbol::Symbol;
use crate::value::{
    CalledOff, Class, KeyError, ListObj, Raised, SetObj, TextError, Value, dict_for_change,
    list_for_change, set_for_change, text_of,
};

use super::Core;
use super::access::{bad_key, bound};
use super::flow::take_arguments;
use super::places::{Obstacle, Site};
use super::stop::Stop;
use super::thread::{Frame, FrameKind, Thread, WINDOW};

impl Core {
    /// Does one of the less common instructions.
    #[inline(never)]
    pub(crate) fn uncommon(
        &mut self,
        thread: &mut Thread,
        insn: Insn,
        pc: usize,
    ) -> Result<(), Stop> {
        let Some(frame) = thread.frames.last_mut() else {
            return Ok(());
        };
        frame.pc = pc as u32;
        let (code, base) = (&frame.function.code.clone(), frame.base);
        let Some(window) = thread
            .stack
            .get_mut(base..)
            .and_then(|rest| rest.first_chunk_mut::<WINDOW>())
        else {
            return Ok(());
        };
        let (a, b, c) = (
            usize::from(insn.a),
            usize::from(insn.b),
            usize::from(insn.c),
        );
        let fault = |error| Stop::Fault(error, insn.a, FrameKind::Normal);
        match insn.op {
            Op::PushAll => {
                let source = core::mem::take(&mut window[b]);
                match self.items(&source) {
                    Some(items) => {
                        if let Value::List(list) = &mut window[a] {
                            let list = list_for_change(list).map_err(NativeError::from)?;
                            list.reserve_amortised(items.len())
                                .map_err(NativeError::from)?;
                            for item in items {
                                list.push(item).map_err(NativeError::from)?;
                            }
                        }
                    }
                    None => {
                        let call = self.wanted_call(Want::List, &source);
                        return Err(Stop::Retry(call, insn.b));
                    }
                }
            }
            Op::NewDict => {
                window[a] = Value::Dict(Rc::new(self.heap.dict().map_err(NativeError::from)?))
            }
            Op::PushEntry if super::flow::needs_hash(&window[b]) => {
                let call = self.prelude_call("_hash_of", Vec::from([window[b].clone()]));
                return Err(Stop::Retry(call, NOWHERE));
            }
            Op::PushElement if super::flow::needs_hash(&window[b]) => {
                let call = self.prelude_call("_hash_of", Vec::from([window[b].clone()]));
                return Err(Stop::Retry(call, NOWHERE));
            }
            Op::PushEntry => {
                let key = core::mem::take(&mut window[b]);
                let value = core::mem::take(&mut window[c]);
                if let Value::Dict(dict) = &mut window[a] {
                    let dict = dict_for_change(dict).map_err(NativeError::from)?;
                    if insn.d == 1 && dict.contains(&key) == Ok(true) {
                        let text = key.as_str().unwrap_or_default();
                        return Err(NativeError::type_error(format!(
                            "argument '{text}' is given twice"
                        ))
                        .into());
                    }
                    let stored = dict.insert(key, value).map_err(|_| bad_key())?;
                    stored.map_err(NativeError::from)?;
                }
            }
            Op::PushEntries => {
                let source = core::mem::take(&mut window[b]);
                let Value::Dict(source) = &source else {
                    return Err(NativeError::type_error("'**' requires a dict").into());
                };
                if let Value::Dict(dict) = &mut window[a] {
                    let dict = dict_for_change(dict).map_err(NativeError::from)?;
                    for (key, value) in source.iter() {
                        let stored = dict
                            .insert(key.clone(), value.clone())
                            .map_err(|_| bad_key())?;
                        stored.map_err(NativeError::from)?;
                    }
                }
            }
            Op::NewSet => {
                window[a] = Value::Set(Rc::new(SetObj::new(&self.heap).map_err(NativeError::from)?))
            }
            Op::PushElement => {
                let item = if insn.c == 1 {
                    core::mem::take(&mut window[b])
                } else {
                    window[b].clone()
                };
                if let Value::Set(set) = &mut window[a] {
                    let set = set_for_change(set).map_err(NativeError::from)?;
                    set.insert(item)
                        .map_err(bad_element)?
                        .map_err(NativeError::from)?;
                }
            }
            Op::ListToTuple => {
                if let Value::List(list) = &mut window[a] {
                    let items: Vec<Value> = list.iter().cloned().collect();
                    window[a] = self.heap.tuple(items).map_err(NativeError::from)?;
                }
            }
            Op::JoinText => {
                let parts = core::mem::take(&mut window[b]);
                let mut text = String::new();
                if let Value::List(parts) = &parts {
                    let length = parts.iter().filter_map(Value::as_str).map(str::len).sum();
                    self.heap.charge(length).map_err(NativeError::from)?;
                    self.heap.credit(length);
                    text.try_reserve_exact(length)
                        .map_err(|_| NativeError::from(crate::heap::OutOfMemory))?;
                    parts
                        .iter()
                        .filter_map(Value::as_str)
                        .for_each(|part| text.push_str(part));
                }
                window[a] = self.heap.owned_string(text).map_err(NativeError::from)?;
            }
            Op::GetSlice => {
                let bounds = [&window[c], &window[(c + 1) & 255], &window[(c + 2) & 255]];
                let sliced = self.slice(&window[b], bounds).map_err(fault)?;
                window[a] = sliced;
            }
            Op::DeleteAttr => {
                if let Some(site) = code.sites.get(insn.d as usize) {
                    self.delete_attribute(&window[a], site.name)?;
                }
            }
            Op::GetSuper => {
                let owner = thread
                    .frames
                    .last()
                    .and_then(|frame| frame.function.owner_class());
                let receiver = window[b].clone();
                if let Some(site) = code.sites.get(insn.d as usize) {
                    window[a] = match self.super_member(&receiver, owner.as_ref(), site.name)? {
                        crate::value::Member::Method(function) => {
                            bound(&receiver, function, site.name)
                        }
                        crate::value::Member::Attribute(value) => value,
                    };
                }
            }
            Op::Unpack | Op::UnpackStar => {
                let Some(items) = self.items(&window[b]) else {
                    if matches!(
                        window[b],
                        Value::Generator(_) | Value::Iter(_) | Value::Instance(_)
                    ) {
                        let call = self.wanted_call(Want::List, &window[b]);
                        return Err(Stop::Retry(call, insn.b));
                    }
                    return Err(NativeError::type_error(
                        "cannot unpack a value that is no list or tuple",
                    )
                    .into());
                };
                self.unpack(window, insn, items)?;
            }
            Op::MakeFunction => {
                let count = c;
                let first = base + b;
                let defaults = take_arguments(thread, first, count);
                let Some(maker) = thread.frames.last().map(|frame| frame.function.clone()) else {
                    return Ok(());
                };
                let made = self.code(code.unit, insn.d as usize)?;
                let is_method = made.is_method();
                let function = self.function(made, &maker, thread, defaults)?;
                if is_method
                    && let Some(Value::Class(class)) =
                        thread.frames.last().map(|frame| &frame.subject)
                {
                    *function.owner.borrow_mut() = Some(Rc::downgrade(class));
                }
                thread.stack[base + a] = Value::Func(Rc::new(function));
            }
            Op::Raise => {
                let value = core::mem::take(&mut window[a]);
                return self.raise_value(thread, value);
            }
            Op::Reraise => {
                let value = core::mem::take(&mut window[a]);
                return match value {
                    Value::Error(raised) => Err(Stop::Unwind(raised)),
                    other => self.raise_value(thread, other),
                };
            }
            Op::ErrorText => {
                if let Value::Error(raised) = window[b].clone() {
                    let heap = self.heap.clone();
                    window[a] = heap.with_reserve(|| self.error_text(&raised))?;
                }
            }
            Op::ErrorObject => {
                if let Value::Error(raised) = window[b].clone() {
                    let heap = self.heap.clone();
                    window[a] = heap.with_reserve(|| self.error_object(&raised))?;
                }
            }
            Op::ErrorMismatch => {
                let filter = core::mem::take(&mut window[b]);
                let matches = match &window[a] {
                    Value::Error(raised) => self.error_matches(&raised.clone(), &filter)?,
                    _ => false,
                };
                if !matches {
                    self.jump = insn.d;
                }
            }
            Op::JumpNotErrorClass => {
                let is_class = match &window[a] {
                    Value::Class(class) => {
                        let class = class.clone();
                        self.is_error_class(&class)
                    }
                    _ => false,
                };
                if !is_class {
                    self.jump = insn.d;
                }
            }
            Op::AssertFail => {
                if !matches!(window[a], Value::None) {
                    let text = self
                        .text_or_call(&window[a])
                        .map_err(|call| Stop::Retry(call, insn.a))?;
                    return Err(NativeError::new(ErrorClass::Assertion, text).into());
                }
                return Err(NativeError::new(ErrorClass::Assertion, "assertion failed").into());
            }
            Op::ImportFrom => {
                let name = Symbol(insn.d as u32);
                if let Value::Module(module) = window[b].clone() {
                    let found = self.module_member(&module, name)?;
                    let found = match found {
                        Some(value) => value,
                        None => {
                            return Err(NativeError::new(
                                ErrorClass::Import,
                                format!(
                                    "module '{}' has no member '{}'",
                                    module.name,
                                    self.interner.text(name)
                                ),
                            )
                            .into());
                        }
                    };
                    window[a] = found;
                }
            }
            Op::Fail => {
                let text = code
                    .constants
                    .get(insn.d as usize)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                return Err(NativeError::value_error(text).into());
            }
            _ => {}
        }
        Ok(())
    }

    /// The jump that an instruction asked for.
    pub(crate) fn take_jump(&mut self) -> i32 {
        core::mem::take(&mut self.jump)
    }

    /// The items of a built-in iterable; `None` for what runs code.
    pub(crate) fn items(&mut self, value: &Value) -> Option<Vec<Value>> {
        Some(match value {
            Value::List(list) => list.iter().cloned().collect(),
            Value::Tuple(tuple) => tuple.iter().cloned().collect(),
            Value::Set(set) => set.iter().cloned().collect(),
            Value::Dict(dict) => dict.keys().cloned().collect(),
            Value::Bytes(bytes) => bytes
                .as_slice()
                .iter()
                .map(|byte| Value::Int(i64::from(*byte)))
                .collect(),
            Value::Str(text) => {
                let characters = text.as_str().chars();
                characters
                    .map(|character| self.char_string(character))
                    .collect::<Result<_, _>>()
                    .ok()?
            }
            Value::Ref(shared) => return self.items(&shared.get()),
            Value::Class(class) => return self.items(&class.attribute(Symbol::MEMBERS)?),
            _ => return None,
        })
    }

    fn unpack(
        &mut self,
        window: &mut [Value; WINDOW],
        insn: Insn,
        mut items: Vec<Value>,
    ) -> Result<(), NativeError> {
        let first = usize::from(insn.a);
        let before = insn.d as usize;
        if insn.op == Op::Unpack {
            if items.len() != before {
                return Err(NativeError::value_error(format!(
                    "expected {before} values but got {}",
                    items.len()
                )));
            }
            for (at, item) in items.into_iter().enumerate() {
                window[(first + at) & 255] = item;
            }
            return Ok(());
        }
        let after = usize::from(insn.c);
        if items.len() < before + after {
            return Err(NativeError::value_error(format!(
                "expected at least {} values but got {}",
                before + after,
                items.len()
            )));
        }
        let tail = items.split_off(items.len() - after);
        let rest = items.split_off(before);
        let rest = self.heap.list(rest)?;
        for (at, item) in items
            .into_iter()
            .chain(core::iter::once(rest))
            .chain(tail)
            .enumerate()
        {
            window[(first + at) & 255] = item;
        }
        Ok(())
    }

    /// `raise value` (15.2).
    fn raise_value(&mut self, thread: &mut Thread, value: Value) -> Result<(), Stop> {
        let (line, label) = self.current_line(thread);
        match &value {
            Value::Instance(instance) => {
                let class = instance.class();
                if self.is_error_class(&class) {
                    let detail = match instance.field(Symbol::MESSAGE) {
                        Some(text @ Value::Str(_)) => text,
                        Some(other) => {
                            let text = self.text_or_call(&other).unwrap_or_default();
                            self.heap.owned_string(text).map_err(NativeError::from)?
                        }
                        None => self.error_detail(&value)?,
                    };
                    let (line, label) = match self.raised_objects(instance) {
                        Some((line, label)) => (line, label),
                        None => (line, label),
                    };
                    let raised = self.new_raised(class, detail, line, label);
                    *raised.object.borrow_mut() = Some(value);
                    return Err(Stop::Unwind(raised));
                }
            }
            Value::Class(class) => {
                let class = class.clone();
                if self.is_error_class(&class) {
                    let detail = self.heap.string(class.name()).map_err(NativeError::from)?;
                    let raised = self.new_raised(class, detail, line, label);
                    return Err(Stop::Unwind(raised));
                }
            }
            Value::Error(raised) => return Err(Stop::Unwind(raised.clone())),
            _ => {}
        }
        let detail = match &value {
            Value::Str(_) => value,
            other => match text_of(&self.heap, other) {
                Ok(text) => self.heap.owned_string(text).map_err(NativeError::from)?,
                Err(TextError::OutOfMemory) => {
                    return Err(NativeError::from(crate::heap::OutOfMemory).into());
                }
                Err(TextError::CalledOff) => return Err(NativeError::from(CalledOff).into()),
                Err(TextError::NeedsMethod) => {
                    return Err(self.prelude_call("_raise_text", [value].into()).into());
                }
            },
        };
        let class = self.error_class(ErrorClass::Error)?;
        let raised = self.new_raised(class, detail, line, label);
        Err(Stop::Unwind(raised))
    }

    fn error_detail(&mut self, value: &Value) -> Result<Value, NativeError> {
        let Value::Instance(instance) = value else {
            return Ok(Value::Str(self.empty_string.clone()));
        };
        let class = instance.class();
        Ok(self.heap.string(class.name())?)
    }

    /// The line and file that an error object was raised at before, if it was.
    fn raised_objects(&mut self, instance: &crate::value::Instance) -> Option<(u32, Rc<str>)> {
        let Some(Value::Int(line)) = instance.field(Symbol::LINE) else {
            return None;
        };
        let label = instance.field(Symbol::FILE)?;
        Some((u32::try_from(line).ok()?, Rc::from(label.as_str()?)))
    }

    /// `line N: DETAIL`.
    pub(crate) fn error_text(&mut self, raised: &Raised) -> Result<Value, NativeError> {
        let detail = raised.detail.as_str().unwrap_or_default();
        if raised.line == 0 {
            return Ok(raised.detail.clone());
        }
        let text = match &*raised.excerpt.borrow() {
            Some((excerpt, column)) => {
                format!(
                    "line {}: {detail}\n{excerpt}\n{:>width$}",
                    raised.line,
                    "^",
                    width = *column as usize
                )
            }
            None => {
                let mut text = String::with_capacity(detail.len() + 16);
                text.push_str("line ");
                push_number(&mut text, raised.line);
                text.push_str(": ");
                text.push_str(detail);
                text
            }
        };
        Ok(self.heap.owned_string(text)?)
    }

    /// The object of an error, with `message`, `line` and `trace`.
    pub(crate) fn error_object(&mut self, raised: &Raised) -> Result<Value, NativeError> {
        let known = raised.object.borrow().clone();
        let object = match known {
            Some(object) => object,
            None => Value::Instance(self.new_instance(&raised.class)?),
        };
        if let Value::Instance(instance) = &object {
            if instance.field(Symbol::MESSAGE).is_none() {
                instance.set_field(Symbol::MESSAGE, raised.detail.clone())?;
            }
            instance.set_field(Symbol::LINE, Value::Int(i64::from(raised.line)))?;
            let label = self.heap.string(&raised.label)?;
            instance.set_field(Symbol::FILE, label)?;
            let trace = self.trace_list(raised)?;
            instance.set_field(Symbol::TRACE, trace)?;
        }
        *raised.object.borrow_mut() = Some(object.clone());
        Ok(object)
    }

    fn trace_list(&mut self, raised: &Raised) -> Result<Value, NativeError> {
        let entries = raised.trace.borrow();
        let mut list = ListObj::new(&self.heap)?;
        for (code, pc) in entries.iter().rev() {
            let name = if code.name.is_empty() {
                "top level"
            } else {
                &code.name
            };
            let text = format!("{}:{} in {name}", code.label, code.line_at(*pc as usize));
            list.push(self.heap.owned_string(text)?)?;
        }
        Ok(Value::List(Rc::new(list)))
    }

    fn error_matches(&mut self, raised: &Raised, filter: &Value) -> Result<bool, NativeError> {
        match filter {
            Value::Class(class) => {
                if !self.is_error_class(class) {
                    return Err(NativeError::type_error(
                        "except requires an error class or a tuple of them",
                    ));
                }
                Ok(raised.class.is_a(class))
            }
            Value::Tuple(classes) => {
                for class in classes.iter() {
                    if self.error_matches(raised, class)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(NativeError::type_error(
                "except requires an error class or a tuple of them",
            )),
        }
    }

    /// Removes a global variable.
    pub(crate) fn delete_global(&mut self, slot: u32) -> Result<(), NativeError> {
        let index = slot as usize;
        if self.slots[index].variable.is_undefined() {
            if self.slots[index].function.is_undefined() {
                return Err(self.unknown_variable(Symbol(self.slots[index].name)));
            }
            self.slots[index].function = Value::Undefined;
            return Ok(());
        }
        let before = core::mem::take(&mut self.slots[index].variable);
        drop(before);
        Ok(())
    }

    /// What a chain finds, or the unknown-variable error.
    pub(crate) fn chain_value(
        &mut self,
        frame: Option<&Frame>,
        window: &[Value; WINDOW],
        chain: i32,
    ) -> Result<Value, NativeError> {
        let Some(frame) = frame else {
            return Err(super::places::unknown("?"));
        };
        let code = &frame.function.code;
        let Some(linked) = code.chains.get(chain as usize) else {
            return Err(super::places::unknown("?"));
        };
        if let Some(value) = self.chain_variable(Some(frame), window, chain) {
            return Ok(value);
        }
        for step in &linked.steps {
            if let Step::Global(slot) = step
                && let Some(value) = self.read_slot(*slot)
            {
                return Ok(value);
            }
        }
        Err(self.unknown_variable(linked.name))
    }

    /// What a chain finds before it comes to functions and builtins.
    pub(crate) fn chain_variable(
        &mut self,
        frame: Option<&Frame>,
        window: &[Value; WINDOW],
        chain: i32,
    ) -> Option<Value> {
        let frame = frame?;
        let linked = frame.function.code.chains.get(chain as usize)?;
        for step in &linked.steps {
            let value = match step {
                Step::Local(register) => window[usize::from(*register)].clone(),
                Step::Cell(register) => match &window[usize::from(*register)] {
                    Value::Cell(cell) => cell.get(),
                    _ => Value::Undefined,
                },
                Step::Captured(index) => match frame.function.captured.get(usize::from(*index)) {
                    Some(Value::Cell(cell)) => cell.get(),
                    _ => Value::Undefined,
                },
                Step::Class => class_of(frame)
                    .and_then(|class| member_value(&class, linked.name))
                    .unwrap_or_default(),
                Step::Global(slot) => match self.slots.get(*slot as usize) {
                    Some(slot) => slot.variable.clone(),
                    None => Value::Undefined,
                },
            };
            if !value.is_undefined() {
                return Some(value);
            }
        }
        None
    }

    /// Sets or removes a member of the class whose body runs.
    pub(crate) fn store_in_class(
        &mut self,
        frame: Option<&Frame>,
        insn: Insn,
        value: Value,
    ) -> Result<(), NativeError> {
        let Some(Value::Class(class)) = frame.map(|frame| &frame.subject) else {
            return Ok(());
        };
        let name = Symbol(insn.d as u32);
        match insn.op {
            Op::StoreClass => class.set_attribute(name, value)?,
            Op::StoreMethod => {
                let text = self.interner.text(name);
                let is_special = text.starts_with("__") && name != Symbol::INIT;
                class.set_method(name, is_special, value)?;
            }
            _ => {
                if !class.remove_member(name) {
                    return Err(self.unknown_variable(name));
                }
            }
        }
        Ok(())
    }

    /// What calling the name of slot `index` calls (11.4).
    pub(crate) fn global_callee(&mut self, index: u32) -> Result<Value, NativeError> {
        let slot = &self.slots[index as usize];
        if super::flow::is_callable(&slot.variable) {
            return Ok(slot.variable.clone());
        }
        if !slot.function.is_undefined() {
            return Ok(slot.function.clone());
        }
        if !slot.nested.is_undefined() {
            return Ok(slot.nested.clone());
        }
        let builtin = self.builtin_of_slot(index);
        if builtin.is_undefined() {
            let name = self.interner.text(Symbol(self.slots[index as usize].name));
            return Err(NativeError::new(
                ErrorClass::Name,
                format!("unknown builtin '{name}'"),
            ));
        }
        Ok(builtin)
    }

    /// The callee of a call: the value of the variable if it can be called, else what slot `fallback - 1` means.
    pub(crate) fn callee_or_fallback(
        &mut self,
        callee: Value,
        fallback: i32,
    ) -> Result<Value, NativeError> {
        if fallback == 0 || super::flow::is_callable(&callee) {
            return Ok(callee);
        }
        self.global_callee(fallback as u32 - 1)
    }

    /// Prints values with blanks between.
    pub(crate) fn print(&mut self, values: &[Value]) -> Result<(), NativeError> {
        if let [Value::Str(text)] = values
            && text.as_str().len() > 512
        {
            self.write_out(text.as_str())?;
            return self.write_out("\n");
        }
        let mut line = String::new();
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                line.push(' ');
            }
            match crate::value::write_text(&self.heap, &mut line, value) {
                Ok(()) => {}
                Err(TextError::OutOfMemory) => return Err(crate::heap::OutOfMemory.into()),
                Err(TextError::CalledOff) => return Err(CalledOff.into()),
                Err(TextError::NeedsMethod) => {
                    return Err(NativeError::NeedsMethod {
                        index,
                        want: Want::Text,
                    });
                }
            }
        }
        line.push('\n');
        self.charge_steps(line.len() / 64)?;
        self.write_out(&line)
    }

    /// The text of a value, or the call that makes it.
    pub(crate) fn text_or_call(&mut self, value: &Value) -> Result<String, NativeError> {
        match text_of(&self.heap, value) {
            Ok(text) => Ok(text),
            Err(TextError::OutOfMemory) => Err(crate::heap::OutOfMemory.into()),
            Err(TextError::CalledOff) => Err(CalledOff.into()),
            Err(TextError::NeedsMethod) => Err(self.wanted_call(Want::Text, value)),
        }
    }

    /// The call that turns an argument into what a builtin needs.
    pub(crate) fn wanted_call(&mut self, want: Want, value: &Value) -> NativeError {
        let name = match want {
            Want::List => "_list_of",
            Want::Text => "_text_of",
            Want::Quoted => "_quoted_of",
        };
        if let (Value::Instance(_), Want::Text | Want::Quoted) = (value, want) {
            let order = if want == Want::Text {
                [Symbol::STR, Symbol::REPR]
            } else {
                [Symbol::REPR, Symbol::STR]
            };
            let call = order
                .into_iter()
                .find_map(|name| super::arithmetic::method_call(value, name, &[]));
            if let Some(call) = call {
                return call;
            }
        }
        self.prelude_call(name, [value.clone()].into())
    }

    /// `append(NAME, item)` for a global list.
    pub(crate) fn append_global(&mut self, slot: u32, item: Value) -> Result<(), NativeError> {
        let index = slot as usize;
        if let Value::List(list) = &mut self.slots[index].variable
            && let Some(list) = Rc::get_mut(list)
        {
            return Ok(list.push(item)?);
        }
        let mut value = core::mem::take(&mut self.slots[index].variable);
        if value.is_undefined() {
            let mut other = match self.read_slot(slot) {
                Some(other) => other,
                None => return Err(self.unknown_variable(Symbol(self.slots[index].name))),
            };
            return self.append(&mut other, item);
        }
        let result = self.unpinned(&mut value, |core, list| core.append(list, item));
        self.slots[index].variable = value;
        result
    }

    /// `NAME[key] = value` for a global container.
    pub(crate) fn set_index_global(
        &mut self,
        slot: u32,
        key: &Value,
        value: Value,
    ) -> Result<(), NativeError> {
        let index = slot as usize;
        let mut container = core::mem::take(&mut self.slots[index].variable);
        if container.is_undefined() {
            let mut other = match self.read_slot(slot) {
                Some(other) => other,
                None => return Err(self.unknown_variable(Symbol(self.slots[index].name))),
            };
            return self.set_index(&mut other, key, value);
        }
        let result = self.unpinned(&mut container, |core, container| {
            core.set_index(container, key, value)
        });
        self.slots[index].variable = container;
        result
    }

    /// The instructions that work on places.
    #[inline(never)]
    pub(crate) fn place_operation(
        &mut self,
        site: &mut Site,
        code: &Code,
        insn: Insn,
    ) -> Result<(), Obstacle> {
        let Some(place) = code.places.get(insn.d as usize) else {
            return Ok(());
        };
        let (a, b, c) = (
            usize::from(insn.a),
            usize::from(insn.b),
            usize::from(insn.c),
        );
        let last = (usize::from(place.first_key) + usize::from(place.keys)).saturating_sub(1) & 255;
        match insn.op {
            Op::PlaceStore | Op::PlaceDelete if super::flow::needs_hash(&site.window[last]) => {
                let key = site.window[last].clone();
                self.again = Some(NOWHERE);
                Err(self.prelude_call("_hash_of", Vec::from([key])).into())
            }
            Op::PlaceStore => {
                let value = site.window[b].clone();
                let key = site.window[last].clone();
                if c == 1 {
                    site.window[b] = Value::Undefined;
                }
                let mut value = Some(value);
                let stored = self.change_place(site, place, 1, &mut |core, container| {
                    core.set_index(container, &key, value.take().unwrap_or_default())
                });
                if let (Err(Obstacle::Method { .. }), Some(value)) = (&stored, value) {
                    site.window[b] = value;
                }
                stored
            }
            Op::PlaceLoad => {
                let value = self.change_place(site, place, 0, &mut |_, value| Ok(value.clone()))?;
                site.window[a] = value;
                Ok(())
            }
            Op::PlaceAppend => {
                let mut item = Some(site.window[b].clone());
                if c == 1 {
                    site.window[b] = Value::Undefined;
                }
                let wanted = insn.a != NOWHERE;
                let appended = self.change_place(site, place, 0, &mut |core, list| {
                    core.append(list, item.take().unwrap_or_default())?;
                    Ok(if wanted {
                        list.clone()
                    } else {
                        Value::Undefined
                    })
                });
                match appended {
                    Ok(list) => {
                        if wanted {
                            site.window[a] = list;
                        }
                        Ok(())
                    }
                    Err(obstacle) => {
                        if let (Obstacle::Method { .. }, Some(item)) = (&obstacle, item) {
                            site.window[b] = item;
                        }
                        Err(obstacle)
                    }
                }
            }
            Op::PlaceAdd => {
                let value = site.window[b].clone();
                if place.keys > 0 {
                    let key = site.window[last].clone();
                    return self.change_place(site, place, 1, &mut |core, container| {
                        core.add_to_entry(container, &key, &value)
                    });
                }
                if let Root::Attr(register, name) = place.root {
                    let object = site.window[usize::from(register)].clone();
                    if self.add_to_inherited(&object, Symbol(name), &value)? {
                        return Ok(());
                    }
                }
                self.change_place(site, place, 0, &mut |core, target| {
                    core.add_to_place(target, &value)
                })
            }
            Op::PlaceDelete => {
                let key = site.window[last].clone();
                self.change_place(site, place, 1, &mut |core, container| {
                    core.delete_index(container, &key)
                })
            }
            _ => {
                let value = (insn.b != NOWHERE).then(|| site.window[b].clone());
                let bounds = [
                    site.window[c].clone(),
                    site.window[(c + 1) & 255].clone(),
                    site.window[(c + 2) & 255].clone(),
                ];
                self.change_place(site, place, 0, &mut |core, container| {
                    core.set_slice(
                        container,
                        [&bounds[0], &bounds[1], &bounds[2]],
                        value.as_ref(),
                    )
                })
            }
        }
    }

    /// `object.name = object.name + value` where the instance or class has none of its own: it gets one, and what the
    /// class above has stays as it is. Says whether that was the case.
    fn add_to_inherited(
        &mut self,
        object: &Value,
        name: Symbol,
        value: &Value,
    ) -> Result<bool, NativeError> {
        let owns = match object {
            Value::Instance(instance) => instance.field(name).is_some(),
            Value::Class(class) => class.has_own_attribute(name),
            _ => true,
        };
        if owns {
            return Ok(false);
        }
        let current = self.attribute(object, name)?;
        let sum = self.add(&current, value)?;
        self.set_attribute(object, name, sum)?;
        Ok(true)
    }

    /// `container[key] = container[key] + value`.
    fn add_to_entry(
        &mut self,
        container: &mut Value,
        key: &Value,
        value: &Value,
    ) -> Result<(), NativeError> {
        match container {
            Value::List(list) => {
                let at = key
                    .as_index()
                    .and_then(|index| super::access::position(index, list.len()));
                if let Some(at) = at {
                    return self
                        .add_to_place(&mut list_for_change(list)?.as_mut_slice()[at], value);
                }
            }
            Value::Dict(dict) => {
                if let Ok(Some(entry)) = dict_for_change(dict)?.get_mut(key) {
                    return self.add_to_place(entry, value);
                }
            }
            Value::Instance(instance) if instance.has_method(Symbol::GETITEM) => {
                let args = Vec::from([container.clone(), key.clone(), value.clone()]);
                return Err(self.prelude_call("_add_item", args));
            }
            _ => {}
        }
        let current = self.index(container, key)?;
        let sum = self.add(&current, value)?;
        self.set_index(container, key, sum)
    }

    /// Marks the keys of a place up to `step` as followed; their value comes into the scratch register.
    pub(crate) fn consume_keys(
        &mut self,
        window: &mut [Value; WINDOW],
        code: &Code,
        insn: Insn,
        step: usize,
    ) -> u8 {
        let Some(place) = code.places.get(insn.d as usize) else {
            return NOWHERE;
        };
        for key in 0..=step {
            window[(usize::from(place.first_key) + key) & 255] = Value::Undefined;
        }
        place.scratch
    }
}

fn push_number(text: &mut String, number: u32) {
    use core::fmt::Write;
    let _ = write!(text, "{number}");
}

fn bad_element(_: KeyError) -> NativeError {
    NativeError::type_error(
        "set elements must be strings, numbers, booleans, None, tuples, or instances",
    )
}

fn class_of(frame: &Frame) -> Option<Rc<Class>> {
    match &frame.subject {
        Value::Class(class) => Some(class.clone()),
        _ => frame.function.owner_class(),
    }
}

fn member_value(class: &Class, name: Symbol) -> Option<Value> {
    match class.member(name)? {
        crate::value::Member::Attribute(value) | crate::value::Member::Method(value) => Some(value),
    }
}
