//! What all threads of a program share: account, names, variables, modules, limits, and the system behind.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::bytecode::LinkedUnit;
use crate::engine::Limits;
use crate::error::{ErrorClass, NativeError};
use crate::heap::Heap;
use crate::native::{Library, NativeFunction, NativeModule};
use crate::symbol::{Interner, Symbol};
use crate::system::{Grants, Stream, System};
use crate::value::{Class, Module, StrObj, Value};
use crate::vm::States;

/// What all threads of a program share.
pub struct Core {
    pub(crate) heap: Heap,
    pub(crate) interner: Interner,
    pub(crate) system: Box<dyn System>,
    pub(crate) grants: Grants,
    pub(crate) states: States,
    pub(crate) arguments: Vec<String>,
    pub(crate) interrupt: Arc<AtomicBool>,
    pub(crate) limits: Limits,
    /// Steps until the thread gives way.
    pub(crate) fuel: i64,
    /// Steps that the program may still make beyond the current fuel.
    pub(crate) steps_left: u64,
    pub(crate) output_left: u64,
    pub(crate) output: OutputTarget,
    /// Global variables and functions of all modules.
    pub(crate) slots: Vec<GlobalSlot>,
    pub(crate) modules: Vec<ModuleRecord>,
    /// Compiled files.
    pub(crate) units: Vec<Rc<LinkedUnit>>,
    pub(crate) libraries: Vec<&'static Library>,
    /// Counts the states of classes.
    pub(crate) stamps: Rc<Cell<u32>>,
    pub(crate) error_classes: Vec<Option<Rc<Class>>>,
    /// Strings of one ASCII character, made when first needed.
    pub(crate) characters: Vec<Option<Rc<StrObj>>>,
    pub(crate) empty_string: Rc<StrObj>,
    /// Operands of the running thread that were read before something later in the expression could change them.
    pub(crate) pins: Vec<Value>,
    /// Where output went before the imports that run now.
    pub(crate) muted: Vec<OutputTarget>,
    /// Why the window that was just left was left.
    pub(crate) stop: Option<crate::vm::stop::Stop>,
    /// Whether the last fault was an error that has found its handler.
    pub(crate) has_unwound: bool,
    /// Where the result goes of a call after which the running instruction is done again.
    pub(crate) again: Option<u8>,
    /// The loop variable and jump of a loop over a channel that is about to park.
    pub(crate) parked_round: Option<(u8, i32)>,
    /// The jump that a helper of the main loop asked for.
    pub(crate) jump: i32,
    /// The arguments of the builtin that has just blocked.
    pub(crate) blocked_arguments: Vec<Value>,
    /// Where its result goes, if not where the instruction says.
    pub(crate) blocked_result: Option<u8>,
    /// What threads do to each other is asked for here by builtins and done by the scheduler.
    pub(crate) threads: crate::vm::threads::ThreadTable,
}

/// A name of a module.
#[derive(Debug, Default)]
pub(crate) struct GlobalSlot {
    /// The variable; unset if there is none.
    pub(crate) variable: Value,
    /// The function defined at the top level.
    pub(crate) function: Value,
    /// The function of this name that was defined last inside another one.
    pub(crate) nested: Value,
    /// The builtin of this name, once looked up.
    pub(crate) builtin: Value,
    pub(crate) builtin_known: bool,
    pub(crate) name: u32,
    pub(crate) module: u32,
}

/// A module: the main program, an imported file, the prelude.
#[derive(Debug)]
pub(crate) struct ModuleRecord {
    pub(crate) name: Rc<str>,
    pub(crate) label: Rc<str>,
    pub(crate) slots: BTreeMap<Symbol, u32>,
    pub(crate) state: ModuleState,
    /// The value that programs see.
    pub(crate) value: Option<Rc<Module>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModuleState {
    Loading,
    Ready,
    Failed,
}

/// The number of the prelude's module.
pub(crate) const PRELUDE: u32 = 0;

/// The number of the main program's module.
pub(crate) const MAIN: u32 = 1;

/// Where `print` goes at the moment.
#[derive(Debug, Default)]
pub(crate) enum OutputTarget {
    /// To the system.
    #[default]
    System,
    /// Nowhere: a module is being imported.
    Nowhere,
    /// Into the record of a thread.
    Collected(String),
}

impl core::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Core")
            .field("heap", &self.heap)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(
        limits: Limits,
        arguments: Vec<String>,
        system: Box<dyn System>,
        libraries: Vec<&'static Library>,
    ) -> Core {
        let heap = Heap::new(limits.memory_bytes);
        let mut core = Core {
            interner: Interner::new(heap.clone()),
            grants: system.grants(),
            system,
            states: States::default(),
            arguments,
            interrupt: Arc::new(AtomicBool::new(false)),
            limits,
            fuel: 0,
            steps_left: limits.steps,
            output_left: limits.output_bytes,
            output: OutputTarget::System,
            slots: Vec::new(),
            modules: Vec::new(),
            units: Vec::new(),
            libraries,
            stamps: Rc::new(Cell::new(0)),
            error_classes: Vec::new(),
            characters: Vec::new(),
            pins: Vec::new(),
            muted: Vec::new(),
            stop: None,
            has_unwound: false,
            again: None,
            parked_round: None,
            jump: 0,
            blocked_arguments: Vec::new(),
            blocked_result: None,
            empty_string: Rc::new(StrObj::constant("")),
            threads: crate::vm::threads::ThreadTable::default(),
            heap,
        };
        core.heap.call_off_with(Arc::clone(&core.interrupt));
        core.add_module("prelude", "system/runtime.peb");
        core.add_module("__main__", "main.peb");
        core
    }

    pub(crate) fn add_module(&mut self, name: &str, label: &str) -> u32 {
        self.modules.push(ModuleRecord {
            name: name.into(),
            label: label.into(),
            slots: BTreeMap::new(),
            state: ModuleState::Loading,
            value: None,
        });
        (self.modules.len() - 1) as u32
    }

    /// The slot of a name of a module, made if need be.
    pub(crate) fn slot(&mut self, module: u32, name: Symbol) -> u32 {
        let next = self.slots.len() as u32;
        let Some(record) = self.modules.get_mut(module as usize) else {
            return 0;
        };
        let slot = *record.slots.entry(name).or_insert(next);
        if slot == next {
            self.slots.push(GlobalSlot {
                name: name.0,
                module,
                ..GlobalSlot::default()
            });
        }
        slot
    }

    /// The slot of a name of a module, if it has one.
    pub(crate) fn find_slot(&self, module: u32, name: Symbol) -> Option<&GlobalSlot> {
        let slot = self.modules.get(module as usize)?.slots.get(&name)?;
        self.slots.get(*slot as usize)
    }

    /// The value that reading slot `index` gives: variable, function, nested function, builtin.
    pub(crate) fn read_slot(&mut self, index: u32) -> Option<Value> {
        let slot = &self.slots[index as usize];
        for value in [&slot.variable, &slot.function, &slot.nested] {
            if !value.is_undefined() {
                return Some(value.clone());
            }
        }
        let builtin = self.builtin_of_slot(index);
        (!builtin.is_undefined()).then_some(builtin)
    }

    /// The builtin that the name of slot `index` means; unset if none.
    pub(crate) fn builtin_of_slot(&mut self, index: u32) -> Value {
        let slot = &self.slots[index as usize];
        if slot.builtin_known {
            return slot.builtin.clone();
        }
        let (name, module) = (Symbol(slot.name), slot.module);
        let builtin = self.builtin(name, module);
        let slot = &mut self.slots[index as usize];
        slot.builtin = builtin.clone();
        slot.builtin_known = true;
        builtin
    }

    fn builtin(&mut self, name: Symbol, module: u32) -> Value {
        let text = self.interner.text(name);
        if module != PRELUDE && text.starts_with('_') {
            return Value::Undefined;
        }
        if let Some(function) = self.native(self.interner.text(name)) {
            return Value::Native(function);
        }
        if let Some(class) = ErrorClass::by_name(self.interner.text(name))
            && let Ok(class) = self.error_class(class)
        {
            return Value::Class(class);
        }
        self.prelude_function(name).unwrap_or_default()
    }

    /// The function of the prelude with this name.
    pub(crate) fn prelude_function(&mut self, name: Symbol) -> Option<Value> {
        self.load_prelude();
        let slot = self.find_slot(PRELUDE, name)?;
        (!slot.function.is_undefined()).then(|| slot.function.clone())
    }

    /// A function of the prelude by its text, `None` if there is none.
    pub(crate) fn prelude_value(&mut self, name: &str) -> Value {
        self.load_prelude();
        let name = self.interner.find(name);
        name.and_then(|name| self.prelude_function(name))
            .unwrap_or(Value::None)
    }

    /// The names that a value has attributes under, sorted.
    pub(crate) fn attribute_names(&self, value: &Value) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let text = |name: &Symbol| String::from(self.interner.text(*name));
        match value {
            Value::Instance(instance) => {
                names.extend(instance.field_list().iter().map(|(name, _)| text(name)));
                names.extend(instance.class().member_names().iter().map(text));
            }
            Value::Class(class) => names.extend(class.member_names().iter().map(text)),
            Value::Module(module) => {
                names.extend(module.children.borrow().keys().map(text));
                match module.kind {
                    crate::value::ModuleKind::Program(number) => {
                        names.extend(self.names_of_module(number).map(String::from));
                    }
                    crate::value::ModuleKind::Native(native) => {
                        names.extend(native.members.iter().map(|(name, _)| String::from(*name)));
                    }
                    crate::value::ModuleKind::Package => {}
                }
            }
            other => names.extend(
                self.builtin_method_names(other)
                    .into_iter()
                    .map(String::from),
            ),
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The native function of this plain name, if it is granted.
    pub(crate) fn native(&self, name: &str) -> Option<&'static NativeFunction> {
        let tables = self
            .libraries
            .iter()
            .flat_map(|library| library.functions.iter());
        let found = tables
            .flat_map(|table| table.iter())
            .find(|function| function.name == name);
        found.filter(|function| self.grants.has(function.family))
    }

    /// The native module of this name, if it is granted.
    pub(crate) fn native_module(&self, name: &str) -> Option<&'static NativeModule> {
        let mut modules = self
            .libraries
            .iter()
            .flat_map(|library| library.modules.iter());
        modules
            .find(|module| module.name == name && self.grants.has(module.family))
            .copied()
    }

    /// The class object of a built-in error class.
    pub(crate) fn error_class(&mut self, class: ErrorClass) -> Result<Rc<Class>, NativeError> {
        let index = class as usize;
        if let Some(Some(known)) = self.error_classes.get(index) {
            return Ok(known.clone());
        }
        let bases = if class.parent() == class {
            Vec::new()
        } else {
            Vec::from([self.error_class(class.parent())?])
        };
        let made = Class::new(&self.heap, class.name(), PRELUDE, bases, &self.stamps)?;
        made.compare_by_identity();
        made.describe_errors();
        if self.error_classes.len() <= index {
            self.error_classes.resize(index + 1, None);
        }
        self.error_classes[index] = Some(made.clone());
        Ok(made)
    }

    /// Whether a class is an error class.
    pub(crate) fn is_error_class(&mut self, class: &Class) -> bool {
        match self.error_class(ErrorClass::Error) {
            Ok(root) => class.is_a(&root),
            Err(_) => false,
        }
    }

    /// A string of one character; those of ASCII are shared.
    #[inline]
    pub(crate) fn char_string(&mut self, character: char) -> Result<Value, NativeError> {
        if let Some(Some(known)) = self.characters.get(character as usize) {
            return Ok(Value::Str(known.clone()));
        }
        self.new_char_string(character)
    }

    fn new_char_string(&mut self, character: char) -> Result<Value, NativeError> {
        if !character.is_ascii() {
            return Ok(self.heap.char_string(character)?);
        }
        self.characters.resize(128, None);
        let made = Rc::new(StrObj::constant(character.encode_utf8(&mut [0; 4])));
        self.characters[character as usize] = Some(made.clone());
        Ok(Value::Str(made))
    }

    /// Charges work done inside a builtin.
    #[inline]
    pub(crate) fn charge_steps(&mut self, steps: usize) -> Result<(), NativeError> {
        self.fuel = self.fuel.saturating_sub(steps as i64);
        if self.fuel <= 0 {
            return self.check_patience();
        }
        Ok(())
    }

    /// Whether the program may go on. The fuel that a long builtin overdraws is taken from what the next one gets.
    #[cold]
    pub(crate) fn check_patience(&mut self) -> Result<(), NativeError> {
        if self.interrupt.swap(false, Ordering::Relaxed) {
            return Err(NativeError::new(ErrorClass::Interrupt, "interrupted"));
        }
        let overdrawn = self.fuel.unsigned_abs();
        if overdrawn > self.steps_left {
            return Err(NativeError::new(ErrorClass::Steps, "step limit exceeded"));
        }
        Ok(())
    }

    /// Writes what a program prints.
    pub(crate) fn write_out(&mut self, text: &str) -> Result<(), NativeError> {
        if matches!(self.output, OutputTarget::Nowhere) {
            return Ok(());
        }
        let length = text.len() as u64;
        if length > self.output_left {
            return Err(NativeError::new(
                ErrorClass::Output,
                "output limit exceeded",
            ));
        }
        self.output_left -= length;
        match &mut self.output {
            OutputTarget::Collected(lines) => {
                self.heap.charge(text.len())?;
                lines.push_str(text);
                Ok(())
            }
            _ => self
                .system
                .write(Stream::Output, text)
                .map_err(NativeError::from),
        }
    }

    /// The value of a global variable of the main program.
    pub(crate) fn main_global(&mut self, name: &str) -> Option<Value> {
        let name = self.interner.find(name)?;
        let slot = self.find_slot(MAIN, name)?;
        (!slot.variable.is_undefined()).then(|| slot.variable.clone())
    }

    /// Sets a global variable of the main program.
    pub(crate) fn set_main_global(&mut self, name: &str, value: Value) -> Result<(), NativeError> {
        self.set_module_global(MAIN, name, value)
    }

    /// Sets a global variable of a module.
    pub(crate) fn set_module_global(
        &mut self,
        module: u32,
        name: &str,
        value: Value,
    ) -> Result<(), NativeError> {
        let name = self.interner.intern(name)?;
        let slot = self.slot(module, name);
        self.slots[slot as usize].variable = value;
        Ok(())
    }

    /// Variables and functions of a module, for completion and `did you mean`.
    pub(crate) fn names_of_module(&self, module: u32) -> impl Iterator<Item = &str> {
        let record = self.modules.get(module as usize);
        record
            .into_iter()
            .flat_map(|record| record.slots.iter())
            .filter_map(|(name, slot)| {
                let slot = self.slots.get(*slot as usize)?;
                let is_set = !slot.variable.is_undefined() || !slot.function.is_undefined();
                is_set.then(|| self.interner.text(*name))
            })
    }
}
