//! Whose turn it is.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{ErrorClass, NativeError};
use crate::system::{Answer, Patience, Token};
use crate::value::{Raised, Value};

use super::super::core::OutputTarget;
use super::super::execute::execute;
use super::super::flow::store;
use super::super::program::Turn;
use super::super::thread::{FrameKind, Thread};
use super::super::{Core, Pause};
use super::{End, Park, ThreadId, WaitFor, new_entry};

const MAIN_THREAD: ThreadId = 0;

/// Turns without the clock having moved before a time limit counts as reached: far more than fit into the millisecond of
/// a clock that goes, even if each turn is given away at once.
const STILL_CLOCK_ROUNDS: u32 = 1_000_000;

/// The order of turns.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    answers: Vec<(Token, Answer)>,
    /// Whether the step limit has been reported to the program once.
    warned: bool,
    interrupted: bool,
    still_rounds: u32,
    last_clock_ms: u64,
}

impl Scheduler {
    pub(crate) fn new() -> Scheduler {
        Scheduler::default()
    }

    /// Makes `thread` the main thread of the program. Threads of what ran before go on.
    pub(crate) fn begin(&mut self, core: &mut Core, thread: Thread) {
        let table = &mut core.threads;
        table.entries.insert(
            MAIN_THREAD,
            new_entry(Some(thread), "main", core.arguments.clone()),
        );
        table.ready.retain(|id| *id != MAIN_THREAD);
        table.ready.push_front(MAIN_THREAD);
        table.current = MAIN_THREAD;
        self.warned = false;
    }

    /// The main thread raises an interrupt as soon as it has its turn, whatever it waits for.
    pub(crate) fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// The step limit was passed: the program may catch that once.
    pub(crate) fn out_of_steps(&mut self, core: &mut Core) -> bool {
        if self.warned {
            return false;
        }
        self.warned = true;
        core.steps_left = 10_000;
        self.throw_at_main(
            core,
            NativeError::new(ErrorClass::Steps, "step limit exceeded"),
        );
        true
    }

    /// Ends what the main thread waits for with an error.
    fn throw_at_main(&mut self, core: &mut Core, error: NativeError) {
        let Some(entry) = core.threads.entries.get_mut(&MAIN_THREAD) else {
            return;
        };
        if let Some(park) = entry.parked {
            core.threads.leave_queue(MAIN_THREAD, park.wait);
            return core.threads.wake(MAIN_THREAD, Err(error));
        }
        entry.wake = Some(Err(error));
        if let Some(token) = entry
            .thread
            .as_mut()
            .and_then(|thread| thread.waiting.as_mut()?.token.take())
        {
            core.system.cancel(token);
        }
        if !core.threads.ready.contains(&MAIN_THREAD) {
            core.threads.ready.push_front(MAIN_THREAD);
        }
    }

    pub(crate) fn answer(&mut self, token: Token, answer: Answer) {
        self.answers.push((token, answer));
    }

    /// Lets the next thread run.
    pub(crate) fn turn(&mut self, core: &mut Core) -> Turn {
        if core::mem::take(&mut self.interrupted) {
            self.throw_at_main(core, NativeError::new(ErrorClass::Interrupt, "interrupted"));
        }
        self.take_answers(core);
        self.expire(core);
        let Some(id) = core.threads.ready.pop_front() else {
            return self.idle(core);
        };
        self.run_thread(core, id)
    }

    /// Makes threads ready whose answers have come.
    fn take_answers(&mut self, core: &mut Core) {
        if self.answers.is_empty() {
            return;
        }
        for (id, entry) in &core.threads.entries {
            let token = entry
                .thread
                .as_ref()
                .and_then(|thread| thread.waiting.as_ref()?.token);
            let has_answer =
                token.is_some_and(|token| self.answers.iter().any(|(known, _)| *known == token));
            if has_answer && !core.threads.ready.contains(id) {
                core.threads.ready.push_back(*id);
            }
        }
    }

    /// Ends waits whose time is up.
    fn expire(&mut self, core: &mut Core) {
        let waits = core
            .threads
            .entries
            .iter()
            .filter_map(|(id, entry)| Some((*id, entry.parked?.deadline_ms?)));
        let waits: Vec<(ThreadId, u64)> = waits.collect();
        if waits.is_empty() {
            return;
        }
        let now = core.system.monotonic_ms();
        self.still_rounds = if now == self.last_clock_ms {
            self.still_rounds + 1
        } else {
            0
        };
        self.last_clock_ms = now;
        let clock_stands = self.still_rounds > STILL_CLOCK_ROUNDS;
        for (id, deadline) in waits {
            if now >= deadline || clock_stands {
                core.threads.give_up(id);
            }
        }
    }

    /// Nobody can run: waits for the system or for a time limit, or it is a deadlock.
    fn idle(&mut self, core: &mut Core) -> Turn {
        let entries = core
            .threads
            .entries
            .values()
            .filter(|entry| entry.end.is_none());
        let waits_for_system = entries.clone().any(|entry| {
            entry.thread.as_ref().is_some_and(|thread| {
                thread
                    .waiting
                    .as_ref()
                    .is_some_and(|waiting| waiting.token.is_some())
            })
        });
        let first_deadline = entries.filter_map(|entry| entry.parked?.deadline_ms).min();
        match (first_deadline, waits_for_system) {
            (Some(deadline), _) => {
                let now = core.system.monotonic_ms();
                Turn::Idle(Patience::Milliseconds(deadline.saturating_sub(now).max(1)))
            }
            (None, true) => Turn::Idle(Patience::Forever),
            (None, false) => {
                let main_waits = core
                    .threads
                    .entries
                    .get(&MAIN_THREAD)
                    .is_some_and(|entry| entry.parked.is_some());
                if !main_waits {
                    return Turn::Finished(0);
                }
                let text = "deadlock: every thread waits for another one";
                self.throw_at_main(core, NativeError::new(ErrorClass::Deadlock, text));
                Turn::Go
            }
        }
    }

    fn run_thread(&mut self, core: &mut Core, id: ThreadId) -> Turn {
        let Some(mut thread) = self.enter(core, id) else {
            return Turn::Go;
        };
        let pause = match self.prepare(core, id, &mut thread) {
            Ok(true) => execute(core, &mut thread),
            Ok(false) => Pause::Waiting,
            Err(pause) => pause,
        };
        self.leave(core, id, thread, pause)
    }

    /// Makes a thread the running one.
    fn enter(&mut self, core: &mut Core, id: ThreadId) -> Option<Thread> {
        let table = &mut core.threads;
        table.current = id;
        let entry = table.entries.get_mut(&id)?;
        let thread = entry.thread.take()?;
        core.output = core::mem::take(&mut entry.output);
        core.muted = core::mem::take(&mut entry.muted);
        core.pins = core::mem::take(&mut entry.pins);
        Some(thread)
    }

    /// Delivers what ended the thread's wait. `Ok(false)` when it still waits.
    fn prepare(
        &mut self,
        core: &mut Core,
        id: ThreadId,
        thread: &mut Thread,
    ) -> Result<bool, Pause> {
        let wake = core
            .threads
            .entries
            .get_mut(&id)
            .and_then(|entry| entry.wake.take());
        if let Some(result) = wake {
            let waiting = thread.waiting.take();
            let (register, kind) = waiting
                .map_or((crate::bytecode::NOWHERE, FrameKind::Normal), |waiting| {
                    (waiting.result, waiting.kind)
                });
            return match result {
                Ok(Value::Undefined) if matches!(kind, FrameKind::Next { .. }) => Ok(true),
                Ok(value) => {
                    let value = if value.is_undefined() {
                        Value::None
                    } else {
                        value
                    };
                    core.deliver(thread, value, register, kind);
                    Ok(true)
                }
                Err(error) => core
                    .fault(thread, error, register, FrameKind::Normal)
                    .map(|()| true),
            };
        }
        let Some(waiting) = &thread.waiting else {
            return Ok(true);
        };
        let answer = self
            .answers
            .iter()
            .position(|(token, _)| Some(*token) == waiting.token);
        let Some(answer) = answer else {
            return Ok(false);
        };
        let (_, answer) = self.answers.swap_remove(answer);
        core.resume_native(thread, answer).map(|()| true)
    }

    /// Puts the thread back and deals with why it paused.
    fn leave(&mut self, core: &mut Core, id: ThreadId, mut thread: Thread, pause: Pause) -> Turn {
        let output = core::mem::take(&mut core.output);
        let muted = core::mem::take(&mut core.muted);
        let pins = core::mem::take(&mut core.pins);
        let Some(entry) = core.threads.entries.get_mut(&id) else {
            return Turn::Go;
        };
        entry.output = output;
        entry.muted = muted;
        entry.pins = pins;
        match pause {
            Pause::Fuel => {
                entry.thread = Some(thread);
                core.threads.ready.push_back(id);
                Turn::Go
            }
            Pause::Waiting => {
                entry.thread = Some(thread);
                Turn::Go
            }
            Pause::Parked(park) => {
                entry.thread = Some(thread);
                self.park(core, id, park);
                Turn::Go
            }
            Pause::Done(value) => {
                thread.finish(&core.heap);
                self.ended(core, id, End::Halted);
                if id != MAIN_THREAD {
                    return Turn::Go;
                }
                match value {
                    Value::Int(status) => Turn::Finished(i32::try_from(status).unwrap_or(1)),
                    _ => Turn::Finished(0),
                }
            }
            Pause::Failed(raised) => {
                thread.finish(&core.heap);
                self.ended(core, id, End::Failed);
                if id != MAIN_THREAD {
                    Turn::Go
                } else {
                    Turn::Failed(raised)
                }
            }
            Pause::Exit(status) => {
                thread.finish(&core.heap);
                self.ended(core, id, End::Halted);
                Turn::Finished(status)
            }
        }
    }

    fn park(&mut self, core: &mut Core, id: ThreadId, park: Park) {
        if let Some(entry) = core.threads.entries.get_mut(&id) {
            entry.parked = Some(park);
        }
        if let WaitFor::End(other) = park.wait {
            let has_ended = core
                .threads
                .entries
                .get(&other)
                .is_none_or(|entry| entry.end.is_some());
            if has_ended {
                let record = core.thread_record(other);
                core.threads.wake(id, record);
            }
        }
    }

    /// A thread has ended: its joiners go on, its mutexes are free.
    fn ended(&mut self, core: &mut Core, id: ThreadId, end: End) {
        if let Some(entry) = core.threads.entries.get_mut(&id) {
            entry.end = Some(end);
            if let OutputTarget::Collected(text) = core::mem::take(&mut entry.output) {
                entry.printed = String::from(text.trim_end_matches('\n'));
            }
        }
        core.threads.release_all(id);
        let joiners = core.threads.entries.iter().filter(|(_, entry)| {
            matches!(entry.parked, Some(Park { wait: WaitFor::End(other), .. }) if other == id)
        });
        let joiners: Vec<ThreadId> = joiners.map(|(joiner, _)| *joiner).collect();
        for joiner in joiners {
            let record = core.thread_record(id);
            core.threads.wake(joiner, record);
        }
    }

    /// An error that no thread is there to catch.
    pub(crate) fn raised_outside(&self, core: &mut Core, error: NativeError) -> Rc<Raised> {
        core.raised(&Thread::new(), error)
    }
}

impl Core {
    /// Goes on with a builtin whose request has been answered.
    fn resume_native(&mut self, thread: &mut Thread, answer: Answer) -> Result<(), Pause> {
        let Some(mut waiting) = thread.waiting.take() else {
            return Ok(());
        };
        let mut context = crate::native::NativeContext { core: self };
        let result = (waiting.resume)(&mut context, &mut waiting.arguments, answer);
        match result {
            Ok(value) => {
                store(thread, waiting.result, value);
                Ok(())
            }
            Err(error) => {
                self.blocked_arguments = waiting.arguments;
                self.fault(thread, error, waiting.result, FrameKind::Normal)
            }
        }
    }
}
