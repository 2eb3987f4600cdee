//! Statements.

use crate::bytecode::{CodeKind, Constant, ImportPath, NOWHERE, Op};
use crate::syntax::ast::{
    Block, Expr, ExprKind, ImportItem, ImportedName, Name, Stmt, StmtKind, Target, TargetKind,
};

use super::emit::{Exit, Registers};
use super::{Compiler, Pace, Result};

impl Compiler<'_> {
    pub(super) fn block(&mut self, block: &Block) -> Result<()> {
        for statement in block {
            self.statement(statement)?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt) -> Result<()> {
        self.function().line = statement.span.line.max(1);
        let mark = self.mark();
        match &statement.kind {
            StmtKind::Expression(value) => self.expression_statement(value)?,
            StmtKind::Assign { targets, value } => self.assignment(targets, value)?,
            StmtKind::AugmentedAssign {
                target,
                operator,
                value,
            } => self.augmented(target, *operator, value)?,
            StmtKind::Print(values) => self.print(values)?,
            StmtKind::Return(value) => self.return_statement(value.as_ref())?,
            StmtKind::Raise(value) => self.raise(value.as_ref())?,
            StmtKind::Import(items) => items.iter().try_for_each(|item| self.import(item))?,
            StmtKind::FromImport { module, names } => self.import_from(module, names)?,
            StmtKind::Pass | StmtKind::Global(_) | StmtKind::Nonlocal(_) => {}
            StmtKind::Break => self.leave_loop(LoopExit::Break),
            StmtKind::Continue => self.leave_loop(LoopExit::Continue),
            StmtKind::Delete(targets) => {
                targets.iter().try_for_each(|target| self.delete(target))?
            }
            StmtKind::Assert { condition, message } => self.assert(condition, message.as_ref())?,
            StmtKind::If {
                branches,
                otherwise,
            } => self.if_statement(branches, otherwise.as_ref())?,
            StmtKind::While {
                condition,
                body,
                otherwise,
            } => self.while_loop(condition, body, otherwise.as_ref())?,
            StmtKind::For {
                target,
                iterable,
                body,
                otherwise,
            } => {
                self.for_loop(target, iterable, body, otherwise.as_ref())?;
            }
            StmtKind::Function(def) => self.function_statement(def)?,
            StmtKind::Class(def) => self.class_statement(def)?,
            StmtKind::Record(def) => self.record_statement(def)?,
            StmtKind::Enum(def) => self.enum_statement(def)?,
            StmtKind::Try(tried) => self.try_statement(tried)?,
            StmtKind::With { items, body } => self.with_statement(items, body)?,
            StmtKind::Match { subject, cases } => self.match_statement(subject, cases)?,
        }
        self.release_to(mark);
        if self.pace == Pace::Statements {
            self.call_hidden("#step", mark, 0, NOWHERE);
        }
        Ok(())
    }

    fn expression_statement(&mut self, value: &Expr) -> Result<()> {
        match &value.kind {
            ExprKind::Call { callee, arguments } => self.call(callee, arguments, NOWHERE),
            ExprKind::String(_) => Ok(()),
            _ => {
                let register = self.value(value)?;
                self.forget_temporary(register, NOWHERE);
                Ok(())
            }
        }
    }

    fn assignment(&mut self, targets: &[Target], value: &Expr) -> Result<()> {
        if let [target] = targets {
            if self.assign_sum(target, value)? || self.assign_local(target, value)? {
                return Ok(());
            }
            if let (
                TargetKind::Unpack {
                    before, rest: None, ..
                },
                ExprKind::Tuple(items),
            ) = (&target.kind, &value.kind)
                && before.len() == items.len()
            {
                return self.assign_together(before, items);
            }
        }
        let register = self.value(value)?;
        let Some((last, others)) = targets.split_last() else {
            return Ok(());
        };
        for target in others {
            let mark = self.mark();
            let copy = self.temporary()?;
            self.emit(Op::Move, copy, register, 0, 0);
            self.assign(target, copy)?;
            self.release_to(mark);
        }
        self.assign(last, register)
    }

    /// `x = value` straight into the register of `x`.
    fn assign_local(&mut self, target: &Target, value: &Expr) -> Result<bool> {
        let TargetKind::Name(name) = &target.kind else {
            return Ok(false);
        };
        let super::names::Home::Local(register) = self.home(name) else {
            return Ok(false);
        };
        self.value_to(value, register)?;
        self.function().definite.add(register);
        Ok(true)
    }

    /// `a, b = b, a`: all values first, then all targets.
    fn assign_together(&mut self, targets: &[Target], values: &[Expr]) -> Result<()> {
        let first = self.mark();
        for value in values {
            self.value_to_temporary(value)?;
        }
        for (at, target) in targets.iter().enumerate() {
            self.assign(target, first + at as u8)?;
        }
        Ok(())
    }

    fn print(&mut self, values: &[Expr]) -> Result<()> {
        let first = self.mark();
        for value in values {
            self.value_to_temporary(value)?;
        }
        self.emit(Op::Print, first, values.len() as u8, 0, 0);
        Ok(())
    }

    fn return_statement(&mut self, value: Option<&Expr>) -> Result<()> {
        if self.function().is_class_body() {
            let text = self.name("return is only allowed inside functions");
            let text = self.constant(Constant::Text(text));
            self.emit(Op::Fail, 0, 0, 0, text as i32);
            self.end_of_path();
            return Ok(());
        }
        let register = match value {
            Some(value) => self.value(value)?,
            None => self.load_constant(Constant::None, None)?,
        };
        self.leave(Exit::Return, register);
        Ok(())
    }

    /// Leaves by way of the `finally` blocks that are open, if any.
    pub(super) fn leave(&mut self, exit: Exit, register: u8) {
        let depth = match exit {
            Exit::Return => 0,
            Exit::Jump { finally_depth, .. } => finally_depth,
        };
        let open = self.function().finallies.len();
        if open > depth {
            let finally = &mut self.function().finallies[open - 1];
            let number = match finally.exits.iter().position(|known| *known == exit) {
                Some(known) => known,
                None => {
                    finally.exits.push(exit);
                    finally.exits.len() - 1
                }
            };
            let (state, value, entry) = (finally.state, finally.value, finally.entry);
            if exit == Exit::Return && value != register {
                self.emit(Op::Move, value, register, 0, 0);
            }
            self.emit(Op::LoadInt, state, 0, 0, number as i32 + 2);
            self.emit_jump(Op::Jump, 0, 0, 0, entry);
        } else {
            match exit {
                Exit::Return => {
                    self.emit(Op::Return, register, 0, 0, 0);
                }
                Exit::Jump { to, .. } => self.emit_jump(Op::Jump, 0, 0, 0, to),
            }
        }
        self.end_of_path();
    }

    /// What follows is not reached from here.
    pub(super) fn end_of_path(&mut self) {
        let function = self.function();
        function.is_reachable = false;
        function.definite = Registers::ALL;
    }

    fn raise(&mut self, value: Option<&Expr>) -> Result<()> {
        match value {
            Some(value) => {
                let register = self.value(value)?;
                self.emit(Op::Raise, register, 0, 0, 0);
            }
            None => match self.function().handled.last().copied() {
                Some(error) => {
                    self.emit(Op::Reraise, error, 0, 0, 0);
                }
                None => {
                    let text = self.name("no error is being handled");
                    let text = self.constant(Constant::Text(text));
                    self.emit(Op::Fail, 0, 0, 0, text as i32);
                }
            },
        }
        self.end_of_path();
        Ok(())
    }

    fn assert(&mut self, condition: &Expr, message: Option<&Expr>) -> Result<()> {
        let fine = self.new_label();
        self.jump_if(condition, fine)?;
        let before = self.function().definite;
        let text = match message {
            Some(message) => self.value_to_temporary(message)?,
            None => self.load_constant(Constant::None, None)?,
        };
        self.emit(Op::AssertFail, text, 0, 0, 0);
        self.function().definite = before;
        self.place_label(fine);
        Ok(())
    }

    fn if_statement(
        &mut self,
        branches: &[(Expr, Block)],
        otherwise: Option<&Block>,
    ) -> Result<()> {
        let end = self.new_label();
        let mut after = Registers::ALL;
        let mut reachable = false;
        for (at, (condition, block)) in branches.iter().enumerate() {
            if at > 0 {
                self.function().line = condition.span.line.max(1);
            }
            let next = self.new_label();
            self.jump_unless(condition, next)?;
            let before = self.function().definite;
            self.function().is_reachable = true;
            self.block(block)?;
            let function = self.function();
            after = after.and(function.definite);
            reachable |= function.is_reachable;
            let is_last = at + 1 == branches.len() && otherwise.is_none();
            if !is_last && self.function().is_reachable {
                self.emit_jump(Op::Jump, 0, 0, 0, end);
            }
            self.function().definite = before;
            self.place_label(next);
        }
        self.function().is_reachable = true;
        if let Some(block) = otherwise {
            self.block(block)?;
        }
        let function = self.function();
        function.definite = after.and(function.definite);
        function.is_reachable |= reachable;
        self.place_label(end);
        Ok(())
    }

    fn leave_loop(&mut self, how: LoopExit) {
        let Some(innermost) = self.function().loops.last().cloned() else {
            return;
        };
        let to = match how {
            LoopExit::Break => innermost.exit,
            LoopExit::Continue => innermost.next,
        };
        self.leave(
            Exit::Jump {
                to,
                finally_depth: innermost.finally_depth,
            },
            0,
        );
    }

    fn import(&mut self, item: &ImportItem) -> Result<()> {
        let to = self.temporary()?;
        let path = self.import_path(&item.path, item.alias.is_some());
        self.emit(Op::Import, to, 0, 0, path);
        if let Some(name) = item.alias.as_ref().or(item.path.first()) {
            self.bind_name(name, to);
        }
        Ok(())
    }

    fn import_from(&mut self, module: &[Name], names: &[ImportedName]) -> Result<()> {
        let from = self.temporary()?;
        let path = self.import_path(module, true);
        self.emit(Op::Import, from, 0, 0, path);
        for imported in names {
            let mark = self.mark();
            let to = self.temporary()?;
            let name = self.name(&imported.name);
            self.emit(Op::ImportFrom, to, from, 0, name as i32);
            self.bind_name(imported.alias.as_ref().unwrap_or(&imported.name), to);
            self.release_to(mark);
        }
        Ok(())
    }

    fn import_path(&mut self, parts: &[Name], leaf: bool) -> i32 {
        let parts = parts.iter().map(|part| self.name(part)).collect();
        let imports = &mut self.function().proto.imports;
        imports.push(ImportPath { parts, leaf });
        (imports.len() - 1) as i32
    }

    /// Whether the function being compiled is the top level.
    pub(super) fn is_top_level(&mut self) -> bool {
        self.function().proto.kind == CodeKind::Module
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoopExit {
    Break,
    Continue,
}
