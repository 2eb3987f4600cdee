//! The function being compiled: its registers, labels and tables.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::bytecode::{Chain, CodeKind, Constant, Handler, Insn, NameIndex, Op, Proto, Step};
use crate::syntax::ast::Name;

use super::{Compiler, Result};

/// The last register that code may use.
const LAST_REGISTER: u8 = 249;

/// Registers set aside for constants that loops use.
const CONSTANT_REGISTERS: u8 = 16;

/// A variable of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variable {
    pub(super) register: u8,
    /// Whether the register holds a cell that inner functions share.
    pub(super) is_cell: bool,
}

/// A place in the code that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A set of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registers([u64; 4]);

impl Registers {
    pub(super) const NONE: Registers = Registers([0; 4]);
    pub(super) const ALL: Registers = Registers([u64::MAX; 4]);

    pub(super) fn has(&self, register: u8) -> bool {
        self.0[usize::from(register >> 6)] & 1 << (register & 63) != 0
    }

    pub(super) fn add(&mut self, register: u8) {
        self.0[usize::from(register >> 6)] |= 1 << (register & 63);
    }

    pub(super) fn remove(&mut self, register: u8) {
        self.0[usize::from(register >> 6)] &= !(1 << (register & 63));
    }

    pub(super) fn or(self, other: Registers) -> Registers {
        Registers(core::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    pub(super) fn and(self, other: Registers) -> Registers {
        Registers(core::array::from_fn(|at| self.0[at] & other.0[at]))
    }
}

/// A loop around the current place.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) exit: Label,
    pub(super) next: Label,
    /// How many `finally` blocks were open at the loop.
    pub(super) finally_depth: usize,
}

/// A `finally` (or `with`) block around the current place.
#[derive(Clone, Debug)]
pub(super) struct Finally {
    /// Where the block begins.
    pub(super) entry: Label,
    /// Holds what to do after the block: 0 go on, 1 raise again, then the exits.
    pub(super) state: u8,
    /// The error or the value being returned.
    pub(super) value: u8,
    /// What else to do after the block, numbered from 2.
    pub(super) exits: Vec<Exit>,
}

/// Why a `finally` block is entered on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Return,
    Jump { to: Label, finally_depth: usize },
}

/// The function being compiled.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) proto: Proto,
    /// Variables by block: the function's own, then those of comprehensions inside.
    pub(super) blocks: Vec<BTreeMap<Name, Variable>>,
    /// The first parameter of a method.
    pub(super) receiver: Option<Variable>,
    pub(super) global: BTreeSet<Name>,
    pub(super) nonlocal: BTreeSet<Name>,
    /// Captured cells, by the depth and register of their home.
    pub(super) captured: BTreeMap<(usize, u8), u8>,
    pub(super) definite: Registers,
    /// Registers among the temporaries that are variables of a comprehension.
    pub(super) protected: Registers,
    pub(super) is_reachable: bool,
    pub(super) first_temporary: u8,
    pub(super) next_temporary: u8,
    pub(super) loops: Vec<Loop>,
    pub(super) finallies: Vec<Finally>,
    /// Registers that hold the errors being handled, innermost last.
    pub(super) handled: Vec<u8>,
    pub(super) line: u32,
    labels: Vec<Option<u32>>,
    patches: Vec<(usize, Label, bool)>,
    constant_index: BTreeMap<ConstantKey, u32>,
    constant_registers: BTreeMap<u32, u8>,
    constant_room: core::ops::Range<u8>,
    /// Short forms are off after a function turned out too long for them.
    pub(super) is_wide: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ConstantKey {
    None,
    Int(i64),
    Float(u64),
    Text(NameIndex),
    Big(NameIndex, u32),
}

impl Function {
    pub(super) fn new(kind: CodeKind, name: NameIndex) -> Function {
        Function {
            proto: Proto {
                name,
                kind,
                ..Proto::default()
            },
            blocks: Vec::from([BTreeMap::new()]),
            receiver: None,
            global: BTreeSet::new(),
            nonlocal: BTreeSet::new(),
            captured: BTreeMap::new(),
            definite: Registers::NONE,
            protected: Registers::NONE,
            is_reachable: true,
            first_temporary: 0,
            next_temporary: 0,
            loops: Vec::new(),
            finallies: Vec::new(),
            handled: Vec::new(),
            line: 1,
            labels: Vec::new(),
            patches: Vec::new(),
            constant_index: BTreeMap::new(),
            constant_registers: BTreeMap::new(),
            constant_room: 0..0,
            is_wide: false,
        }
    }

    /// Whether names bound here are attributes of a class.
    pub(super) fn is_class_body(&self) -> bool {
        self.proto.kind == CodeKind::ClassBody
    }

    /// Whether this is directly in a class.
    pub(super) fn is_method(&self) -> bool {
        matches!(
            self.proto.kind,
            CodeKind::Method | CodeKind::GeneratorMethod
        )
    }
}

impl Compiler<'_> {
    pub(super) fn emit(&mut self, op: Op, a: u8, b: u8, c: u8, d: i32) -> usize {
        let function = self.function();
        let at = function.proto.code.len();
        let line = function.line;
        if function
            .proto
            .lines
            .last()
            .is_none_or(|(_, last)| *last != line)
        {
            function.proto.lines.push((at as u32, line));
        }
        function.proto.code.push(Insn::new(op, a, b, c, d));
        at
    }

    pub(super) fn here(&mut self) -> u32 {
        self.function().proto.code.len() as u32
    }

    pub(super) fn new_label(&mut self) -> Label {
        let function = self.function();
        function.labels.push(None);
        Label(function.labels.len() - 1)
    }

    pub(super) fn place_label(&mut self, label: Label) {
        let here = self.here();
        self.function().labels[label.0] = Some(here);
    }

    /// Emits a jump whose distance is all of `d`.
    pub(super) fn emit_jump(&mut self, op: Op, a: u8, b: u8, c: u8, to: Label) {
        let at = self.emit(op, a, b, c, 0);
        self.function().patches.push((at, to, false));
    }

    /// Emits a jump that compares with a small number.
    pub(super) fn emit_short_jump(&mut self, op: Op, a: u8, number: i16, to: Label) {
        let at = self.emit(op, a, 0, 0, i32::from(number) << 16);
        self.function().patches.push((at, to, true));
    }

    /// A new temporary.
    pub(super) fn temporary(&mut self) -> Result<u8> {
        let function = self.function();
        let register = function.next_temporary;
        if register > LAST_REGISTER {
            return self.too_large("this needs too many values at once; split it up");
        }
        function.next_temporary += 1;
        function.proto.registers = function.proto.registers.max(register + 1);
        Ok(register)
    }

    pub(super) fn is_temporary(&mut self, register: u8) -> bool {
        let function = self.function();
        register >= function.first_temporary && !function.protected.has(register)
    }

    pub(super) fn mark(&mut self) -> u8 {
        self.function().next_temporary
    }

    pub(super) fn release_to(&mut self, mark: u8) {
        self.function().next_temporary = mark;
    }

    /// A register for a variable. Only before the first temporary, or as the lowest of them in a comprehension.
    pub(super) fn variable_register(&mut self) -> Result<u8> {
        let function = self.function();
        if function.next_temporary > LAST_REGISTER - 60 {
            return self.too_large("this function has too many variables");
        }
        self.temporary()
    }

    /// Ends the registers of variables; what follows are temporaries.
    pub(super) fn reserve_constants(&mut self, has_loop: bool) {
        let function = self.function();
        let start = function.next_temporary;
        if has_loop && start < LAST_REGISTER - 100 {
            function.constant_room = start..start + CONSTANT_REGISTERS;
            function.next_temporary = start + CONSTANT_REGISTERS;
        }
        function.first_temporary = function.next_temporary;
    }

    pub(super) fn constant(&mut self, constant: Constant) -> u32 {
        let key = match &constant {
            Constant::None => Some(ConstantKey::None),
            Constant::Int(number) => Some(ConstantKey::Int(*number)),
            Constant::Float(number) => Some(ConstantKey::Float(number.to_bits())),
            Constant::Text(name) => Some(ConstantKey::Text(*name)),
            Constant::Big(digits, radix) => Some(ConstantKey::Big(*digits, *radix)),
            Constant::Bytes(_) | Constant::Names(_) => None,
        };
        let function = self.function();
        if let Some(index) = key
            .as_ref()
            .and_then(|key| function.constant_index.get(key))
        {
            return *index;
        }
        let index = function.proto.constants.len() as u32;
        function.proto.constants.push(constant);
        if let Some(key) = key {
            function.constant_index.insert(key, index);
        }
        index
    }

    /// A register that holds a constant for good, inside loops and while there is room.
    pub(super) fn constant_register(&mut self, index: u32) -> Option<u8> {
        let function = self.function();
        if let Some(register) = function.constant_registers.get(&index) {
            return Some(*register);
        }
        if function.loops.is_empty() {
            return None;
        }
        let register = function.constant_room.next()?;
        function.proto.registers = function.proto.registers.max(register + 1);
        function.constant_registers.insert(index, register);
        Some(register)
    }

    pub(super) fn site(&mut self, name: NameIndex) -> i32 {
        let sites = &mut self.function().proto.sites;
        sites.push(name);
        (sites.len() - 1) as i32
    }

    pub(super) fn chain(&mut self, name: NameIndex, steps: Vec<Step>) -> i32 {
        let chains = &mut self.function().proto.chains;
        let chain = Chain { name, steps };
        if let Some(known) = chains.iter().position(|known| *known == chain) {
            return known as i32;
        }
        chains.push(chain);
        (chains.len() - 1) as i32
    }

    pub(super) fn handler(&mut self, start: u32, end: u32, target: u32) {
        if start < end {
            self.function()
                .proto
                .handlers
                .push(Handler { start, end, target });
        }
    }

    /// Ends a function: falling off the end returns 0.
    pub(super) fn emit_end(&mut self) {
        self.emit(Op::ReturnZero, 0, 0, 0, 0);
    }

    /// Takes the innermost function off the stack, with its jumps resolved and its constants loaded at the start.
    pub(super) fn finish(&mut self) -> Result<Proto> {
        let line = self.function().line;
        let Some(mut function) = self.functions.pop() else {
            return Err(super::CompileError {
                line,
                message: "no function to end".into(),
            });
        };
        let patches = core::mem::take(&mut function.patches);
        for (at, label, is_short) in patches {
            let target = function.labels[label.0].unwrap_or(0) as i32;
            let distance = target - at as i32 - 1;
            let insn = &mut function.proto.code[at];
            if !is_short {
                insn.d = distance;
                continue;
            }
            match i16::try_from(distance) {
                Ok(short) => insn.d = insn.d & !0xFFFF | i32::from(short) & 0xFFFF,
                Err(_) => {
                    let message = "this function is too long".into();
                    return Err(super::CompileError {
                        line: function.line,
                        message,
                    });
                }
            }
        }
        prepend_constants(&mut function);
        Ok(function.proto)
    }
}

fn prepend_constants(function: &mut Function) {
    let count = function.constant_registers.len();
    if count == 0 {
        return;
    }
    let proto = &mut function.proto;
    let loads = function.constant_registers.iter().map(|(index, register)| {
        match proto.constants[*index as usize] {
            Constant::Int(number) if i32::try_from(number).is_ok() => {
                Insn::new(Op::LoadInt, *register, 0, 0, number as i32)
            }
            Constant::None => Insn::new(Op::LoadNone, *register, 0, 0, 0),
            _ => Insn::new(Op::LoadConst, *register, 0, 0, *index as i32),
        }
    });
    let loads: Vec<Insn> = loads.collect();
    proto.code.splice(0..0, loads);
    let shift = count as u32;
    proto
        .lines
        .iter_mut()
        .skip(1)
        .for_each(|(at, _)| *at += shift);
    for handler in &mut proto.handlers {
        handler.start += shift;
        handler.end += shift;
        handler.target += shift;
    }
}
