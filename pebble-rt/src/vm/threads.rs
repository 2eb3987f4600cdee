//! Green threads, and what they use to wait for each other (section 21, 24 tier 3).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::system::{Answer, Patience, Token};
use crate::value::Value;

use super::core::OutputTarget;
use super::execute::execute;
use super::flow::store;
use super::program::Turn;
use super::thread::Thread;
use super::{Core, Pause};

/// What builtins ask of the scheduler.
#[derive(Debug, Default)]
pub(crate) struct ThreadTable {
    /// The thread that runs.
    pub(crate) current: i64,
}

/// The thread functions.
pub(crate) static FUNCTIONS: &[NativeFunction] = &[];

/// The threads of a program.
#[derive(Debug)]
pub(crate) struct Scheduler {
    main: Thread,
    answers: Vec<(Token, Answer)>,
    warned: bool,
}

impl Scheduler {
    pub(crate) fn new() -> Scheduler {
        Scheduler {
            main: Thread::new(),
            answers: Vec::new(),
            warned: false,
        }
    }

    pub(crate) fn begin(&mut self, thread: Thread) {
        self.main = thread;
    }

    pub(crate) fn main_thread(&self) -> &Thread {
        &self.main
    }

    pub(crate) fn interrupt(&mut self, core: &mut Core) {
        let error = NativeError::new(ErrorClass::Interrupt, "interrupted");
        let raised = core.raised(&self.main, error);
        let _ = core.unwind(&mut self.main, raised);
    }

    pub(crate) fn out_of_steps(&mut self, core: &mut Core) -> bool {
        if self.warned {
            return false;
        }
        self.warned = true;
        core.steps_left = 10_000;
        let error = NativeError::new(ErrorClass::Steps, "step limit exceeded");
        let raised = core.raised(&self.main, error);
        core.unwind(&mut self.main, raised).is_ok()
    }

    pub(crate) fn answer(&mut self, token: Token, answer: Answer) {
        self.answers.push((token, answer));
    }

    pub(crate) fn turn(&mut self, core: &mut Core) -> Turn {
        if let Some(waiting) = &self.main.waiting {
            let position = self
                .answers
                .iter()
                .position(|(token, _)| Some(*token) == waiting.token);
            let Some(position) = position else {
                return Turn::Idle(Patience::Forever);
            };
            let (_, answer) = self.answers.swap_remove(position);
            if let Err(pause) = core.resume_native(&mut self.main, answer) {
                return self.paused(core, pause);
            }
        }
        let pause = execute(core, &mut self.main);
        self.paused(core, pause)
    }

    fn paused(&mut self, core: &mut Core, pause: Pause) -> Turn {
        match pause {
            Pause::Fuel | Pause::Waiting => Turn::Go,
            Pause::Done(value) => {
                self.main.finish(&core.heap);
                match value {
                    Value::Int(status) => Turn::Finished(status as i32),
                    _ => Turn::Finished(0),
                }
            }
            Pause::Failed(raised) => {
                self.main.finish(&core.heap);
                Turn::Failed(raised)
            }
            Pause::Exit(status) => {
                self.main.finish(&core.heap);
                Turn::Finished(status)
            }
        }
    }
}

impl Core {
    /// Goes on with a builtin whose request has been answered.
    pub(crate) fn resume_native(
        &mut self,
        thread: &mut Thread,
        answer: Answer,
    ) -> Result<(), Pause> {
        let Some(mut waiting) = thread.waiting.take() else {
            return Ok(());
        };
        let result = (waiting.resume)(
            &mut NativeContext { core: self },
            &mut waiting.arguments,
            answer,
        );
        match result {
            Ok(value) => {
                store(thread, waiting.result, value);
                Ok(())
            }
            Err(error) => {
                self.blocked_arguments = waiting.arguments;
                self.fault(
                    thread,
                    error,
                    waiting.result,
                    super::thread::FrameKind::Normal,
                )
            }
        }
    }
}
