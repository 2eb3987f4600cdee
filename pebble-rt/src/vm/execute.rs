//! The main loop.
//!
//! A call's registers are a window of the thread's stack, 256 long whatever the function uses, so that register
//! numbers need no check. Calls of Pebble functions do not nest in Rust: they push a frame and go on. Whatever is not
//! done in a line or two is in a helper; a helper that fails, or that wants a Pebble function called, returns a
//! [`NativeError`], which ends the window and is dealt with at the bottom of the outer loop.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Insn, NOWHERE, Op};
use crate::error::NativeError;
use crate::heap::OutOfMemory;
use crate::syntax::ast::CompareOperator;
use crate::value::{IterState, ListObj, Slot, Value, list_for_change};

use super::access::position;
use super::places::{Obstacle, Site};
use super::thread::{Frame, FrameKind, Thread, WINDOW};
use super::{Core, Pause};

/// Why the window of a call was left.
pub(crate) enum Stop {
    /// A helper failed or wants a call. Where a call's result goes, and what it means.
    Fault(NativeError, u8, FrameKind),
    /// The same, and the instruction is done again when the call has returned.
    Retry(NativeError, u8),
    /// The fuel is used up.
    Fuel,
    /// Frames have changed.
    Switch,
    /// The frame returns this.
    Return(Value),
    /// The generator gives this.
    Yield(Value, u8),
    /// A call of something else than a plain function: callee in the first register.
    Call {
        callee: Value,
        first: u8,
        count: u8,
        result: u8,
    },
    /// Calls with arguments that were packed.
    CallPacked {
        callee: Value,
        arguments: Vec<Value>,
        keywords: Value,
        result: u8,
    },
    /// Makes a class.
    MakeClass(Insn),
    /// Imports.
    Import(Insn),
    /// A method call that no cache knows.
    Method(Insn),
    /// A method call on a place.
    PlaceMethod(Insn),
    /// An error that is on its way.
    Unwind(Rc<crate::value::Raised>),
    /// The next round of a loop over something that runs code.
    Next {
        source: Value,
        variable: u8,
        distance: i32,
    },
}

impl From<NativeError> for Stop {
    fn from(error: NativeError) -> Stop {
        Stop::Fault(error, NOWHERE, FrameKind::Normal)
    }
}

macro_rules! set_int {
    ($place:expr, $number:expr) => {{
        let number = $number;
        match &mut $place {
            Value::Int(slot) => *slot = number,
            other => *other = Value::Int(number),
        }
    }};
}

macro_rules! set_float {
    ($place:expr, $number:expr) => {{
        let number = $number;
        match &mut $place {
            Value::Float(slot) => *slot = number,
            other => *other = Value::Float(number),
        }
    }};
}

/// Runs a thread until it pauses.
pub(crate) fn execute(core: &mut Core, thread: &mut Thread) -> Pause {
    'frame: loop {
        let Some(frame) = thread.frames.last_mut() else {
            return Pause::Done(Value::Int(0));
        };
        let code = frame.function.code.clone();
        let insns = &code.insns[..];
        let base = frame.base;
        let mut pc = frame.pc as usize;
        let stop: Stop = 'window: {
            let Some(window) = thread
                .stack
                .get_mut(base..)
                .and_then(|rest| rest.first_chunk_mut::<WINDOW>())
            else {
                break 'window Stop::from(NativeError::from(OutOfMemory));
            };
            macro_rules! r {
                ($register:expr) => {
                    window[usize::from($register)]
                };
            }
            // Numbers are written into the place they go to: a whole value that is copied right after it was written
            // would wait for the memory.
            macro_rules! put {
                ($to:expr, $value:expr) => {
                    match $value {
                        Value::Int(number) => set_int!(r!($to), number),
                        Value::Float(number) => set_float!(r!($to), number),
                        other => r!($to) = other,
                    }
                };
            }
            macro_rules! copy {
                ($to:expr, $from:expr) => {
                    match &$from {
                        Value::Int(number) => {
                            let number = *number;
                            set_int!(r!($to), number);
                        }
                        Value::Float(number) => {
                            let number = *number;
                            set_float!(r!($to), number);
                        }
                        other => {
                            let value = other.clone();
                            r!($to) = value;
                        }
                    }
                };
            }
            macro_rules! jump {
                ($distance:expr) => {{
                    let distance = $distance;
                    pc = pc.wrapping_add_signed(distance as isize);
                    if distance < 0 {
                        core.fuel -= 1;
                        if core.fuel <= 0 {
                            break 'window Stop::Fuel;
                        }
                    }
                }};
            }
            macro_rules! attempt {
                ($result:expr) => {
                    match $result {
                        Ok(value) => value,
                        Err(error) => break 'window Stop::from(NativeError::from(error)),
                    }
                };
            }
            macro_rules! attempt_to {
                ($result:expr, $to:expr) => {
                    match $result {
                        Ok(value) => r!($to) = value,
                        Err(error) => break 'window Stop::Fault(error, $to, FrameKind::Normal),
                    }
                };
            }
            macro_rules! branch {
                ($truth:expr, $wanted:expr, $distance:expr) => {{
                    match $truth {
                        Ok(truth) => {
                            if truth == $wanted {
                                jump!($distance);
                            }
                        }
                        Err(error) => {
                            let kind = FrameKind::Branch {
                                wanted: $wanted,
                                distance: $distance,
                            };
                            break 'window Stop::Fault(error, NOWHERE, kind);
                        }
                    }
                }};
            }
            macro_rules! arithmetic {
                ($insn:expr, $checked:ident, $float:tt, $slow:ident) => {{
                    let insn = $insn;
                    match (&r!(insn.b), &r!(insn.c)) {
                        (Value::Int(left), Value::Int(right)) => {
                            if let Some(result) = left.$checked(*right) {
                                set_int!(r!(insn.a), result);
                                continue;
                            }
                        }
                        (Value::Float(left), Value::Float(right)) => {
                            set_float!(r!(insn.a), *left $float *right);
                            continue;
                        }
                        _ => {}
                    }
                    attempt_to!(core.$slow(&r!(insn.b), &r!(insn.c)), insn.a);
                }};
            }
            macro_rules! arithmetic_int {
                ($insn:expr, $checked:ident, $float:tt, $slow:ident) => {{
                    let insn = $insn;
                    let number = i64::from(insn.d);
                    match &r!(insn.b) {
                        Value::Int(left) => {
                            if let Some(result) = left.$checked(number) {
                                set_int!(r!(insn.a), result);
                                continue;
                            }
                        }
                        Value::Float(left) => {
                            set_float!(r!(insn.a), *left $float number as f64);
                            continue;
                        }
                        _ => {}
                    }
                    attempt_to!(core.$slow(&r!(insn.b), &Value::Int(number)), insn.a);
                }};
            }
            macro_rules! order_jump {
                ($insn:expr, $operator:tt, $wanted:expr, $plain:ident, $reversed:ident) => {{
                    let insn = $insn;
                    let truth = match (&r!(insn.a), &r!(insn.b)) {
                        (Value::Int(left), Value::Int(right)) => Ok(left $operator right),
                        (Value::Float(left), Value::Float(right)) => Ok(left $operator right),
                        (left, right) if insn.c == 0 => core.ordered(CompareOperator::$plain, left, right),
                        (left, right) => core.ordered(CompareOperator::$reversed, right, left),
                    };
                    branch!(truth, $wanted, insn.d);
                }};
            }
            macro_rules! order_int_jump {
                ($insn:expr, $operator:tt, $wanted:expr, $plain:ident) => {{
                    let insn = $insn;
                    let number = insn.immediate();
                    let truth = match &r!(insn.a) {
                        Value::Int(left) => Ok(*left $operator number),
                        Value::Float(left) => Ok(*left $operator number as f64),
                        left => core.ordered(CompareOperator::$plain, left, &Value::Int(number)),
                    };
                    branch!(truth, $wanted, insn.short_jump());
                }};
            }
            loop {
                let Some(insn) = insns.get(pc) else {
                    break 'window Stop::Return(Value::Int(0));
                };
                let insn = insn.get();
                pc += 1;
                match insn.op {
                    Op::Nop => {}
                    Op::Move => copy!(insn.a, r!(insn.b)),
                    Op::Take => {
                        let value = core::mem::take(&mut r!(insn.b));
                        r!(insn.a) = value;
                    }
                    Op::LoadConst => match code.constants.get(insn.d as usize) {
                        Some(constant) => r!(insn.a) = constant.clone(),
                        None => r!(insn.a) = Value::None,
                    },
                    Op::LoadInt => set_int!(r!(insn.a), i64::from(insn.d)),
                    Op::LoadNone => r!(insn.a) = Value::None,
                    Op::LoadBool => r!(insn.a) = Value::Bool(insn.d != 0),
                    Op::Clear => r!(insn.a) = Value::Undefined,
                    Op::LoadGlobal => {
                        let slot = insn.d as u32;
                        let variable = &core.slots[slot as usize].variable;
                        if variable.is_undefined() {
                            if let Value::Func(function) = &core.slots[slot as usize].function {
                                r!(insn.a) = Value::Func(function.clone());
                                continue;
                            }
                            match core.read_slot(slot) {
                                Some(value) => r!(insn.a) = value,
                                None => {
                                    let name =
                                        crate::symbol::Symbol(core.slots[slot as usize].name);
                                    break 'window Stop::from(core.unknown_variable(name));
                                }
                            }
                        } else {
                            put!(insn.a, variable.clone());
                        }
                    }
                    Op::StoreGlobal => {
                        let value = if insn.b == 1 {
                            core::mem::take(&mut r!(insn.a))
                        } else {
                            r!(insn.a).clone()
                        };
                        core.slots[insn.d as usize].variable = value;
                    }
                    Op::StoreFunction => {
                        let value = core::mem::take(&mut r!(insn.a));
                        core.slots[insn.d as usize].function = value;
                    }
                    Op::StoreNested => core.slots[insn.d as usize].nested = r!(insn.a).clone(),
                    Op::DeleteGlobal => attempt!(core.delete_global(insn.d as u32)),
                    Op::LoadChecked => {
                        if r!(insn.b).is_undefined() {
                            let value =
                                attempt!(core.chain_value(thread.frames.last(), window, insn.d));
                            r!(insn.a) = value;
                        } else {
                            let value = r!(insn.b).clone();
                            r!(insn.a) = value;
                        }
                    }
                    Op::LoadChain => {
                        let value =
                            attempt!(core.chain_value(thread.frames.last(), window, insn.d));
                        r!(insn.a) = value;
                    }
                    Op::LoadCallee => {
                        let value = if insn.b == 1 {
                            core.chain_value(thread.frames.last(), window, insn.d).ok()
                        } else {
                            core.chain_variable(thread.frames.last(), window, insn.d)
                        };
                        r!(insn.a) = value.unwrap_or_default();
                    }
                    Op::MakeCell => {
                        attempt!(core.heap.charge(0));
                        let value = core::mem::take(&mut r!(insn.a));
                        r!(insn.a) = Value::Cell(Rc::new(crate::value::CellObj::new(value)));
                    }
                    Op::LoadCell => {
                        let value = match &r!(insn.b) {
                            Value::Cell(cell) => cell.get(),
                            _ => Value::Undefined,
                        };
                        let value = if value.is_undefined() {
                            attempt!(core.chain_value(thread.frames.last(), window, insn.d))
                        } else {
                            value
                        };
                        r!(insn.a) = value;
                    }
                    Op::StoreCell => {
                        let value = if insn.c == 1 {
                            core::mem::take(&mut r!(insn.b))
                        } else {
                            r!(insn.b).clone()
                        };
                        match &r!(insn.a) {
                            Value::Cell(cell) => cell.set(value),
                            _ => {
                                r!(insn.a) = Value::Cell(Rc::new(crate::value::CellObj::new(value)))
                            }
                        }
                    }
                    Op::LoadCaptured => {
                        let frame = thread.frames.last();
                        let cell = frame
                            .and_then(|frame| frame.function.captured.get(usize::from(insn.b)));
                        let value = match cell {
                            Some(Value::Cell(cell)) => cell.get(),
                            _ => Value::Undefined,
                        };
                        let value = if value.is_undefined() {
                            attempt!(core.chain_value(thread.frames.last(), window, insn.d))
                        } else {
                            value
                        };
                        r!(insn.a) = value;
                    }
                    Op::StoreCaptured => {
                        let value = if insn.c == 1 {
                            core::mem::take(&mut r!(insn.a))
                        } else {
                            r!(insn.a).clone()
                        };
                        let frame = thread.frames.last();
                        if let Some(Value::Cell(cell)) =
                            frame.and_then(|frame| frame.function.captured.get(usize::from(insn.b)))
                        {
                            cell.set(value);
                        }
                    }
                    Op::StoreClass | Op::StoreMethod | Op::DeleteClass => {
                        let value = core::mem::take(&mut r!(insn.a));
                        attempt!(core.store_in_class(thread.frames.last(), insn, value));
                    }
                    Op::Require => {
                        if r!(insn.a).is_undefined() {
                            attempt!(core.chain_value(thread.frames.last(), window, insn.d));
                        }
                    }

                    Op::Add => {
                        match (&r!(insn.b), &r!(insn.c)) {
                            (Value::Int(left), Value::Int(right)) => {
                                if let Some(sum) = left.checked_add(*right) {
                                    set_int!(r!(insn.a), sum);
                                    continue;
                                }
                            }
                            (Value::Float(left), Value::Float(right)) => {
                                set_float!(r!(insn.a), left + right);
                                continue;
                            }
                            _ => {}
                        }
                        if let Err(error) = add_values(core, window, insn) {
                            break 'window Stop::Fault(error, insn.a, FrameKind::Normal);
                        }
                    }
                    Op::AddNumbers => {
                        match (&r!(insn.b), &r!(insn.c)) {
                            (Value::Int(left), Value::Int(right)) => {
                                if let Some(sum) = left.checked_add(*right) {
                                    set_int!(r!(insn.a), sum);
                                    jump!(insn.d);
                                    continue;
                                }
                            }
                            (Value::Float(left), Value::Float(right)) => {
                                set_float!(r!(insn.a), left + right);
                                jump!(insn.d);
                                continue;
                            }
                            _ => {}
                        }
                        r!(insn.a) = Value::Undefined;
                    }
                    Op::Sub => arithmetic!(insn, checked_sub, -, subtract),
                    Op::Mul => arithmetic!(insn, checked_mul, *, multiply),
                    Op::Div => match (&r!(insn.b), &r!(insn.c)) {
                        (Value::Float(left), Value::Float(right)) if *right != 0.0 => {
                            set_float!(r!(insn.a), left / right);
                        }
                        (left, right) => attempt_to!(core.divide(left, right), insn.a),
                    },
                    Op::Binary => {
                        attempt_to!(core.binary(insn.d, &r!(insn.b), &r!(insn.c)), insn.a)
                    }
                    Op::AddInt => arithmetic_int!(insn, checked_add, +, add),
                    Op::SubInt => arithmetic_int!(insn, checked_sub, -, subtract),
                    Op::MulInt => arithmetic_int!(insn, checked_mul, *, multiply),
                    Op::Neg => attempt_to!(core.negate(&r!(insn.b)), insn.a),
                    Op::Not => match core.truth(&r!(insn.b)) {
                        Ok(truth) => r!(insn.a) = Value::Bool(!truth),
                        Err(error) => {
                            break 'window Stop::Fault(
                                error,
                                insn.a,
                                FrameKind::Truth { negated: true },
                            );
                        }
                    },
                    Op::Unary => attempt_to!(core.unary(insn.d, &r!(insn.b)), insn.a),
                    Op::Compare => {
                        let operator = compare_operator(insn.d);
                        match core.compare(operator, &r!(insn.b), &r!(insn.c)) {
                            Ok(truth) => set_int!(r!(insn.a), i64::from(truth)),
                            Err(error) => {
                                let negated = matches!(
                                    operator,
                                    CompareOperator::NotEqual | CompareOperator::NotIn
                                );
                                break 'window Stop::Fault(
                                    error,
                                    insn.a,
                                    FrameKind::Number { negated },
                                );
                            }
                        }
                    }

                    Op::Jump => jump!(insn.d),
                    Op::JumpTrue | Op::JumpFalse => {
                        let wanted = insn.op == Op::JumpTrue;
                        let truth = match &r!(insn.a) {
                            Value::Int(number) => Ok(*number != 0),
                            Value::Bool(truth) => Ok(*truth),
                            value => {
                                let truth = core.truth(value);
                                if insn.b == 1 && truth.is_ok() {
                                    r!(insn.a) = Value::Undefined;
                                }
                                truth
                            }
                        };
                        branch!(truth, wanted, insn.d);
                    }
                    Op::JumpLess => order_jump!(insn, <, true, Less, Greater),
                    Op::JumpNotLess => order_jump!(insn, <, false, Less, Greater),
                    Op::JumpLessEqual => order_jump!(insn, <=, true, LessEqual, GreaterEqual),
                    Op::JumpNotLessEqual => order_jump!(insn, <=, false, LessEqual, GreaterEqual),
                    Op::JumpEqual | Op::JumpNotEqual => {
                        let wanted = insn.op == Op::JumpEqual;
                        let truth = match (&r!(insn.a), &r!(insn.b)) {
                            (Value::Int(left), Value::Int(right)) => Ok(left == right),
                            (Value::Str(left), Value::Str(right)) => {
                                Ok(Rc::ptr_eq(left, right) || left.as_str() == right.as_str())
                            }
                            (left, right) => core.equals(left, right),
                        };
                        branch!(truth, wanted, insn.d);
                    }
                    Op::JumpLessInt => order_int_jump!(insn, <, true, Less),
                    Op::JumpNotLessInt => order_int_jump!(insn, <, false, Less),
                    Op::JumpLessEqualInt => order_int_jump!(insn, <=, true, LessEqual),
                    Op::JumpNotLessEqualInt => order_int_jump!(insn, <=, false, LessEqual),
                    Op::JumpGreaterInt => order_int_jump!(insn, >, true, Greater),
                    Op::JumpNotGreaterInt => order_int_jump!(insn, >, false, Greater),
                    Op::JumpGreaterEqualInt => order_int_jump!(insn, >=, true, GreaterEqual),
                    Op::JumpNotGreaterEqualInt => order_int_jump!(insn, >=, false, GreaterEqual),
                    Op::JumpEqualInt | Op::JumpNotEqualInt => {
                        let wanted = insn.op == Op::JumpEqualInt;
                        let number = insn.immediate();
                        let truth = match &r!(insn.a) {
                            Value::Int(left) => Ok(*left == number),
                            left => core.equals(left, &Value::Int(number)),
                        };
                        branch!(truth, wanted, insn.short_jump());
                    }

                    Op::RangePrepare => match prepare_range(core, window, insn) {
                        Ok(true) => {}
                        Ok(false) => jump!(insn.d),
                        Err(error) => break 'window Stop::from(error),
                    },
                    Op::RangeNext => {
                        let at = usize::from(insn.a);
                        let (current, stop, step) = match (
                            &window[at],
                            &window[(at + 1) & 255],
                            &window[(at + 2) & 255],
                        ) {
                            (Value::Int(current), Value::Int(stop), Value::Int(step)) => {
                                (*current, *stop, *step)
                            }
                            _ => match next_range_item(window, insn) {
                                true => {
                                    jump!(insn.d);
                                    continue;
                                }
                                false => continue,
                            },
                        };
                        let goes_on = if step > 0 {
                            current < stop
                        } else {
                            current > stop
                        };
                        if goes_on {
                            set_int!(r!(insn.b), current);
                            // Past the end of the numbers there is no further round.
                            set_int!(window[at], current.saturating_add(step));
                            if current.checked_add(step).is_none() {
                                window[(at + 1) & 255] = window[at].clone();
                            }
                            jump!(insn.d);
                        }
                    }
                    Op::IterPrepare => match core.prepare_iteration(&mut r!(insn.a)) {
                        Ok(()) => r!(insn.a.wrapping_add(1)) = Value::Int(0),
                        Err(call @ NativeError::TailCall { .. }) => {
                            break 'window Stop::Retry(call, insn.a);
                        }
                        Err(error) => break 'window Stop::from(error),
                    },
                    Op::IterNext => {
                        let cursor_register = usize::from(insn.a.wrapping_add(1));
                        let Value::Int(cursor) = window[cursor_register] else {
                            continue;
                        };
                        let item = match &r!(insn.a) {
                            Value::List(list) => list
                                .get(cursor as usize)
                                .map(|item| (item.clone(), cursor + 1)),
                            Value::Str(text) => {
                                match text
                                    .as_str()
                                    .get(cursor as usize..)
                                    .and_then(|rest| rest.chars().next())
                                {
                                    Some(character) => {
                                        let item = attempt!(core.char_string(character));
                                        Some((item, cursor + character.len_utf8() as i64))
                                    }
                                    None => None,
                                }
                            }
                            source @ (Value::Generator(_)
                            | Value::Instance(_)
                            | Value::Foreign(_)) => {
                                let source = source.clone();
                                break 'window Stop::Next {
                                    source,
                                    variable: insn.b,
                                    distance: insn.d,
                                };
                            }
                            source => attempt!(core.next_item(source, cursor)),
                        };
                        if let Some((item, next)) = item {
                            r!(insn.b) = item;
                            window[cursor_register] = Value::Int(next);
                            jump!(insn.d);
                        } else {
                            r!(insn.a) = Value::Undefined;
                        }
                    }

                    Op::NewList => {
                        let mut list = attempt!(ListObj::new(&core.heap));
                        if insn.d > 0 {
                            attempt!(list.reserve(insn.d as usize));
                        }
                        r!(insn.a) = Value::List(Rc::new(list));
                    }
                    Op::PushItem => {
                        let item = if insn.c == 1 {
                            core::mem::take(&mut r!(insn.b))
                        } else {
                            r!(insn.b).clone()
                        };
                        if let Value::List(list) = &mut r!(insn.a) {
                            attempt!(list_for_change(list).and_then(|list| list.push(item)));
                        }
                    }
                    Op::Len => match &r!(insn.b) {
                        Value::List(list) => {
                            let length = list.len() as i64;
                            set_int!(r!(insn.a), length);
                        }
                        Value::Str(text) => {
                            let length = text.char_count() as i64;
                            set_int!(r!(insn.a), length);
                        }
                        value => attempt_to!(core.length(value), insn.a),
                    },
                    Op::Append => {
                        let item = if insn.c == 1 {
                            core::mem::take(&mut r!(insn.b))
                        } else {
                            r!(insn.b).clone()
                        };
                        match &mut r!(insn.a) {
                            Value::List(list) => match Rc::get_mut(list) {
                                Some(list) => attempt!(list.push(item)),
                                None => {
                                    attempt!(core.unpinned(&mut r!(insn.a), |core, list| {
                                        core.append(list, item)
                                    }));
                                }
                            },
                            other => attempt!(core.append(other, item)),
                        }
                    }
                    Op::AppendGlobal => {
                        let item = if insn.c == 1 {
                            core::mem::take(&mut r!(insn.b))
                        } else {
                            r!(insn.b).clone()
                        };
                        attempt!(core.append_global(insn.d as u32, item));
                    }
                    Op::GetIndex => {
                        if let (Value::List(list), Value::Int(index)) = (&r!(insn.b), &r!(insn.c)) {
                            let index = *index;
                            if let Some(item) = list.get(index as usize) {
                                let item = item.clone();
                                put!(insn.a, item);
                                continue;
                            }
                        }
                        attempt_to!(get_index(core, &r!(insn.b), &r!(insn.c)), insn.a);
                    }
                    Op::GetIndexTemp => {
                        let container = core::mem::take(&mut r!(insn.b));
                        attempt_to!(get_index(core, &container, &r!(insn.c)), insn.a);
                    }
                    Op::GetIndexInt => {
                        let key = Value::Int(i64::from(insn.d));
                        attempt_to!(get_index(core, &r!(insn.b), &key), insn.a);
                    }
                    Op::GetIndexGlobal => {
                        let slot = &core.slots[insn.d as usize];
                        if let (Value::List(list), Value::Int(index)) =
                            (&slot.variable, &r!(insn.b))
                            && let Some(item) = list.get(*index as usize)
                        {
                            put!(insn.a, item.clone());
                            continue;
                        }
                        match core.read_slot(insn.d as u32) {
                            Some(container) => {
                                attempt_to!(get_index(core, &container, &r!(insn.b)), insn.a)
                            }
                            None => {
                                let name = crate::symbol::Symbol(core.slots[insn.d as usize].name);
                                break 'window Stop::from(core.unknown_variable(name));
                            }
                        }
                    }
                    Op::SetIndex | Op::SetIndexGlobal if super::flow::needs_hash(&r!(insn.b)) => {
                        let key = r!(insn.b).clone();
                        let call = core.prelude_call("_hash_of", Vec::from([key]));
                        break 'window Stop::Retry(call, NOWHERE);
                    }
                    Op::SetIndex => {
                        let value = if insn.d == 1 {
                            core::mem::take(&mut r!(insn.c))
                        } else {
                            r!(insn.c).clone()
                        };
                        let key = match &r!(insn.b) {
                            Value::Int(index) => Value::Int(*index),
                            other => other.clone(),
                        };
                        if let (Value::List(list), Value::Int(index)) = (&mut r!(insn.a), &key)
                            && let Some(place) = Rc::get_mut(list)
                                .and_then(|list| list.as_mut_slice().get_mut(*index as usize))
                        {
                            *place = value;
                            continue;
                        }
                        attempt!(core.unpinned(&mut r!(insn.a), |core, container| {
                            core.set_index(container, &key, value)
                        }));
                    }
                    Op::SetIndexGlobal => {
                        let value = if insn.a == 1 {
                            core::mem::take(&mut r!(insn.c))
                        } else {
                            r!(insn.c).clone()
                        };
                        let variable = &mut core.slots[insn.d as usize].variable;
                        if let (Value::List(list), Value::Int(index)) = (variable, &r!(insn.b))
                            && let Some(place) = Rc::get_mut(list)
                                .and_then(|list| list.as_mut_slice().get_mut(*index as usize))
                        {
                            *place = value;
                            continue;
                        }
                        attempt!(core.set_index_global(insn.d as u32, &r!(insn.b), value));
                    }
                    Op::GetAttr => {
                        let Some(site) = code.sites.get(insn.d as usize) else {
                            continue;
                        };
                        if let Value::Instance(instance) = &r!(insn.b) {
                            if instance.class_stamp() == site.stamp.get() {
                                let value = instance.get_slot(Slot(site.slot.get()));
                                if !value.is_undefined() {
                                    put!(insn.a, value);
                                    continue;
                                }
                            }
                            if let Some(slot) = instance.with_class(|class| class.slot(site.name)) {
                                site.slot.set(slot.0);
                                site.stamp.set(instance.class_stamp());
                            }
                        }
                        attempt_to!(core.attribute(&r!(insn.b), site.name), insn.a);
                    }
                    Op::SetAttr => {
                        let Some(site) = code.sites.get(insn.d as usize) else {
                            continue;
                        };
                        let value = if insn.c == 1 {
                            core::mem::take(&mut r!(insn.b))
                        } else {
                            r!(insn.b).clone()
                        };
                        if let Value::Instance(instance) = &r!(insn.a) {
                            if instance.class_stamp() == site.stamp.get() {
                                attempt!(instance.set_slot(Slot(site.slot.get()), value));
                                continue;
                            }
                            if let Some(slot) =
                                instance.with_class(|class| class.slot_for_write(site.name))
                            {
                                site.slot.set(slot.0);
                                site.stamp.set(instance.class_stamp());
                            }
                        }
                        attempt!(core.set_attribute(&r!(insn.a), site.name, value));
                    }

                    Op::CallGlobal => {
                        let slot = &core.slots[insn.d as usize];
                        if let (Value::Undefined, Value::Func(function)) =
                            (&slot.variable, &slot.function)
                            && function.code.plain_parameters == u16::from(insn.b)
                        {
                            core.fuel -= 1;
                            if core.fuel > 0 && thread.frames.len() < core.limits.call_depth {
                                let function = function.clone();
                                let base = base + usize::from(insn.a);
                                if let Some(frame) = thread.frames.last_mut() {
                                    frame.pc = pc as u32;
                                }
                                thread.frames.push(Frame {
                                    function,
                                    pc: 0,
                                    result: insn.c,
                                    kind: FrameKind::Normal,
                                    base,
                                    again: false,
                                    pins: core.pins.len() as u32,
                                    subject: Value::Undefined,
                                });
                                if thread.stack.len() < base + WINDOW {
                                    break 'window Stop::Switch;
                                }
                                continue 'frame;
                            }
                        }
                        let callee = attempt!(core.global_callee(insn.d as u32));
                        if let Value::Native(function) = &callee {
                            let end = (usize::from(insn.a) + usize::from(insn.b)).min(WINDOW);
                            let arguments = &mut window[usize::from(insn.a)..end];
                            match core.call_native(function, arguments) {
                                Ok(value) => {
                                    for argument in arguments {
                                        *argument = Value::Undefined;
                                    }
                                    if insn.c != NOWHERE {
                                        r!(insn.c) = value;
                                    }
                                    continue;
                                }
                                Err(NativeError::NeedsMethod { index, want }) => {
                                    let at = insn.a.wrapping_add(index as u8);
                                    let call = core.wanted_call(want, &r!(at));
                                    break 'window Stop::Retry(call, at);
                                }
                                Err(error) => {
                                    break 'window Stop::Fault(error, insn.c, FrameKind::Normal);
                                }
                            }
                        }
                        break 'window Stop::Call {
                            callee,
                            first: insn.a,
                            count: insn.b,
                            result: insn.c,
                        };
                    }
                    Op::Call => {
                        if let Value::Func(function) = &r!(insn.a)
                            && function.code.plain_parameters == u16::from(insn.b)
                        {
                            core.fuel -= 1;
                            if core.fuel > 0 && thread.frames.len() < core.limits.call_depth {
                                let Value::Func(function) = core::mem::take(&mut r!(insn.a)) else {
                                    continue;
                                };
                                let base = base + usize::from(insn.a) + 1;
                                if let Some(frame) = thread.frames.last_mut() {
                                    frame.pc = pc as u32;
                                }
                                thread.frames.push(Frame {
                                    function,
                                    pc: 0,
                                    result: insn.c,
                                    kind: FrameKind::Normal,
                                    base,
                                    again: false,
                                    pins: core.pins.len() as u32,
                                    subject: Value::Undefined,
                                });
                                if thread.stack.len() < base + WINDOW {
                                    break 'window Stop::Switch;
                                }
                                continue 'frame;
                            }
                        }
                        let callee = core::mem::take(&mut r!(insn.a));
                        if let Value::Bound(bound) = &callee
                            && let Value::Func(function) = &bound.function
                            && function.code.plain_parameters == u16::from(insn.b) + 1
                        {
                            // The receiver takes the place of the callee, just below the arguments.
                            let function = Value::Func(function.clone());
                            r!(insn.a) = bound.receiver.clone();
                            break 'window Stop::Call {
                                callee: function,
                                first: insn.a,
                                count: insn.b + 1,
                                result: insn.c,
                            };
                        }
                        let callee = attempt!(core.callee_or_fallback(callee, insn.d));
                        break 'window Stop::Call {
                            callee,
                            first: insn.a.wrapping_add(1),
                            count: insn.b,
                            result: insn.c,
                        };
                    }
                    Op::CallMethod => {
                        let Some(site) = code.sites.get(insn.d as usize) else {
                            continue;
                        };
                        if let Value::Instance(instance) = &r!(insn.a)
                            && instance.class_stamp() == site.stamp.get()
                            && let Some(function) = &*site.method.borrow()
                            && function.code.plain_parameters == u16::from(insn.b) + 1
                        {
                            core.fuel -= 1;
                            if core.fuel > 0 && thread.frames.len() < core.limits.call_depth {
                                let function = function.clone();
                                let base = base + usize::from(insn.a);
                                if let Some(frame) = thread.frames.last_mut() {
                                    frame.pc = pc as u32;
                                }
                                thread.frames.push(Frame {
                                    function,
                                    pc: 0,
                                    result: insn.c,
                                    kind: FrameKind::Normal,
                                    base,
                                    again: false,
                                    pins: core.pins.len() as u32,
                                    subject: Value::Undefined,
                                });
                                if thread.stack.len() < base + WINDOW {
                                    break 'window Stop::Switch;
                                }
                                continue 'frame;
                            }
                        }
                        break 'window Stop::Method(insn);
                    }
                    Op::CallSuper => break 'window Stop::Method(insn),
                    Op::Return | Op::ReturnZero => {
                        let value = match insn.op {
                            Op::Return => core::mem::take(&mut r!(insn.a)),
                            _ => Value::Int(0),
                        };
                        let is_plain = thread
                            .frames
                            .last()
                            .is_some_and(|frame| frame.kind == FrameKind::Normal && !frame.again);
                        if !is_plain {
                            break 'window Stop::Return(value);
                        }
                        for register in &mut window[..code.registers.min(WINDOW)] {
                            if !register.is_undefined() {
                                *register = Value::Undefined;
                            }
                        }
                        let result = thread.frames.pop().map_or(NOWHERE, |frame| frame.result);
                        if result != NOWHERE
                            && let Some(caller) = thread.frames.last()
                            && let Some(place) =
                                thread.stack.get_mut(caller.base + usize::from(result))
                        {
                            *place = value;
                        }
                        continue 'frame;
                    }
                    Op::Yield => break 'window Stop::Yield(r!(insn.b).clone(), insn.a),
                    Op::MakeClass => break 'window Stop::MakeClass(insn),
                    Op::Import => break 'window Stop::Import(insn),
                    Op::PlaceMethod => break 'window Stop::PlaceMethod(insn),
                    Op::CallSpread => {
                        let callee = core::mem::take(&mut r!(insn.a));
                        let callee = attempt!(core.callee_or_fallback(callee, insn.d));
                        let list = core::mem::take(&mut r!(insn.a.wrapping_add(1)));
                        let keywords = core::mem::take(&mut r!(insn.a.wrapping_add(2)));
                        let arguments = match list {
                            Value::List(list) => list.iter().cloned().collect(),
                            _ => Vec::new(),
                        };
                        break 'window Stop::CallPacked {
                            callee,
                            arguments,
                            keywords,
                            result: insn.c,
                        };
                    }
                    Op::Pin => {
                        let value = core::mem::take(&mut r!(insn.a));
                        core.pins.push(value);
                    }
                    Op::Unpin => r!(insn.a) = core.pins.pop().unwrap_or_default(),
                    Op::Catch => r!(insn.a) = core::mem::take(&mut thread.caught),
                    Op::Print => {
                        match core.print(&window[usize::from(insn.a)..][..usize::from(insn.b)]) {
                            Ok(()) => {
                                for at in 0..insn.b {
                                    r!(insn.a.wrapping_add(at)) = Value::Undefined;
                                }
                            }
                            Err(NativeError::NeedsMethod { index, want }) => {
                                let at = insn.a.wrapping_add(index as u8);
                                let call = core.wanted_call(want, &r!(at));
                                break 'window Stop::Retry(call, at);
                            }
                            Err(error) => break 'window Stop::from(error),
                        }
                    }
                    Op::PlaceStore
                    | Op::PlaceLoad
                    | Op::PlaceAppend
                    | Op::PlaceAdd
                    | Op::PlaceDelete
                    | Op::PlaceSlice => {
                        let Some(frame) = thread.frames.last() else {
                            continue;
                        };
                        let class = match &frame.subject {
                            Value::Class(class) => Some(class.clone()),
                            _ => None,
                        };
                        let mut site = Site {
                            window,
                            function: &frame.function,
                            class,
                        };
                        match core.place_operation(&mut site, &code, insn) {
                            Ok(()) => {}
                            Err(Obstacle::Error(error)) if core.again.take().is_some() => {
                                break 'window Stop::Retry(error, NOWHERE);
                            }
                            Err(Obstacle::Error(error)) => {
                                let to = if insn.op == Op::PlaceLoad {
                                    insn.a
                                } else {
                                    NOWHERE
                                };
                                break 'window Stop::Fault(error, to, FrameKind::Normal);
                            }
                            Err(Obstacle::Method { call, step }) => {
                                let scratch = core.consume_keys(window, &code, insn, step);
                                break 'window Stop::Retry(call, scratch);
                            }
                        }
                    }
                    _ => {
                        if let Err(stop) = core.uncommon(thread, base, &code, insn, pc) {
                            break 'window stop;
                        }
                        // The helper had the whole thread; take the window again.
                        if let Some(frame) = thread.frames.last_mut() {
                            frame.pc = (pc as isize + core.take_jump() as isize) as u32;
                        }
                        continue 'frame;
                    }
                }
            }
        };
        if let Some(frame) = thread.frames.last_mut()
            && !matches!(stop, Stop::Switch)
        {
            frame.pc = pc as u32;
        }
        match core.after_stop(thread, stop) {
            Ok(()) => {}
            Err(pause) => return pause,
        }
    }
}

fn compare_operator(code: i32) -> CompareOperator {
    use CompareOperator::{
        Equal, Greater, GreaterEqual, In, Is, IsNot, Less, LessEqual, NotEqual, NotIn,
    };
    const ALL: [CompareOperator; 10] = [
        Equal,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        In,
        NotIn,
        Is,
        IsNot,
    ];
    ALL.get(code as usize).copied().unwrap_or(Is)
}

/// `r[a] = r[b] + r[c]` for what is not two small integers or two floats.
#[inline(never)]
fn add_values(
    core: &mut Core,
    window: &mut [Value; WINDOW],
    insn: Insn,
) -> Result<(), NativeError> {
    let (a, b, c) = (
        usize::from(insn.a),
        usize::from(insn.b),
        usize::from(insn.c),
    );
    if a == b && a != c && matches!(window[c], Value::Str(_) | Value::List(_)) {
        let tail = core::mem::take(&mut window[c]);
        let done = core.unpinned(&mut window[a], |core, place| {
            core.add_in_place(place, &tail)
        });
        window[c] = tail;
        if done? {
            if insn.d & 1 != 0 {
                window[c] = Value::Undefined;
            }
            return Ok(());
        }
    }
    let sum = core.add(&window[b], &window[c])?;
    if insn.d & 1 != 0 {
        window[c] = Value::Undefined;
    }
    if insn.d & 2 != 0 {
        window[b] = Value::Undefined;
    }
    window[a] = sum;
    Ok(())
}

#[inline]
fn get_index(core: &mut Core, container: &Value, key: &Value) -> Result<Value, NativeError> {
    match (container, key) {
        (Value::List(list), Value::Int(index)) => {
            if let Some(at) = position(*index, list.len()) {
                return Ok(list.get(at).cloned().unwrap_or_default());
            }
        }
        (Value::Str(text), Value::Int(index)) => {
            if let Some(character) =
                position(*index, text.char_count()).and_then(|at| text.char_at(at))
            {
                return core.char_string(character);
            }
        }
        (Value::Dict(dict), _) => {
            if let Ok(Some(found)) = dict.get(key) {
                return Ok(found.clone());
            }
        }
        _ => {}
    }
    core.index(container, key)
}

/// Checks the bounds of a range and says whether there may be a round. Bounds past 64 bits become a list.
#[inline(never)]
fn prepare_range(
    core: &mut Core,
    window: &mut [Value; WINDOW],
    insn: Insn,
) -> Result<bool, NativeError> {
    let at = usize::from(insn.a);
    let bounds = [at, (at + 1) & 255, (at + 2) & 255];
    if bounds.iter().all(|at| matches!(window[*at], Value::Int(_))) {
        if matches!(window[bounds[2]], Value::Int(0)) {
            return Err(NativeError::value_error("range() step cannot be zero"));
        }
        return Ok(true);
    }
    let mut arguments = bounds.map(|at| window[at].clone());
    let list = core.range_list(&mut arguments)?;
    window[bounds[0]] = list;
    window[bounds[1]] = Value::Int(0);
    window[bounds[2]] = Value::None;
    Ok(true)
}

/// The next item of a range that became a list.
#[cold]
fn next_range_item(window: &mut [Value; WINDOW], insn: Insn) -> bool {
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
            window[usize::from(insn.b)] = item;
            window[(at + 1) & 255] = Value::Int(cursor + 1);
            true
        }
        None => false,
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
