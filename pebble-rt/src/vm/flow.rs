//! Calls, returns, errors: what happens between two windows of the main loop.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::bytecode::{Code, Insn, NOWHERE};
use crate::error::{ErrorClass, NativeError, Want};
use crate::native::{ANY_NUMBER, BlockReason, NativeContext, NativeFunction, NativeResult};
use crate::symbol::Symbol;
use crate::value::{
    Class, DictObj, Function, Generator, GeneratorState, Instance, Member, ModuleKind, Raised,
    Value,
};

use super::arithmetic::method_call;
use super::core::{ModuleState, OutputTarget, PRELUDE};
use super::stop::Stop;
use super::thread::{Frame, FrameKind, Thread, Waiting};
use super::{Core, Pause};

impl Core {
    /// Deals with why a window was left.
    pub(crate) fn after_stop(&mut self, thread: &mut Thread, stop: Stop) -> Result<(), Pause> {
        let done = match stop {
            Stop::Fuel => return Err(Pause::Fuel),
            Stop::Grow => self.enter_top(thread),
            Stop::Return(value) => return self.finish_frame(thread, value),
            Stop::Yield(value, register) => self.yield_value(thread, value, register),
            Stop::Call {
                callee,
                first,
                count,
                result,
            } => self.begin_call(thread, callee, first, count, result),
            Stop::CallPacked {
                callee,
                arguments,
                keywords,
                result,
            } => self.push_call(
                thread,
                callee,
                arguments,
                keywords,
                result,
                FrameKind::Normal,
            ),
            Stop::Fault(error, result, kind) => return self.fault(thread, error, result, kind),
            Stop::Retry(error, register) => {
                self.call_and_again(thread, error, register)?;
                Ok(())
            }
            Stop::MakeClass(insn) => self.make_class(thread, insn),
            Stop::Import(insn) => self.import(thread, insn),
            Stop::Method(insn) => self.method(thread, insn),
            Stop::PlaceMethod(insn) => self.place_method(thread, insn),
            Stop::Unwind(raised) => return self.unwind(thread, raised),
            Stop::Next {
                source,
                variable,
                distance,
            } => self.next_round(thread, source, variable, distance),
        };
        match done {
            Ok(()) if self.fuel <= 0 => Err(Pause::Fuel),
            Ok(()) => Ok(()),
            Err(error @ NativeError::Park(_)) if self.parked_round.is_some() => {
                let (variable, distance) = self.parked_round.take().unwrap_or_default();
                self.fault(thread, error, variable, FrameKind::Next { distance })
            }
            Err(error) => match self.again.take() {
                Some(register) => self.call_and_again(thread, error, register),
                None => self.fault(thread, error, NOWHERE, FrameKind::Normal),
            },
        }
    }

    /// Makes a call whose result goes to `register`, after which the running instruction is done again.
    pub(crate) fn call_and_again(
        &mut self,
        thread: &mut Thread,
        call: NativeError,
        register: u8,
    ) -> Result<(), Pause> {
        let depth = thread.frames.len();
        self.fault(thread, call, register, FrameKind::Normal)?;
        if thread.frames.len() > depth {
            if let Some(frame) = thread.frames.last_mut() {
                frame.again = true;
            }
        } else if thread.frames.len() == depth
            && !self.has_unwound
            && let Some(frame) = thread.frames.last_mut()
        {
            frame.pc -= 1;
        }
        Ok(())
    }

    /// An operation ended otherwise than with a value.
    pub(crate) fn fault(
        &mut self,
        thread: &mut Thread,
        error: NativeError,
        result: u8,
        kind: FrameKind,
    ) -> Result<(), Pause> {
        self.has_unwound = false;
        match error {
            NativeError::Thrown(raised) => self.unwind(thread, raised),
            NativeError::TailCall { callee, args } => {
                match self.push_call(thread, callee, args, Value::None, result, kind) {
                    Ok(()) => Ok(()),
                    Err(error @ NativeError::TailCall { .. }) => {
                        self.fault(thread, error, result, kind)
                    }
                    Err(error) => self.fault(thread, error, result, kind),
                }
            }
            NativeError::Exit(status) => Err(Pause::Exit(status)),
            NativeError::Resume { generator, default } => {
                let kind = FrameKind::GeneratorNext {
                    has_default: default.is_some(),
                };
                match self.resume_generator(thread, &generator, result, kind, default) {
                    Ok(()) => Ok(()),
                    Err(error) => self.fault(thread, error, NOWHERE, FrameKind::Normal),
                }
            }
            NativeError::Blocked(blocked) => {
                thread.waiting = Some(Waiting {
                    token: Some(blocked.token),
                    resume: blocked.resume,
                    arguments: core::mem::take(&mut self.blocked_arguments),
                    result: self.blocked_result.take().unwrap_or(result),
                    kind,
                    reason: blocked.reason,
                });
                Err(Pause::Waiting)
            }
            NativeError::Park(park) => {
                thread.waiting = Some(Waiting {
                    token: None,
                    resume: |_, _, _| Ok(Value::None),
                    arguments: Vec::new(),
                    result: self.blocked_result.take().unwrap_or(result),
                    kind,
                    reason: BlockReason::Other,
                });
                Err(Pause::Parked(park))
            }
            error => {
                let raised = self.raised(thread, error);
                self.unwind(thread, raised)
            }
        }
    }

    /// Makes the error object of a failure, with the line where the program was.
    pub(crate) fn raised(&mut self, thread: &Thread, error: NativeError) -> Rc<Raised> {
        let heap = self.heap.clone();
        heap.with_reserve(|| self.build_raised(thread, error))
    }

    fn build_raised(&mut self, thread: &Thread, error: NativeError) -> Rc<Raised> {
        let (class, detail, whole) = match error {
            NativeError::Raise { class, detail } => (class, detail, false),
            NativeError::RaiseWhole { class, text } => (class, text, true),
            NativeError::NeedsMethod { .. } => (
                ErrorClass::Type,
                String::from("this cannot be done with instances that have methods of their own"),
                false,
            ),
            _ => (
                ErrorClass::Error,
                String::from("the operation did not end"),
                false,
            ),
        };
        let (line, label) = self.current_line(thread);
        let class = self
            .error_class(class)
            .unwrap_or_else(|_| self.root_error_class());
        let detail = self
            .heap
            .owned_string(detail)
            .unwrap_or(Value::Str(self.empty_string.clone()));
        self.new_raised(class, detail, if whole { 0 } else { line }, label)
    }

    fn root_error_class(&mut self) -> Rc<Class> {
        match self.error_classes.first() {
            Some(Some(class)) => class.clone(),
            _ => Class::new(
                &crate::heap::Heap::new(usize::MAX / 2),
                "Error",
                PRELUDE,
                Vec::new(),
                &self.stamps,
            )
            .expect("an account without a limit does not refuse"),
        }
    }

    pub(crate) fn new_raised(
        &mut self,
        class: Rc<Class>,
        detail: Value,
        line: u32,
        label: Rc<str>,
    ) -> Rc<Raised> {
        Rc::new(Raised {
            class,
            detail,
            line,
            label,
            object: RefCell::new(None),
            trace: RefCell::new(Vec::new()),
            suggestion: RefCell::new(None),
            excerpt: RefCell::new(None),
        })
    }

    /// The line and file of the innermost call that is not the system's own: what the library does on behalf of a call
    /// is reported where the program made that call (15.9). A program of the system itself has the innermost file.
    pub(crate) fn current_line(&self, thread: &Thread) -> (u32, Rc<str>) {
        let frames = || thread.frames.iter().rev();
        let own = frames()
            .find(|frame| !is_library(&frame.function.code))
            .or_else(|| frames().find(|frame| frame.function.code.module != PRELUDE));
        match own.or(thread.frames.last()) {
            Some(frame) => {
                let code = &frame.function.code;
                (
                    code.line_at((frame.pc as usize).saturating_sub(1)),
                    code.label.clone(),
                )
            }
            None => (0, Rc::from("")),
        }
    }

    /// Finds the handler of an error, leaving calls on the way.
    pub(crate) fn unwind(&mut self, thread: &mut Thread, raised: Rc<Raised>) -> Result<(), Pause> {
        self.has_unwound = true;
        while let Some(frame) = thread.frames.last_mut() {
            let at = frame.pc.saturating_sub(1);
            let code = &frame.function.code;
            let handler = code
                .handlers
                .iter()
                .find(|handler| handler.start <= at && at < handler.end);
            if let Some(handler) = handler {
                frame.pc = handler.target;
                self.pins.truncate(frame.pins as usize);
                thread.caught = Value::Error(raised);
                return Ok(());
            }
            if self.heap.charge(0).is_ok() {
                raised.trace.borrow_mut().push((code.clone(), at));
            }
            if self.leave_by_error(thread, &raised)? {
                return Ok(());
            }
        }
        Err(Pause::Failed(raised))
    }

    /// Drops the top call because of an error. Says whether the caller simply goes on (the end of an iteration).
    fn leave_by_error(&mut self, thread: &mut Thread, raised: &Rc<Raised>) -> Result<bool, Pause> {
        let Some(frame) = thread.frames.pop() else {
            return Ok(false);
        };
        clear_registers(thread, &frame);
        self.pins.truncate(frame.pins as usize);
        match frame.kind {
            FrameKind::Import { module } => {
                self.end_import(module, ModuleState::Failed);
                Ok(false)
            }
            FrameKind::Generator { .. } | FrameKind::GeneratorNext { .. } => {
                if let Value::Generator(generator) = &frame.subject {
                    generator.finish();
                }
                Ok(false)
            }
            FrameKind::Next { .. } => {
                let stop = self.error_class(ErrorClass::StopIteration);
                Ok(stop.is_ok_and(|stop| raised.class.is_a(&stop)))
            }
            _ => Ok(false),
        }
    }

    /// Ends the top call with `value`.
    pub(crate) fn finish_frame(&mut self, thread: &mut Thread, value: Value) -> Result<(), Pause> {
        let Some(frame) = thread.frames.pop() else {
            return Err(Pause::Done(value));
        };
        clear_registers(thread, &frame);
        let result = frame.result;
        if frame.again {
            if frame.function.name() == "__iter__" && !can_be_walked(&value) {
                return self.fault(thread, not_iterable(), NOWHERE, FrameKind::Normal);
            }
            jump_caller(thread, -1);
        }
        match frame.kind {
            FrameKind::Normal => store(thread, result, value),
            FrameKind::Root => {
                return Err(Pause::Done(value));
            }
            FrameKind::Init | FrameKind::ClassBody => store(thread, result, frame.subject),
            FrameKind::Branch { wanted, distance } => {
                if value.is_true() == wanted {
                    jump_caller(thread, distance);
                }
            }
            FrameKind::Number { negated } => store(
                thread,
                result,
                Value::Int(i64::from(value.is_true() != negated)),
            ),
            FrameKind::Truth { negated } => {
                store(thread, result, Value::bool(value.is_true() != negated))
            }
            FrameKind::Import { module } => self.end_import(module, ModuleState::Ready),
            FrameKind::Generator { .. } => {
                if let Value::Generator(generator) = &frame.subject {
                    generator.finish();
                }
            }
            FrameKind::GeneratorNext { has_default } => {
                if let Value::Generator(generator) = &frame.subject {
                    generator.finish();
                }
                let default = frame.base.checked_sub(1).filter(|_| has_default);
                let default = default
                    .and_then(|at| thread.stack.get_mut(at))
                    .map(core::mem::take);
                let Some(default) = default else {
                    let error =
                        NativeError::new(ErrorClass::StopIteration, "the iterator has ended");
                    return self.fault(thread, error, NOWHERE, FrameKind::Normal);
                };
                store(thread, result, default);
            }
            FrameKind::Next { distance } => {
                store(thread, result, value);
                jump_caller(thread, distance);
            }
            FrameKind::StoreAt { place } => {
                if let Err(error) = self.store_at(thread, place, value) {
                    return self.fault(thread, error, NOWHERE, FrameKind::Normal);
                }
            }
        }
        Ok(())
    }

    /// Pauses the top call, a generator, and gives `value` to whoever resumed it.
    fn yield_value(
        &mut self,
        thread: &mut Thread,
        value: Value,
        register: u8,
    ) -> Result<(), NativeError> {
        let Some(frame) = thread.frames.pop() else {
            return Ok(());
        };
        let registers = usize::from(frame.function.code.registers);
        let saved = thread.stack.get_mut(frame.base..frame.base + registers);
        let mut saved: Vec<Value> = saved
            .map(|saved| saved.iter_mut().map(core::mem::take).collect())
            .unwrap_or_default();
        if let Some(place) = saved.get_mut(usize::from(register)) {
            *place = Value::None;
        }
        self.pins.truncate(frame.pins as usize);
        if let Value::Generator(generator) = &frame.subject {
            *generator.state.borrow_mut() = GeneratorState::Paused {
                function: frame.function.clone(),
                pc: frame.pc,
                registers: saved,
            };
        }
        store(thread, frame.result, value);
        if let FrameKind::Generator { distance } = frame.kind {
            jump_caller(thread, distance);
        }
        Ok(())
    }

    /// Goes on with a generator as a call of the running one.
    pub(crate) fn resume_generator(
        &mut self,
        thread: &mut Thread,
        generator: &Rc<Generator>,
        result: u8,
        kind: FrameKind,
        default: Option<Value>,
    ) -> Result<(), NativeError> {
        let state = core::mem::replace(&mut *generator.state.borrow_mut(), GeneratorState::Running);
        match state {
            GeneratorState::Running => {
                Err(NativeError::value_error("the generator is running already"))
            }
            GeneratorState::Done => {
                *generator.state.borrow_mut() = GeneratorState::Done;
                match (kind, default) {
                    (FrameKind::GeneratorNext { has_default: true }, Some(default)) => {
                        store(thread, result, default);
                        Ok(())
                    }
                    (FrameKind::GeneratorNext { .. }, _) => Err(NativeError::new(
                        ErrorClass::StopIteration,
                        "the iterator has ended",
                    )),
                    _ => Ok(()),
                }
            }
            GeneratorState::Paused {
                function,
                pc,
                registers,
            } => {
                let base = self.next_base(thread);
                let has_default = default.is_some();
                let first = if has_default { base + 1 } else { base };
                let frame = Frame {
                    function,
                    pc,
                    result,
                    kind,
                    base: first,
                    again: false,
                    pins: self.pins.len() as u32,
                    subject: Value::Generator(generator.clone()),
                };
                self.push_frame(thread, frame)?;
                if let Some(default) = default {
                    thread.stack[base] = default;
                }
                for (place, value) in thread.stack[first..].iter_mut().zip(registers) {
                    *place = value;
                }
                Ok(())
            }
        }
    }

    /// The first stack slot above the registers of the running call.
    fn next_base(&self, thread: &Thread) -> usize {
        thread.frames.last().map_or(0, |frame| {
            frame.base + usize::from(frame.function.code.registers)
        })
    }

    /// Pushes a frame, if the limits allow.
    pub(crate) fn push_frame(
        &mut self,
        thread: &mut Thread,
        frame: Frame,
    ) -> Result<(), NativeError> {
        self.fuel -= 1;
        if thread.frames.len() >= self.limits.call_depth {
            return Err(NativeError::new(
                ErrorClass::Recursion,
                "maximum recursion depth exceeded",
            ));
        }
        thread.reserve(frame.base, &self.heap)?;
        thread.frames.push(frame);
        Ok(())
    }

    /// Makes room for the frame that the main loop has just pushed.
    fn enter_top(&mut self, thread: &mut Thread) -> Result<(), NativeError> {
        let Some(base) = thread.frames.last().map(|frame| frame.base) else {
            return Ok(());
        };
        if let Err(error) = thread.reserve(base, &self.heap) {
            if let Some(frame) = thread.frames.pop() {
                clear_registers(thread, &frame);
            }
            return Err(error);
        }
        Ok(())
    }

    /// Calls `callee` with arguments that are in the running call's registers.
    pub(crate) fn begin_call(
        &mut self,
        thread: &mut Thread,
        callee: Value,
        first: u8,
        count: u8,
        result: u8,
    ) -> Result<(), NativeError> {
        let Some(caller) = thread.frames.last() else {
            return Ok(());
        };
        let base = caller.base + usize::from(first);
        if let Value::Func(function) = &callee
            && function.code.plain_parameters == u16::from(count)
        {
            let frame = Frame {
                function: function.clone(),
                pc: 0,
                result,
                kind: FrameKind::Normal,
                base,
                again: false,
                pins: self.pins.len() as u32,
                subject: Value::Undefined,
            };
            return self.push_frame(thread, frame);
        }
        let arguments = take_arguments(thread, base, usize::from(count));
        self.push_call(
            thread,
            callee,
            arguments,
            Value::None,
            result,
            FrameKind::Normal,
        )
    }

    /// Calls anything with collected arguments.
    pub(crate) fn push_call(
        &mut self,
        thread: &mut Thread,
        callee: Value,
        mut arguments: Vec<Value>,
        keywords: Value,
        result: u8,
        kind: FrameKind,
    ) -> Result<(), NativeError> {
        match &callee {
            Value::Func(function) => self.push_function(
                thread,
                function,
                arguments,
                &keywords,
                result,
                kind,
                Value::Undefined,
            ),
            Value::Native(function) => {
                arrange_keywords(self, function, &mut arguments, &keywords)?;
                self.native_with_thread(thread, function, arguments, result, kind)
            }
            Value::Bound(bound) => {
                if bound.function.is_undefined() {
                    let Some(method) = self.builtin_method(&bound.receiver, bound.name) else {
                        return Err(self.not_callable(&callee));
                    };
                    arguments.insert(0, bound.receiver.clone());
                    arrange_keywords(self, method, &mut arguments, &keywords)?;
                    return self.native_with_thread(thread, method, arguments, result, kind);
                }
                arguments.insert(0, bound.receiver.clone());
                self.push_call(
                    thread,
                    bound.function.clone(),
                    arguments,
                    keywords,
                    result,
                    kind,
                )
            }
            Value::Class(class) => {
                self.instantiate(thread, class, arguments, keywords, result, kind)
            }
            Value::Instance(instance) if instance.has_method(Symbol::CALL) => {
                let method = instance.class().method(Symbol::CALL).unwrap_or_default();
                arguments.insert(0, callee.clone());
                self.push_call(thread, method, arguments, keywords, result, kind)
            }
            _ => Err(self.not_callable(&callee)),
        }
    }

    fn not_callable(&self, callee: &Value) -> NativeError {
        NativeError::type_error(format!(
            "a value of type '{}' cannot be called",
            callee.type_name()
        ))
    }

    #[allow(clippy::too_many_arguments)]
    fn push_function(
        &mut self,
        thread: &mut Thread,
        function: &Rc<Function>,
        arguments: Vec<Value>,
        keywords: &Value,
        result: u8,
        kind: FrameKind,
        subject: Value,
    ) -> Result<(), NativeError> {
        let registers = self.bind_arguments(function, arguments, keywords)?;
        if function.code.is_generator() {
            self.heap.charge(0)?;
            let generator = Generator {
                name: String::from(function.name()),
                state: RefCell::new(GeneratorState::Paused {
                    function: function.clone(),
                    pc: 0,
                    registers,
                }),
            };
            store(thread, result, Value::Generator(Rc::new(generator)));
            return Ok(());
        }
        let base = self.next_base(thread);
        let frame = Frame {
            function: function.clone(),
            pc: 0,
            result,
            kind,
            base,
            again: false,
            pins: self.pins.len() as u32,
            subject,
        };
        self.push_frame(thread, frame)?;
        for (place, value) in thread.stack[base..].iter_mut().zip(registers) {
            *place = value;
        }
        Ok(())
    }

    /// Calls a builtin; its result, or what its ending otherwise means, goes where `result` and `kind` say.
    fn native_with_thread(
        &mut self,
        thread: &mut Thread,
        function: &'static NativeFunction,
        mut arguments: Vec<Value>,
        result: u8,
        kind: FrameKind,
    ) -> Result<(), NativeError> {
        match self.call_native(function, &mut arguments) {
            Ok(value) => {
                self.deliver(thread, value, result, kind);
                Ok(())
            }
            Err(NativeError::NeedsMethod { index, want }) => {
                // The argument is made ready by a prelude function, which then calls the builtin again.
                let callee = Value::Native(function);
                let arguments = self.heap.list(arguments)?;
                let want = match want {
                    Want::List => "_with_list",
                    Want::Text => "_with_text",
                    Want::Quoted => "_with_quoted",
                };
                let call =
                    self.prelude_call(want, [callee, arguments, Value::Int(index as i64)].into());
                self.tail_call(thread, call, result, kind)
            }
            Err(NativeError::Resume { generator, default }) => {
                let kind = FrameKind::GeneratorNext {
                    has_default: default.is_some(),
                };
                self.resume_generator(thread, &generator, result, kind, default)
            }
            Err(NativeError::TailCall { callee, args }) => {
                self.push_call(thread, callee, args, Value::None, result, kind)
            }
            Err(error @ (NativeError::Blocked(_) | NativeError::Park(_))) => {
                self.blocked_result = Some(result);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the call that an operation asked for instead of a result.
    fn tail_call(
        &mut self,
        thread: &mut Thread,
        call: NativeError,
        result: u8,
        kind: FrameKind,
    ) -> Result<(), NativeError> {
        match call {
            NativeError::TailCall { callee, args } => {
                self.push_call(thread, callee, args, Value::None, result, kind)
            }
            error => Err(error),
        }
    }

    /// What the end of a call of this kind does with its value.
    pub(crate) fn deliver(
        &mut self,
        thread: &mut Thread,
        value: Value,
        result: u8,
        kind: FrameKind,
    ) {
        match kind {
            FrameKind::Branch { wanted, distance } => {
                if value.is_true() == wanted {
                    jump_caller(thread, distance);
                }
            }
            FrameKind::Number { negated } => store(
                thread,
                result,
                Value::Int(i64::from(value.is_true() != negated)),
            ),
            FrameKind::Truth { negated } => {
                store(thread, result, Value::bool(value.is_true() != negated))
            }
            FrameKind::Next { distance } => {
                store(thread, result, value);
                jump_caller(thread, distance);
            }
            _ => store(thread, result, value),
        }
    }

    /// Calls a builtin after checking the number of its arguments and making lists of iterators.
    pub(crate) fn call_native(
        &mut self,
        function: &'static NativeFunction,
        arguments: &mut [Value],
    ) -> NativeResult {
        let count = arguments.len();
        if count < usize::from(function.min)
            || (function.max != ANY_NUMBER && count > usize::from(function.max))
        {
            return Err(native_count_error(function, count));
        }
        let unhashed = arguments
            .iter()
            .find(|argument| needs_hash(argument))
            .cloned();
        if let Some(key) =
            unhashed.filter(|_| !function.name.starts_with('_') && function.name != "hash")
        {
            let arguments = self.heap.list(arguments.to_vec())?;
            return Err(self.prelude_call(
                "_hash_then",
                [Value::Native(function), arguments, key].into(),
            ));
        }
        if !function.keeps_iterators {
            for (index, argument) in arguments.iter().enumerate() {
                let runs_code = match argument {
                    Value::Generator(_) | Value::Iter(_) => true,
                    Value::Instance(instance) => instance.has_method(Symbol::ITER),
                    _ => false,
                };
                if runs_code {
                    if let Some(lazy) = self.lazy_form(function, arguments) {
                        return Err(lazy);
                    }
                    return Err(NativeError::NeedsMethod {
                        index,
                        want: Want::List,
                    });
                }
            }
        }
        let result = (function.body)(&mut NativeContext { core: self }, arguments);
        if let Err(NativeError::Blocked(_)) = &result {
            self.blocked_arguments = arguments.iter_mut().map(core::mem::take).collect();
        }
        result
    }

    /// The call that does what a builtin does without making a list of an iterator first.
    fn lazy_form(
        &mut self,
        function: &'static NativeFunction,
        arguments: &[Value],
    ) -> Option<NativeError> {
        let name = match function.name {
            "zip" => {
                let sources = self.heap.list(arguments.to_vec()).ok()?;
                return Some(self.prelude_call("_zip_lazily", [sources].into()));
            }
            "any" => "_any_lazily",
            "all" => "_all_lazily",
            _ => return None,
        };
        Some(self.prelude_call(name, arguments.to_vec()))
    }

    fn instantiate(
        &mut self,
        thread: &mut Thread,
        class: &Rc<Class>,
        mut arguments: Vec<Value>,
        keywords: Value,
        result: u8,
        kind: FrameKind,
    ) -> Result<(), NativeError> {
        let instance = Value::Instance(self.new_instance(class)?);
        match class.method(Symbol::INIT) {
            Some(Value::Func(init)) => {
                arguments.insert(0, instance.clone());
                let _ = kind;
                self.push_function(
                    thread,
                    &init,
                    arguments,
                    &keywords,
                    result,
                    FrameKind::Init,
                    instance,
                )
            }
            Some(other) => {
                arguments.insert(0, instance.clone());
                self.push_call(
                    thread,
                    other,
                    arguments,
                    keywords,
                    NOWHERE,
                    FrameKind::Normal,
                )?;
                store(thread, result, instance);
                Ok(())
            }
            None if self.is_error_class(class) => {
                self.fill_error(&instance, &arguments)?;
                store(thread, result, instance);
                Ok(())
            }
            None if arguments.is_empty() && keywords.is_true() => Err(NativeError::type_error(
                format!("class '{}' expected 0 constructor arguments", class.name()),
            )),
            None if arguments.is_empty() => {
                self.deliver(thread, instance, result, kind);
                Ok(())
            }
            None => Err(NativeError::type_error(format!(
                "class '{}' expected 0 constructor arguments but got {}",
                class.name(),
                arguments.len()
            ))),
        }
    }

    /// An instance, counted for the search for cycles.
    pub(crate) fn new_instance(&mut self, class: &Rc<Class>) -> Result<Rc<Instance>, NativeError> {
        Ok(self.heap.instance(class)?)
    }

    /// Gives a new error object its message and arguments.
    pub(crate) fn fill_error(
        &mut self,
        instance: &Value,
        arguments: &[Value],
    ) -> Result<(), NativeError> {
        let Value::Instance(instance) = instance else {
            return Ok(());
        };
        let message = match arguments.first() {
            Some(text @ Value::Str(_)) => text.clone(),
            Some(value) => {
                let text = crate::value::text_of(&self.heap, value).unwrap_or_default();
                self.heap.owned_string(text)?
            }
            None => Value::Str(self.empty_string.clone()),
        };
        instance.set_field(Symbol::MESSAGE, message)?;
        let arguments = self.heap.list(arguments.to_vec())?;
        Ok(instance.set_field(Symbol::ARGS, arguments)?)
    }

    /// Arguments into the order of the parameters.
    fn bind_arguments(
        &mut self,
        function: &Rc<Function>,
        mut arguments: Vec<Value>,
        keywords: &Value,
    ) -> Result<Vec<Value>, NativeError> {
        let code = &function.code;
        let parameters = &code.parameters;
        let wanted = parameters.positional.len();
        let keywords = match keywords {
            Value::Dict(dict) if !dict.is_empty() => Some(dict.clone()),
            _ => None,
        };
        let given = arguments.len();
        if keywords.is_none() && given == wanted && code.plain_parameters == wanted as u16 {
            return Ok(arguments);
        }
        let rest = if given > wanted {
            arguments.split_off(wanted)
        } else {
            Vec::new()
        };
        if !rest.is_empty() && !parameters.has_rest {
            return Err(count_error(code, given));
        }
        let mut registers = arguments;
        registers.resize_with(wanted + parameters.keyword_only.len(), Value::default);
        let mut others = None;
        if let Some(keywords) = keywords {
            others = self.bind_keywords(code, &mut registers, &keywords)?;
        }
        let with_default = wanted - parameters.defaults.min(wanted);
        #[allow(
            clippy::needless_range_loop,
            reason = "the place is also that of the parameter"
        )]
        for at in 0..wanted {
            if registers[at].is_undefined() {
                match at
                    .checked_sub(with_default)
                    .and_then(|index| function.defaults.get(index))
                {
                    Some(default) => registers[at] = default.clone(),
                    None => return Err(count_error(code, given)),
                }
            }
        }
        let mut next_default = parameters.defaults;
        for (at, name) in parameters.keyword_only.iter().enumerate() {
            let has_default = at < 64 && parameters.keyword_defaults & 1 << at != 0;
            let default = if has_default {
                function.defaults.get(next_default).cloned()
            } else {
                None
            };
            next_default += usize::from(has_default);
            if registers[wanted + at].is_undefined() {
                registers[wanted + at] = default.ok_or_else(|| {
                    NativeError::type_error(format!(
                        "function '{}' needs the keyword argument '{}'",
                        code.name,
                        self.interner.text(*name)
                    ))
                })?;
            }
        }
        if parameters.has_rest {
            registers.push(self.heap.tuple(rest)?);
        }
        if parameters.has_keywords {
            let others = match others {
                Some(others) => others,
                None => DictObj::new(&self.heap)?,
            };
            registers.push(Value::Dict(Rc::new(others)));
        }
        Ok(registers)
    }

    fn bind_keywords(
        &mut self,
        code: &Code,
        registers: &mut [Value],
        keywords: &DictObj,
    ) -> Result<Option<DictObj>, NativeError> {
        let parameters = &code.parameters;
        let mut others = None;
        for (key, value) in keywords.iter() {
            let name = key.as_str().and_then(|text| self.interner.find(text));
            let mut all = parameters.positional.iter().chain(&parameters.keyword_only);
            let position = name.and_then(|name| all.position(|known| *known == name));
            let text = key.as_str().unwrap_or("?");
            match position {
                Some(at) if registers[at].is_undefined() => registers[at] = value.clone(),
                Some(_) => {
                    return Err(NativeError::type_error(format!(
                        "function '{}' got argument '{text}' twice",
                        code.name
                    )));
                }
                None if parameters.has_keywords => {
                    let mut dict = match others.take() {
                        Some(dict) => dict,
                        None => DictObj::new(&self.heap)?,
                    };
                    dict.insert(key.clone(), value.clone())
                        .map_err(|_| super::access::bad_key())??;
                    others = Some(dict);
                }
                None => {
                    return Err(NativeError::type_error(format!(
                        "function '{}' has no parameter '{text}'",
                        code.name
                    )));
                }
            }
        }
        Ok(others)
    }

    /// A method call that the main loop had no cache for.
    fn method(&mut self, thread: &mut Thread, insn: Insn) -> Result<(), NativeError> {
        let Some(frame) = thread.frames.last() else {
            return Ok(());
        };
        let code = frame.function.code.clone();
        let base = frame.base + usize::from(insn.a);
        let owner = frame.function.owner_class();
        let Some(site) = code.sites.get(insn.d as usize) else {
            return Ok(());
        };
        let name = site.name;
        let receiver = thread.stack[base].clone();
        if insn.op == crate::bytecode::Op::CallSuper {
            let member = self.super_member(&receiver, owner.as_ref(), name)?;
            let mut arguments = take_arguments(thread, base, usize::from(insn.b) + 1);
            return match member {
                Member::Method(function) => self.push_call(
                    thread,
                    function,
                    arguments,
                    Value::None,
                    insn.c,
                    FrameKind::Normal,
                ),
                Member::Attribute(callee) => {
                    arguments.remove(0);
                    if callee.is_undefined() {
                        store(thread, insn.c, Value::None);
                        return Ok(());
                    }
                    self.push_call(
                        thread,
                        callee,
                        arguments,
                        Value::None,
                        insn.c,
                        FrameKind::Normal,
                    )
                }
            };
        }
        if let Value::Instance(instance) = &receiver {
            let class = instance.class();
            if class.slot(name).is_none()
                && let Some(Member::Method(Value::Func(function))) = class.member(name)
            {
                site.remember_method(class.stamp(), &function);
                if function.code.plain_parameters == u16::from(insn.b) + 1 {
                    let frame = Frame {
                        function,
                        pc: 0,
                        result: insn.c,
                        kind: FrameKind::Normal,
                        base,
                        again: false,
                        pins: self.pins.len() as u32,
                        subject: Value::Undefined,
                    };
                    return self.push_frame(thread, frame);
                }
            }
        }
        let mut arguments = take_arguments(thread, base, usize::from(insn.b) + 1);
        let receiver = arguments.remove(0);
        self.call_member(thread, receiver, name, arguments, Value::None, insn.c)
    }

    /// `receiver.name(arguments)` (13.4, 13.5, 16.6).
    pub(crate) fn call_member(
        &mut self,
        thread: &mut Thread,
        receiver: Value,
        name: Symbol,
        mut arguments: Vec<Value>,
        keywords: Value,
        result: u8,
    ) -> Result<(), NativeError> {
        let text = String::from(self.interner.text(name));
        let missing = |what: &str, of: &str| {
            NativeError::new(
                ErrorClass::Attribute,
                format!("{what} '{of}' has no callable member '{text}'"),
            )
        };
        let callee = match &receiver {
            Value::Instance(instance) => {
                if let Some(field) = instance.field(name) {
                    if !is_callable(&field) {
                        return Err(NativeError::type_error(format!(
                            "instance field '{text}' is not callable"
                        )));
                    }
                    field
                } else {
                    let class = instance.class();
                    match class.member(name) {
                        Some(Member::Method(function)) => {
                            arguments.insert(0, receiver.clone());
                            function
                        }
                        Some(Member::Attribute(value)) if is_callable(&value) => value,
                        _ => {
                            let fallback = class
                                .has_special_methods()
                                .then(|| class.method(Symbol::GETATTR))
                                .flatten();
                            if fallback.is_some() {
                                let read = self.attribute(&receiver, name);
                                let arguments = self.heap.list(arguments)?;
                                if let Err(NativeError::TailCall { callee, args }) = read {
                                    let args = self.heap.list(args)?;
                                    let call = self.prelude_call(
                                        "_call_result",
                                        [callee, args, arguments].into(),
                                    );
                                    return self.tail_call(thread, call, result, FrameKind::Normal);
                                }
                            }
                            return Err(missing("instance of", class.name()));
                        }
                    }
                }
            }
            Value::Class(class) => match class.member(name) {
                Some(Member::Attribute(value) | Member::Method(value)) if is_callable(&value) => {
                    value
                }
                _ => return Err(missing("class", class.name())),
            },
            Value::Module(module) => match self.module_member(module, name)? {
                Some(value) if is_callable(&value) => value,
                Some(_) if matches!(module.kind, ModuleKind::Program(_)) => {
                    // A variable hides a function only from reading (11.4).
                    let ModuleKind::Program(number) = module.kind else {
                        return Err(missing("module", &module.name));
                    };
                    let function = self
                        .find_slot(number, name)
                        .map(|slot| slot.function.clone());
                    match function {
                        Some(function) if !function.is_undefined() => function,
                        _ => return Err(missing("module", &module.name)),
                    }
                }
                _ => return Err(missing("module", &module.name)),
            },
            Value::Ref(shared) => {
                let content = shared.get();
                if self.builtin_method(&content, name).is_some() {
                    return self.call_ref_method(thread, shared, name, arguments, keywords, result);
                }
                return Err(not_a_holder());
            }
            other => match self.builtin_method(other, name) {
                Some(method) => {
                    arguments.insert(0, receiver.clone());
                    Value::Native(method)
                }
                None => return Err(not_a_holder()),
            },
        };
        self.push_call(
            thread,
            callee,
            arguments,
            keywords,
            result,
            FrameKind::Normal,
        )
    }

    /// A method of the list or dict behind a `ref`, which it changes for all who hold the handle.
    fn call_ref_method(
        &mut self,
        thread: &mut Thread,
        shared: &Rc<crate::value::RefObj>,
        name: Symbol,
        mut arguments: Vec<Value>,
        keywords: Value,
        result: u8,
    ) -> Result<(), NativeError> {
        let content = shared.change(core::mem::take);
        let Some(method) = self.builtin_method(&content, name) else {
            shared.set(content);
            return Err(not_a_holder());
        };
        arguments.insert(0, content);
        let done = arrange_keywords(self, method, &mut arguments, &keywords)
            .and_then(|()| self.call_native(method, &mut arguments));
        shared.set(core::mem::take(&mut arguments[0]));
        store(thread, result, done?);
        Ok(())
    }

    /// What `super().name` means: a member of the classes that the method's own class inherits from.
    pub(crate) fn super_member(
        &mut self,
        receiver: &Value,
        owner: Option<&Rc<Class>>,
        name: Symbol,
    ) -> Result<Member, NativeError> {
        let class = match receiver {
            Value::Instance(instance) => instance.class(),
            Value::Class(class) => class.clone(),
            _ => return Err(NativeError::type_error("super() needs an instance")),
        };
        let after = match owner {
            Some(owner) if !Rc::ptr_eq(owner, &class) => {
                let position = class
                    .ancestors()
                    .iter()
                    .position(|ancestor| Rc::ptr_eq(ancestor, owner));
                position.map_or(0, |position| position + 1)
            }
            _ => 0,
        };
        let ancestors = class.ancestors().get(after..).unwrap_or_default();
        if let Some(member) = ancestors
            .iter()
            .find_map(|ancestor| ancestor.own_member(name))
        {
            return Ok(member);
        }
        if name == Symbol::INIT {
            if let Some(root) = ancestors.first().cloned()
                && self.is_error_class(&root)
            {
                let init = self.native("#error_init");
                return Ok(Member::Method(init.map_or(Value::Undefined, Value::Native)));
            }
            return Ok(Member::Attribute(Value::Undefined));
        }
        Err(NativeError::new(
            ErrorClass::Attribute,
            format!(
                "no class above '{}' has a member '{}'",
                class.name(),
                self.interner.text(name)
            ),
        ))
    }

    /// Runs the body of a new class.
    fn make_class(&mut self, thread: &mut Thread, insn: Insn) -> Result<(), NativeError> {
        let Some(frame) = thread.frames.last() else {
            return Ok(());
        };
        let maker = frame.function.clone();
        let first = frame.base + usize::from(insn.b);
        let mut bases = Vec::new();
        for base in take_arguments(thread, first, usize::from(insn.c)) {
            match base {
                Value::Class(class) => bases.push(class),
                _ => {
                    return Err(NativeError::type_error(
                        "a class can only inherit from classes",
                    ));
                }
            }
        }
        let code = self.code(maker.code.unit, insn.d as usize)?;
        let class = Class::new(&self.heap, &code.name, code.module, bases, &self.stamps)?;
        let function = self.function(code, &maker, thread, Vec::new())?;
        *function.owner.borrow_mut() = Some(Rc::downgrade(&class));
        let base = self.next_base(thread);
        let frame = Frame {
            function: Rc::new(function),
            pc: 0,
            result: insn.a,
            kind: FrameKind::ClassBody,
            base,
            again: false,
            pins: self.pins.len() as u32,
            subject: Value::Class(class),
        };
        self.push_frame(thread, frame)
    }

    /// A function object with the cells it captures from the running call.
    pub(crate) fn function(
        &mut self,
        code: Rc<Code>,
        maker: &Rc<Function>,
        thread: &Thread,
        defaults: Vec<Value>,
    ) -> Result<Function, NativeError> {
        use crate::bytecode::Capture;
        self.heap.charge(crate::heap::OBJECT_OVERHEAD_BYTES * 2)?;
        let base = thread.frames.last().map_or(0, |frame| frame.base);
        let captured = code.captures.iter().map(|capture| match capture {
            Capture::Cell(register) => thread
                .stack
                .get(base + usize::from(*register))
                .cloned()
                .unwrap_or_default(),
            Capture::Captured(index) => maker
                .captured
                .get(usize::from(*index))
                .cloned()
                .unwrap_or_default(),
        });
        let captured = captured.collect();
        let owner = RefCell::new(maker.owner.borrow().clone());
        Ok(Function {
            code,
            defaults,
            captured,
            owner,
            heap: self.heap.clone(),
        })
    }

    /// The next round of a loop over a generator or an instance with `__next__`.
    fn next_round(
        &mut self,
        thread: &mut Thread,
        source: Value,
        variable: u8,
        distance: i32,
    ) -> Result<(), NativeError> {
        match &source {
            Value::Generator(generator) => self.resume_generator(
                thread,
                generator,
                variable,
                FrameKind::Generator { distance },
                None,
            ),
            channel if super::threads::channel_id(channel).is_some() => {
                let id = super::threads::channel_id(channel).unwrap_or_default();
                match self.threads.receive(id, None) {
                    super::threads::Received::Value(value) => {
                        store(thread, variable, value);
                        jump_caller(thread, distance);
                        Ok(())
                    }
                    super::threads::Received::Closed => Ok(()),
                    super::threads::Received::Wait(park) => {
                        self.parked_round = Some((variable, distance));
                        Err(NativeError::Park(park))
                    }
                }
            }
            other => match method_call(other, Symbol::NEXT, &[]) {
                Some(NativeError::TailCall { callee, args }) => self.push_call(
                    thread,
                    callee,
                    args,
                    Value::None,
                    variable,
                    FrameKind::Next { distance },
                ),
                _ => Err(not_iterable()),
            },
        }
    }

    /// Turns what a `for` names into what a loop can walk over.
    pub(crate) fn prepare_iteration(&mut self, value: &mut Value) -> Result<(), NativeError> {
        match &*value {
            Value::List(_)
            | Value::Str(_)
            | Value::Dict(_)
            | Value::Tuple(_)
            | Value::Set(_)
            | Value::Bytes(_)
            | Value::Generator(_)
            | Value::Iter(_) => Ok(()),
            Value::Ref(shared) => {
                let content = shared.get();
                *value = content;
                self.prepare_iteration(value)
            }
            Value::Foreign(foreign) if foreign.type_name() == super::CHANNEL => Ok(()),
            Value::Class(class) => match class.attribute(Symbol::MEMBERS) {
                Some(members) => {
                    *value = members;
                    Ok(())
                }
                None => Err(not_iterable()),
            },
            Value::Instance(instance) => {
                if instance.has_method(Symbol::NEXT) {
                    return Ok(());
                }
                if let Some(call) = method_call(value, Symbol::ITER, &[]) {
                    return Err(call);
                }
                if instance.has_method(Symbol::GETITEM) && instance.has_method(Symbol::LEN) {
                    return Err(self.prelude_call("_items_of", [value.clone()].into()));
                }
                Err(not_iterable())
            }
            _ => Err(not_iterable()),
        }
    }

    /// The truth of a value; a call when an instance's own method must say.
    #[inline]
    pub(crate) fn truth(&mut self, value: &Value) -> Result<bool, NativeError> {
        match value {
            Value::Instance(instance)
                if instance.with_class(|class| class.has_special_methods()) =>
            {
                let call = method_call(value, Symbol::BOOL, &[])
                    .or_else(|| method_call(value, Symbol::LEN, &[]));
                call.map_or(Ok(true), Err)
            }
            _ => Ok(value.is_true()),
        }
    }

    fn end_import(&mut self, module: u32, state: ModuleState) {
        if let Some(record) = self.modules.get_mut(module as usize) {
            record.state = state;
        }
        if let Some(output) = self.muted.pop() {
            self.output = output;
        }
    }

    /// Lets `print` have no effect until the module's top level has ended (16.5).
    pub(crate) fn mute(&mut self) {
        let output = core::mem::replace(&mut self.output, OutputTarget::Nowhere);
        self.muted.push(output);
    }
}

/// Whether what `__iter__` returned is an iterator. An instance that only has `__iter__` again would be asked forever.
fn can_be_walked(value: &Value) -> bool {
    match value {
        Value::Instance(instance) => {
            instance.has_method(Symbol::NEXT) || !instance.has_method(Symbol::ITER)
        }
        _ => true,
    }
}

pub(crate) fn not_iterable() -> NativeError {
    NativeError::type_error("for loops must iterate over a list or range(...)")
}

fn not_a_holder() -> NativeError {
    NativeError::new(
        ErrorClass::Attribute,
        "attribute calls require a module, class, or instance",
    )
}

/// Whether a value can be called (11.4, 24).
pub(crate) fn is_callable(value: &Value) -> bool {
    match value {
        Value::Func(_) | Value::Native(_) | Value::Bound(_) | Value::Class(_) => true,
        Value::Instance(instance) => instance.has_method(Symbol::CALL),
        _ => false,
    }
}

fn count_error(code: &Code, given: usize) -> NativeError {
    let parameters = &code.parameters;
    let most = parameters.positional.len();
    let least = most - parameters.defaults.min(most);
    let expected = if parameters.has_rest {
        format!("at least {least}")
    } else if least < most {
        format!("{least} to {most}")
    } else {
        format!("{most}")
    };
    NativeError::type_error(format!(
        "function '{}' expected {expected} arguments but got {given}",
        code.name
    ))
}

fn native_count_error(function: &NativeFunction, given: usize) -> NativeError {
    let (least, most) = (function.min, function.max);
    let expected = if most == ANY_NUMBER {
        format!("at least {least}")
    } else if least < most {
        format!("{least} to {most}")
    } else {
        format!("{most}")
    };
    NativeError::type_error(format!(
        "function '{}' expected {expected} arguments but got {given}",
        function.name
    ))
}

/// Puts keyword arguments of a builtin where its parameters are.
pub(crate) fn arrange_keywords(
    core: &Core,
    function: &NativeFunction,
    arguments: &mut Vec<Value>,
    keywords: &Value,
) -> Result<(), NativeError> {
    let Value::Dict(keywords) = keywords else {
        return Ok(());
    };
    let _ = core;
    for (key, value) in keywords.iter() {
        let text = key.as_str().unwrap_or("?");
        let Some(at) = function.parameters.iter().position(|name| *name == text) else {
            return Err(NativeError::type_error(format!(
                "function '{}' has no parameter '{text}'",
                function.name
            )));
        };
        if arguments.len() <= at {
            arguments.resize_with(at + 1, Value::default);
        }
        if !arguments[at].is_undefined() {
            return Err(NativeError::type_error(format!(
                "function '{}' got argument '{text}' twice",
                function.name
            )));
        }
        arguments[at] = value.clone();
    }
    Ok(())
}

/// Whether a value is a key whose `__hash__` has not been asked yet.
pub(crate) fn needs_hash(key: &Value) -> bool {
    match key {
        Value::Instance(instance) => {
            instance.known_hash().is_none() && instance.has_method(Symbol::HASH)
        }
        _ => false,
    }
}

pub(crate) fn store(thread: &mut Thread, register: u8, value: Value) {
    if register == NOWHERE {
        return;
    }
    if let Some(frame) = thread.frames.last() {
        let at = frame.base + usize::from(register);
        if let Some(place) = thread.stack.get_mut(at) {
            *place = value;
        }
    }
}

/// Whether this is part of the library that the system ships: what errors in it are about is the call that used it.
fn is_library(code: &Code) -> bool {
    code.module == PRELUDE
        || code.label.starts_with("system/lib/")
        || code.label.starts_with("system/kernel/")
}

pub(crate) fn jump_caller(thread: &mut Thread, distance: i32) {
    if let Some(frame) = thread.frames.last_mut() {
        frame.pc = frame.pc.wrapping_add_signed(distance);
    }
}

pub(crate) fn take_arguments(thread: &mut Thread, first: usize, count: usize) -> Vec<Value> {
    let registers = thread.stack.get_mut(first..first + count);
    registers
        .map(|registers| registers.iter_mut().map(core::mem::take).collect())
        .unwrap_or_default()
}

fn clear_registers(thread: &mut Thread, frame: &Frame) {
    let end = frame.base + usize::from(frame.function.code.registers);
    if let Some(registers) = thread.stack.get_mut(frame.base..end) {
        for register in registers {
            *register = Value::Undefined;
        }
    }
}
