//! A compiled source file, before it is bound to a machine: what `.pbc` files hold.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::op::Insn;

/// Index into [`Unit::names`].
pub type NameIndex = u32;

/// A compiled source file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    /// Every name and string constant.
    pub names: Vec<Rc<str>>,
    /// The functions; the first is the top level.
    pub functions: Vec<Proto>,
}

/// A compiled function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proto {
    /// Its name.
    pub name: NameIndex,
    /// What kind of code it is.
    pub kind: CodeKind,
    /// Its parameters.
    pub parameters: ParameterList,
    /// How many registers it uses.
    pub registers: u8,
    /// Its instructions. In those that name a global, `d` is a name index.
    pub code: Vec<Insn>,
    /// Which line instructions from which on belong to: (instruction, line).
    pub lines: Vec<(u32, u32)>,
    /// Constants.
    pub constants: Vec<Constant>,
    /// Names of attribute sites.
    pub sites: Vec<NameIndex>,
    /// Name lookups.
    pub chains: Vec<Chain>,
    /// Places.
    pub places: Vec<Place>,
    /// Imports: the parts of the dotted name and whether the leaf itself is wanted.
    pub imports: Vec<ImportPath>,
    /// Error handlers, inner before outer.
    pub handlers: Vec<Handler>,
    /// Where captured cells come from in the call that makes the function.
    pub captures: Vec<Capture>,
    /// Names of the registers of variables, for messages: (register, name).
    pub variables: Vec<(u8, NameIndex)>,
}

/// What kind of code a function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeKind {
    /// A `def` or `lambda`.
    #[default]
    Function,
    /// A `def` directly in a class body.
    Method,
    /// One with `yield`.
    Generator,
    /// A method with `yield`.
    GeneratorMethod,
    /// The top level of a file.
    Module,
    /// A class body.
    ClassBody,
}

/// The parameters of a function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterList {
    /// Positional ones; they are the first registers, in order.
    pub positional: Vec<NameIndex>,
    /// Keyword-only ones; the registers after.
    pub keyword_only: Vec<NameIndex>,
    /// Which keyword-only ones have a default (a bit each, first in bit 0).
    pub keyword_defaults: u64,
    /// How many of the last positional ones have defaults.
    pub defaults: u8,
    /// Whether there is `*rest`; its register comes after the keyword-only ones.
    pub has_rest: bool,
    /// Whether there is `**keywords`; the register after that.
    pub has_keywords: bool,
}

impl ParameterList {
    /// Whether all parameters are plain names.
    pub fn is_plain(&self) -> bool {
        self.keyword_only.is_empty() && self.defaults == 0 && !self.has_rest && !self.has_keywords
    }

    /// How many registers the parameters take.
    pub fn count(&self) -> usize {
        let extra = usize::from(self.has_rest) + usize::from(self.has_keywords);
        self.positional.len() + self.keyword_only.len() + extra
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `None`
    None,
    /// An integer that fits.
    Int(i64),
    /// An integer that does not: its digits (a name) and their base.
    Big(NameIndex, u32),
    /// A float.
    Float(f64),
    /// A string.
    Text(NameIndex),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A tuple of names, as strings.
    Names(Vec<NameIndex>),
}

/// How a name is looked up: the first step that has a value wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The name.
    pub name: NameIndex,
    /// The steps.
    pub steps: Vec<Step>,
}

/// A step of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A register.
    Local(u8),
    /// The cell in a register.
    Cell(u8),
    /// A captured cell.
    Captured(u8),
    /// The class that owns the function.
    Class,
    /// The module's variables and functions, then builtins.
    Global(u32),
}

/// A place: something that holds a list, dict or string that is changed where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where it starts.
    pub root: Root,
    /// The indexes on the way: registers from here on...
    pub first_key: u8,
    /// ...so many.
    pub keys: u8,
    /// A register that is unset when the instruction starts and holds what a `__getitem__` on the way gave.
    pub scratch: u8,
    /// The method's name, for `PlaceMethod`.
    pub name: NameIndex,
}

/// Where a place starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// A register.
    Local(u8),
    /// The cell in a register.
    Cell(u8),
    /// A captured cell.
    Captured(u8),
    /// A global variable (a name; a slot once bound).
    Global(u32),
    /// An attribute of the object in a register.
    Attr(u8, NameIndex),
    /// An attribute of the class whose body runs, by chain.
    Chain(u32),
}

/// What `import` names.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportPath {
    /// The parts.
    pub parts: Vec<NameIndex>,
    /// Whether the module itself is wanted, not the tree it hangs in.
    pub leaf: bool,
}

/// What happens to an error in a range of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// First instruction covered.
    pub start: u32,
    /// First instruction not covered.
    pub end: u32,
    /// Where to go.
    pub target: u32,
}

/// Where a captured cell comes from in the call that makes the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A register with a cell.
    Cell(u8),
    /// A cell that the maker captured itself.
    Captured(u8),
}
