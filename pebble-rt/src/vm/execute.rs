//! The main loop.
//!
//! A call's registers are a window of the thread's stack, 256 long whatever the function uses, so that register
//! numbers need no check. Calls of Pebble functions do not nest in Rust: they push a frame and go on. What takes more
//! than a line or two, and every way to fail, is outside (`slow`, `uncommon`): the loop is one function, and each
//! thing that it does seldom would cost it a processor register that it needs often. A part outside that fails, or
//! that wants a Pebble function called, leaves a [`Stop`] in the machine, which ends the window and is dealt with by
//! [`Core::after_stop`].

use alloc::rc::Rc;
use core::hint::cold_path;

use crate::bytecode::{Code, Op};
use crate::syntax::ast::CompareOperator;
use crate::value::{Slot, Value};

use super::registers::{
    clear, clear_all, copy, copy_register, put, set_float, set_int, share, take_or_share,
};
use super::slow;
use super::stop::Stop;
use super::thread::{Frame, FrameKind, Thread, WINDOW, leave};
use super::{Core, Pause};

/// Runs a thread until it pauses.
pub(crate) fn execute(core: &mut Core, thread: &mut Thread) -> Pause {
    loop {
        if thread.frames.is_empty() {
            return Pause::Done(Value::Int(0));
        }
        run(core, thread);
        let stop = core.stop.take().unwrap_or(Stop::Fuel);
        if let Err(pause) = core.after_stop(thread, stop) {
            return pause;
        }
    }
}

/// Runs the top call, and those that it makes, until one must be left by another way than its end.
fn run(core: &mut Core, thread: &mut Thread) {
    'frame: loop {
        let Some(frame) = thread.frames.last() else {
            return;
        };
        let code: &Code = &frame.function.code;
        let insns = &code.insns[..];
        let mut pc = frame.pc as usize;
        let Some(window) = thread
            .stack
            .get_mut(frame.base..)
            .and_then(|rest| rest.first_chunk_mut::<WINDOW>())
        else {
            core.stop = Some(Stop::Grow);
            return;
        };
        'window: {
            macro_rules! r {
                ($register:expr) => {
                    window[usize::from($register)]
                };
            }
            macro_rules! frame {
                () => {
                    match thread.frames.last() {
                        Some(frame) => frame,
                        None => break 'window,
                    }
                };
            }
            // Leaves the window when a part of an instruction did.
            macro_rules! step {
                ($result:expr) => {
                    match $result {
                        Ok(value) => value,
                        Err(_) => {
                            cold_path();
                            break 'window;
                        }
                    }
                };
            }
            macro_rules! attempt {
                ($result:expr) => {
                    match $result {
                        Ok(value) => value,
                        Err(error) => {
                            cold_path();
                            core.fail(error);
                            break 'window;
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
                            cold_path();
                            core.halt(Stop::Fuel);
                            break 'window;
                        }
                    }
                }};
            }
            // Enters a call whose arguments are in place.
            macro_rules! enter {
                ($function:expr, $first:expr, $result:expr, $kind:expr, $subject:expr) => {{
                    let (function, subject, kind, result) = ($function, $subject, $kind, $result);
                    let first = $first;
                    let Some(caller) = thread.frames.last_mut() else {
                        return;
                    };
                    caller.pc = pc as u32;
                    let base = caller.base + first;
                    thread.frames.push(Frame {
                        function,
                        pc: 0,
                        result,
                        kind,
                        base,
                        again: false,
                        pins: core.pins.len() as u32,
                        subject,
                    });
                    continue 'frame;
                }};
                ($function:expr, $first:expr, $result:expr) => {
                    enter!(
                        $function,
                        $first,
                        $result,
                        FrameKind::Normal,
                        Value::Undefined
                    )
                };
            }
            macro_rules! may_enter {
                () => {{
                    core.fuel -= 1;
                    core.fuel > 0 && thread.frames.len() < core.limits.call_depth
                }};
            }
            macro_rules! arithmetic {
                ($insn:expr, $checked:ident, $float:tt, $slow:ident) => {{
                    let insn = $insn;
                    match (&r!(insn.b), &r!(insn.c)) {
                        (Value::Int(left), Value::Int(right)) => {
                            if let Some(result) = left.$checked(*right) {
                                set_int(&mut r!(insn.a), result);
                                continue;
                            }
                        }
                        (Value::Float(left), Value::Float(right)) => {
                            let result = left.get() $float right.get();
                            set_float(&mut r!(insn.a), result);
                            continue;
                        }
                        (Value::Int(left), Value::Float(right)) => {
                            let result = *left as f64 $float right.get();
                            set_float(&mut r!(insn.a), result);
                            continue;
                        }
                        (Value::Float(left), Value::Int(right)) => {
                            let result = left.get() $float *right as f64;
                            set_float(&mut r!(insn.a), result);
                            continue;
                        }
                        _ => {}
                    }
                    step!(slow::$slow(core, window, insn));
                }};
            }
            macro_rules! arithmetic_int {
                ($insn:expr, $checked:ident, $float:tt, $slow:ident) => {{
                    let insn = $insn;
                    let number = i64::from(insn.d);
                    match &r!(insn.b) {
                        Value::Int(left) => {
                            if let Some(result) = left.$checked(number) {
                                set_int(&mut r!(insn.a), result);
                                continue;
                            }
                        }
                        Value::Float(left) => {
                            let result = left.get() $float number as f64;
                            set_float(&mut r!(insn.a), result);
                            continue;
                        }
                        _ => {}
                    }
                    step!(slow::$slow(core, window, insn));
                }};
            }
            macro_rules! order_jump {
                ($insn:expr, $operator:tt, $wanted:expr, $plain:ident) => {{
                    let insn = $insn;
                    let truth = match (&r!(insn.a), &r!(insn.b)) {
                        (Value::Int(left), Value::Int(right)) => left $operator right,
                        (Value::Float(left), Value::Float(right)) => left.get() $operator right.get(),
                        _ => step!(slow::order(core, window, insn, CompareOperator::$plain, $wanted)),
                    };
                    if truth == $wanted {
                        jump!(insn.d);
                    }
                }};
            }
            macro_rules! order_int_jump {
                ($insn:expr, $operator:tt, $wanted:expr, $plain:ident) => {{
                    let insn = $insn;
                    let number = insn.immediate();
                    let truth = match &r!(insn.a) {
                        Value::Int(left) => *left $operator number,
                        Value::Float(left) => left.get() $operator number as f64,
                        _ => step!(slow::order_int(core, window, insn, CompareOperator::$plain, $wanted)),
                    };
                    if truth == $wanted {
                        jump!(insn.short_jump());
                    }
                }};
            }
            // `r[to] = item`, which is inside something that another register holds.
            macro_rules! copy_out {
                ($to:expr, $item:expr) => {{
                    match $item {
                        Value::Int(number) => {
                            let number = *number;
                            set_int(&mut r!($to), number);
                        }
                        other => {
                            let value = share(other);
                            put(&mut r!($to), value);
                        }
                    }
                }};
            }
            loop {
                let Some(insn) = insns.get(pc) else {
                    cold_path();
                    core.halt(Stop::Return(Value::Int(0)));
                    break 'window;
                };
                pc += 1;
                match insn.op {
                    Op::Nop => {}
                    Op::Move => copy_register(window, insn.a, insn.b),
                    Op::Take => {
                        let value = take_or_share(&mut r!(insn.b), true);
                        put(&mut r!(insn.a), value);
                        if insn.a != insn.b {
                            clear(&mut r!(insn.b));
                        }
                    }
                    Op::LoadConst => match code.constants.get(insn.d as usize) {
                        Some(constant) => copy(&mut r!(insn.a), constant),
                        None => put(&mut r!(insn.a), Value::None),
                    },
                    Op::LoadInt => set_int(&mut r!(insn.a), i64::from(insn.d)),
                    Op::LoadNone => put(&mut r!(insn.a), Value::None),
                    Op::LoadBool => put(&mut r!(insn.a), Value::bool(insn.d != 0)),
                    Op::Clear => clear(&mut r!(insn.a)),
                    Op::LoadGlobal => {
                        let slot = &core.slots[insn.d as usize];
                        if !slot.variable.is_undefined() {
                            copy(&mut r!(insn.a), &slot.variable);
                        } else if let Value::Func(function) = &slot.function {
                            put(&mut r!(insn.a), Value::Func(function.clone()));
                        } else {
                            step!(slow::load_global(core, window, insn));
                        }
                    }
                    Op::StoreGlobal => {
                        let value = take_or_share(&mut r!(insn.a), insn.b == 1);
                        put(&mut core.slots[insn.d as usize].variable, value);
                    }
                    Op::LoadChecked if !r!(insn.b).is_undefined() => {
                        copy_register(window, insn.a, insn.b);
                    }
                    Op::Require if !r!(insn.a).is_undefined() => {}
                    Op::LoadChecked | Op::LoadChain | Op::LoadCallee | Op::Require => {
                        step!(slow::load_chain(core, frame!(), window, insn));
                    }
                    Op::LoadCell => {
                        let value = match &r!(insn.b) {
                            Value::Cell(cell) => cell.get(),
                            _ => Value::Undefined,
                        };
                        if value.is_undefined() {
                            step!(slow::load_chain(core, frame!(), window, insn));
                        } else {
                            put(&mut r!(insn.a), value);
                        }
                    }
                    Op::LoadCaptured => {
                        let cell = frame!().function.captured.get(usize::from(insn.b));
                        let value = match cell {
                            Some(Value::Cell(cell)) => cell.get(),
                            _ => Value::Undefined,
                        };
                        if value.is_undefined() {
                            step!(slow::load_chain(core, frame!(), window, insn));
                        } else {
                            put(&mut r!(insn.a), value);
                        }
                    }
                    Op::MakeCell => step!(slow::make_cell(core, window, insn)),
                    Op::StoreCell => {
                        let value = take_or_share(&mut r!(insn.b), insn.c == 1);
                        slow::store_cell(window, insn, value);
                    }
                    Op::StoreCaptured => {
                        let value = take_or_share(&mut r!(insn.a), insn.c == 1);
                        let cell = frame!().function.captured.get(usize::from(insn.b));
                        if let Some(Value::Cell(cell)) = cell {
                            cell.set(value);
                        }
                    }

                    Op::Add => arithmetic!(insn, checked_add, +, add),
                    Op::AddNumbers => {
                        match (&r!(insn.b), &r!(insn.c)) {
                            (Value::Int(left), Value::Int(right)) => {
                                if let Some(sum) = left.checked_add(*right) {
                                    set_int(&mut r!(insn.a), sum);
                                    jump!(insn.d);
                                    continue;
                                }
                            }
                            (Value::Float(left), Value::Float(right)) => {
                                let sum = left.get() + right.get();
                                set_float(&mut r!(insn.a), sum);
                                jump!(insn.d);
                                continue;
                            }
                            _ => {}
                        }
                        clear(&mut r!(insn.a));
                    }
                    Op::Sub => arithmetic!(insn, checked_sub, -, subtract),
                    Op::Mul => arithmetic!(insn, checked_mul, *, multiply),
                    Op::Div => match (&r!(insn.b), &r!(insn.c)) {
                        (Value::Float(left), Value::Float(right)) if right.get() != 0.0 => {
                            let result = left.get() / right.get();
                            set_float(&mut r!(insn.a), result);
                        }
                        _ => step!(slow::divide(core, window, insn)),
                    },
                    Op::Binary => step!(slow::binary(core, window, insn)),
                    Op::AddInt => arithmetic_int!(insn, checked_add, +, add_int),
                    Op::SubInt => arithmetic_int!(insn, checked_sub, -, subtract_int),
                    Op::MulInt => arithmetic_int!(insn, checked_mul, *, multiply_int),
                    Op::Neg => step!(slow::negate(core, window, insn)),
                    Op::Not => step!(slow::not(core, window, insn)),
                    Op::Unary => step!(slow::unary(core, window, insn)),
                    Op::Compare => step!(slow::compare(core, window, insn)),

                    Op::Jump => jump!(insn.d),
                    Op::JumpTrue | Op::JumpFalse => {
                        let wanted = insn.op == Op::JumpTrue;
                        let truth = match &r!(insn.a) {
                            Value::Int(number) => *number != 0,
                            Value::Bool(truth) => truth.get(),
                            _ => step!(slow::truth(core, window, insn)),
                        };
                        if truth == wanted {
                            jump!(insn.d);
                        }
                    }
                    Op::JumpLess => order_jump!(insn, <, true, Less),
                    Op::JumpNotLess => order_jump!(insn, <, false, Less),
                    Op::JumpLessEqual => order_jump!(insn, <=, true, LessEqual),
                    Op::JumpNotLessEqual => order_jump!(insn, <=, false, LessEqual),
                    Op::JumpEqual | Op::JumpNotEqual => {
                        let wanted = insn.op == Op::JumpEqual;
                        let truth = match (&r!(insn.a), &r!(insn.b)) {
                            (Value::Int(left), Value::Int(right)) => left == right,
                            _ => step!(slow::equal(core, window, insn)),
                        };
                        if truth == wanted {
                            jump!(insn.d);
                        }
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
                        let truth = match &r!(insn.a) {
                            Value::Int(left) => *left == insn.immediate(),
                            _ => step!(slow::equal_int(core, window, insn)),
                        };
                        if truth == wanted {
                            jump!(insn.short_jump());
                        }
                    }

                    Op::RangePrepare => {
                        if step!(slow::prepare_range(core, window, insn)) {
                            continue;
                        }
                        jump!(insn.d);
                    }
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
                            _ => {
                                if slow::next_range_item(window, insn) {
                                    jump!(insn.d);
                                }
                                continue;
                            }
                        };
                        // Two branches that never change their minds are cheaper than one answer made of both.
                        if step > 0 {
                            if current >= stop {
                                continue;
                            }
                        } else if current <= stop {
                            continue;
                        }
                        match current.checked_add(step) {
                            Some(next) => set_int(&mut window[at], next),
                            None => slow::end_range(window, insn),
                        }
                        set_int(&mut r!(insn.b), current);
                        jump!(insn.d);
                    }
                    Op::IterPrepare => step!(slow::prepare_iteration(core, window, insn)),
                    Op::IterNext => {
                        let cursor_register = insn.a.wrapping_add(1);
                        if let (Value::List(list), Value::Int(cursor)) =
                            (&r!(insn.a), &r!(cursor_register))
                        {
                            let next = *cursor + 1;
                            let Some(item) = list.get(*cursor as usize) else {
                                clear(&mut r!(insn.a));
                                continue;
                            };
                            copy_out!(insn.b, item);
                            set_int(&mut r!(cursor_register), next);
                            jump!(insn.d);
                            continue;
                        }
                        if step!(slow::next_item(core, window, insn)) {
                            jump!(insn.d);
                        }
                    }

                    Op::NewList => step!(slow::new_list(core, window, insn)),
                    Op::PushItem => {
                        let item = take_or_share(&mut r!(insn.b), insn.c == 1);
                        if let Value::List(list) = &mut r!(insn.a) {
                            attempt!(
                                crate::value::list_for_change(list)
                                    .and_then(|list| list.push(item))
                            );
                        }
                    }
                    Op::Len => match &r!(insn.b) {
                        Value::List(list) => {
                            let length = list.len() as i64;
                            set_int(&mut r!(insn.a), length);
                        }
                        Value::Str(text) => {
                            let length = text.char_count() as i64;
                            set_int(&mut r!(insn.a), length);
                        }
                        _ => step!(slow::length(core, window, insn)),
                    },
                    Op::Append => {
                        let item = take_or_share(&mut r!(insn.b), insn.c == 1);
                        if let Value::List(list) = &mut r!(insn.a)
                            && let Some(list) = Rc::get_mut(list)
                        {
                            attempt!(list.push(item));
                            continue;
                        }
                        step!(slow::append(core, window, insn, item));
                    }
                    Op::AppendGlobal => {
                        let item = take_or_share(&mut r!(insn.b), insn.c == 1);
                        attempt!(core.append_global(insn.d as u32, item));
                    }
                    Op::GetIndex => {
                        match (&r!(insn.b), &r!(insn.c)) {
                            (Value::List(list), Value::Int(index)) => {
                                if let Some(item) = list.get(*index as usize) {
                                    copy_out!(insn.a, item);
                                    continue;
                                }
                            }
                            (Value::Dict(dict), key) => {
                                if let Some(found) = dict.peek(key) {
                                    copy_out!(insn.a, found);
                                    continue;
                                }
                            }
                            _ => {}
                        }
                        step!(slow::get_index(core, window, insn));
                    }
                    Op::GetIndexTemp => step!(slow::get_index_temp(core, window, insn)),
                    Op::GetIndexInt => {
                        if let Value::List(list) = &r!(insn.b)
                            && let Ok(index) = usize::try_from(insn.d)
                            && let Some(item) = list.get(index)
                        {
                            copy_out!(insn.a, item);
                            continue;
                        }
                        step!(slow::get_index_int(core, window, insn));
                    }
                    Op::GetIndexGlobal => {
                        let slot = &core.slots[insn.d as usize];
                        if let (Value::List(list), Value::Int(index)) =
                            (&slot.variable, &r!(insn.b))
                            && let Some(item) = list.get(*index as usize)
                        {
                            copy(&mut r!(insn.a), item);
                            continue;
                        }
                        step!(slow::get_index_global(core, window, insn));
                    }
                    Op::SetIndex => {
                        if let (Value::Int(index), Value::List(_)) = (&r!(insn.b), &r!(insn.a)) {
                            let index = *index as usize;
                            let value = take_or_share(&mut r!(insn.c), insn.d == 1);
                            if let Value::List(list) = &mut r!(insn.a)
                                && let Some(list) = Rc::get_mut(list)
                                && let Some(place) = list.as_mut_slice().get_mut(index)
                            {
                                put(place, value);
                                continue;
                            }
                            step!(slow::set_index(core, window, insn, value));
                            continue;
                        }
                        step!(slow::set_index_of_any(core, window, insn));
                    }
                    Op::SetIndexGlobal => {
                        if let Value::Int(index) = &r!(insn.b) {
                            let index = *index as usize;
                            let value = take_or_share(&mut r!(insn.c), insn.a == 1);
                            if let Value::List(list) = &mut core.slots[insn.d as usize].variable
                                && let Some(list) = Rc::get_mut(list)
                                && let Some(place) = list.as_mut_slice().get_mut(index)
                            {
                                put(place, value);
                                continue;
                            }
                            step!(slow::set_index_global(core, window, insn, value));
                            continue;
                        }
                        step!(slow::set_index_global_of_any(core, window, insn));
                    }
                    Op::GetAttr => {
                        if let (Value::Instance(instance), Some(site)) =
                            (&r!(insn.b), code.sites.get(insn.d as usize))
                            && instance.class_stamp() == site.stamp.get()
                        {
                            let value = instance.get_slot(Slot(site.slot.get()));
                            if !value.is_undefined() {
                                put(&mut r!(insn.a), value);
                                continue;
                            }
                        }
                        step!(slow::get_attribute(core, code, window, insn));
                    }
                    Op::SetAttr => {
                        let value = take_or_share(&mut r!(insn.b), insn.c == 1);
                        if let (Value::Instance(instance), Some(site)) =
                            (&r!(insn.a), code.sites.get(insn.d as usize))
                            && instance.class_stamp() == site.stamp.get()
                        {
                            attempt!(instance.set_slot(Slot(site.slot.get()), value));
                            continue;
                        }
                        step!(slow::set_attribute(core, code, window, insn, value));
                    }

                    Op::CallGlobal => {
                        let slot = &core.slots[insn.d as usize];
                        if let (Value::Undefined, Value::Func(function)) =
                            (&slot.variable, &slot.function)
                            && function.code.plain_parameters == u16::from(insn.b)
                        {
                            let function = function.clone();
                            if may_enter!() {
                                enter!(function, usize::from(insn.a), insn.c);
                            }
                        } else if let Value::Class(class) = &slot.variable
                            && let Some(function) = class.constructor()
                            && function.code.plain_parameters == u16::from(insn.b) + 1
                            && may_enter!()
                        {
                            let instance = step!(slow::construct(core, window, insn));
                            enter!(
                                function,
                                usize::from(insn.a),
                                insn.c,
                                FrameKind::Init,
                                instance
                            );
                        }
                        step!(slow::call_global(core, window, insn));
                    }
                    Op::Call => {
                        match &r!(insn.a) {
                            Value::Func(function)
                                if function.code.plain_parameters == u16::from(insn.b)
                                    && may_enter!() =>
                            {
                                let Value::Func(function) = core::mem::take(&mut r!(insn.a)) else {
                                    continue;
                                };
                                enter!(function, usize::from(insn.a) + 1, insn.c);
                            }
                            Value::Bound(bound)
                                if let Value::Func(function) = &bound.function
                                    && function.code.plain_parameters == u16::from(insn.b) + 1
                                    && may_enter!() =>
                            {
                                // The receiver takes the place of the callee, just below the arguments.
                                let function = function.clone();
                                let receiver = share(&bound.receiver);
                                put(&mut r!(insn.a), receiver);
                                enter!(function, usize::from(insn.a), insn.c);
                            }
                            _ => {}
                        }
                        step!(slow::call(core, window, insn));
                    }
                    Op::CallMethod => {
                        if let (Value::Instance(instance), Some(site)) =
                            (&r!(insn.a), code.sites.get(insn.d as usize))
                            && instance.class_stamp() == site.stamp.get()
                            && let Some(function) = site.method_for(u16::from(insn.b) + 1)
                            && may_enter!()
                        {
                            enter!(function, usize::from(insn.a), insn.c);
                        }
                        core.halt(Stop::Method(*insn));
                        break 'window;
                    }
                    Op::Return => {
                        if !frame!().is_plain() {
                            step!(slow::end(core, frame!(), window, insn));
                            break 'window;
                        }
                        if let Value::Int(number) = &r!(insn.a) {
                            let number = *number;
                            clear_all(window, code.registers);
                            if let Some(place) = leave(thread) {
                                set_int(place, number);
                            }
                            continue 'frame;
                        }
                        let value = take_or_share(&mut r!(insn.a), true);
                        clear_all(window, code.registers);
                        slow::leave_with(thread, value);
                        continue 'frame;
                    }
                    Op::ReturnZero => {
                        let frame = frame!();
                        if frame.is_plain() {
                            clear_all(window, code.registers);
                            if let Some(place) = leave(thread) {
                                set_int(place, 0);
                            }
                            continue 'frame;
                        }
                        if frame.is_constructor() {
                            let instance = share(&frame.subject);
                            clear_all(window, code.registers);
                            slow::leave_with(thread, instance);
                            continue 'frame;
                        }
                        step!(slow::end(core, frame, window, insn));
                        break 'window;
                    }
                    Op::Yield
                    | Op::MakeClass
                    | Op::Import
                    | Op::PlaceMethod
                    | Op::CallSuper
                    | Op::CallSpread => {
                        step!(slow::stop(core, window, insn));
                        break 'window;
                    }
                    Op::StoreFunction | Op::StoreNested | Op::DeleteGlobal => {
                        step!(slow::change_global(core, window, insn));
                    }
                    Op::StoreClass | Op::StoreMethod | Op::DeleteClass => {
                        step!(slow::store_in_class(core, frame!(), window, insn));
                    }
                    Op::Pin => {
                        let value = take_or_share(&mut r!(insn.a), true);
                        core.pins.push(value);
                    }
                    Op::Unpin => {
                        let value = core.pins.pop().unwrap_or_default();
                        put(&mut r!(insn.a), value);
                    }
                    Op::Catch => {
                        let caught = core::mem::take(&mut thread.caught);
                        put(&mut r!(insn.a), caught);
                    }
                    Op::Print => step!(slow::print(core, window, insn)),
                    Op::PlaceStore
                    | Op::PlaceLoad
                    | Op::PlaceAppend
                    | Op::PlaceAdd
                    | Op::PlaceDelete
                    | Op::PlaceSlice => step!(slow::place(core, frame!(), window, insn)),
                    // All the others by name: with nothing left over the loop does not check what it loads.
                    Op::PushAll
                    | Op::NewDict
                    | Op::PushEntry
                    | Op::PushEntries
                    | Op::NewSet
                    | Op::PushElement
                    | Op::NewTuple
                    | Op::ListToTuple
                    | Op::JoinText
                    | Op::Unpack
                    | Op::UnpackStar
                    | Op::GetSlice
                    | Op::DeleteAttr
                    | Op::GetSuper
                    | Op::MakeFunction
                    | Op::Raise
                    | Op::Reraise
                    | Op::ErrorText
                    | Op::ErrorObject
                    | Op::ErrorMismatch
                    | Op::JumpNotErrorClass
                    | Op::AssertFail
                    | Op::ImportFrom
                    | Op::Fail => {
                        let insn = *insn;
                        // The helper has the whole thread; the window is taken again.
                        if core.uncommon_step(thread, insn, pc).is_err() {
                            return;
                        }
                        continue 'frame;
                    }
                }
            }
        }
        if let Some(frame) = thread.frames.last_mut() {
            frame.pc = pc as u32;
        }
        return;
    }
}
