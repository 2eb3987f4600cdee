//! Calls of anything but plain functions, and ends of calls that mean more than a value.

use alloc::vec::Vec;

use crate::bytecode::{Insn, NOWHERE, Op};
use crate::error::NativeError;
use crate::value::Value;
use crate::vm::Core;
use crate::vm::registers::{Window, clear, put};
use crate::vm::stop::{Step, Stop};
use crate::vm::thread::{Frame, FrameKind, Thread, WINDOW, leave};

/// A new instance of the class in global `d`, in front of the arguments of its `__init__`.
#[inline(never)]
pub(in crate::vm) fn construct(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<Value> {
    let Value::Class(class) = &core.slots[insn.d as usize].variable else {
        return Ok(Value::None);
    };
    let class = class.clone();
    let instance = match core.new_instance(&class) {
        Ok(instance) => Value::Instance(instance),
        Err(error) => return Err(core.fail(error)),
    };
    let first = usize::from(insn.a);
    let last = (first + usize::from(insn.b)).min(WINDOW - 1);
    window[first..=last].rotate_right(1);
    put(&mut window[first], instance.clone());
    Ok(instance)
}

/// Calls what global `d` holds, if that is no function that takes just these arguments.
#[inline(never)]
pub(in crate::vm) fn call_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let callee = match core.global_callee(insn.d as u32) {
        Ok(callee) => callee,
        Err(error) => return Err(core.fail(error)),
    };
    let Value::Native(function) = &callee else {
        return Err(core.halt(Stop::Call {
            callee,
            first: insn.a,
            count: insn.b,
            result: insn.c,
        }));
    };
    let end = (usize::from(insn.a) + usize::from(insn.b)).min(WINDOW);
    let arguments = &mut window[usize::from(insn.a)..end];
    match core.call_native(function, arguments) {
        Ok(value) => {
            arguments.iter_mut().for_each(clear);
            if insn.c != NOWHERE {
                put(&mut register!(window, insn.c), value);
            }
            if core.fuel <= 0 {
                // It used up the turn, or gave it away.
                return Err(core.halt(Stop::Fuel));
            }
            Ok(())
        }
        Err(NativeError::NeedsMethod { index, want }) => {
            let at = insn.a.wrapping_add(index as u8);
            let call = core.wanted_call(want, &register!(window, at));
            Err(core.halt(Stop::Retry(call, at)))
        }
        Err(error) => Err(core.fault_to(error, insn.c, FrameKind::Normal)),
    }
}

/// Calls what `r[a]` holds, if that is no function that takes just these arguments. Always leaves the window.
#[inline(never)]
pub(in crate::vm) fn call(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let callee = core::mem::take(&mut register!(window, insn.a));
    let callee = match core.callee_or_fallback(callee, insn.d) {
        Ok(callee) => callee,
        Err(error) => return Err(core.fail(error)),
    };
    Err(core.halt(Stop::Call {
        callee,
        first: insn.a.wrapping_add(1),
        count: insn.b,
        result: insn.c,
    }))
}

/// Instructions that always leave the window.
#[inline(never)]
pub(in crate::vm) fn stop(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let stop = match insn.op {
        Op::Yield => Stop::Yield(register!(window, insn.b).clone(), insn.a),
        Op::MakeClass => Stop::MakeClass(*insn),
        Op::Import => Stop::Import(*insn),
        Op::PlaceMethod => Stop::PlaceMethod(*insn),
        Op::CallSpread => {
            let callee = core::mem::take(&mut register!(window, insn.a));
            let callee = match core.callee_or_fallback(callee, insn.d) {
                Ok(callee) => callee,
                Err(error) => return Err(core.fail(error)),
            };
            let list = core::mem::take(&mut register!(window, insn.a.wrapping_add(1)));
            let keywords = core::mem::take(&mut register!(window, insn.a.wrapping_add(2)));
            let arguments = match list {
                Value::List(list) => list.iter().cloned().collect(),
                _ => Vec::new(),
            };
            Stop::CallPacked {
                callee,
                arguments,
                keywords,
                result: insn.c,
            }
        }
        _ => Stop::Method(*insn),
    };
    Err(core.halt(stop))
}

/// Ends a call whose end means more than a value for the caller. Always leaves the window.
#[inline(never)]
pub(in crate::vm) fn end(core: &mut Core, frame: &Frame, window: &mut Window, insn: &Insn) -> Step {
    let value = match insn.op {
        Op::Return if !frame.is_constructor() => core::mem::take(&mut register!(window, insn.a)),
        _ => Value::Int(0),
    };
    Err(core.halt(Stop::Return(value)))
}

/// Ends a call whose registers are clear with a value for its caller.
#[inline(never)]
pub(in crate::vm) fn leave_with(thread: &mut Thread, value: Value) {
    if let Some(place) = leave(thread) {
        put(place, value);
    }
}

#[inline(never)]
pub(in crate::vm) fn print(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let end = (usize::from(insn.a) + usize::from(insn.b)).min(WINDOW);
    match core.print(&window[usize::from(insn.a)..end]) {
        Ok(()) => {
            for at in 0..insn.b {
                clear(&mut register!(window, insn.a.wrapping_add(at)));
            }
            Ok(())
        }
        Err(NativeError::NeedsMethod { index, want }) => {
            let at = insn.a.wrapping_add(index as u8);
            let call = core.wanted_call(want, &register!(window, at));
            Err(core.halt(Stop::Retry(call, at)))
        }
        Err(error) => Err(core.fail(error)),
    }
}
