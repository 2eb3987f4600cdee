//! Loops.

use crate::bytecode::Insn;
use crate::error::NativeError;
use crate::value::{IterState, Value};
use crate::vm::Core;
use crate::vm::registers::{Window, clear, put};
use crate::vm::stop::{Step, Stop};

/// Checks the bounds of a range. Bounds past 64 bits become a list. Says whether there may be a round.
#[inline(never)]
pub(in crate::vm) fn prepare_range(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
) -> Step<bool> {
    let at = usize::from(insn.a);
    let bounds = [at, (at + 1) & 255, (at + 2) & 255];
    if bounds.iter().all(|at| matches!(window[*at], Value::Int(_))) {
        if matches!(window[bounds[2]], Value::Int(0)) {
            return Err(core.fail(NativeError::value_error("range() step cannot be zero")));
        }
        return Ok(true);
    }
    let mut arguments = bounds.map(|at| window[at].clone());
    let list = match core.range_list(&mut arguments) {
        Ok(list) => list,
        Err(error) => return Err(core.fail(error)),
    };
    window[bounds[0]] = list;
    window[bounds[1]] = Value::Int(0);
    window[bounds[2]] = Value::None;
    Ok(true)
}

/// Past the end of the numbers there is no further round.
#[cold]
pub(in crate::vm) fn end_range(window: &mut Window, insn: &Insn) {
    let at = usize::from(insn.a);
    let is_rising = matches!(window[(at + 2) & 255], Value::Int(step) if step > 0);
    let end = if is_rising { i64::MAX } else { i64::MIN };
    window[at] = Value::Int(end);
    window[(at + 1) & 255] = Value::Int(end);
}

/// The next item of a range that became a list.
#[cold]
#[inline(never)]
pub(in crate::vm) fn next_range_item(window: &mut Window, insn: &Insn) -> bool {
    let at = usize::from(insn.a);
    let cursor = match window[(at + 1) & 255] {
        Value::Int(cursor) => cursor,
        _ => return false,
    };
    let item = match &window[at] {
        Value::List(list) => list.get(cursor as usize).cloned(),
        _ => None,
    };
    match item {
        Some(item) => {
            register!(window, insn.b) = item;
            window[(at + 1) & 255] = Value::Int(cursor + 1);
            true
        }
        None => false,
    }
}

#[inline(never)]
pub(in crate::vm) fn prepare_iteration(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    match core.prepare_iteration(&mut register!(window, insn.a)) {
        Ok(()) => {
            put(
                &mut register!(window, insn.a.wrapping_add(1)),
                Value::Int(0),
            );
            Ok(())
        }
        Err(call @ NativeError::TailCall { .. }) => Err(core.halt(Stop::Retry(call, insn.a))),
        Err(error) => Err(core.fail(error)),
    }
}

/// The next round of a loop over something else than a list. Says whether there is one.
#[inline(never)]
pub(in crate::vm) fn next_item(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let cursor_register = insn.a.wrapping_add(1);
    let Value::Int(cursor) = register!(window, cursor_register) else {
        return Ok(false);
    };
    let item = match &register!(window, insn.a) {
        source @ (Value::Generator(_) | Value::Instance(_) | Value::Foreign(_)) => {
            let source = source.clone();
            return Err(core.halt(Stop::Next {
                source,
                variable: insn.b,
                distance: insn.d,
            }));
        }
        source => core.next_item(source, cursor),
    };
    match item {
        Ok(Some((item, next))) => {
            put(&mut register!(window, insn.b), item);
            put(&mut register!(window, cursor_register), Value::Int(next));
            Ok(true)
        }
        Ok(None) => {
            clear(&mut register!(window, insn.a));
            Ok(false)
        }
        Err(error) => Err(core.fail(error)),
    }
}

/// The item of a built-in iterable at a cursor, and the cursor after it.
pub(crate) type ItemAndCursor = Option<(Value, i64)>;

impl Core {
    /// The next item of what a loop walks over, for the kinds that the main loop leaves to this.
    #[inline(never)]
    pub(crate) fn next_item(
        &mut self,
        source: &Value,
        cursor: i64,
    ) -> Result<ItemAndCursor, NativeError> {
        let at = cursor as usize;
        Ok(match source {
            Value::List(list) => list.get(at).map(|item| (item.clone(), cursor + 1)),
            Value::Tuple(tuple) => tuple.get(at).map(|item| (item.clone(), cursor + 1)),
            Value::Dict(dict) => dict
                .entry_after(at)
                .map(|(next, key, _)| (key.clone(), next as i64)),
            Value::Set(set) => set
                .item_after(at)
                .map(|(next, item)| (item.clone(), next as i64)),
            Value::Bytes(bytes) => bytes
                .as_slice()
                .get(at)
                .map(|byte| (Value::Int(i64::from(*byte)), cursor + 1)),
            Value::Str(text) => {
                match text.as_str().get(at..).and_then(|rest| rest.chars().next()) {
                    Some(character) => Some((
                        self.char_string(character)?,
                        cursor + character.len_utf8() as i64,
                    )),
                    None => None,
                }
            }
            Value::Iter(iter) => {
                let state = core::mem::replace(&mut *iter.state.borrow_mut(), IterState::Done);
                if let IterState::Over { source, cursor } = state
                    && let Some((item, next)) = self.next_item(&source, cursor as i64)?
                {
                    *iter.state.borrow_mut() = IterState::Over {
                        source,
                        cursor: next as usize,
                    };
                    return Ok(Some((item, 0)));
                }
                None
            }
            _ => None,
        })
    }
}
