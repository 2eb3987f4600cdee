//! How an embedder runs a program.
//!
//! ```text
//! let mut vm = Vm::new(Limits::default(), arguments, Box::new(system), &[&LIBRARY]);
//! vm.set_global("CWD", Data::Text("/".into()))?;
//! vm.load_source("demo.peb", text)?;             // whole file parsed, nothing run yet
//! loop {
//!     match vm.run(100_000) {                    // so many steps at most
//!         Step::Yielded => {}                    // fuel used up; do something else, go on when you like
//!         Step::Blocked(patience) => vm.wait(patience),   // all threads wait for the system
//!         Step::Finished(status) => break,
//!         Step::Failed(error) => break,          // `error.to_string()` is `LABEL:N: DETAIL`
//!     }
//! }
//! ```
//! A session (a REPL, an editor's evaluation) calls `load_source` again after the end: variables, functions and modules
//! stay. `vm.interrupt_handle()` can be set from anywhere at any time; the running program sees it as an error of class
//! `Interrupt` within a bounded number of steps.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::bytecode;
use crate::compile::compile;
use crate::syntax::ast::Span;
use crate::syntax::{self, SyntaxError};
use crate::system::Patience;

pub use crate::builtins::{LIBRARY as BUILTINS, PRELUDE_SOURCE};
pub use crate::vm::Vm;

/// What a program may use. Passing a limit is an error that the program can catch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_bytes: usize,
    /// Nested calls.
    pub call_depth: usize,
    /// Steps in all, about one per call, loop round and element handled in a builtin.
    pub steps: u64,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Green threads at a time.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 1 << 30,
            call_depth: 20_000,
            steps: u64::MAX,
            output_bytes: u64::MAX,
            threads: 1024,
        }
    }
}

/// What running for a while came to.
#[derive(Debug)]
pub enum Step {
    /// The program has ended with this status.
    Finished(i32),
    /// The program has ended with an uncaught error (status 1).
    Failed(ProgramError),
    /// The fuel is used up; call `run` again.
    Yielded,
    /// Every thread waits for the system; call `wait` with this patience, then `run` again.
    Blocked(Patience),
}

/// An error that ended a program.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramError {
    /// The file, as its path from the root without the leading slash.
    pub label: String,
    /// The line, from 1; 0 when the whole text is `detail`.
    pub line: u32,
    /// What happened.
    pub detail: String,
    /// The name of the error's class.
    pub class: String,
    /// The expression and the caret under it, for syntax errors that have them.
    pub excerpt: Option<(String, u32)>,
    /// A name that may have been meant.
    pub suggestion: Option<String>,
    /// The calls that led there, outermost first.
    pub trace: Vec<TraceEntry>,
}

/// A call on the way to an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// The function's name; empty for the top level of a file.
    pub function: String,
    /// The file.
    pub label: String,
    /// The line it was at.
    pub line: u32,
}

/// `LABEL:N: DETAIL`, with the expression and the caret where there is one (15.7, 15.8).
impl fmt::Display for ProgramError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return formatter.write_str(&self.detail);
        }
        write!(formatter, "{}:{}: {}", self.label, self.line, self.detail)?;
        if let Some((text, column)) = &self.excerpt {
            write!(
                formatter,
                "\n{text}\n{:>width$}",
                "^",
                width = *column as usize
            )?;
        }
        Ok(())
    }
}

/// Asks a running program to stop: Ctrl-C, kill. Can be kept and used anywhere.
#[derive(Clone, Debug)]
pub struct InterruptHandle(Arc<AtomicBool>);

impl InterruptHandle {
    /// A handle on `flag`.
    pub fn new(flag: Arc<AtomicBool>) -> InterruptHandle {
        InterruptHandle(flag)
    }

    /// Raises the error of class `Interrupt` in the program, soon.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the compiler makes of a program, as text for people.
pub fn disassemble(source: &str) -> Result<String, SyntaxError> {
    let tree = syntax::parse(source)?;
    let unit = compile(&tree, &|_| false)
        .map_err(|error| SyntaxError::plain(error.line, Span::default(), error.message))?;
    Ok(bytecode::listing(&unit))
}
