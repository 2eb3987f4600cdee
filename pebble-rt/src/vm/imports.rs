//! `import`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::bytecode::{Insn, LinkedImport};
use crate::compile::compile;
use crate::error::{ErrorClass, NativeError};
use crate::symbol::Symbol;
use crate::syntax;
use crate::system::{ModuleContent, ModuleText};
use crate::value::{Function, Module, ModuleKind, Value};

use super::Core;
use super::core::{MAIN, ModuleState, PRELUDE};
use super::flow::store;
use super::thread::{Frame, FrameKind, Thread};

/// The names that a module gets from the program that imports it (16.4).
const INHERITED_NAMES: &[&str] = &[
    "ARGC",
    "ARGV",
    "CWD",
    "ENV",
    "FS_MODE",
    "PATH",
    "SYSTEM_RUNTIME_PATH",
    "SYSTEM_SHELL_PATH",
    "SYSTEM_SHELL_SOURCE",
];

impl Core {
    /// Imports a module: binds it if it is there, else starts to run its text and comes back to the instruction after.
    pub(crate) fn import(&mut self, thread: &mut Thread, insn: Insn) -> Result<(), NativeError> {
        let Some(frame) = thread.frames.last() else {
            return Ok(());
        };
        let code = frame.function.code.clone();
        let Some(import) = code.imports.get(insn.d as usize) else {
            return Ok(());
        };
        let leaf = self.dotted(&import.parts);
        match self.loaded(&leaf, import)? {
            Some(module) => {
                let value = if import.leaf {
                    Value::Module(module)
                } else {
                    self.hang(code.module, import, module)?
                };
                store(thread, insn.a, value);
                Ok(())
            }
            None => {
                // The import is done again when the module's text has run.
                self.start_module(thread, &leaf, import)
            }
        }
    }

    fn dotted(&self, parts: &[Symbol]) -> String {
        let texts: Vec<&str> = parts.iter().map(|part| self.interner.text(*part)).collect();
        texts.join(".")
    }

    /// The module of this name, if it is native or has run already.
    fn loaded(
        &mut self,
        name: &str,
        import: &LinkedImport,
    ) -> Result<Option<Rc<Module>>, NativeError> {
        if let Some(known) = self
            .modules
            .iter()
            .skip(2)
            .find(|record| &*record.name == name)
        {
            return match known.state {
                ModuleState::Ready => Ok(known.value.clone()),
                ModuleState::Loading => Err(NativeError::new(
                    ErrorClass::Import,
                    format!("circular import for module '{name}'"),
                )),
                ModuleState::Failed => Ok(None),
            };
        }
        if import.parts.len() != 1 {
            return Ok(None);
        }
        let Some(native) = self.native_module(name) else {
            return Ok(None);
        };
        let number = self.add_module(name, name);
        let module = Rc::new(Module {
            name: name.into(),
            kind: ModuleKind::Native(native),
            children: RefCell::new(BTreeMap::new()),
        });
        let record = &mut self.modules[number as usize];
        record.state = ModuleState::Ready;
        record.value = Some(module.clone());
        Ok(Some(module))
    }

    /// Finds a module's text, compiles it and calls its top level.
    fn start_module(
        &mut self,
        thread: &mut Thread,
        name: &str,
        import: &LinkedImport,
    ) -> Result<(), NativeError> {
        let parts: Vec<String> = import
            .parts
            .iter()
            .map(|part| String::from(self.interner.text(*part)))
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let Some(text) = self.system.load_module(&parts)? else {
            return Err(NativeError::new(
                ErrorClass::Import,
                format!("unknown module '{name}'"),
            ));
        };
        let number = match self
            .modules
            .iter()
            .skip(2)
            .position(|record| &*record.name == name)
        {
            Some(failed) => (failed + 2) as u32,
            None => self.add_module(name, &text.label),
        };
        let function = self.module_function(thread, number, text)?;
        let record = &mut self.modules[number as usize];
        record.state = ModuleState::Loading;
        record.value = Some(Rc::new(Module {
            name: name.into(),
            kind: ModuleKind::Program(number),
            children: RefCell::new(BTreeMap::new()),
        }));
        self.inherit_globals(number)?;
        let base = thread.frames.last().map_or(0, |frame| {
            frame.base + usize::from(frame.function.code.registers)
        });
        let frame = Frame {
            function: Rc::new(function),
            pc: 0,
            result: crate::bytecode::NOWHERE,
            kind: FrameKind::Import { module: number },
            base,
            again: true,
            pins: self.pins.len() as u32,
            subject: Value::Undefined,
        };
        if let Err(error) = self.push_frame(thread, frame) {
            self.modules[number as usize].state = ModuleState::Failed;
            return Err(error);
        }
        self.mute();
        Ok(())
    }

    /// Compiles a text and calls its top level as the first call of a thread.
    pub(crate) fn push_source(
        &mut self,
        thread: &mut Thread,
        module: u32,
        source: &str,
    ) -> Result<(), NativeError> {
        let label = String::from(&*self.modules[module as usize].label);
        let text = ModuleText {
            label,
            content: ModuleContent::Source(String::from(source)),
        };
        let function = self.module_function(thread, module, text)?;
        let frame = Frame {
            function: Rc::new(function),
            pc: 0,
            result: crate::bytecode::NOWHERE,
            kind: FrameKind::Root,
            base: 0,
            again: false,
            pins: 0,
            subject: Value::Undefined,
        };
        self.inherit_globals(module)?;
        self.push_frame(thread, frame)
    }

    fn module_function(
        &mut self,
        thread: &Thread,
        number: u32,
        text: ModuleText,
    ) -> Result<Function, NativeError> {
        let unit = match text.content {
            ModuleContent::Source(source) => {
                self.charge_steps(source.len() / 16)?;
                let label = self.modules[number as usize].label.clone();
                match syntax::parse(&source) {
                    Ok(tree) => match compile(&tree, &|_| false) {
                        Ok(unit) => unit,
                        Err(error) => {
                            return Err(self.syntax_error(label, error.line, &error.message, None));
                        }
                    },
                    Err(error) => {
                        let excerpt = error.excerpt.map(|excerpt| (excerpt.text, excerpt.column));
                        return Err(self.syntax_error(label, error.line, &error.message, excerpt));
                    }
                }
            }
            ModuleContent::Bytecode(bytes) => crate::bytecode::read(&bytes).map_err(|error| {
                NativeError::new(ErrorClass::Import, format!("bad bytecode: {error}"))
            })?,
        };
        let name = self.modules[number as usize].name.clone();
        let unit = self.link(unit, number, Some(name))?;
        self.top_function(thread, unit)
    }

    /// The error that a module's text is no program, with the module's own line (15.5).
    fn syntax_error(
        &mut self,
        label: Rc<str>,
        line: u32,
        message: &str,
        excerpt: Option<(String, u32)>,
    ) -> NativeError {
        let class = match self.error_class(ErrorClass::Syntax) {
            Ok(class) => class,
            Err(error) => return error,
        };
        let detail = match self.heap.string(message) {
            Ok(detail) => detail,
            Err(error) => return error.into(),
        };
        let raised = self.new_raised(class, detail, line, label);
        *raised.excerpt.borrow_mut() = excerpt;
        NativeError::Thrown(raised)
    }

    /// The function that is the top level of a bound file.
    pub(crate) fn top_function(
        &mut self,
        thread: &Thread,
        unit: u32,
    ) -> Result<Function, NativeError> {
        let code = self.code(unit, 0)?;
        let maker = Rc::new(Function {
            code: code.clone(),
            defaults: Vec::new(),
            captured: Vec::new(),
            owner: RefCell::new(None),
            heap: self.heap.clone(),
        });
        self.heap.charge(crate::heap::OBJECT_OVERHEAD_BYTES * 2)?;
        self.function(code, &maker, thread, Vec::new())
    }

    fn inherit_globals(&mut self, module: u32) -> Result<(), NativeError> {
        for name in INHERITED_NAMES {
            let symbol = self.interner.intern(name)?;
            let value = self
                .find_slot(MAIN, symbol)
                .map(|slot| slot.variable.clone())
                .unwrap_or_default();
            let has_own = self
                .find_slot(module, symbol)
                .is_some_and(|slot| !slot.variable.is_undefined());
            if !value.is_undefined() && !has_own {
                let slot = self.slot(module, symbol);
                self.slots[slot as usize].variable = value;
            }
        }
        Ok(())
    }

    /// The tree that `import a.b.c` binds to `a`, with the module at its end (16.1).
    fn hang(
        &mut self,
        importer: u32,
        import: &LinkedImport,
        leaf: Rc<Module>,
    ) -> Result<Value, NativeError> {
        let Some((first, rest)) = import.parts.split_first() else {
            return Ok(Value::Module(leaf));
        };
        let Some((last, middle)) = rest.split_last() else {
            return Ok(Value::Module(leaf));
        };
        let mut node = self.package(importer, *first)?;
        let root = node.clone();
        for part in middle {
            let known = node.children.borrow().get(part).cloned();
            let next = match known {
                Some(Value::Module(next)) => next,
                _ => {
                    let next = self.new_package(*part)?;
                    node.children
                        .borrow_mut()
                        .insert(*part, Value::Module(next.clone()));
                    next
                }
            };
            node = next;
        }
        node.children
            .borrow_mut()
            .insert(*last, Value::Module(leaf));
        Ok(Value::Module(root))
    }

    /// The tree that the importing module has under this name already, or a new one.
    fn package(&mut self, importer: u32, name: Symbol) -> Result<Rc<Module>, NativeError> {
        let bound = self
            .find_slot(importer, name)
            .map(|slot| slot.variable.clone());
        match bound {
            Some(Value::Module(module)) => Ok(module),
            _ => self.new_package(name),
        }
    }

    fn new_package(&mut self, name: Symbol) -> Result<Rc<Module>, NativeError> {
        self.heap.charge(0)?;
        Ok(Rc::new(Module {
            name: Rc::from(self.interner.text(name)),
            kind: ModuleKind::Package,
            children: RefCell::new(BTreeMap::new()),
        }))
    }

    /// Runs the prelude's definitions, if that has not been done: they are only functions.
    pub(crate) fn load_prelude(&mut self) {
        if self.modules[PRELUDE as usize].state == ModuleState::Ready {
            return;
        }
        self.modules[PRELUDE as usize].state = ModuleState::Ready;
        let tree = syntax::parse(super::PRELUDE_SOURCE).expect("the prelude is checked by a test");
        let unit = compile(&tree, &|_| false).expect("the prelude is checked by a test");
        let names: Vec<(u32, usize)> = unit
            .functions
            .iter()
            .enumerate()
            .skip(1)
            .map(|(index, proto)| (proto.name, index))
            .collect();
        let Ok(unit) = self.link(unit, PRELUDE, None) else {
            return;
        };
        let thread = Thread::new();
        let Ok(top) = self.top_function(&thread, unit) else {
            return;
        };
        let top = Rc::new(top);
        self.define_prelude(&thread, unit, &top, &names);
    }

    fn define_prelude(
        &mut self,
        thread: &Thread,
        unit: u32,
        top: &Rc<Function>,
        names: &[(u32, usize)],
    ) {
        for (name, index) in names {
            let symbol = self.units[unit as usize].names.get(*name as usize).copied();
            let (Some(symbol), Ok(code)) = (symbol, self.code(unit, *index)) else {
                continue;
            };
            if !code.captures.is_empty() {
                continue;
            }
            let defaults =
                code.parameters.defaults + code.parameters.keyword_defaults.count_ones() as usize;
            let defaults = (0..defaults).map(|_| Value::None).collect();
            if let Ok(function) = self.function(code, top, thread, defaults) {
                let slot = self.slot(PRELUDE, symbol);
                self.slots[slot as usize].function = Value::Func(Rc::new(function));
            }
        }
    }
}
