//! A green thread: its stack of values, its calls, and what it waits for.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::NOWHERE;
use crate::error::NativeError;
use crate::native::Resume;
use crate::system::Token;
use crate::value::{Function, Value};

/// How many registers an instruction can name: the stack is always that much longer than the base of the last call.
pub(crate) const WINDOW: usize = 256;

/// A green thread.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) stack: Vec<Value>,
    pub(crate) charged_slots: usize,
    pub(crate) frames: Vec<Frame>,
    /// Operands that were read before something later in the expression could change what they name.
    pub(crate) pins: Vec<Value>,
    /// The error that the handler about to run caught.
    pub(crate) caught: Value,
    pub(crate) waiting: Option<Waiting>,
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) function: Rc<Function>,
    /// The next instruction, while the call is not the one that runs.
    pub(crate) pc: u32,
    /// Where the caller wants the result.
    pub(crate) result: u8,
    pub(crate) kind: FrameKind,
    /// Its first register in the stack.
    pub(crate) base: usize,
    /// Whether the caller does its instruction again when this call has returned.
    pub(crate) again: bool,
    /// Pins that belong to calls before.
    pub(crate) pins: u32,
    /// The instance being made, the class whose body runs, the generator.
    pub(crate) subject: Value,
}

impl Frame {
    /// Whether its end only gives a value to its caller.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == FrameKind::Normal && !self.again
    }

    /// Whether it is the `__init__` of a new instance, which its caller gets.
    #[inline(always)]
    pub(crate) fn is_constructor(&self) -> bool {
        self.kind == FrameKind::Init && !self.again
    }
}

/// Ends the top call, whose registers are clear. The place where its caller wants the result.
#[inline(always)]
pub(crate) fn leave(thread: &mut Thread) -> Option<&mut Value> {
    let Frame {
        function,
        subject,
        result,
        ..
    } = thread.frames.pop()?;
    drop(function);
    if subject.is_counted() {
        drop(subject);
    } else {
        core::mem::forget(subject);
    }
    if result == NOWHERE {
        return None;
    }
    let caller = thread.frames.last()?;
    thread.stack.get_mut(caller.base + usize::from(result))
}

/// What the end of a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// The result goes to the caller's register.
    Normal,
    /// The bottom of a thread.
    Root,
    /// `__init__`: the instance is the result.
    Init,
    /// A class body: the class is the result.
    ClassBody,
    /// The truth of the result decides whether the caller jumps.
    Branch { wanted: bool, distance: i32 },
    /// The truth of the result, as 1 or 0.
    Number { negated: bool },
    /// The truth of the result, as `True` or `False`.
    Truth { negated: bool },
    /// The top level of an imported module.
    Import { module: u32 },
    /// A generator that a loop resumed: a value makes the caller jump, the end makes it go on.
    Generator { distance: i32 },
    /// A generator that `next` resumed: the end is an error, or the value kept in the call's own register.
    GeneratorNext { has_default: bool },
    /// The result replaces what is at a place of the caller: a sorted list.
    StoreAt { place: u32 },
    /// `__next__` called by a loop.
    Next { distance: i32 },
}

/// A builtin that waits for the system.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) token: Option<Token>,
    pub(crate) resume: Resume,
    pub(crate) arguments: Vec<Value>,
    pub(crate) result: u8,
    pub(crate) kind: FrameKind,
    pub(crate) reason: crate::native::BlockReason,
}

impl Thread {
    pub(crate) fn new() -> Thread {
        Thread {
            stack: Vec::new(),
            charged_slots: 0,
            frames: Vec::new(),
            pins: Vec::new(),
            caught: Value::None,
            waiting: None,
        }
    }

    /// Makes the stack reach a window past `base`.
    pub(crate) fn reserve(
        &mut self,
        base: usize,
        heap: &crate::heap::Heap,
    ) -> Result<(), NativeError> {
        let needed = base + WINDOW;
        if self.stack.len() >= needed {
            return Ok(());
        }
        let wanted = needed.max(self.stack.len() * 2);
        let more = wanted - self.stack.len();
        heap.charge(more * size_of::<Value>())?;
        self.charged_slots += more;
        self.stack
            .try_reserve_exact(more)
            .map_err(|_| NativeError::from(crate::heap::OutOfMemory))?;
        self.stack.resize_with(wanted, Value::default);
        Ok(())
    }

    /// Gives the memory back at the thread's end.
    pub(crate) fn finish(&mut self, heap: &crate::heap::Heap) {
        self.frames.clear();
        self.pins.clear();
        self.stack = Vec::new();
        heap.credit(self.charged_slots * size_of::<Value>());
        self.charged_slots = 0;
    }
}
