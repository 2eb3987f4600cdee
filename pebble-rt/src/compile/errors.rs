//! `try`, `with`.

use alloc::vec::Vec;

use crate::bytecode::{NOWHERE, Op};
use crate::syntax::ast::{Block, ExceptClause, ExceptFilter, TryStmt, WithItem};

use super::emit::{Exit, Finally, Label, Registers};
use super::{Compiler, Result};

impl Compiler<'_> {
    pub(super) fn try_statement(&mut self, tried: &TryStmt) -> Result<()> {
        match &tried.finally {
            None => self.try_except(tried),
            Some(block) => self.guarded(
                &mut |compiler| compiler.try_except(tried),
                &mut |compiler, _, _| compiler.block(block),
            ),
        }
    }

    fn try_except(&mut self, tried: &TryStmt) -> Result<()> {
        if tried.handlers.is_empty() {
            self.block(&tried.body)?;
            return tried
                .otherwise
                .as_ref()
                .map_or(Ok(()), |block| self.block(block));
        }
        let before = self.function().definite;
        let (handlers, end) = (self.new_label(), self.new_label());
        let start = self.here();
        self.block(&tried.body)?;
        let stop = self.here();
        if let Some(block) = &tried.otherwise {
            self.block(block)?;
        }
        let mut after = self.function().definite;
        let mut reachable = self.function().is_reachable;
        if reachable {
            self.emit_jump(Op::Jump, 0, 0, 0, end);
        }
        self.place_label(handlers);
        let target = self.here();
        self.handler(start, stop, target);
        self.function().definite = before;
        self.function().is_reachable = true;
        let mark = self.mark();
        let error = self.temporary()?;
        self.emit(Op::Catch, error, 0, 0, 0);
        self.function().handled.push(error);
        let mut takes_all = false;
        for handler in &tried.handlers {
            let next = self.new_label();
            takes_all = self.except_clause(handler, error, next)?;
            let function = self.function();
            after = after.and(function.definite);
            reachable |= function.is_reachable;
            if self.function().is_reachable {
                self.emit(Op::Clear, error, 0, 0, 0);
                self.emit_jump(Op::Jump, 0, 0, 0, end);
            }
            self.place_label(next);
            self.function().definite = before;
            self.function().is_reachable = true;
        }
        if !takes_all {
            self.emit(Op::Reraise, error, 0, 0, 0);
        }
        self.function().handled.pop();
        self.release_to(mark);
        self.place_label(end);
        self.function().definite = after;
        self.function().is_reachable = reachable;
        Ok(())
    }

    /// One `except` clause; jumps to `next` for errors that it does not take. Says whether it takes all.
    fn except_clause(&mut self, clause: &ExceptClause, error: u8, next: Label) -> Result<bool> {
        self.function().line = clause.span.line.max(1);
        let mark = self.mark();
        let takes_all = match &clause.filter {
            ExceptFilter::All => true,
            ExceptFilter::Name(name) => {
                let filter = self.temporary()?;
                let steps = self.steps(name);
                let index = self.name(name);
                let chain = self.chain(index, steps);
                let (binding, body) = (self.new_label(), self.new_label());
                self.emit(Op::LoadCallee, filter, 1, 0, chain);
                self.emit_jump(Op::JumpNotErrorClass, filter, 0, 0, binding);
                self.emit_jump(Op::ErrorMismatch, error, filter, 0, next);
                self.emit_jump(Op::Jump, 0, 0, 0, body);
                self.place_label(binding);
                let before = self.function().definite;
                self.emit(Op::ErrorText, filter, error, 0, 0);
                self.bind_name(name, filter);
                if name.starts_with(|first: char| first.is_uppercase()) {
                    self.function().definite = before;
                }
                self.place_label(body);
                false
            }
            ExceptFilter::Types { types, binding } => {
                let filter = self.value_to_temporary(types)?;
                self.emit_jump(Op::ErrorMismatch, error, filter, 0, next);
                if let Some(name) = binding {
                    let object = self.temporary()?;
                    self.emit(Op::ErrorObject, object, error, 0, 0);
                    self.bind_name(name, object);
                }
                false
            }
        };
        self.release_to(mark);
        self.block(&clause.body)?;
        Ok(takes_all)
    }

    /// Emits `body` so that `last` is done however it is left. `last` gets the registers of the state (0 when the body
    /// ended, 1 for an error) and of the error.
    fn guarded(
        &mut self,
        body: &mut dyn FnMut(&mut Self) -> Result<()>,
        last: &mut dyn FnMut(&mut Self, u8, u8) -> Result<()>,
    ) -> Result<()> {
        let mark = self.mark();
        let (state, value) = (self.temporary()?, self.temporary()?);
        let entry = self.new_label();
        let before = self.function().definite;
        self.function().finallies.push(Finally {
            entry,
            state,
            value,
            exits: Vec::new(),
        });
        let start = self.here();
        body(self)?;
        let stop = self.here();
        let exits = self
            .function()
            .finallies
            .pop()
            .map(|finally| finally.exits)
            .unwrap_or_default();
        let after = self.function().definite;
        let reachable = self.function().is_reachable;
        self.emit(Op::LoadInt, state, 0, 0, 0);
        self.emit_jump(Op::Jump, 0, 0, 0, entry);
        let target = self.here();
        self.handler(start, stop, target);
        self.emit(Op::Catch, value, 0, 0, 0);
        self.emit(Op::LoadInt, state, 0, 0, 1);
        self.place_label(entry);
        self.function().definite = before;
        self.function().is_reachable = true;
        last(self, state, value)?;
        self.after_finally(&exits, state, value);
        let gained = self.function().definite;
        self.function().definite = if reachable {
            after.or(gained)
        } else {
            Registers::ALL
        };
        self.function().is_reachable = reachable;
        self.release_to(mark);
        Ok(())
    }

    /// Goes on with what entering the `finally` block interrupted.
    fn after_finally(&mut self, exits: &[Exit], state: u8, value: u8) {
        let past = self.new_label();
        self.emit_short_jump(Op::JumpEqualInt, state, 0, past);
        let not_error = self.new_label();
        self.emit_short_jump(Op::JumpNotEqualInt, state, 1, not_error);
        self.emit(Op::Reraise, value, 0, 0, 0);
        self.place_label(not_error);
        for (at, exit) in exits.iter().enumerate() {
            let other = self.new_label();
            self.emit_short_jump(Op::JumpNotEqualInt, state, at as i16 + 2, other);
            let definite = self.function().definite;
            self.leave(*exit, value);
            self.function().definite = definite;
            self.place_label(other);
        }
        self.place_label(past);
        self.function().is_reachable = true;
    }

    pub(super) fn with_statement(&mut self, items: &[WithItem], body: &Block) -> Result<()> {
        let Some((item, rest)) = items.split_first() else {
            return self.block(body);
        };
        let mark = self.mark();
        let leave = self.temporary()?;
        let manager = self.temporary()?;
        self.value_to(&item.context, manager)?;
        self.release_to(manager + 1);
        self.emit(Op::Move, leave, manager, 0, 0);
        let enter = self.name("__enter__");
        let site = self.site(enter);
        self.emit(Op::CallMethod, manager, 0, manager, site);
        self.guarded(
            &mut |compiler| {
                if let Some(target) = &item.target {
                    compiler.assign(target, manager)?;
                }
                compiler.with_statement(rest, body)
            },
            &mut |compiler, state, value| compiler.leave_context(leave, state, value),
        )?;
        self.release_to(mark);
        Ok(())
    }

    /// `__exit__(error class, error, trace)`; a true result ends the error.
    fn leave_context(&mut self, manager: u8, state: u8, value: u8) -> Result<()> {
        let mark = self.mark();
        let base = self.temporary()?;
        let (class, error, trace) = (self.temporary()?, self.temporary()?, self.temporary()?);
        let (plain, end) = (self.new_label(), self.new_label());
        let exit = self.name("__exit__");
        self.emit(Op::Take, base, manager, 0, 0);
        self.emit(Op::LoadNone, class, 0, 0, 0);
        self.emit(Op::LoadNone, error, 0, 0, 0);
        self.emit(Op::LoadNone, trace, 0, 0, 0);
        self.emit_short_jump(Op::JumpNotEqualInt, state, 1, plain);
        self.emit(Op::ErrorObject, error, value, 0, 0);
        self.emit(Op::Move, class, error, 0, 0);
        self.call_hidden("#class", class, 1, class);
        let site = self.site(exit);
        self.emit(Op::CallMethod, base, 3, base, site);
        self.emit_jump(Op::JumpFalse, base, 0, 0, end);
        self.emit(Op::LoadInt, state, 0, 0, 0);
        self.emit_jump(Op::Jump, 0, 0, 0, end);
        self.place_label(plain);
        let site = self.site(exit);
        self.emit(Op::CallMethod, base, 3, NOWHERE, site);
        self.place_label(end);
        self.release_to(mark);
        Ok(())
    }
}
