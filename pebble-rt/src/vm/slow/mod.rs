//! The parts of instructions that the main loop leaves to others: mixed operands, errors, whatever calls the program.

/// A register by its number.
macro_rules! register {
    ($window:ident, $register:expr) => {
        $window[usize::from($register)]
    };
}

mod calls;
mod containers;
mod iteration;
mod names;
mod numbers;

use crate::bytecode::Insn;
use crate::error::NativeError;
use crate::value::Value;

use super::Core;
use super::registers::{Window, put};
use super::stop::Step;
use super::thread::{FrameKind, Thread};

pub(super) use calls::*;
pub(super) use containers::*;
pub(super) use iteration::*;
pub(super) use names::*;
pub(super) use numbers::*;

/// Puts a result into the register of an instruction.
#[inline(always)]
fn finish(
    core: &mut Core,
    window: &mut Window,
    insn: &Insn,
    result: Result<Value, NativeError>,
) -> Step {
    match result {
        Ok(value) => {
            put(&mut register!(window, insn.a), value);
            Ok(())
        }
        Err(error) => Err(core.fault_to(error, insn.a, FrameKind::Normal)),
    }
}

impl Core {
    /// Does an instruction that needs the whole thread, and notes where the call goes on.
    #[inline(never)]
    pub(super) fn uncommon_step(&mut self, thread: &mut Thread, insn: Insn, pc: usize) -> Step {
        if let Err(stop) = self.uncommon(thread, insn, pc) {
            return Err(self.halt(stop));
        }
        let jump = self.take_jump();
        if let Some(frame) = thread.frames.last_mut() {
            frame.pc = (pc as isize + jump as isize) as u32;
        }
        Ok(())
    }
}
