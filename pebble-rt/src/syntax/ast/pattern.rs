//! The cases of a `match` statement.

use super::{Block, Expr, Name, Span};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// `case pattern if guard:` and its block.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchCase {
    /// What the subject must look like.
    pub pattern: Pattern,
    /// What must be true besides, with the pattern's names bound.
    pub guard: Option<Expr>,
    /// What is done then.
    pub body: Block,
    /// The header.
    pub span: Span,
}

/// A pattern and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// What it is.
    pub kind: PatternKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of patterns.
#[derive(Clone, Debug, PartialEq)]
pub enum PatternKind {
    /// `_`: anything.
    Wildcard,
    /// `name`: anything, and binds it.
    Capture(Name),
    /// A literal, possibly negative, or a dotted name: equal to it. `None`, `True` and `False` match by identity.
    Value(Expr),
    /// `[a, *rest, b]` or `(a, b)`: a list or tuple of that shape. At most one item is a [`Star`](Self::Star).
    Sequence(Vec<Pattern>),
    /// `*name`, or `*_` without a name; only in a sequence.
    Star(Option<Name>),
    /// `{"key": pattern, **rest}`: a dict that has at least these keys.
    Mapping {
        /// Keys (literals or dotted names) and what their values must look like.
        entries: Vec<(Expr, Pattern)>,
        /// Bound to a dict of the other entries.
        rest: Option<Name>,
    },
    /// `Class(pattern, field=pattern)`
    Class(Box<ClassPattern>),
    /// `a | b`: the first that matches.
    Or(Vec<Pattern>),
    /// `pattern as name`
    As {
        /// What must match.
        pattern: Box<Pattern>,
        /// Bound to the whole.
        name: Name,
    },
}

/// An instance of a class (or a builtin type) with such fields.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPattern {
    /// The class: a name or a dotted name.
    pub class: Expr,
    /// Against the fields in the order of the record's or enum's declaration, or the value itself for a builtin type.
    pub positional: Vec<Pattern>,
    /// Against the named fields.
    pub keywords: Vec<(Name, Pattern)>,
}
