//! Statements.

use super::{BinaryOperator, Expr, ExprKind, MatchCase, Name, Parameters, Span};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// A whole source file.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its statements; empty for an empty file.
    pub body: Block,
}

/// Statements of one indentation.
pub type Block = Vec<Stmt>;

impl Module {
    /// The text that the file begins with, if it begins with a lone string.
    pub fn docstring(&self) -> Option<&Rc<str>> {
        docstring(&self.body)
    }
}

fn docstring(body: &[Stmt]) -> Option<&Rc<str>> {
    match &body.first()?.kind {
        StmtKind::Expression(Expr {
            kind: ExprKind::String(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

/// A statement and its place: the whole logical line, or the header line of a compound statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// A call, a `yield`, or the lone string (docstring) that a file, function or class may begin with.
    Expression(Expr),
    /// `a = b = value`: the value first, then the targets from left to right.
    Assign {
        /// At least one.
        targets: Vec<Target>,
        /// The right side.
        value: Expr,
    },
    /// `target += value`; the target is a name, index, slice or attribute.
    AugmentedAssign {
        /// Read once, written once; its container and index are evaluated once.
        target: Target,
        /// What is done.
        operator: BinaryOperator,
        /// The right side.
        value: Expr,
    },
    /// `print a, b`: the text forms with a blank between, and a newline. Where the program itself binds `print`, the form
    /// `print(…)` is an ordinary call and not this.
    Print(Vec<Expr>),
    /// `return`, `return value`; also at the top level, which ends the program.
    Return(Option<Expr>),
    /// `raise value`, or `raise` to raise the error being handled again.
    Raise(Option<Expr>),
    /// `import a.b, c as d`
    Import(Vec<ImportItem>),
    /// `from a.b import c, d as e`
    FromImport {
        /// The module's name in parts.
        module: Vec<Name>,
        /// What is bound, at least one.
        names: Vec<ImportedName>,
    },
    /// `pass`
    Pass,
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `del a, b[0], c.d`
    Delete(Vec<Target>),
    /// `global a, b`
    Global(Vec<Name>),
    /// `nonlocal a, b`
    Nonlocal(Vec<Name>),
    /// `assert condition, message`
    Assert {
        /// What must be true.
        condition: Expr,
        /// The error's text; evaluated only when needed.
        message: Option<Expr>,
    },
    /// `if`, any number of `elif`, `else`
    If {
        /// Conditions and blocks in order, at least one.
        branches: Vec<(Expr, Block)>,
        /// The `else` block.
        otherwise: Option<Block>,
    },
    /// `while condition:`
    While {
        /// Checked before each round.
        condition: Expr,
        /// The loop's block.
        body: Block,
        /// The `else` block: done when the loop ends without `break`.
        otherwise: Option<Block>,
    },
    /// `for target in iterable:`
    For {
        /// Bound before each round.
        target: Target,
        /// Evaluated once.
        iterable: Expr,
        /// The loop's block.
        body: Block,
        /// The `else` block: done when the loop ends without `break`.
        otherwise: Option<Block>,
    },
    /// `def name(parameters):`
    Function(Box<FunctionDef>),
    /// `class Name(base):`
    Class(Box<ClassDef>),
    /// `record Name(a, b)`
    Record(Box<RecordDef>),
    /// `enum Name:`
    Enum(Box<EnumDef>),
    /// `try:`
    Try(Box<TryStmt>),
    /// `with a as b, c:`
    With {
        /// Entered from left to right, left in the opposite order.
        items: Vec<WithItem>,
        /// The block.
        body: Block,
    },
    /// `match subject:`
    Match {
        /// Evaluated once.
        subject: Expr,
        /// Tried in order, at least one.
        cases: Vec<MatchCase>,
    },
}

/// Something that can be assigned to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// Where it stands.
    pub span: Span,
}

impl Target {
    /// Calls `visit` with each expression that must be evaluated to reach the target.
    pub fn for_each_expression<'tree>(&'tree self, visit: &mut dyn FnMut(&'tree Expr)) {
        match &self.kind {
            TargetKind::Name(_) => {}
            TargetKind::Attribute { object, .. } => visit(object),
            TargetKind::Index { object, index } => {
                visit(object);
                visit(index);
            }
            TargetKind::Slice {
                object,
                start,
                stop,
                step,
            } => {
                visit(object);
                [start, stop, step]
                    .into_iter()
                    .flatten()
                    .for_each(|bound| visit(bound));
            }
            TargetKind::Unpack {
                before,
                rest,
                after,
            } => {
                before
                    .iter()
                    .for_each(|target| target.for_each_expression(visit));
                rest.iter()
                    .for_each(|target| target.for_each_expression(visit));
                after
                    .iter()
                    .for_each(|target| target.for_each_expression(visit));
            }
        }
    }

    /// Calls `visit` with each name that the target binds.
    pub fn for_each_name<'tree>(&'tree self, visit: &mut dyn FnMut(&'tree Name, Span)) {
        match &self.kind {
            TargetKind::Name(name) => visit(name, self.span),
            TargetKind::Attribute { .. } | TargetKind::Index { .. } | TargetKind::Slice { .. } => {}
            TargetKind::Unpack {
                before,
                rest,
                after,
            } => {
                before.iter().for_each(|target| target.for_each_name(visit));
                rest.iter().for_each(|target| target.for_each_name(visit));
                after.iter().for_each(|target| target.for_each_name(visit));
            }
        }
    }
}

/// The kinds of targets.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetKind {
    /// `name`
    Name(Name),
    /// `object.name`
    Attribute {
        /// Whose.
        object: Box<Expr>,
        /// Which.
        name: Name,
    },
    /// `object[index]`
    Index {
        /// What is indexed.
        object: Box<Expr>,
        /// By what.
        index: Box<Expr>,
    },
    /// `object[start:stop:step]`
    Slice {
        /// What is sliced.
        object: Box<Expr>,
        /// First position.
        start: Option<Box<Expr>>,
        /// Position past the last.
        stop: Option<Box<Expr>>,
        /// Distance.
        step: Option<Box<Expr>>,
    },
    /// `a, *b, c`, also in `( )` or `[ ]` and nested. Without `rest`, `after` is empty.
    Unpack {
        /// Those from the left.
        before: Vec<Target>,
        /// The starred one: gets a list of what the others leave.
        rest: Option<Box<Target>>,
        /// Those from the right.
        after: Vec<Target>,
    },
}

/// A function or method.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionDef {
    /// Its name.
    pub name: Name,
    /// Where the name stands.
    pub name_span: Span,
    /// Its parameters.
    pub parameters: Parameters,
    /// Its block.
    pub body: Block,
    /// `@decorator` lines from top to bottom: evaluated in this order, applied in the opposite one.
    pub decorators: Vec<Expr>,
    /// True when the body holds a `yield` of its own (not of a nested function).
    pub is_generator: bool,
}

impl FunctionDef {
    /// The lone string that the body begins with.
    pub fn docstring(&self) -> Option<&Rc<str>> {
        docstring(&self.body)
    }
}

/// A class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassDef {
    /// Its name.
    pub name: Name,
    /// Where the name stands.
    pub name_span: Span,
    /// Its base classes: none or more.
    pub bases: Vec<Expr>,
    /// Its block.
    pub body: Block,
    /// `@decorator` lines from top to bottom.
    pub decorators: Vec<Expr>,
}

impl ClassDef {
    /// The lone string that the body begins with.
    pub fn docstring(&self) -> Option<&Rc<str>> {
        docstring(&self.body)
    }
}

/// A record: a class with named fields, a constructor, a text form and equality by fields.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordDef {
    /// Its name.
    pub name: Name,
    /// Where the name stands.
    pub name_span: Span,
    /// Its fields: plain names, possibly with defaults; no `*rest` or `**keywords`.
    pub fields: Parameters,
    /// Its methods and class attributes; empty unless the line ends in a colon and a block follows.
    pub body: Block,
    /// `@decorator` lines from top to bottom.
    pub decorators: Vec<Expr>,
}

/// An enumeration.
///
/// A member without a value gets the integer after the one before it, the first one 0.
#[derive(Clone, Debug, PartialEq)]
pub struct EnumDef {
    /// Its name.
    pub name: Name,
    /// Where the name stands.
    pub name_span: Span,
    /// Its members in order, at least one, no name twice.
    pub members: Vec<EnumMember>,
    /// Its methods (`def` statements), after the members; may be empty.
    pub body: Block,
    /// `@decorator` lines from top to bottom.
    pub decorators: Vec<Expr>,
}

/// `NAME` or `NAME = value` in an enumeration.
#[derive(Clone, Debug, PartialEq)]
pub struct EnumMember {
    /// Its name.
    pub name: Name,
    /// Its value, if one is written.
    pub value: Option<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// `try:` and what follows. There is at least one `except` or a `finally`.
#[derive(Clone, Debug, PartialEq)]
pub struct TryStmt {
    /// What is tried.
    pub body: Block,
    /// Tried in order. One without a filter is the last.
    pub handlers: Vec<ExceptClause>,
    /// `else`: done when the body ended without an error; only with a handler.
    pub otherwise: Option<Block>,
    /// `finally`: done in every case.
    pub finally: Option<Block>,
}

/// An `except` clause.
#[derive(Clone, Debug, PartialEq)]
pub struct ExceptClause {
    /// Which errors it takes and what it binds.
    pub filter: ExceptFilter,
    /// What is done.
    pub body: Block,
    /// The header.
    pub span: Span,
}

/// Which errors an `except` clause takes and what it binds.
#[derive(Clone, Debug, PartialEq)]
pub enum ExceptFilter {
    /// `except:` takes all and binds nothing.
    All,
    /// `except name:`. If the name is bound to an error class when an error arrives, that class is a filter and nothing is
    /// bound; else all errors are taken and the name is bound to the error's full text.
    Name(Name),
    /// `except A:`, `except (A, B):` or `except a.B:` with `as name`, or without it where a lone name would be
    /// [`Name`](Self::Name). Binds the error object.
    Types {
        /// An error class or a tuple of them.
        types: Expr,
        /// Bound to the error object.
        binding: Option<Name>,
    },
}

/// `a.b` or `a.b as c`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportItem {
    /// The module's name in parts, at least one.
    pub path: Vec<Name>,
    /// Bound to the module itself; without it the first part is bound to the module tree.
    pub alias: Option<Name>,
    /// Where it stands.
    pub span: Span,
}

/// `a` or `a as b` in `from … import`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedName {
    /// The module's name for it.
    pub name: Name,
    /// What it is bound to, if not the same.
    pub alias: Option<Name>,
    /// Where it stands.
    pub span: Span,
}

/// `context as target`.
#[derive(Clone, Debug, PartialEq)]
pub struct WithItem {
    /// Its `__enter__` and `__exit__` are called.
    pub context: Expr,
    /// Bound to what `__enter__` gives.
    pub target: Option<Target>,
}
