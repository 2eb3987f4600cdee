//! Interned names: every attribute and variable name is a small number, and each number has one string object.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::heap::{Heap, OutOfMemory};
use crate::value::StrObj;

/// A name, equal to another exactly when the names are. Valid for the [`Interner`] that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub u32);

macro_rules! known_symbols {
    ($($name:ident = $text:literal),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u32)]
        enum Known { $($name,)* }
        impl Symbol {
            $(#[doc = concat!("`", $text, "`")] pub const $name: Symbol = Symbol(Known::$name as u32);)*
            const KNOWN: &'static [&'static str] = &[$($text,)*];
        }
    };
}

known_symbols! {
    INIT = "__init__", STR = "__str__", REPR = "__repr__", EQ = "__eq__", LT = "__lt__", LEN = "__len__",
    GETITEM = "__getitem__", SETITEM = "__setitem__", CONTAINS = "__contains__", ITER = "__iter__", NEXT = "__next__",
    CALL = "__call__", ENTER = "__enter__", EXIT = "__exit__", HASH = "__hash__", BOOL = "__bool__",
    DELITEM = "__delitem__", ADD = "__add__", SUB = "__sub__", MUL = "__mul__", TRUEDIV = "__truediv__",
    FLOORDIV = "__floordiv__", MOD = "__mod__", POW = "__pow__", NEG = "__neg__", LE = "__le__", GT = "__gt__",
    GE = "__ge__", NE = "__ne__", GETATTR = "__getattr__", DOC = "__doc__", NAME = "__name__",
    MESSAGE = "message", LINE = "line", TRACE = "trace", ARGS = "args", DETAIL = "detail",
    APPEND = "append", POP = "pop", INSERT = "insert", REMOVE = "remove", EXTEND = "extend", SORT = "sort",
    REVERSE = "reverse", CLEAR = "clear", UPDATE = "update", SETDEFAULT = "setdefault", SET_ADD = "add",
    DISCARD = "discard", POPITEM = "popitem", KEY = "key", END = "end", SEP = "sep", RADD = "__radd__",
    RSUB = "__rsub__", RMUL = "__rmul__", RTRUEDIV = "__rtruediv__", CLASS = "__class__", VALUE = "value", MEMBERS = "__members__", FIELDS = "__fields__", MEMBER_NAME = "name",
    FILE = "file",
}

/// Orders like its text, so that the table can be asked with plain text.
#[derive(Debug)]
struct Name(Rc<StrObj>);

impl core::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> core::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

/// The table of names of one engine.
#[derive(Debug)]
pub struct Interner {
    names: Vec<Rc<StrObj>>,
    by_text: BTreeMap<Name, Symbol>,
    heap: Heap,
}

impl Interner {
    /// A table that knows the names above.
    pub fn new(heap: Heap) -> Interner {
        let mut interner = Interner {
            names: Vec::with_capacity(128),
            by_text: BTreeMap::new(),
            heap,
        };
        for text in Symbol::KNOWN {
            let symbol = Symbol(interner.names.len() as u32);
            let object = Rc::new(StrObj::constant(text));
            interner.names.push(object.clone());
            interner.by_text.insert(Name(object), symbol);
        }
        interner
    }

    /// The symbol of `text`, made if need be.
    pub fn intern(&mut self, text: &str) -> Result<Symbol, OutOfMemory> {
        if let Some(symbol) = self.find(text) {
            return Ok(symbol);
        }
        self.heap.charge(64)?;
        let symbol = Symbol(self.names.len() as u32);
        let object = Rc::new(StrObj::new(&self.heap, text)?);
        self.names.push(object.clone());
        self.by_text.insert(Name(object), symbol);
        Ok(symbol)
    }

    /// The symbol of `text` if it has one.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The name's text.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.names
            .get(symbol.0 as usize)
            .map_or("?", |name| name.as_str())
    }

    /// The name as a string object.
    pub fn object(&self, symbol: Symbol) -> Rc<StrObj> {
        self.names[symbol.0 as usize].clone()
    }
}
