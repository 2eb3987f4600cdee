//! What is shared, not copied: functions, classes, instances, modules, generators, handles.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::{Cell, RefCell};

use crate::bytecode::Code;
use crate::heap::{Heap, OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::symbol::Symbol;
use crate::value::{DictObj, Instance, Slot, Value};

/// A function written in Pebble, with what it captured.
#[derive(Debug)]
pub struct Function {
    /// What it does.
    pub code: Rc<Code>,
    /// The default values of its last parameters.
    pub defaults: Vec<Value>,
    /// The captured variables, in the order the code numbers them.
    pub captured: Vec<Value>,
    /// The class in whose body it was defined.
    pub owner: RefCell<Option<Weak<Class>>>,
    /// The account it is charged to.
    pub heap: Heap,
}

impl Drop for Function {
    fn drop(&mut self) {
        let mut held = core::mem::take(&mut self.captured);
        if !held.is_empty() || !self.defaults.is_empty() {
            held.append(&mut self.defaults);
            self.heap.release(held);
        }
        self.heap.credit(OBJECT_OVERHEAD_BYTES * 2);
    }
}

impl Function {
    /// The name after `def`.
    pub fn name(&self) -> &str {
        &self.code.name
    }

    /// The class in whose body it was defined.
    pub fn owner_class(&self) -> Option<Rc<Class>> {
        self.owner.borrow().as_ref().and_then(Weak::upgrade)
    }
}

/// How many fields a class lays out in slots; an instance keeps more than that in a dict of its own.
const LAYOUT_SLOTS: usize = 128;

#[derive(Debug, Default)]
struct Layout {
    slots: BTreeMap<Symbol, Slot>,
    names: Vec<Symbol>,
}

/// A class.
#[derive(Debug)]
pub struct Class {
    name: Rc<str>,
    /// Number of the program module it was defined in, for the lookup of names in its methods.
    module: u32,
    bases: Vec<Rc<Class>>,
    /// Depth-first order of the class and its bases, itself left out.
    ancestors: Vec<Rc<Class>>,
    attributes: RefCell<BTreeMap<Symbol, Value>>,
    methods: RefCell<BTreeMap<Symbol, Value>>,
    layout: RefCell<Layout>,
    stamp: Cell<u32>,
    stamps: Rc<Cell<u32>>,
    /// `__init__`, as it was at a stamp.
    constructor: RefCell<Option<(u32, Rc<Function>)>>,
    heirs: RefCell<Vec<Weak<Class>>>,
    identity: Cell<bool>,
    special: Cell<bool>,
    error: Cell<bool>,
    heap: Heap,
}

impl Class {
    /// A class without members. `stamps` counts the states of all classes of an engine, for inline caches.
    pub fn new(
        heap: &Heap,
        name: &str,
        module: u32,
        bases: Vec<Rc<Class>>,
        stamps: &Rc<Cell<u32>>,
    ) -> Result<Rc<Class>, OutOfMemory> {
        heap.charge(OBJECT_OVERHEAD_BYTES * 6)?;
        let mut ancestors: Vec<Rc<Class>> = Vec::new();
        for base in &bases {
            for ancestor in core::iter::once(base).chain(base.ancestors.iter()) {
                ancestors.retain(|known| !Rc::ptr_eq(known, ancestor));
                ancestors.push(ancestor.clone());
            }
        }
        let class = Rc::new(Class {
            name: name.into(),
            module,
            bases,
            ancestors,
            attributes: RefCell::default(),
            methods: RefCell::default(),
            layout: RefCell::default(),
            stamp: Cell::new(0),
            stamps: stamps.clone(),
            constructor: RefCell::default(),
            heirs: RefCell::default(),
            identity: Cell::new(false),
            special: Cell::new(false),
            error: Cell::new(false),
            heap: heap.clone(),
        });
        class.renew_stamp();
        for ancestor in &class.ancestors {
            ancestor.heirs.borrow_mut().push(Rc::downgrade(&class));
            class
                .identity
                .set(class.identity.get() | ancestor.identity.get());
            class
                .special
                .set(class.special.get() | ancestor.special.get());
            class.error.set(class.error.get() | ancestor.error.get());
        }
        Ok(class)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, shared.
    pub fn shared_name(&self) -> Rc<str> {
        self.name.clone()
    }

    /// The module it was defined in.
    pub fn module(&self) -> u32 {
        self.module
    }

    /// The classes it inherits from directly.
    pub fn bases(&self) -> &[Rc<Class>] {
        &self.bases
    }

    /// Every class it inherits from, nearest first.
    pub fn ancestors(&self) -> &[Rc<Class>] {
        &self.ancestors
    }

    /// Whether this is `other` or inherits from it.
    pub fn is_a(&self, other: &Class) -> bool {
        core::ptr::eq(self, other)
            || self
                .ancestors
                .iter()
                .any(|class| core::ptr::eq(&**class, other))
    }

    /// Changes whenever a member appears, disappears or a method changes, here or in an ancestor: while it stands, what
    /// a name means on this class and where its instances keep it stands too.
    #[inline(always)]
    pub fn stamp(&self) -> u32 {
        self.stamp.get()
    }

    fn renew_stamp(&self) {
        self.stamps.set(self.stamps.get().wrapping_add(1));
        self.stamp.set(self.stamps.get());
        self.heirs.borrow_mut().retain(|heir| match heir.upgrade() {
            Some(heir) => {
                self.stamps.set(self.stamps.get().wrapping_add(1));
                heir.stamp.set(self.stamps.get());
                heir.special.set(heir.special.get() | self.special.get());
                true
            }
            None => false,
        });
    }

    /// Whether instances are only equal to themselves (enums, records with identity).
    pub fn compares_by_identity(&self) -> bool {
        self.identity.get()
    }

    /// Makes instances equal only to themselves.
    pub fn compare_by_identity(&self) {
        self.identity.set(true);
    }

    /// Whether instances are errors: their text is what went wrong.
    pub fn describes_errors(&self) -> bool {
        self.error.get()
    }

    /// Makes instances errors.
    pub fn describe_errors(&self) {
        self.error.set(true);
    }

    /// Whether the class or an ancestor has a method whose name has double underscores, besides `__init__`.
    #[inline(always)]
    pub fn has_special_methods(&self) -> bool {
        self.special.get()
    }

    /// The attribute of the class itself or the nearest ancestor that has it.
    pub fn attribute(&self, name: Symbol) -> Option<Value> {
        self.lineage()
            .find_map(|class| class.attributes.borrow().get(&name).cloned())
    }

    /// The method of the class itself or the nearest ancestor that has it.
    pub fn method(&self, name: Symbol) -> Option<Value> {
        self.lineage()
            .find_map(|class| class.methods.borrow().get(&name).cloned())
    }

    /// `__init__`, if that is written in Pebble.
    #[inline]
    pub fn constructor(&self) -> Option<Rc<Function>> {
        if let Some((stamp, function)) = &*self.constructor.borrow()
            && *stamp == self.stamp()
        {
            return Some(function.clone());
        }
        self.find_constructor()
    }

    #[inline(never)]
    fn find_constructor(&self) -> Option<Rc<Function>> {
        let Some(Value::Func(function)) = self.method(Symbol::INIT) else {
            return None;
        };
        self.constructor
            .replace(Some((self.stamp(), function.clone())));
        Some(function)
    }

    /// Attribute or method, whichever the nearest class has; within one class attributes come first (13.3).
    pub fn member(&self, name: Symbol) -> Option<Member> {
        self.lineage().find_map(|class| class.own_member(name))
    }

    /// What a name means on the class alone, its ancestors left out.
    pub fn own_member(&self, name: Symbol) -> Option<Member> {
        if let Some(value) = self.attributes.borrow().get(&name) {
            return Some(Member::Attribute(value.clone()));
        }
        self.methods
            .borrow()
            .get(&name)
            .map(|method| Member::Method(method.clone()))
    }

    fn lineage(&self) -> impl Iterator<Item = &Class> {
        core::iter::once(self).chain(self.ancestors.iter().map(|class| &**class))
    }

    /// The names of all members, ancestors' included, sorted by symbol.
    pub fn member_names(&self) -> Vec<Symbol> {
        let mut names: Vec<Symbol> = Vec::new();
        for class in self.lineage() {
            names.extend(class.attributes.borrow().keys());
            names.extend(class.methods.borrow().keys());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Sets an attribute of this class.
    pub fn set_attribute(&self, name: Symbol, value: Value) -> Result<(), OutOfMemory> {
        let replaced = match self.attributes.borrow_mut().get_mut(&name) {
            Some(slot) => Ok(core::mem::replace(slot, value)),
            None => Err(value),
        };
        match replaced {
            Ok(before) => {
                drop(before);
                Ok(())
            }
            Err(value) => self.add_attribute(name, value),
        }
    }

    #[inline(never)]
    fn add_attribute(&self, name: Symbol, value: Value) -> Result<(), OutOfMemory> {
        self.heap.charge(OBJECT_OVERHEAD_BYTES)?;
        self.attributes.borrow_mut().insert(name, value);
        self.renew_stamp();
        Ok(())
    }

    /// Lets `change` work on an attribute of this class or of the nearest ancestor that has it.
    pub fn change_attribute<T>(
        &self,
        name: Symbol,
        change: impl FnOnce(&mut Value) -> T,
    ) -> Option<T> {
        let class = self
            .lineage()
            .find(|class| class.attributes.borrow().contains_key(&name))?;
        class.attributes.borrow_mut().get_mut(&name).map(change)
    }

    /// Whether the class itself, not one above it, has an attribute of that name.
    pub fn has_own_attribute(&self, name: Symbol) -> bool {
        self.attributes.borrow().contains_key(&name)
    }

    /// Removes an attribute or method of this class.
    pub fn remove_member(&self, name: Symbol) -> bool {
        let attribute = self.attributes.borrow_mut().remove(&name);
        let removed = attribute.is_some() || self.methods.borrow_mut().remove(&name).is_some();
        self.renew_stamp();
        removed
    }

    /// Sets a method of this class. `special` says that the name has double underscores and is not `__init__`.
    pub fn set_method(
        &self,
        name: Symbol,
        special: bool,
        method: Value,
    ) -> Result<(), OutOfMemory> {
        self.heap.charge(OBJECT_OVERHEAD_BYTES)?;
        self.methods.borrow_mut().insert(name, method);
        self.special.set(self.special.get() | special);
        self.renew_stamp();
        Ok(())
    }

    /// Where instances keep field `name`.
    pub fn slot(&self, name: Symbol) -> Option<Slot> {
        self.layout.borrow().slots.get(&name).copied()
    }

    /// How many slots instances of this class may have.
    pub fn slot_count(&self) -> usize {
        self.layout.borrow().names.len()
    }

    /// The names of the slots, in order.
    pub fn slot_names(&self) -> Vec<Symbol> {
        self.layout.borrow().names.clone()
    }

    /// The account it is charged to.
    #[inline(always)]
    pub(crate) fn heap(&self) -> &Heap {
        &self.heap
    }

    /// Where instances keep field `name`, from now on. `None` when the class has too many fields already.
    pub fn slot_for_write(&self, name: Symbol) -> Option<Slot> {
        if let Some(slot) = self.slot(name) {
            return Some(slot);
        }
        let mut layout = self.layout.borrow_mut();
        if layout.names.len() >= LAYOUT_SLOTS {
            return None;
        }
        let slot = Slot(layout.names.len() as u32);
        layout.names.push(name);
        layout.slots.insert(name, slot);
        drop(layout);
        if self.member(name).is_some() {
            self.renew_stamp();
        }
        Some(slot)
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        self.heap.credit(OBJECT_OVERHEAD_BYTES * 6);
        let attributes = core::mem::take(&mut *self.attributes.borrow_mut());
        self.heap.credit(OBJECT_OVERHEAD_BYTES * attributes.len());
        self.heap.release(attributes.into_values().collect());
    }
}

/// What a name means on a class.
#[derive(Clone, Debug)]
pub enum Member {
    /// A class attribute.
    Attribute(Value),
    /// A method, not yet bound.
    Method(Value),
}

/// A method with the value it belongs to.
#[derive(Debug)]
pub struct BoundMethod {
    /// The instance, or a value of a built-in type.
    pub receiver: Value,
    /// The function; for a method of a built-in type, `Undefined`.
    pub function: Value,
    /// The method's name.
    pub name: Symbol,
}

impl BoundMethod {
    /// Whether both are the same method of the same object.
    pub fn is_same(&self, other: &BoundMethod) -> bool {
        self.name == other.name
            && self.receiver.is_same(&other.receiver)
            && self.function.is_same(&other.function)
    }
}

/// What a module is made of.
#[derive(Debug)]
pub enum ModuleKind {
    /// A program text that ran: its number in the machine's table of modules.
    Program(u32),
    /// A module of this crate.
    Native(&'static crate::native::NativeModule),
    /// An inner node of `import a.b.c`.
    Package,
}

/// A module, or an inner node of a dotted import.
#[derive(Debug)]
pub struct Module {
    /// As `<module NAME>` shows it.
    pub name: Rc<str>,
    /// What it is made of.
    pub kind: ModuleKind,
    /// The modules that hang off it: `import a.b` puts `b` here. Also the values that a program sets on a native module.
    pub children: RefCell<BTreeMap<Symbol, Value>>,
}

/// `ref(x)`: a list or dict that several variables share.
#[derive(Debug)]
pub struct RefObj {
    value: RefCell<Value>,
}

impl RefObj {
    /// A handle on `value`.
    pub fn new(value: Value) -> RefObj {
        RefObj {
            value: RefCell::new(value),
        }
    }

    /// What it holds; changing the copy does not change what the handle holds.
    pub fn get(&self) -> Value {
        self.value.borrow().clone()
    }

    /// Replaces what it holds.
    pub fn set(&self, value: Value) {
        let before = self.value.replace(value);
        drop(before);
    }

    /// Lets `change` work on what it holds. It must not reach this handle again.
    pub fn change<T>(&self, change: impl FnOnce(&mut Value) -> T) -> T {
        change(&mut self.value.borrow_mut())
    }
}

/// Something of a native module's that programs can hold.
#[derive(Debug)]
pub struct Foreign {
    type_name: &'static str,
    content: Box<dyn ForeignContent>,
}

/// What can be wrapped in a [`Foreign`].
pub trait ForeignContent: Any + core::fmt::Debug {
    /// The content as `Any`, to get at its type.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + core::fmt::Debug> ForeignContent for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Foreign {
    /// Wraps `content`; `type_name` is what `type(v)` gives and `<NAME>` prints.
    pub fn new<T: Any + core::fmt::Debug>(type_name: &'static str, content: T) -> Foreign {
        Foreign {
            type_name,
            content: Box::new(content),
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The content, if it is a `T`.
    pub fn get<T: Any>(&self) -> Option<&T> {
        (*self.content).as_any().downcast_ref()
    }
}

/// An error on its way from where it was raised to where it is handled.
#[derive(Debug)]
pub struct Raised {
    /// Its class.
    pub class: Rc<Class>,
    /// The text without `line N: `.
    pub detail: Value,
    /// The line it was raised at; 0 when `detail` is the whole text.
    pub line: u32,
    /// The file of that line.
    pub label: Rc<str>,
    /// The error object, once somebody asked for it.
    pub object: RefCell<Option<Value>>,
    /// The calls that it left, innermost first: code and instruction.
    pub trace: RefCell<Vec<(Rc<Code>, u32)>>,
    /// A name that may have been meant.
    pub suggestion: RefCell<Option<String>>,
    /// The expression and the caret under it, for syntax errors.
    pub excerpt: RefCell<Option<(String, u32)>>,
}

/// A call that is paused between two `yield`s.
#[derive(Debug)]
pub struct Generator {
    /// The generator function's name.
    pub name: String,
    /// How far it is.
    pub state: RefCell<GeneratorState>,
}

/// How far a generator is.
#[derive(Debug)]
pub enum GeneratorState {
    /// Waits at `pc` with these registers.
    Paused {
        /// The function.
        function: Rc<Function>,
        /// Where to go on.
        pc: u32,
        /// Its registers.
        registers: Vec<Value>,
    },
    /// Runs right now.
    Running,
    /// Has ended.
    Done,
}

/// An iterator over a built-in type.
#[derive(Debug)]
pub struct Iter {
    /// How far it is.
    pub state: RefCell<IterState>,
}

/// What an iterator goes through and how far it is.
#[derive(Debug)]
pub enum IterState {
    /// The elements of a list or tuple, the characters of a string, the keys of a dict, the elements of a set.
    Over {
        /// What it goes through; shared, so later changes to the variable do not show.
        source: Value,
        /// The place of the next element (for strings, of its first byte).
        cursor: usize,
    },
    /// Nothing more.
    Done,
}

impl Generator {
    /// Takes everything out, as for breaking cycles and for dropping without deep stack.
    pub fn finish(&self) -> GeneratorState {
        core::mem::replace(&mut *self.state.borrow_mut(), GeneratorState::Done)
    }
}

impl Heap {
    /// An instance without fields.
    pub fn instance(&self, class: &Rc<Class>) -> Result<Rc<Instance>, OutOfMemory> {
        Ok(Rc::new(Instance::new(class.clone())?))
    }

    /// Wraps something of a native module's for the program.
    pub fn foreign<T: Any + core::fmt::Debug>(&self, type_name: &'static str, content: T) -> Value {
        Value::Foreign(Rc::new(Foreign::new(type_name, content)))
    }

    /// An iterator over `source`.
    pub fn iterator(&self, source: Value) -> Value {
        Value::Iter(Rc::new(Iter {
            state: RefCell::new(IterState::Over { source, cursor: 0 }),
        }))
    }

    /// A handle on a list or dict.
    pub fn reference(&self, value: Value) -> Value {
        Value::Ref(Rc::new(RefObj::new(value)))
    }

    /// A dict value.
    pub fn dict_value(&self, dict: DictObj) -> Value {
        Value::Dict(Rc::new(dict))
    }
}
