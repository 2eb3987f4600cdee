//! `match`.

use crate::bytecode::Op;
use crate::syntax::ast::{CompareOperator, Expr, ExprKind, MatchCase, Name, Pattern, PatternKind};

use super::emit::{Label, Registers};
use super::{Compiler, Result};

impl Compiler<'_> {
    pub(super) fn match_statement(&mut self, subject: &Expr, cases: &[MatchCase]) -> Result<()> {
        let subject = self.value_to_temporary(subject)?;
        let end = self.new_label();
        let mut after = Registers::ALL;
        let mut reachable = false;
        for case in cases {
            self.function().line = case.span.line.max(1);
            let next = self.new_label();
            let before = self.function().definite;
            self.function().is_reachable = true;
            self.pattern(&case.pattern, subject, next)?;
            if let Some(guard) = &case.guard {
                self.jump_unless(guard, next)?;
            }
            self.block(&case.body)?;
            let function = self.function();
            after = after.and(function.definite);
            reachable |= function.is_reachable;
            self.emit_jump(Op::Jump, 0, 0, 0, end);
            self.place_label(next);
            self.function().definite = before;
        }
        let function = self.function();
        function.definite = after.and(function.definite);
        function.is_reachable = true;
        let _ = reachable;
        self.place_label(end);
        self.emit(Op::Clear, subject, 0, 0, 0);
        Ok(())
    }

    /// Goes on when the value in `subject` looks like `pattern`, with its names bound; else jumps to `otherwise`.
    fn pattern(&mut self, pattern: &Pattern, subject: u8, otherwise: Label) -> Result<()> {
        let mark = self.mark();
        match &pattern.kind {
            PatternKind::Wildcard | PatternKind::Star(None) => {}
            PatternKind::Capture(name) | PatternKind::Star(Some(name)) => {
                self.capture_name(name, subject)?
            }
            PatternKind::Value(value) => {
                let is_singleton = matches!(value.kind, ExprKind::None | ExprKind::Boolean(_));
                let operator = if is_singleton {
                    CompareOperator::Is
                } else {
                    CompareOperator::Equal
                };
                let value = self.value(value)?;
                let truth = self.temporary()?;
                self.emit(Op::Compare, truth, subject, value, operator as i32);
                self.emit_jump(Op::JumpFalse, truth, 0, 0, otherwise);
            }
            PatternKind::Sequence(items) => self.sequence_pattern(items, subject, otherwise)?,
            PatternKind::Mapping { entries, rest } => {
                self.mapping_pattern(entries, rest.as_ref(), subject, otherwise)?;
            }
            PatternKind::Class(class) => {
                let tested = self.value(&class.class)?;
                let positional = class.positional.iter().enumerate();
                self.hidden_test("#match_class", &[subject, tested], otherwise)?;
                for (at, item) in positional {
                    let index = self.temporary()?;
                    self.emit(Op::LoadInt, index, 0, 0, at as i32);
                    let part =
                        self.hidden_value("#match_position", &[subject, tested, index], otherwise)?;
                    self.pattern(item, part, otherwise)?;
                }
                for (name, item) in &class.keywords {
                    let key = self.temporary()?;
                    let name = self.name(name);
                    self.load_constant(crate::bytecode::Constant::Text(name), Some(key))?;
                    let part = self.hidden_value("#match_field", &[subject, key], otherwise)?;
                    self.pattern(item, part, otherwise)?;
                }
            }
            PatternKind::Or(alternatives) => {
                let matched = self.new_label();
                for (at, alternative) in alternatives.iter().enumerate() {
                    if at + 1 == alternatives.len() {
                        self.pattern(alternative, subject, otherwise)?;
                    } else {
                        let next = self.new_label();
                        let before = self.function().definite;
                        self.pattern(alternative, subject, next)?;
                        self.emit_jump(Op::Jump, 0, 0, 0, matched);
                        self.place_label(next);
                        self.function().definite = before;
                    }
                }
                self.place_label(matched);
            }
            PatternKind::As { pattern, name } => {
                self.pattern(pattern, subject, otherwise)?;
                self.capture_name(name, subject)?;
            }
        }
        self.release_to(mark);
        Ok(())
    }

    fn capture_name(&mut self, name: &Name, subject: u8) -> Result<()> {
        let copy = self.temporary()?;
        self.emit(Op::Move, copy, subject, 0, 0);
        self.bind_name(name, copy);
        Ok(())
    }

    fn sequence_pattern(&mut self, items: &[Pattern], subject: u8, otherwise: Label) -> Result<()> {
        let star = items
            .iter()
            .position(|item| matches!(item.kind, PatternKind::Star(_)));
        let least = items.len() - usize::from(star.is_some());
        let wanted = self.temporary()?;
        let open = self.temporary()?;
        self.emit(Op::LoadInt, wanted, 0, 0, least as i32);
        self.emit(Op::LoadBool, open, 0, 0, i32::from(star.is_some()));
        self.hidden_test("#match_sequence", &[subject, wanted, open], otherwise)?;
        let first = self.mark();
        for _ in items {
            self.temporary()?;
        }
        match star {
            None => self.emit(Op::Unpack, first, subject, 0, items.len() as i32),
            Some(at) => self.emit(
                Op::UnpackStar,
                first,
                subject,
                (items.len() - at - 1) as u8,
                at as i32,
            ),
        };
        for (at, item) in items.iter().enumerate() {
            self.pattern(item, first + at as u8, otherwise)?;
        }
        Ok(())
    }

    fn mapping_pattern(
        &mut self,
        entries: &[(Expr, Pattern)],
        rest: Option<&Name>,
        subject: u8,
        otherwise: Label,
    ) -> Result<()> {
        self.hidden_test("#match_mapping", &[subject], otherwise)?;
        let remaining = self.temporary()?;
        if rest.is_some() {
            self.emit(Op::Move, remaining, subject, 0, 0);
        }
        for (key, item) in entries {
            let mark = self.mark();
            let key = self.value(key)?;
            let part = self.hidden_value("#match_key", &[subject, key], otherwise)?;
            self.pattern(item, part, otherwise)?;
            if rest.is_some() {
                let first = self.temporary()?;
                let second = self.temporary()?;
                self.emit(Op::Take, first, remaining, 0, 0);
                self.emit(Op::Move, second, key, 0, 0);
                self.call_hidden("#without_key", first, 2, remaining);
            }
            self.release_to(mark);
        }
        if let Some(name) = rest {
            self.bind_name(name, remaining);
        }
        Ok(())
    }

    /// Calls a hidden builtin and jumps to `otherwise` when it says no.
    fn hidden_test(&mut self, name: &str, arguments: &[u8], otherwise: Label) -> Result<()> {
        let mark = self.mark();
        let result = self.hidden_call(name, arguments)?;
        self.release_to(mark);
        self.emit_jump(Op::JumpFalse, result, 0, 0, otherwise);
        Ok(())
    }

    /// Calls a hidden builtin that returns a list with the value, or an empty one to jump to `otherwise`.
    fn hidden_value(&mut self, name: &str, arguments: &[u8], otherwise: Label) -> Result<u8> {
        let result = self.hidden_call(name, arguments)?;
        self.emit_jump(Op::JumpFalse, result, 0, 0, otherwise);
        self.emit(Op::GetIndexInt, result, result, 0, 0);
        Ok(result)
    }

    fn hidden_call(&mut self, name: &str, arguments: &[u8]) -> Result<u8> {
        let first = self.mark();
        for argument in arguments {
            let copy = self.temporary()?;
            self.emit(Op::Move, copy, *argument, 0, 0);
        }
        if arguments.is_empty() {
            self.temporary()?;
        }
        self.call_hidden(name, first, arguments.len() as u8, first);
        self.release_to(first + 1);
        Ok(first)
    }
}
