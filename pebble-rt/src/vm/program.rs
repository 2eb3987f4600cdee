//! The machine as an embedder sees it.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use crate::bytecode::Unit;
use crate::compile::{Pace, compile, compile_at};
use crate::engine::{InterruptHandle, Limits, ProgramError, Step, TraceEntry};
use crate::error::{ErrorClass, NativeError};
use crate::native::Library;
use crate::syntax;
use crate::system::{Data, Patience, System};
use crate::value::{Raised, Value};

use super::Core;
use super::core::MAIN;
use super::surroundings::bind_system;
use super::thread::{Frame, FrameKind, Thread};
use super::threads::Scheduler;

/// Steps that a thread runs before the next one gets its turn.
const TURN_STEPS: i64 = 10_000;

/// A machine with one program, or one session of several.
#[derive(Debug)]
pub struct Vm {
    core: Core,
    scheduler: Scheduler,
}

impl Vm {
    /// A machine for one program. The language's own builtins come besides `libraries`.
    pub fn new(
        limits: Limits,
        arguments: Vec<String>,
        system: Box<dyn System>,
        libraries: &[&'static Library],
    ) -> Vm {
        let mut all: Vec<&'static Library> = Vec::from([&crate::builtins::LIBRARY]);
        all.extend(libraries);
        let mut core = Core::new(limits, arguments, system, all);
        let given: Vec<Data> = core
            .arguments
            .iter()
            .map(|argument| Data::Text(argument.clone()))
            .collect();
        let count = given.len() as i64;
        // These fail only where not even this fits the limit; then the program finds out on its first step.
        let _ = set_global(&mut core, "ARGV", Data::List(given));
        let _ = set_global(&mut core, "ARGC", Data::Number(count));
        Vm {
            core,
            scheduler: Scheduler::new(),
        }
    }

    /// Sets a global variable of the program.
    pub fn set_global(&mut self, name: &str, value: Data) -> Result<(), String> {
        set_global(&mut self.core, name, value).map_err(|error| format!("{error:?}"))
    }

    /// The text form of a global variable of the program.
    pub fn global_text(&mut self, name: &str) -> Option<String> {
        let value = self.core.main_global(name)?;
        crate::value::text_of(&self.core.heap, &value).ok()
    }

    /// The names that the program has bound so far, for completion.
    pub fn global_names(&self) -> Vec<String> {
        self.core.names_of_module(MAIN).map(String::from).collect()
    }

    /// The names of the attributes of the value of a dotted name, for completion.
    pub fn attribute_names(&mut self, path: &[&str]) -> Vec<String> {
        let Some((first, rest)) = path.split_first() else {
            return Vec::new();
        };
        let Some(mut value) = self.core.main_global(first) else {
            return Vec::new();
        };
        for part in rest {
            let Some(name) = self.core.interner.find(part) else {
                return Vec::new();
            };
            match self.core.attribute(&value, name) {
                Ok(next) => value = next,
                Err(_) => return Vec::new(),
            }
        }
        self.core.attribute_names(&value)
    }

    /// Asks the running program to stop, from anywhere.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(Arc::clone(&self.core.interrupt))
    }

    /// Bytes that the program holds now and the most that it held.
    pub fn memory_bytes(&self) -> (usize, usize) {
        (self.core.heap.used_bytes(), self.core.heap.peak_bytes())
    }

    /// Steps that were run so far.
    pub fn steps(&self) -> u64 {
        self.core.limits.steps.saturating_sub(self.core.steps_left)
    }

    /// Parses and compiles a program; nothing runs before [`run`](Self::run). In a session, variables, functions and
    /// modules of what ran before stay.
    pub fn load_source(&mut self, label: &str, source: &str) -> Result<(), ProgramError> {
        self.load_source_at(Pace::Free, label, source)
    }

    /// The same for a program that stops as often as `pace` says.
    pub fn load_source_at(
        &mut self,
        pace: Pace,
        label: &str,
        source: &str,
    ) -> Result<(), ProgramError> {
        let syntax_error = |line: u32, detail: String, excerpt| ProgramError {
            label: String::from(label),
            line,
            detail,
            class: String::from(ErrorClass::Syntax.name()),
            excerpt,
            suggestion: None,
            trace: Vec::new(),
        };
        let mut tree = syntax::parse(source).map_err(|error| {
            let excerpt = error.excerpt.map(|excerpt| (excerpt.text, excerpt.column));
            syntax_error(error.line, error.message, excerpt)
        })?;
        bind_system(source, &mut tree);
        let unit = {
            let core = &self.core;
            let is_known = |name: &str| {
                let symbol = core.interner.find(name);
                let slot = symbol.and_then(|symbol| core.find_slot(MAIN, symbol));
                slot.is_some_and(|slot| {
                    !slot.variable.is_undefined()
                        || !slot.function.is_undefined()
                        || !slot.nested.is_undefined()
                })
            };
            compile_at(pace, &tree, &is_known)
                .map_err(|error| syntax_error(error.line, error.message, None))?
        };
        self.load_unit(label, unit)
    }

    /// Loads a program from a bytecode file, after verifying it.
    pub fn load_bytecode(&mut self, label: &str, bytes: &[u8]) -> Result<(), ProgramError> {
        let unit = crate::bytecode::read(bytes).map_err(|error| ProgramError {
            label: String::from(label),
            line: 0,
            detail: format!("{label}: {error}"),
            class: String::from(ErrorClass::Import.name()),
            excerpt: None,
            suggestion: None,
            trace: Vec::new(),
        })?;
        self.load_unit(label, unit)
    }

    fn load_unit(&mut self, label: &str, unit: Unit) -> Result<(), ProgramError> {
        self.core.modules[MAIN as usize].label = label.into();
        let mut thread = Thread::new();
        let started = self.start(unit, &mut thread);
        if let Err(error) = started {
            let raised = self.core.raised(&thread, error);
            return Err(self.program_error(&raised));
        }
        self.scheduler.begin(&mut self.core, thread);
        Ok(())
    }

    fn start(&mut self, unit: Unit, thread: &mut Thread) -> Result<(), NativeError> {
        let unit = self.core.link(unit, MAIN, None)?;
        let function = self.core.top_function(thread, unit)?;
        let frame = Frame {
            function: Rc::new(function),
            pc: 0,
            result: crate::bytecode::NOWHERE,
            kind: FrameKind::Root,
            base: 0,
            again: false,
            pins: 0,
            subject: Value::Undefined,
        };
        self.core.push_frame(thread, frame)
    }

    /// The steps that were made since the machine was made.
    pub fn steps_made(&self) -> u64 {
        self.core.limits.steps.saturating_sub(self.core.steps_left)
    }

    /// Runs for about `fuel` steps.
    pub fn run(&mut self, fuel: u64) -> Step {
        let mut left = fuel;
        loop {
            if self.core.interrupt.swap(false, Ordering::Relaxed) {
                self.scheduler.interrupt();
            }
            let turn = TURN_STEPS
                .min(i64::try_from(left).unwrap_or(i64::MAX))
                .max(1);
            let granted = turn.min(i64::try_from(self.core.steps_left).unwrap_or(i64::MAX));
            if granted == 0 && !self.scheduler.out_of_steps(&mut self.core) {
                let error = NativeError::new(ErrorClass::Steps, "step limit exceeded");
                let raised = self.scheduler.raised_outside(&mut self.core, error);
                return Step::Failed(self.program_error(&raised));
            }
            self.core.fuel = granted.max(1);
            let outcome = self.scheduler.turn(&mut self.core);
            let used = (granted - self.core.fuel).max(1) as u64;
            self.core.steps_left = self.core.steps_left.saturating_sub(used);
            left = left.saturating_sub(used);
            match outcome {
                Turn::Go if left > 0 => {}
                Turn::Go => return Step::Yielded,
                Turn::Idle(patience) => return Step::Blocked(patience),
                Turn::Finished(status) => return Step::Finished(status),
                Turn::Failed(raised) => return Step::Failed(self.program_error(&raised)),
            }
        }
    }

    /// Waits for answers to what the threads wait for.
    pub fn wait(&mut self, patience: Patience) {
        let answers = self.core.system.wait(patience);
        for (token, answer) in answers {
            self.scheduler.answer(token, answer);
        }
    }

    /// The calls that the thread that ran last is in, outermost first.
    pub fn trace(&self) -> Vec<TraceEntry> {
        let frames = self
            .core
            .threads
            .current_thread()
            .map_or(&[][..], |thread| &thread.frames);
        frames
            .iter()
            .map(|frame| (&frame.function.code, frame.pc))
            .filter(|(code, _)| code.module != super::core::PRELUDE)
            .map(|(code, pc)| TraceEntry {
                function: String::from(&*code.name),
                label: String::from(&*code.label),
                line: code.line_at(pc.saturating_sub(1) as usize),
            })
            .collect()
    }

    /// Runs to the end.
    pub fn run_to_end(&mut self) -> Result<i32, ProgramError> {
        loop {
            match self.run(1_000_000) {
                Step::Finished(status) => return Ok(status),
                Step::Failed(error) => return Err(error),
                Step::Yielded => {}
                Step::Blocked(patience) => self.wait(patience),
            }
        }
    }

    /// The system that was given to the machine.
    pub fn system(&mut self) -> &mut dyn System {
        &mut *self.core.system
    }

    /// An error as its reader needs it.
    fn program_error(&mut self, raised: &Raised) -> ProgramError {
        let trace = raised.trace.borrow();
        let entries = trace
            .iter()
            .rev()
            .filter(|(code, _)| code.module != super::core::PRELUDE);
        ProgramError {
            label: String::from(&*raised.label),
            line: raised.line,
            detail: String::from(raised.detail.as_str().unwrap_or_default()),
            class: String::from(raised.class.name()),
            excerpt: raised.excerpt.borrow().clone(),
            suggestion: raised.suggestion.borrow().clone(),
            trace: entries
                .map(|(code, pc)| TraceEntry {
                    function: String::from(&*code.name),
                    label: String::from(&*code.label),
                    line: code.line_at(*pc as usize),
                })
                .collect(),
        }
    }
}

/// Compiles a program into a bytecode file that [`Vm::load_bytecode`] takes.
pub fn compile_to_bytecode(label: &str, source: &str) -> Result<Vec<u8>, ProgramError> {
    let failed = |line: u32, detail: String, excerpt| ProgramError {
        label: String::from(label),
        line,
        detail,
        class: String::from(ErrorClass::Syntax.name()),
        excerpt,
        suggestion: None,
        trace: Vec::new(),
    };
    let tree = syntax::parse(source).map_err(|error| {
        let excerpt = error.excerpt.map(|excerpt| (excerpt.text, excerpt.column));
        failed(error.line, error.message, excerpt)
    })?;
    let unit =
        compile(&tree, &|_| false).map_err(|error| failed(error.line, error.message, None))?;
    Ok(crate::bytecode::write(&unit))
}

/// What a turn of the scheduler came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// There is more to do.
    Go,
    /// Every thread waits.
    Idle(Patience),
    /// The program has ended.
    Finished(i32),
    /// The program has ended with an error.
    Failed(Rc<Raised>),
}

fn set_global(core: &mut Core, name: &str, value: Data) -> Result<(), NativeError> {
    let value = core.value_of_data(value)?;
    core.set_main_global(name, value)
}

impl Core {
    /// Plain data as a value.
    pub(crate) fn value_of_data(&mut self, data: Data) -> Result<Value, NativeError> {
        Ok(match data {
            Data::None => Value::None,
            Data::Flag(truth) => Value::bool(truth),
            Data::Number(number) => Value::Int(number),
            Data::Float(number) => Value::float(number),
            Data::Text(text) => self.heap.owned_string(text)?,
            Data::Bytes(bytes) => self.heap.bytes(bytes)?,
            Data::List(items) => {
                let mut values = self.heap.values(items.len())?;
                for item in items {
                    values.push(self.value_of_data(item)?);
                }
                self.heap.list(values)?
            }
            Data::Record(fields) => {
                let mut dict = self.heap.dict()?;
                for (name, field) in fields {
                    let key = self.heap.owned_string(name)?;
                    let value = self.value_of_data(field)?;
                    dict.insert(key, value).map_err(|_| super::bad_key())??;
                }
                self.heap.dict_value(dict)
            }
        })
    }
}
