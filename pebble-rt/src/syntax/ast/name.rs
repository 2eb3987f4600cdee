//! Identifiers and places in the source.

use alloc::rc::Rc;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

/// An identifier. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Rc<str>);

impl Name {
    /// Makes a name of `text`.
    pub fn new(text: &str) -> Self {
        Self(Rc::from(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text.
    pub fn to_shared(&self) -> Rc<str> {
        Rc::clone(&self.0)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where something stands in the source.
///
/// `start..end` are byte offsets into the source as given to the parser; [`SourceMap`](crate::syntax::SourceMap) turns them into
/// physical lines and columns. `line` is the number that errors report: that of the first physical line of the *logical* line.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Number of the logical line's first physical line, from 1. Zero in a tree that has no source.
    pub line: u32,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from the start of `self` to the end of `last`.
    pub fn to(self, last: Span) -> Span {
        Span {
            line: self.line,
            start: self.start,
            end: last.end.max(self.end),
        }
    }
}

/// Places are left out, so that the `Debug` text of two trees tells whether they say the same.
impl fmt::Debug for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("_")
    }
}
