//! What all threads of a program share: account, names, variables, limits, and the system behind.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::error::{ErrorClass, NativeError};
use crate::heap::Heap;
use crate::symbol::Interner;
use crate::system::{Grants, Stream, System};
use crate::value::Value;
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
    /// Steps until the thread gives way.
    pub(crate) fuel: i64,
    /// Steps that the program may still make beyond the current fuel.
    pub(crate) steps_left: u64,
    pub(crate) output_left: u64,
    pub(crate) output: OutputTarget,
}

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
    pub(crate) fn main_global(&mut self, _name: &str) -> Option<Value> {
        None
    }

    /// Sets a global variable of the main program.
    pub(crate) fn set_main_global(
        &mut self,
        _name: &str,
        _value: Value,
    ) -> Result<(), NativeError> {
        Ok(())
    }
}
