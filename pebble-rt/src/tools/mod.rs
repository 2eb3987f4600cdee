//! Tools over programs: formatter, checker, suggestions. What an editor, a prompt and the command line share.

pub mod bindings;
pub mod check;
mod format;
mod suggest;
pub mod symbols;

pub use format::format;
pub use suggest::suggest;
