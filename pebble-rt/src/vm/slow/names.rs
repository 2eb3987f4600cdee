//! Names that are no set variable, and variables with homes of their own.

use alloc::rc::Rc;

use crate::bytecode::{Insn, Op};
use crate::symbol::Symbol;
use crate::value::{CellObj, Value};
use crate::vm::Core;
use crate::vm::registers::{Window, put};
use crate::vm::stop::{Halted, Step};
use crate::vm::thread::Frame;

/// The variable is unset: the function, nested function or builtin of that name.
#[inline(never)]
pub(in crate::vm) fn load_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let index = insn.d as u32;
    match core.read_slot(index) {
        Some(value) => {
            put(&mut register!(window, insn.a), value);
            Ok(())
        }
        None => Err(unknown_global(core, index)),
    }
}

pub(super) fn unknown_global(core: &mut Core, index: u32) -> Halted {
    let name = Symbol(core.slots[index as usize].name);
    let error = core.unknown_variable(name);
    core.fail(error)
}

/// The instructions that follow a chain.
#[inline(never)]
pub(in crate::vm) fn load_chain(
    core: &mut Core,
    frame: &Frame,
    window: &mut Window,
    insn: &Insn,
) -> Step {
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
pub(in crate::vm) fn change_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(in crate::vm) fn store_in_class(
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
pub(in crate::vm) fn make_cell(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    if let Err(error) = core.heap.charge(0) {
        return Err(core.fail(error));
    }
    let value = core::mem::take(&mut register!(window, insn.a));
    register!(window, insn.a) = Value::Cell(Rc::new(CellObj::new(value)));
    Ok(())
}

#[inline(never)]
pub(in crate::vm) fn store_cell(window: &mut Window, insn: &Insn, value: Value) {
    match &register!(window, insn.a) {
        Value::Cell(cell) => cell.set(value),
        _ => {
            register!(window, insn.a) = Value::Cell(Rc::new(CellObj::new(value)));
        }
    }
}
