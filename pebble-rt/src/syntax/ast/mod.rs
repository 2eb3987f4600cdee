//! The syntax tree: what a program says, without how it was spelled.
//!
//! Invariants that every reader of a tree may rely on, because [`parse`](crate::syntax::parse) checked them:
//! - no expression is taller than [`MAX_EXPRESSION_HEIGHT`] and no block is nested deeper than [`MAX_BLOCK_DEPTH`], so that a
//!   recursive walk (compiler, formatter, `Drop`) needs a bounded stack. Chains that programs make long (`a + b + …`,
//!   `and`, `or`, comparisons, `elif`) are flat lists, not towers.
//! - `break` and `continue` stand inside a loop of the same function, `yield` inside a function.
//! - no parameter list names a parameter twice.
//! - a block has at least one statement.

mod expression;
mod name;
mod pattern;
mod statement;

pub use expression::{
    Argument, BinaryOperator, BinaryStep, CompareOperator, CompareStep, Comprehension,
    ComprehensionClause, ComprehensionElement, Conversion, DictEntry, Expr, ExprKind, FormatPart,
    Integer, Lambda, LogicalOperator, Parameter, Parameters, UnaryOperator,
};
pub use name::{Name, Span};
pub use pattern::{ClassPattern, MatchCase, Pattern, PatternKind};
pub use statement::{
    Block, ClassDef, EnumDef, EnumMember, ExceptClause, ExceptFilter, FunctionDef, ImportItem,
    ImportedName, Module, RecordDef, Stmt, StmtKind, Target, TargetKind, TryStmt, WithItem,
};

/// The most expressions that stand inside one another.
pub const MAX_EXPRESSION_HEIGHT: u16 = 128;

/// The most blocks that stand inside one another.
pub const MAX_BLOCK_DEPTH: usize = 64;
