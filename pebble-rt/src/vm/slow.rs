//! The parts of instructions that the main loop leaves to others: mixed operands, errors, whatever calls the program.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Code, Insn, NOWHERE, Op};
use crate::error::NativeError;
use crate::symbol::Symbol;
use crate::syntax::ast::CompareOperator;
use crate::value::{CellObj, IterState, ListObj, Value};

use super::Core;
use super::access::position;
use super::places::{Obstacle, Site};
use super::registers::{Window, clear, put, take_or_share};
use super::stop::{Halted, Step, Stop};
use super::thread::{Frame, FrameKind, Thread, WINDOW};

macro_rules! register {
    ($window:ident, $register:expr) => {
        $window[usize::from($register)]
    };
}

/// Puts a result into the register of an instruction.
#[inline(always)]
fn finish(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    result: Result<Value, NativeError>,
) -> Step {
    match result {
        Ok(value) => {
            put(&mut register!(window, insn.a), value);
            Ok(())
        }
        Err(error) => Err(core.fault_to(error, insn.a, FrameKind::Normal)),
    }
}

/// `r[a] = r[b] + r[c]` for what is not two small integers or two floats.
#[inline(never)]
pub(super) fn add(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
        pub(super) fn $name(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
        pub(super) fn $name(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(super) fn binary(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.binary(
        insn.d,
        &register!(window, insn.b),
        &register!(window, insn.c),
    );
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn negate(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.negate(&register!(window, insn.b));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn unary(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.unary(insn.d, &register!(window, insn.b));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn not(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    match core.truth(&register!(window, insn.b)) {
        Ok(truth) => {
            put(&mut register!(window, insn.a), Value::Bool(!truth));
            Ok(())
        }
        Err(error) => {
            let kind = FrameKind::Truth { negated: true };
            Err(core.fault_to(error, insn.a, kind))
        }
    }
}

#[inline(never)]
pub(super) fn compare(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(super) fn truth(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let truth = core.truth(&register!(window, insn.a));
    if insn.b == 1 && truth.is_ok() {
        clear(&mut register!(window, insn.a));
    }
    decide(core, truth, insn.op == Op::JumpTrue, insn.d)
}

#[inline(never)]
pub(super) fn order(
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
pub(super) fn order_int(
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
pub(super) fn equal(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let truth = match (&register!(window, insn.a), &register!(window, insn.b)) {
        (Value::Str(left), Value::Str(right)) => {
            Ok(Rc::ptr_eq(left, right) || left.as_str() == right.as_str())
        }
        (left, right) => core.equals(left, right),
    };
    decide(core, truth, insn.op == Op::JumpEqual, insn.d)
}

#[inline(never)]
pub(super) fn equal_int(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
    let number = Value::Int(insn.immediate());
    let truth = core.equals(&register!(window, insn.a), &number);
    decide(core, truth, insn.op == Op::JumpEqualInt, insn.short_jump())
}

/// The variable is unset: the function, nested function or builtin of that name.
#[inline(never)]
pub(super) fn load_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let index = insn.d as u32;
    match core.read_slot(index) {
        Some(value) => {
            put(&mut register!(window, insn.a), value);
            Ok(())
        }
        None => Err(unknown_global(core, index)),
    }
}

fn unknown_global(core: &mut Core, index: u32) -> Halted {
    let name = Symbol(core.slots[index as usize].name);
    let error = core.unknown_variable(name);
    core.fail(error)
}

/// The instructions that follow a chain.
#[inline(never)]
pub(super) fn load_chain(core: &mut Core, frame: &Frame, window: &mut Window, insn: &Insn) -> Step {
    let value = match insn.op {
        Op::LoadCallee if insn.b == 1 => core
            .chain_value(Some(frame), window, insn.d)
            .unwrap_or_default(),
        Op::LoadCallee => core
            .chain_variable(Some(frame), window, insn.d)
            .unwrap_or_default(),
        _ => match core.chain_value(Some(frame), window, insn.d) {
            Ok(value) => value,
            Err(error) => return Err(core.fail(error)),
        },
    };
    if insn.op != Op::Require {
        put(&mut register!(window, insn.a), value);
    }
    Ok(())
}

/// Functions defined at the top level or inside another one, and deleted variables.
#[inline(never)]
pub(super) fn change_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let index = insn.d as usize;
    match insn.op {
        Op::StoreFunction => {
            core.slots[index].function = core::mem::take(&mut register!(window, insn.a));
        }
        Op::StoreNested => core.slots[index].nested = register!(window, insn.a).clone(),
        _ => {
            if let Err(error) = core.delete_global(index as u32) {
                return Err(core.fail(error));
            }
        }
    }
    Ok(())
}

#[inline(never)]
pub(super) fn store_in_class(
    core: &mut Core,
    frame: &Frame,
    window: &mut Window,
    insn: &Insn,
) -> Step {
    let value = core::mem::take(&mut register!(window, insn.a));
    core.store_in_class(Some(frame), *insn, value)
        .map_err(|error| core.fail(error))
}

#[inline(never)]
pub(super) fn make_cell(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    if let Err(error) = core.heap.charge(0) {
        return Err(core.fail(error));
    }
    let value = core::mem::take(&mut register!(window, insn.a));
    register!(window, insn.a) = Value::Cell(Rc::new(CellObj::new(value)));
    Ok(())
}

#[inline(never)]
pub(super) fn store_cell(window: &mut Window, insn: &Insn, value: Value) {
    match &register!(window, insn.a) {
        Value::Cell(cell) => cell.set(value),
        _ => {
            register!(window, insn.a) = Value::Cell(Rc::new(CellObj::new(value)));
        }
    }
}

/// Checks the bounds of a range. Bounds past 64 bits become a list. Says whether there may be a round.
#[inline(never)]
pub(super) fn prepare_range(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
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
pub(super) fn end_range(window: &mut Window, insn: &Insn) {
    let at = usize::from(insn.a);
    let is_rising = matches!(window[(at + 2) & 255], Value::Int(step) if step > 0);
    let end = if is_rising { i64::MAX } else { i64::MIN };
    window[at] = Value::Int(end);
    window[(at + 1) & 255] = Value::Int(end);
}

/// The next item of a range that became a list.
#[cold]
#[inline(never)]
pub(super) fn next_range_item(window: &mut Window, insn: &Insn) -> bool {
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
pub(super) fn prepare_iteration(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(super) fn next_item(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<bool> {
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

#[inline(never)]
pub(super) fn new_list(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let made = ListObj::new(&core.heap).and_then(|mut list| {
        if insn.d > 0 {
            list.reserve(insn.d as usize)?;
        }
        Ok(list)
    });
    match made {
        Ok(list) => {
            put(&mut register!(window, insn.a), Value::List(Rc::new(list)));
            Ok(())
        }
        Err(error) => Err(core.fail(error)),
    }
}

#[inline(never)]
pub(super) fn length(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.length(&register!(window, insn.b));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn append(core: &mut Core, window: &mut Window, insn: &Insn, item: Value) -> Step {
    let target = &mut register!(window, insn.a);
    let appended = match target {
        Value::List(_) => core.unpinned(target, |core, list| core.append(list, item)),
        other => core.append(other, item),
    };
    appended.map(drop).map_err(|error| core.fail(error))
}

/// `container[key]`
#[inline]
fn index(core: &mut Core, container: &Value, key: &Value) -> Result<Value, NativeError> {
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

#[inline(never)]
pub(super) fn get_index(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = index(core, &register!(window, insn.b), &register!(window, insn.c));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn get_index_temp(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let container = core::mem::take(&mut register!(window, insn.b));
    let result = index(core, &container, &register!(window, insn.c));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn get_index_int(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let key = Value::Int(i64::from(insn.d));
    let result = index(core, &register!(window, insn.b), &key);
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn get_index_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    match core.read_slot(insn.d as u32) {
        Some(container) => {
            let result = index(core, &container, &register!(window, insn.b));
            finish(core, window, insn, result)
        }
        None => Err(unknown_global(core, insn.d as u32)),
    }
}

/// The key of a store, unless the program must say first how it hashes.
fn store_key(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<Value> {
    let key = &register!(window, insn.b);
    if super::flow::needs_hash(key) {
        let call = core.prelude_call("_hash_of", Vec::from([key.clone()]));
        return Err(core.halt(Stop::Retry(call, NOWHERE)));
    }
    Ok(key.clone())
}

/// `r[a][r[b]] = value` where the key is an integer.
#[inline(never)]
pub(super) fn set_index(core: &mut Core, window: &mut Window, insn: &Insn, value: Value) -> Step {
    let key = register!(window, insn.b).clone();
    let stored = core.unpinned(&mut register!(window, insn.a), |core, container| {
        core.set_index(container, &key, value)
    });
    stored.map_err(|error| core.fail(error))
}

/// `r[a][r[b]] = r[c]`
#[inline(never)]
pub(super) fn set_index_of_any(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let key = store_key(core, window, insn)?;
    let value = take_or_share(&mut register!(window, insn.c), insn.d == 1);
    let stored = core.unpinned(&mut register!(window, insn.a), |core, container| {
        core.set_index(container, &key, value)
    });
    stored.map_err(|error| core.fail(error))
}

/// Global `d` `[r[b]] = value` where the key is an integer.
#[inline(never)]
pub(super) fn set_index_global(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    value: Value,
) -> Step {
    core.set_index_global(insn.d as u32, &register!(window, insn.b), value)
        .map_err(|error| core.fail(error))
}

/// Global `d` `[r[b]] = r[c]`
#[inline(never)]
pub(super) fn set_index_global_of_any(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let key = store_key(core, window, insn)?;
    let value = take_or_share(&mut register!(window, insn.c), insn.a == 1);
    core.set_index_global(insn.d as u32, &key, value)
        .map_err(|error| core.fail(error))
}

#[inline(never)]
pub(super) fn get_attribute(
    core: &mut Core,
    code: &Code,
    window: &mut Window,
    insn: &Insn,
) -> Step {
    let Some(site) = code.sites.get(insn.d as usize) else {
        return Ok(());
    };
    let holder = &register!(window, insn.b);
    if let Value::Instance(instance) = holder
        && let Some(slot) = instance.with_class(|class| class.slot(site.name))
    {
        site.slot.set(slot.0);
        site.stamp.set(instance.class_stamp());
    }
    let result = core.attribute(holder, site.name);
    finish(core, window, insn, result)
}

#[inline(never)]
pub(super) fn set_attribute(
    core: &mut Core,
    code: &Code,
    window: &mut Window,
    insn: &Insn,
    value: Value,
) -> Step {
    let Some(site) = code.sites.get(insn.d as usize) else {
        return Ok(());
    };
    let holder = &register!(window, insn.a);
    if let Value::Instance(instance) = holder
        && let Some(slot) = instance.with_class(|class| class.slot_for_write(site.name))
    {
        site.slot.set(slot.0);
        site.stamp.set(instance.class_stamp());
    }
    core.set_attribute(holder, site.name, value)
        .map_err(|error| core.fail(error))
}

/// A new instance of the class in global `d`, in front of the arguments of its `__init__`.
#[inline(never)]
pub(super) fn construct(core: &mut Core, window: &mut Window, insn: &Insn) -> Step<Value> {
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
pub(super) fn call_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(super) fn call(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(super) fn leave(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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

#[inline(never)]
pub(super) fn print(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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

/// The instructions that work on a place.
#[inline(never)]
pub(super) fn place(core: &mut Core, frame: &Frame, window: &mut Window, insn: &Insn) -> Step {
    let class = match &frame.subject {
        Value::Class(class) => Some(class.clone()),
        _ => None,
    };
    let code = frame.function.code.clone();
    let mut site = Site {
        window,
        function: &frame.function,
        class,
    };
    match core.place_operation(&mut site, &code, *insn) {
        Ok(()) => Ok(()),
        Err(Obstacle::Error(error)) if core.again.take().is_some() => {
            Err(core.halt(Stop::Retry(error, NOWHERE)))
        }
        Err(Obstacle::Error(error)) => {
            let to = if insn.op == Op::PlaceLoad {
                insn.a
            } else {
                NOWHERE
            };
            Err(core.fault_to(error, to, FrameKind::Normal))
        }
        Err(Obstacle::Method { call, step }) => {
            let scratch = core.consume_keys(window, &code, *insn, step);
            Err(core.halt(Stop::Retry(call, scratch)))
        }
    }
}

/// The item of a built-in iterable at a cursor, and the cursor after it.
pub(crate) type ItemAndCursor = Option<(Value, i64)>;

impl Core {
    /// Does an instruction that needs the whole thread, and notes where the call goes on.
    #[inline(never)]
    pub(super) fn uncommon_step(
        &mut self,
        thread: &mut Thread,
        base: usize,
        insn: Insn,
        pc: usize,
    ) -> Step {
        if let Err(stop) = self.uncommon(thread, base, insn, pc) {
            return Err(self.halt(stop));
        }
        let jump = self.take_jump();
        if let Some(frame) = thread.frames.last_mut() {
            frame.pc = (pc as isize + jump as isize) as u32;
        }
        Ok(())
    }

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
