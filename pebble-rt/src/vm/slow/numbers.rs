//! Arithmetic and comparison of what is not two small numbers.

use alloc::rc::Rc;

use crate::bytecode::{Insn, NOWHERE, Op};
use crate::error::NativeError;
use crate::syntax::ast::CompareOperator;
use crate::value::Value;
use crate::vm::Core;
use crate::vm::registers::{Window, clear, put};
use crate::vm::stop::Step;
use crate::vm::thread::FrameKind;

use super::finish;

/// `r[a] = r[b] + r[c]` for what is not two small integers or two floats.
#[inline(never)]
pub(in crate::vm) fn add(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
        match done {
            Ok(true) => {
                if insn.d & 1 != 0 {
                    clear(&mut window[c]);
                }
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => return Err(core.fault_to(error, insn.a, FrameKind::Normal)),
        }
    }
    match core.add(&window[b], &window[c]) {
        Ok(sum) => {
            if insn.d & 1 != 0 {
                clear(&mut window[c]);
            }
            if insn.d & 2 != 0 {
                clear(&mut window[b]);
            }
            put(&mut window[a], sum);
            Ok(())
        }
        Err(error) => Err(core.fault_to(error, insn.a, FrameKind::Normal)),
    }
}

macro_rules! binary {
    ($($name:ident: $method:ident,)*) => {
        $(#[inline(never)]
        pub(in crate::vm) fn $name(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
            let result = core.$method(&register!(window, insn.b), &register!(window, insn.c));
            finish(core, window, insn, result)
        })*
    };
}

binary! {
    subtract: subtract,
    multiply: multiply,
    divide: divide,
}

macro_rules! binary_int {
    ($($name:ident: $method:ident,)*) => {
        $(#[inline(never)]
        pub(in crate::vm) fn $name(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
            let number = Value::Int(i64::from(insn.d));
            let result = core.$method(&register!(window, insn.b), &number);
            finish(core, window, insn, result)
        })*
    };
}

binary_int! {
    add_int: add,
    subtract_int: subtract,
    multiply_int: multiply,
}

#[inline(never)]
pub(in crate::vm) fn binary(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.binary(
        insn.d,
        &register!(window, insn.b),
        &register!(window, insn.c),
    );
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn negate(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.negate(&register!(window, insn.b));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn unary(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.unary(insn.d, &register!(window, insn.b));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn not(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    match core.truth(&register!(window, insn.b)) {
        Ok(truth) => {
            put(&mut register!(window, insn.a), Value::bool(!truth));
            Ok(())
        }
        Err(error) => {
            let kind = FrameKind::Truth { negated: true };
            Err(core.fault_to(error, insn.a, kind))
        }
    }
}

#[inline(never)]
pub(in crate::vm) fn compare(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let operator = compare_operator(insn.d);
    let (left, right) = (&register!(window, insn.b), &register!(window, insn.c));
    match core.compare(operator, left, right) {
        Ok(truth) => {
            put(&mut register!(window, insn.a), Value::Int(i64::from(truth)));
            Ok(())
        }
        Err(error) => {
            let negated = matches!(operator, CompareOperator::NotEqual | CompareOperator::NotIn);
            Err(core.fault_to(error, insn.a, FrameKind::Number { negated }))
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

/// The truth that a branch depends on, or the call whose result will decide it.
fn decide(
    core: &mut Core,
    truth: Result<bool, NativeError>,
    wanted: bool,
    distance: i32,
) -> Step<bool> {
    truth.map_err(|error| core.fault_to(error, NOWHERE, FrameKind::Branch { wanted, distance }))
}

#[inline(never)]
pub(in crate::vm) fn truth(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let truth = core.truth(&register!(window, insn.a));
    if insn.b == 1 && truth.is_ok() {
        clear(&mut register!(window, insn.a));
    }
    decide(core, truth, insn.op == Op::JumpTrue, insn.d)
}

#[inline(never)]
pub(in crate::vm) fn order(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    operator: CompareOperator,
    wanted: bool,
) -> Step<bool> {
    let (left, right) = (&register!(window, insn.a), &register!(window, insn.b));
    let truth = if insn.c == 0 {
        core.ordered(operator, left, right)
    } else {
        let reversed = match operator {
            CompareOperator::Less => CompareOperator::Greater,
            _ => CompareOperator::GreaterEqual,
        };
        core.ordered(reversed, right, left)
    };
    decide(core, truth, wanted, insn.d)
}

#[inline(never)]
pub(in crate::vm) fn order_int(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    operator: CompareOperator,
    wanted: bool,
) -> Step<bool> {
    let number = Value::Int(insn.immediate());
    let truth = core.ordered(operator, &register!(window, insn.a), &number);
    decide(core, truth, wanted, insn.short_jump())
}

#[inline(never)]
pub(in crate::vm) fn equal(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let truth = match (&register!(window, insn.a), &register!(window, insn.b)) {
        (Value::Str(left), Value::Str(right)) => {
            Ok(Rc::ptr_eq(left, right) || left.as_str() == right.as_str())
        }
        (left, right) => core.equals(left, right),
    };
    decide(core, truth, insn.op == Op::JumpEqual, insn.d)
}

#[inline(never)]
pub(in crate::vm) fn equal_int(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let number = Value::Int(insn.immediate());
    let truth = core.equals(&register!(window, insn.a), &number);
    decide(core, truth, insn.op == Op::JumpEqualInt, insn.short_jump())
}
