//! Loops.

use crate::bytecode::{Op, Step};
use crate::syntax::ast::{Argument, Block, Expr, ExprKind, Target, TargetKind};

use super::emit::{Label, Loop};
use super::names::Home;
use super::{Compiler, Result};

impl Compiler<'_> {
    /// `while`: the condition stands at the end, so that a round costs one jump.
    pub(super) fn while_loop(
        &mut self,
        condition: &Expr,
        body: &Block,
        otherwise: Option<&Block>,
    ) -> Result<()> {
        let (start, next, exit, done) = (
            self.new_label(),
            self.new_label(),
            self.new_label(),
            self.new_label(),
        );
        let line = self.function().line;
        let before = self.function().definite;
        let is_endless = matches!(condition.kind, ExprKind::Boolean(true));
        self.open_loop(exit, next);
        if !is_endless {
            self.emit_jump(Op::Jump, 0, 0, 0, next);
        }
        self.place_label(start);
        self.block(body)?;
        self.function().is_reachable = true;
        self.function().definite = before;
        self.place_label(next);
        self.function().line = line;
        self.jump_if(condition, start)?;
        self.function().loops.pop();
        self.place_label(done);
        if let Some(block) = otherwise {
            self.block(block)?;
            self.function().is_reachable = true;
        }
        self.function().definite = before;
        self.place_label(exit);
        Ok(())
    }

    fn open_loop(&mut self, exit: Label, next: Label) {
        let function = self.function();
        let finally_depth = function.finallies.len();
        function.loops.push(Loop {
            exit,
            next,
            finally_depth,
        });
    }

    /// `for`.
    pub(super) fn for_loop(
        &mut self,
        target: &Target,
        iterable: &Expr,
        body: &Block,
        otherwise: Option<&Block>,
    ) -> Result<()> {
        let exit = self.new_label();
        let before = self.function().definite;
        let walk = self.walk(target, iterable, None, Some(exit), &mut |compiler| {
            compiler.block(body)
        })?;
        self.function().is_reachable = true;
        self.function().definite = before;
        if let Some(block) = otherwise {
            self.block(block)?;
            self.function().is_reachable = true;
            self.function().definite = before;
        }
        self.place_label(exit);
        self.emit(Op::Clear, walk, 0, 0, 0);
        Ok(())
    }

    /// Emits a walk: over `iterable`, or over what `ready` holds already. Without an `exit` it is no loop that
    /// `break` could leave. Returns the register of what is walked.
    pub(super) fn walk(
        &mut self,
        target: &Target,
        iterable: &Expr,
        ready: Option<u8>,
        exit: Option<Label>,
        body: &mut dyn FnMut(&mut Self) -> Result<()>,
    ) -> Result<u8> {
        let line = self.function().line;
        let (start, next, done) = (self.new_label(), self.new_label(), self.new_label());
        let is_range = ready.is_none() && self.is_range(iterable);
        let walked = self.temporary()?;
        self.temporary()?;
        self.temporary()?;
        if is_range {
            self.range_bounds(iterable, walked)?;
        } else {
            let mark = self.mark();
            match ready {
                Some(ready) => {
                    self.emit(Op::Take, walked, ready, 0, 0);
                }
                None => self.value_to(iterable, walked)?,
            }
            self.release_to(mark);
        }
        let variable = match &target.kind {
            TargetKind::Name(name) => match self.home(name) {
                Home::Local(register) => register,
                _ => self.temporary()?,
            },
            _ => self.temporary()?,
        };
        let is_direct = !self.is_temporary(variable);
        let (prepare, step) = if is_range {
            (Op::RangePrepare, Op::RangeNext)
        } else {
            (Op::IterPrepare, Op::IterNext)
        };
        if is_range {
            self.emit_jump(prepare, walked, variable, 0, done);
        } else {
            self.emit(prepare, walked, walked, 0, 0);
        }
        self.emit_jump(Op::Jump, 0, 0, 0, next);
        self.open_loop(exit.unwrap_or(done), next);
        self.place_label(start);
        let before = self.function().definite;
        if is_direct {
            self.function().definite.add(variable);
        } else {
            self.assign(target, variable)?;
        }
        body(self)?;
        self.function().is_reachable = true;
        self.function().definite = before;
        self.place_label(next);
        self.function().line = line;
        self.emit_jump(step, walked, variable, 0, start);
        self.function().loops.pop();
        self.place_label(done);
        if exit.is_none() {
            self.emit(Op::Clear, walked, 0, 0, 0);
        }
        Ok(walked)
    }

    fn is_range(&mut self, iterable: &Expr) -> bool {
        let ExprKind::Call { callee, arguments } = &iterable.kind else {
            return false;
        };
        let ExprKind::Name(name) = &callee.kind else {
            return false;
        };
        let plain = arguments
            .iter()
            .all(|argument| matches!(argument, Argument::Positional(_)));
        name == "range"
            && plain
            && (1..=3).contains(&arguments.len())
            && self.is_builtin("range")
            && matches!(self.steps(name).last(), Some(Step::Global(_)))
    }

    /// Start, stop and step in `first` and the two registers after it.
    fn range_bounds(&mut self, iterable: &Expr, first: u8) -> Result<()> {
        let ExprKind::Call { arguments, .. } = &iterable.kind else {
            return Ok(());
        };
        let values: alloc::vec::Vec<&Expr> = arguments.iter().map(Argument::value).collect();
        let mark = self.mark();
        match values[..] {
            [stop] => {
                self.value_to(stop, first + 1)?;
                self.emit(Op::LoadInt, first, 0, 0, 0);
                self.emit(Op::LoadInt, first + 2, 0, 0, 1);
            }
            [start, stop] => {
                self.value_to(start, first)?;
                self.value_to(stop, first + 1)?;
                self.emit(Op::LoadInt, first + 2, 0, 0, 1);
            }
            [start, stop, step] => {
                self.value_to(start, first)?;
                self.value_to(stop, first + 1)?;
                self.value_to(step, first + 2)?;
            }
            _ => {}
        }
        self.release_to(mark);
        Ok(())
    }
}
