//! Calls of methods that may change what they are called on, where it is stored (10.2).

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Insn, NOWHERE, Place};
use crate::error::NativeError;
use crate::symbol::Symbol;
use crate::value::Value;

use super::Core;
use super::flow::{arrange_keywords, store, take_arguments};
use super::places::{Obstacle, Site};
use super::thread::{FrameKind, Thread, WINDOW};

/// What calling a method on a place came to.
enum Called {
    /// The method of a built-in type gave this.
    Value(Value),
    /// The receiver is no list, dict or set: an ordinary method call.
    Ordinary(Value),
    /// Sorting needs the program's own functions.
    Sort(Value),
}

impl Core {
    /// `place.method(arguments)`.
    pub(crate) fn place_method(
        &mut self,
        thread: &mut Thread,
        insn: Insn,
    ) -> Result<(), NativeError> {
        let Some(frame) = thread.frames.last() else {
            return Ok(());
        };
        let (code, base) = (frame.function.code.clone(), frame.base);
        let Some(place) = code.places.get(insn.d as usize) else {
            return Ok(());
        };
        let first = base + usize::from(insn.b) + 1;
        let (mut arguments, keywords) = if insn.c == NOWHERE {
            packed(thread, first)
        } else {
            (
                take_arguments(thread, first, usize::from(insn.c)),
                Value::None,
            )
        };
        let name = Symbol(place.name);
        arguments.insert(0, Value::Undefined);
        let called = self.call_on_place(thread, place, name, &mut arguments, &keywords);
        match called {
            Ok(Called::Value(value)) => {
                store(thread, insn.a, value);
                Ok(())
            }
            Ok(Called::Ordinary(receiver)) => {
                arguments.remove(0);
                self.call_member(thread, receiver, name, arguments, keywords, insn.a)
            }
            Ok(Called::Sort(list)) => {
                let key = arguments
                    .get(1)
                    .filter(|key| !key.is_undefined())
                    .cloned()
                    .unwrap_or(Value::None);
                let reverse = arguments
                    .get(2)
                    .filter(|key| !key.is_undefined())
                    .cloned()
                    .unwrap_or(Value::None);
                store(thread, insn.a, Value::None);
                let kind = FrameKind::StoreAt {
                    place: insn.d as u32,
                };
                match self.prelude_call("_sorted", Vec::from([list, key, reverse])) {
                    NativeError::TailCall { callee, args } => {
                        self.push_call(thread, callee, args, Value::None, NOWHERE, kind)
                    }
                    error => Err(error),
                }
            }
            Err(Obstacle::Error(NativeError::NeedsMethod { index, want }))
                if insn.c != NOWHERE && index > 0 =>
            {
                let call = self.wanted_call(want, &arguments[index]);
                for (at, argument) in arguments.into_iter().skip(1).enumerate() {
                    thread.stack[first + at] = argument;
                }
                self.retry(call, insn.b.wrapping_add(index as u8))
            }
            Err(Obstacle::Error(error)) => Err(error),
            Err(Obstacle::Method { call, step }) => {
                for (at, argument) in arguments.into_iter().skip(1).enumerate() {
                    thread.stack[first + at] = argument;
                }
                let Some(window) = thread
                    .stack
                    .get_mut(base..)
                    .and_then(|rest| rest.first_chunk_mut::<WINDOW>())
                else {
                    return Ok(());
                };
                let scratch = self.consume_keys(window, &code, insn, step);
                self.retry(call, scratch)
            }
        }
    }

    /// Calls something and does the instruction again when it has returned.
    fn retry(&mut self, call: NativeError, register: u8) -> Result<(), NativeError> {
        self.again = Some(register);
        Err(call)
    }

    fn call_on_place(
        &mut self,
        thread: &mut Thread,
        place: &Place,
        name: Symbol,
        arguments: &mut Vec<Value>,
        keywords: &Value,
    ) -> Result<Called, Obstacle> {
        let Some(frame) = thread.frames.last() else {
            return Ok(Called::Value(Value::None));
        };
        let class = match &frame.subject {
            Value::Class(class) => Some(class.clone()),
            _ => None,
        };
        let Some(window) = thread
            .stack
            .get_mut(frame.base..)
            .and_then(|rest| rest.first_chunk_mut::<WINDOW>())
        else {
            return Ok(Called::Value(Value::None));
        };
        let mut site = Site {
            window,
            function: &frame.function,
            class,
        };
        self.change_place(&mut site, place, 0, &mut |core, receiver| {
            core.call_on_value(receiver, name, arguments, keywords)
        })
    }

    fn call_on_value(
        &mut self,
        receiver: &mut Value,
        name: Symbol,
        arguments: &mut Vec<Value>,
        keywords: &Value,
    ) -> Result<Called, NativeError> {
        if !matches!(receiver, Value::List(_) | Value::Dict(_) | Value::Set(_)) {
            return Ok(Called::Ordinary(receiver.clone()));
        }
        let Some(method) = self.builtin_method(receiver, name) else {
            return Ok(Called::Ordinary(receiver.clone()));
        };
        arrange_keywords(self, method, arguments, keywords)?;
        if name == Symbol::SORT && self.sort_needs_program(receiver, arguments) {
            return Ok(Called::Sort(receiver.clone()));
        }
        // The receiver is out of its place while the method runs: nobody else holds it, so it changes in place.
        arguments[0] = core::mem::take(receiver);
        let shared = holders(&arguments[0]) > 1;
        let result = self.call_native(method, arguments);
        *receiver = core::mem::take(&mut arguments[0]);
        if shared && holders(receiver) == 1 {
            // It was copied before it changed.
            self.charge_steps(1 + length(receiver) / 64)?;
        }
        result.map(Called::Value)
    }

    fn sort_needs_program(&self, receiver: &Value, arguments: &[Value]) -> bool {
        let has_key = arguments
            .get(1)
            .is_some_and(|key| !matches!(key, Value::None | Value::Undefined));
        let Value::List(list) = receiver else {
            return false;
        };
        has_key
            || list.iter().any(|item| {
                matches!(item, Value::Instance(_) | Value::List(_) | Value::Tuple(_))
                    && crate::value::order(item, item) == Err(crate::value::Unordered::NeedsMethod)
            })
    }

    /// Puts the result of a sort where the list is.
    pub(crate) fn store_at(
        &mut self,
        thread: &mut Thread,
        place: u32,
        value: Value,
    ) -> Result<(), NativeError> {
        let Some(frame) = thread.frames.last() else {
            return Ok(());
        };
        let code = frame.function.code.clone();
        let Some(place) = code.places.get(place as usize) else {
            return Ok(());
        };
        let Some(window) = thread
            .stack
            .get_mut(frame.base..)
            .and_then(|rest| rest.first_chunk_mut::<WINDOW>())
        else {
            return Ok(());
        };
        let mut site = Site {
            window,
            function: &frame.function,
            class: None,
        };
        let mut value = Some(value);
        let stored = self.change_place(&mut site, place, 0, &mut |_, target| {
            *target = value.take().unwrap_or_default();
            Ok(())
        });
        match stored {
            Ok(()) => Ok(()),
            Err(Obstacle::Error(error)) => Err(error),
            Err(Obstacle::Method { .. }) => Err(NativeError::type_error(
                "this list cannot be sorted in place",
            )),
        }
    }
}

fn packed(thread: &mut Thread, first: usize) -> (Vec<Value>, Value) {
    let mut both = take_arguments(thread, first, 2);
    let keywords = both.pop().unwrap_or_default();
    let arguments = match both.pop() {
        Some(Value::List(list)) => match Rc::try_unwrap(list) {
            Ok(list) => list.iter().cloned().collect(),
            Err(shared) => shared.iter().cloned().collect(),
        },
        _ => Vec::new(),
    };
    (arguments, keywords)
}

/// How many places hold the same list, dict or set.
fn holders(value: &Value) -> usize {
    match value {
        Value::List(list) => Rc::strong_count(list),
        Value::Dict(dict) => Rc::strong_count(dict),
        Value::Set(set) => Rc::strong_count(set),
        _ => 0,
    }
}

fn length(value: &Value) -> usize {
    match value {
        Value::List(list) => list.len(),
        Value::Dict(dict) => dict.len(),
        Value::Set(set) => set.len(),
        _ => 0,
    }
}
