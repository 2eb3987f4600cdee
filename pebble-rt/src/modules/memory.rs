//! `memory` and `heap` (language sections 18.5 and 18.6): the cell array of a program.

use super::arguments::{count, expects, integer, list};
use super::cells::{CellError, Cells, HeapMark};
use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeResult};
use crate::value::{Value, order};

/// What a cell holds at first.
const ZERO: Value = Value::Int(0);

/// The program's cells, and what they are charged to its account.
#[derive(Debug, Default)]
struct ProgramCells {
    cells: Cells<Value>,
    charged_bytes: usize,
}

impl From<CellError> for NativeError {
    fn from(error: CellError) -> NativeError {
        let class = if error == CellError::OutOfMemory {
            ErrorClass::Memory
        } else {
            ErrorClass::Value
        };
        NativeError::new(class, alloc::string::ToString::to_string(&error))
    }
}

fn index(args: &[Value], at: usize, name: &str) -> Result<i64, NativeError> {
    integer(args, at, name, "an integer")
}

fn cells<'a>(cx: &'a mut NativeContext<'_>) -> &'a mut Cells<Value> {
    &mut cx.state::<ProgramCells>().cells
}

/// Makes the array anew, charging the account for it.
fn init(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    shown: &'static str,
) -> NativeResult {
    let size = index(args, 0, name)?;
    let before = cx.state::<ProgramCells>().charged_bytes;
    let bytes = usize::try_from(size)
        .unwrap_or(0)
        .saturating_mul(size_of::<Value>());
    cx.charge(bytes / 256)?;
    cx.heap().charge(bytes)?;
    let state = cx.state::<ProgramCells>();
    if let Err(error) = state.cells.init(shown, size, &ZERO) {
        cx.heap().credit(bytes);
        return Err(error.into());
    }
    state.charged_bytes = bytes;
    cx.heap().credit(before);
    Ok(args[0].clone())
}

/// The values from one cell to another, as a list.
fn copied(
    cx: &mut NativeContext<'_>,
    values: Result<alloc::vec::Vec<Value>, CellError>,
) -> NativeResult {
    let values = values?;
    cx.charge(1 + values.len() / 4)?;
    Ok(cx.heap().list(values)?)
}

fn payload_size(cell: &Value) -> Option<i64> {
    cell.as_int()
}

/// `memory`.
pub mod flat {
    use super::super::table::native_module;
    use super::*;
    use crate::system::Family;

    native_module! {
        "memory", Family::Core;
        plain {
            "init" as "memory_init" (1, 1) |cx, args| init(cx, args, "memory_init", "memory.init");
            "size" as "memory_size" (0, 0) |cx, _| Ok(count(cells(cx).size()));
            "read" as "memory_read" (1, 1) read;
            "write" as "memory_write" (2, 2) write;
            "clear" as "memory_clear" (0, 0) clear;
            "fill" as "memory_fill" (1, 1) fill;
            "copy" as "memory_copy" (3, 3) |cx, args| transfer(cx, args, "memory_copy", "memory.copy");
            "move" as "memory_move" (3, 3) |cx, args| transfer(cx, args, "memory_move", "memory.move");
            "slice" as "memory_slice" (2, 2) slice;
            "store" as "memory_store" (2, 2) store;
            "zero" as "memory_zero" (2, 2) zero;
            "compare" as "memory_compare" (3, 3) compare;
            "dump" as "memory_dump" (0, 0) dump;
            "alloc" as "memory_alloc" (1, 1) alloc;
            "top" as "memory_top" (0, 0) |cx, _| Ok(Value::Int(cells(cx).top()));
            "mark" as "memory_mark" (0, 0) |cx, _| Ok(Value::Int(cells(cx).top()));
            "reset" as "memory_reset" (1, 1) reset;
        }
        own {}
        constants {}
    }

    fn read(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let at = index(args, 0, "memory_read")?;
        Ok(cells(cx).read(at)?.clone())
    }

    fn write(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let at = index(args, 0, "memory_write")?;
        cells(cx).write(at, args[1].clone())?;
        Ok(args[1].clone())
    }

    fn clear(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
        let size = cells(cx).size();
        cx.charge(1 + size / 16)?;
        cells(cx).clear(&ZERO);
        Ok(count(size))
    }

    fn fill(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let size = cells(cx).size();
        cx.charge(1 + size / 16)?;
        cells(cx).fill(&args[0]);
        Ok(count(size))
    }

    fn transfer(
        cx: &mut NativeContext<'_>,
        args: &[Value],
        name: &str,
        shown: &'static str,
    ) -> NativeResult {
        let (source, target, length) = (
            index(args, 0, name)?,
            index(args, 1, name)?,
            index(args, 2, name)?,
        );
        let most = cells(cx).size();
        cx.charge(usize::try_from(length).unwrap_or(0).min(most) / 8 + 1)?;
        cells(cx).copy(shown, source, target, length)?;
        Ok(Value::Int(length))
    }

    fn slice(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let (base, length) = (
            index(args, 0, "memory_slice")?,
            index(args, 1, "memory_slice")?,
        );
        let values = cells(cx).slice(base, length).map(<[Value]>::to_vec);
        copied(cx, values)
    }

    fn store(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let base = index(args, 0, "memory_store")?;
        let values = list(args, 1, "memory_store", "a list")?;
        cells(cx).store(base, values)?;
        Ok(count(values.len()))
    }

    fn zero(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let (base, length) = (
            index(args, 0, "memory_zero")?,
            index(args, 1, "memory_zero")?,
        );
        cells(cx).zero(base, length, &ZERO)?;
        Ok(Value::Int(length))
    }

    fn compare(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let name = "memory_compare";
        let (left, right, length) = (
            index(args, 0, name)?,
            index(args, 1, name)?,
            index(args, 2, name)?,
        );
        let ordering = cells(cx).compare(left, right, length, |a, b| match order(a, b) {
            Ok(ordering) => Ok(ordering.unwrap_or(core::cmp::Ordering::Equal)),
            Err(_) => Err(expects(name, "cells that have an order")),
        })?;
        Ok(Value::Int(ordering as i64))
    }

    fn dump(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
        let values = Ok(cells(cx).all().to_vec());
        copied(cx, values)
    }

    fn alloc(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let size = index(args, 0, "memory_alloc")?;
        Ok(Value::Int(cells(cx).alloc(size)?))
    }

    fn reset(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let mark = index(args, 0, "memory_reset")?;
        cells(cx).reset(mark)?;
        Ok(Value::Int(mark))
    }
}

/// `heap`.
pub mod objects {
    use super::super::table::native_module;
    use super::*;
    use crate::system::Family;

    native_module! {
        "heap", Family::Core;
        plain {
            "init" as "heap_init" (1, 1) |cx, args| init(cx, args, "heap_init", "heap.init");
            "capacity" as "heap_capacity" (0, 0) |cx, _| Ok(count(cells(cx).size()));
            "used" as "heap_used" (0, 0) |cx, _| Ok(Value::Int(cells(cx).heap_used()));
            "count" as "heap_count" (0, 0) |cx, _| Ok(Value::Int(cells(cx).heap_count()));
            "alloc" as "heap_alloc" (2, 2) alloc;
            "kind" as "heap_kind" (1, 1) kind;
            "size" as "heap_size" (1, 1) size;
            "read" as "heap_read" (2, 2) read;
            "write" as "heap_write" (3, 3) write;
            "store" as "heap_store" (2, 2) store;
            "slice" as "heap_slice" (1, 1) slice;
            "mark" as "heap_mark" (0, 0) mark;
            "reset" as "heap_reset" (1, 1) reset;
        }
        own {}
        constants {}
    }

    fn alloc(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let size = index(args, 1, "heap_alloc")?;
        let most = cells(cx).size();
        cx.charge(1 + usize::try_from(size).unwrap_or(0).min(most) / 16)?;
        Ok(Value::Int(cells(cx).heap_alloc(
            args[0].clone(),
            size,
            &ZERO,
            Value::Int,
        )?))
    }

    fn kind(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let pointer = index(args, 0, "heap_kind")?;
        Ok(cells(cx).heap_kind(pointer)?.clone())
    }

    fn size(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let pointer = index(args, 0, "heap_size")?;
        Ok(Value::Int(cells(cx).heap_size(pointer, payload_size)?))
    }

    fn read(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let (pointer, offset) = (index(args, 0, "heap_read")?, index(args, 1, "heap_read")?);
        let cell = cells(cx).heap_cell("read", pointer, offset, payload_size)?;
        Ok(cells(cx).read(cell)?.clone())
    }

    fn write(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let (pointer, offset) = (index(args, 0, "heap_write")?, index(args, 1, "heap_write")?);
        let cell = cells(cx).heap_cell("write", pointer, offset, payload_size)?;
        cells(cx).write(cell, args[2].clone())?;
        Ok(args[2].clone())
    }

    fn store(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let pointer = index(args, 0, "heap_store")?;
        let values = list(args, 1, "heap_store", "a list")?;
        cells(cx).heap_store(pointer, values, payload_size)?;
        Ok(count(values.len()))
    }

    fn slice(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let pointer = index(args, 0, "heap_slice")?;
        let values = cells(cx)
            .heap_slice(pointer, payload_size)
            .map(<[Value]>::to_vec);
        copied(cx, values)
    }

    fn mark(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
        let mark = cells(cx).heap_mark();
        let mut pair = cx.heap().values(2)?;
        pair.extend([Value::Int(mark.next), Value::Int(mark.count)]);
        Ok(cx.heap().list(pair)?)
    }

    fn reset(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let wanted =
            || NativeError::type_error("heap.reset() expects a mark created by heap.mark()");
        let pair = list(args, 0, "heap_reset", "a mark").map_err(|_| wanted())?;
        let (2, Some(next), Some(objects)) = (
            pair.len(),
            pair.first().and_then(Value::as_int),
            pair.get(1).and_then(Value::as_int),
        ) else {
            return Err(wanted());
        };
        cells(cx).heap_reset(HeapMark {
            next,
            count: objects,
        })?;
        Ok(Value::Int(next))
    }
}
