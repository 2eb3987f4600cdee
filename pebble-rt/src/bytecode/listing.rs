//! Bytecode for people: `pebble dis`.

use super::op::{Insn, NOWHERE, Op};
use super::unit::{Constant, NameIndex, Proto, Unit};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

/// All functions of a compiled file: instruction number, line, operation, registers, number, and what the number stands for.
pub fn listing(unit: &Unit) -> String {
    let mut text = String::new();
    for (index, function) in unit.functions.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        list_function(unit, index, function, &mut text);
    }
    text
}

fn name(unit: &Unit, index: NameIndex) -> &str {
    unit.names.get(index as usize).map_or("?", |name| name)
}

fn list_function(unit: &Unit, index: usize, function: &Proto, text: &mut String) {
    let parameters: Vec<&str> = function
        .parameters
        .positional
        .iter()
        .map(|parameter| name(unit, *parameter))
        .collect();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "function {index} {}({}): {:?}, {} registers",
        name(unit, function.name),
        parameters.join(", "),
        function.kind,
        function.registers
    );
    for (register, variable) in &function.variables {
        let _ = writeln!(text, "      r{register} is {}", name(unit, *variable));
    }
    let mut last_line = 0;
    for (at, instruction) in function.code.iter().enumerate() {
        let line = line_at(function, at);
        let shown = if line == last_line {
            String::new()
        } else {
            line.to_string()
        };
        last_line = line;
        let note = note(unit, function, at, *instruction);
        let separator = if note.is_empty() { "" } else { "  ; " };
        let Insn { op, a, b, c, d } = *instruction;
        let registers = format!(
            "{:>4} {:>4} {:>4} {d:>6}",
            register(a),
            register(b),
            register(c)
        );
        let _ = writeln!(
            text,
            "{at:5} {shown:>5}  {:20} {registers}{separator}{note}",
            op.name()
        );
    }
    for handler in &function.handlers {
        let _ = writeln!(
            text,
            "      errors in {}..{} go to {}",
            handler.start, handler.end, handler.target
        );
    }
}

fn register(number: u8) -> String {
    if number == NOWHERE {
        "-".into()
    } else {
        number.to_string()
    }
}

fn line_at(function: &Proto, at: usize) -> u32 {
    let after = function
        .lines
        .partition_point(|(start, _)| *start as usize <= at);
    after
        .checked_sub(1)
        .and_then(|index| function.lines.get(index))
        .map_or(0, |(_, line)| *line)
}

/// What the number of an instruction means.
fn note(unit: &Unit, function: &Proto, at: usize, instruction: Insn) -> String {
    let index = usize::try_from(instruction.d).unwrap_or(usize::MAX);
    let named = |index: Option<&NameIndex>| {
        index.map_or_else(String::new, |index| name(unit, *index).to_string())
    };
    match instruction.op {
        Op::LoadConst | Op::Fail => function
            .constants
            .get(index)
            .map_or_else(String::new, |one| constant(unit, one)),
        Op::LoadGlobal
        | Op::StoreGlobal
        | Op::StoreFunction
        | Op::StoreNested
        | Op::DeleteGlobal
        | Op::StoreClass
        | Op::StoreMethod
        | Op::DeleteClass
        | Op::GetIndexGlobal
        | Op::SetIndexGlobal
        | Op::AppendGlobal
        | Op::CallGlobal
        | Op::ImportFrom => unit
            .names
            .get(index)
            .map_or_else(String::new, ToString::to_string),
        Op::LoadChecked
        | Op::LoadChain
        | Op::LoadCallee
        | Op::LoadCell
        | Op::LoadCaptured
        | Op::Require => named(function.chains.get(index).map(|chain| &chain.name)),
        Op::GetAttr
        | Op::SetAttr
        | Op::DeleteAttr
        | Op::GetSuper
        | Op::CallMethod
        | Op::CallSuper => named(function.sites.get(index)),
        Op::MakeFunction | Op::MakeClass => {
            named(unit.functions.get(index).map(|inner| &inner.name))
        }
        Op::Import => function
            .imports
            .get(index)
            .map_or_else(String::new, |import| {
                let parts: Vec<&str> = import.parts.iter().map(|part| name(unit, *part)).collect();
                parts.join(".")
            }),
        Op::JumpLessInt
        | Op::JumpNotLessInt
        | Op::JumpLessEqualInt
        | Op::JumpNotLessEqualInt
        | Op::JumpGreaterInt
        | Op::JumpNotGreaterInt
        | Op::JumpGreaterEqualInt
        | Op::JumpNotGreaterEqualInt
        | Op::JumpEqualInt
        | Op::JumpNotEqualInt => {
            format!(
                "with {}, to {}",
                instruction.immediate(),
                target(at, instruction.short_jump())
            )
        }
        op if is_jump(op) => format!("to {}", target(at, instruction.d)),
        _ => String::new(),
    }
}

fn is_jump(op: Op) -> bool {
    matches!(
        op,
        Op::Jump
            | Op::JumpTrue
            | Op::JumpFalse
            | Op::JumpLess
            | Op::JumpNotLess
            | Op::JumpLessEqual
            | Op::JumpNotLessEqual
            | Op::JumpEqual
            | Op::JumpNotEqual
            | Op::RangePrepare
            | Op::RangeNext
            | Op::IterNext
            | Op::ErrorMismatch
            | Op::JumpNotErrorClass
    )
}

fn target(at: usize, distance: i32) -> i64 {
    at as i64 + 1 + i64::from(distance)
}

fn constant(unit: &Unit, constant: &Constant) -> String {
    match constant {
        Constant::None => "None".into(),
        Constant::Int(value) => value.to_string(),
        Constant::Big(digits, radix) => format!("{} in base {radix}", name(unit, *digits)),
        Constant::Float(value) => format!("{value:?}"),
        Constant::Text(text) => format!("{:?}", name(unit, *text)),
        Constant::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Constant::Names(names) => {
            let names: Vec<&str> = names.iter().map(|index| name(unit, *index)).collect();
            format!("({})", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::disassemble;

    #[test]
    fn a_listing_names_what_numbers_stand_for() {
        let text =
            disassemble("def f(n):\n    return g(n) + 1\nprint f(\"x\").y\n").expect("it compiles");
        for expected in ["function 0", "f(n): Function", "; g", "\"x\"", "; y"] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
        assert!(disassemble("x = = 1").is_err());
    }
}
