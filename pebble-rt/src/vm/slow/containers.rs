//! Lists, dicts, attributes and places.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Code, Insn, NOWHERE, Op};
use crate::error::NativeError;
use crate::value::{ListObj, Value};
use crate::vm::Core;
use crate::vm::access::position;
use crate::vm::places::{Obstacle, Site};
use crate::vm::registers::{Window, put, take_or_share};
use crate::vm::stop::{Step, Stop};
use crate::vm::thread::{Frame, FrameKind};

use super::finish;
use super::names::unknown_global;

#[inline(never)]
pub(in crate::vm) fn new_list(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
pub(in crate::vm) fn length(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = core.length(&register!(window, insn.b));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn append(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    item: Value,
) -> Step {
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
pub(in crate::vm) fn get_index(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let result = index(core, &register!(window, insn.b), &register!(window, insn.c));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn get_index_temp(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let container = core::mem::take(&mut register!(window, insn.b));
    let result = index(core, &container, &register!(window, insn.c));
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn get_index_int(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    let key = Value::Int(i64::from(insn.d));
    let result = index(core, &register!(window, insn.b), &key);
    finish(core, window, insn, result)
}

#[inline(never)]
pub(in crate::vm) fn get_index_global(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
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
    if crate::vm::flow::needs_hash(key) {
        let call = core.prelude_call("_hash_of", Vec::from([key.clone()]));
        return Err(core.halt(Stop::Retry(call, NOWHERE)));
    }
    Ok(key.clone())
}

/// `r[a][r[b]] = r[c]` if that is an entry which a dict has already and nobody else holds the dict.
#[inline(always)]
fn replace_entry(window: &mut Window, insn: &Insn) -> bool {
    if insn.a == insn.b || insn.a == insn.c {
        return false;
    }
    // The dict is out of its register meanwhile, which leaves the key and the value free to be used.
    let mut container = core::mem::take(&mut register!(window, insn.a));
    let mut is_done = false;
    if let Value::Dict(dict) = &mut container
        && let Some(dict) = Rc::get_mut(dict)
        && let Some(place) = dict.peek_mut(&register!(window, insn.b))
    {
        put(
            place,
            take_or_share(&mut register!(window, insn.c), insn.d == 1),
        );
        is_done = true;
    }
    put(&mut register!(window, insn.a), container);
    is_done
}

/// `r[a][r[b]] = value` where the key is an integer.
#[inline(never)]
pub(in crate::vm) fn set_index(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    value: Value,
) -> Step {
    let key = register!(window, insn.b).clone();
    store_index(core, window, insn, &key, value)
}

/// `r[a][r[b]] = r[c]`
#[inline(never)]
pub(in crate::vm) fn set_index_of_any(core: &mut Core, window: &mut Window, insn: &Insn) -> Step {
    if replace_entry(window, insn) {
        return Ok(());
    }
    let key = store_key(core, window, insn)?;
    let value = take_or_share(&mut register!(window, insn.c), insn.d == 1);
    store_index(core, window, insn, &key, value)
}

fn store_index(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    key: &Value,
    value: Value,
) -> Step {
    let stored = core.unpinned(&mut register!(window, insn.a), |core, container| {
        core.set_index(container, key, value)
    });
    stored.map_err(|error| core.fail(error))
}

/// Global `d` `[r[b]] = value` where the key is an integer.
#[inline(never)]
pub(in crate::vm) fn set_index_global(
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
pub(in crate::vm) fn set_index_global_of_any(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
) -> Step {
    let key = store_key(core, window, insn)?;
    let value = take_or_share(&mut register!(window, insn.c), insn.a == 1);
    core.set_index_global(insn.d as u32, &key, value)
        .map_err(|error| core.fail(error))
}

#[inline(never)]
pub(in crate::vm) fn get_attribute(
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
pub(in crate::vm) fn set_attribute(
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

/// The instructions that work on a place.
#[inline(never)]
pub(in crate::vm) fn place(
    core: &mut Core,
    frame: &Frame,
    window: &mut Window,
    insn: &Insn,
) -> Step {
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
