//! Syntax tree to bytecode.
//!
//! One pass over the tree per function, helped by a look ahead at which names a function binds ([`scope`]). Variables of
//! a function live in registers; those that an inner function mentions live in cells; those of the top level are global
//! slots. A name that may be unset when it is read is looked up by a *chain* (11.1): local, enclosing, class, global.
//!
//! Registers above the variables are temporaries, used as a stack. A temporary never keeps a list or dict alive longer
//! than needed: a forgotten reference would make the next change copy.

mod calls;
mod conditions;
mod definitions;
mod emit;
mod errors;
mod expressions;
mod loops;
mod names;
mod patterns;
mod places;
mod scope;
mod statements;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::bytecode::{CodeKind, NameIndex, Proto, Unit};
use crate::syntax::ast::{Module, Name};

use emit::Function;

/// Why a program that parses cannot be compiled: it is too large in some way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The line.
    pub line: u32,
    /// What is wrong, without `line N: `.
    pub message: String,
}

type Result<T> = core::result::Result<T, CompileError>;

/// Where a program can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In loops and calls, which is enough to share the processor.
    Free,
    /// After every statement too, for a program that another one steps through.
    Statements,
}

/// Compiles a file. `is_known` says which names a session has bound already, so that builtins yield to them.
pub fn compile(module: &Module, is_known: &dyn Fn(&str) -> bool) -> Result<Unit> {
    compile_at(Pace::Free, module, is_known)
}

/// Compiles a file that stops as often as `pace` says.
pub fn compile_at(pace: Pace, module: &Module, is_known: &dyn Fn(&str) -> bool) -> Result<Unit> {
    let mut compiler = Compiler {
        pace,
        unit: Unit::default(),
        name_index: BTreeMap::new(),
        functions: Vec::new(),
        bound: scope::bound_anywhere(&module.body),
        is_known,
    };
    compiler.module(module)?;
    Ok(compiler.unit)
}

struct Compiler<'a> {
    pace: Pace,
    unit: Unit,
    name_index: BTreeMap<Rc<str>, NameIndex>,
    /// The functions being compiled, innermost last.
    functions: Vec<Function>,
    bound: BTreeSet<Name>,
    is_known: &'a dyn Fn(&str) -> bool,
}

impl Compiler<'_> {
    fn module(&mut self, module: &Module) -> Result<()> {
        self.unit.functions.push(Proto::default());
        let name = self.name("");
        self.functions.push(Function::new(CodeKind::Module, name));
        self.reserve_constants(scope::has_loop(&module.body));
        self.block(&module.body)?;
        self.emit_end();
        let proto = self.finish()?;
        self.unit.functions[0] = proto;
        Ok(())
    }

    /// The index of a name.
    fn name(&mut self, text: &str) -> NameIndex {
        if let Some(index) = self.name_index.get(text) {
            return *index;
        }
        let index = self.unit.names.len() as NameIndex;
        let shared: Rc<str> = Rc::from(text);
        self.unit.names.push(shared.clone());
        self.name_index.insert(shared, index);
        index
    }

    /// Whether `name` certainly means the builtin: the program binds it nowhere.
    fn is_builtin(&self, name: &str) -> bool {
        !self.bound.contains(name) && !(self.is_known)(name)
    }

    fn function(&mut self) -> &mut Function {
        let last = self.functions.len() - 1;
        &mut self.functions[last]
    }

    fn too_large<T>(&mut self, message: &str) -> Result<T> {
        let line = self.function().line;
        Err(CompileError {
            line,
            message: String::from(message),
        })
    }
}
