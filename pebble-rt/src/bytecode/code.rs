//! The code of one function, bound to a machine: names are symbols and slots, constants are values.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};

use super::Insn;
use super::unit::{Capture, CodeKind, Handler, Place, Proto, Step, Unit};
use crate::symbol::Symbol;
use crate::value::{Function, Value, ValueCell};

/// The code of one function, bound to a machine.
#[derive(Debug)]
pub struct Code {
    /// The function's name.
    pub name: Rc<str>,
    /// What kind of code it is.
    pub kind: CodeKind,
    /// The module that its text form names: `<function m.f>`. `None` in the main program.
    pub module_prefix: Option<Rc<str>>,
    /// The file that errors in it are reported for.
    pub label: Rc<str>,
    /// The module it belongs to.
    pub module: u32,
    /// How many registers it uses.
    pub registers: u8,
    /// How many positional parameters it has, if they are all plain names; else a number that no call has.
    pub plain_parameters: u16,
    /// Its parameters.
    pub parameters: Parameters,
    /// Its instructions.
    pub insns: Box<[Insn]>,
    /// Constants.
    pub constants: Box<[Value]>,
    /// Attribute sites.
    pub sites: Box<[Site]>,
    /// Name lookups.
    pub chains: Box<[LinkedChain]>,
    /// Places.
    pub places: Box<[Place]>,
    /// Imports.
    pub imports: Box<[LinkedImport]>,
    /// Error handlers, inner before outer.
    pub handlers: Box<[Handler]>,
    /// Captured cells.
    pub captures: Box<[Capture]>,
    /// Which line instructions from which on belong to.
    pub lines: Box<[(u32, u32)]>,
    /// The registers of variables.
    pub variables: Box<[(u8, Symbol)]>,
    /// The file it was compiled with, by its number in the machine.
    pub unit: u32,
}

impl Code {
    /// The line that the instruction at `pc` belongs to.
    pub fn line_at(&self, pc: usize) -> u32 {
        let after = self
            .lines
            .partition_point(|(start, _)| *start as usize <= pc);
        after
            .checked_sub(1)
            .and_then(|at| self.lines.get(at))
            .map_or(0, |(_, line)| *line)
    }

    /// Whether calling it makes a generator.
    pub fn is_generator(&self) -> bool {
        matches!(self.kind, CodeKind::Generator | CodeKind::GeneratorMethod)
    }

    /// Whether it stands directly in a class body.
    pub fn is_method(&self) -> bool {
        matches!(self.kind, CodeKind::Method | CodeKind::GeneratorMethod)
    }
}

/// The parameters of a function, bound.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Positional ones.
    pub positional: Box<[Symbol]>,
    /// Keyword-only ones.
    pub keyword_only: Box<[Symbol]>,
    /// Which keyword-only ones have a default.
    pub keyword_defaults: u64,
    /// How many of the last positional ones have defaults.
    pub defaults: usize,
    /// Whether there is `*rest`.
    pub has_rest: bool,
    /// Whether there is `**keywords`.
    pub has_keywords: bool,
}

/// A place in the code that reads, writes or calls an attribute, and what it met there last.
#[derive(Debug)]
pub struct Site {
    /// The attribute.
    pub name: Symbol,
    /// The state of the class it met last; 0 for none yet.
    pub stamp: Cell<u32>,
    /// Where instances of that class keep the field.
    pub slot: Cell<u32>,
    /// The method that the name means on that class; unset when it is no method.
    pub method: ValueCell,
    /// How many positional arguments the method takes, if it takes nothing else.
    pub method_parameters: Cell<u16>,
}

impl Site {
    /// The method met last, if it takes `count` positional arguments, the instance among them, and nothing else.
    #[inline(always)]
    pub fn method_for(&self, count: u16) -> Option<Rc<Function>> {
        if self.method_parameters.get() != count {
            return None;
        }
        match self.method.get() {
            Value::Func(function) => Some(function),
            _ => None,
        }
    }

    /// Remembers what the name means on classes in the state `stamp`.
    pub fn remember_method(&self, stamp: u32, method: &Rc<Function>) {
        self.stamp.set(stamp);
        self.method_parameters.set(method.code.plain_parameters);
        self.method.set(Value::Func(method.clone()));
    }
}

/// A name lookup, bound.
#[derive(Debug)]
pub struct LinkedChain {
    /// The name.
    pub name: Symbol,
    /// The steps; the number of a `Global` is its slot.
    pub steps: Box<[Step]>,
}

/// An import, bound.
#[derive(Debug)]
pub struct LinkedImport {
    /// The parts of the name.
    pub parts: Box<[Symbol]>,
    /// Whether the module itself is wanted.
    pub leaf: bool,
}

/// A compiled file, bound to a machine. Its functions are bound when they are first made.
#[derive(Debug)]
pub struct LinkedUnit {
    /// The file.
    pub unit: Unit,
    /// Its names.
    pub names: Vec<Symbol>,
    /// The module it belongs to.
    pub module: u32,
    /// The file's label.
    pub label: Rc<str>,
    /// See [`Code::module_prefix`].
    pub module_prefix: Option<Rc<str>>,
    /// Its functions, where they are bound already.
    pub codes: Vec<OnceCell<Rc<Code>>>,
}

impl LinkedUnit {
    /// The function's compiled form.
    pub fn proto(&self, index: usize) -> Option<&Proto> {
        self.unit.functions.get(index)
    }
}
