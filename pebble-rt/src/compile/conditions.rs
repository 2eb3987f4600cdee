//! Conditions as jumps.

use crate::bytecode::Op;
use crate::syntax::ast::{
    CompareOperator, CompareStep, Expr, ExprKind, Integer, LogicalOperator, UnaryOperator,
};

use super::emit::Label;
use super::{Compiler, Result};

impl Compiler<'_> {
    /// Jumps to `to` if the condition is false, else goes on.
    pub(super) fn jump_unless(&mut self, condition: &Expr, to: Label) -> Result<()> {
        self.jump_on(condition, to, false)
    }

    /// Jumps to `to` if the condition is true, else goes on.
    pub(super) fn jump_if(&mut self, condition: &Expr, to: Label) -> Result<()> {
        self.jump_on(condition, to, true)
    }

    fn jump_on(&mut self, condition: &Expr, to: Label, wanted: bool) -> Result<()> {
        match &condition.kind {
            ExprKind::Unary {
                operator: UnaryOperator::Not,
                operand,
            } => self.jump_on(operand, to, !wanted),
            ExprKind::Boolean(truth) => {
                if *truth == wanted {
                    self.emit_jump(Op::Jump, 0, 0, 0, to);
                }
                Ok(())
            }
            ExprKind::Logical { operator, operands } => {
                let jumps_early = (*operator == LogicalOperator::Or) == wanted;
                let past = self.new_label();
                for (at, operand) in operands.iter().enumerate() {
                    if jumps_early || at + 1 == operands.len() {
                        self.jump_on(operand, to, wanted)?;
                    } else {
                        self.jump_on(operand, past, !wanted)?;
                    }
                }
                self.place_label(past);
                Ok(())
            }
            ExprKind::Compare { first, rest } => match &rest[..] {
                [step] => self.jump_on_comparison(first, step, to, wanted),
                _ => self.jump_on_value(condition, to, wanted),
            },
            _ => self.jump_on_value(condition, to, wanted),
        }
    }

    fn jump_on_value(&mut self, condition: &Expr, to: Label, wanted: bool) -> Result<()> {
        let mark = self.mark();
        let register = self.value(condition)?;
        self.release_to(mark);
        let op = if wanted { Op::JumpTrue } else { Op::JumpFalse };
        let taken = u8::from(self.is_temporary(register));
        self.emit_jump(op, register, taken, 0, to);
        Ok(())
    }

    fn jump_on_comparison(
        &mut self,
        first: &Expr,
        step: &CompareStep,
        to: Label,
        wanted: bool,
    ) -> Result<()> {
        use CompareOperator::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        if !matches!(
            step.operator,
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual
        ) {
            let whole = Expr::new(
                ExprKind::Compare {
                    first: first.clone().into(),
                    rest: alloc::vec![step.clone()],
                },
                first.span,
            );
            return self.jump_on_value(&whole, to, wanted);
        }
        let mark = self.mark();
        let (left, pinned) = self.pinned_value(first, Some(&step.operand))?;
        if let Some(number) = small_number(&step.operand) {
            self.release_to(mark);
            let op = match (step.operator, wanted) {
                (Equal, true) | (NotEqual, false) => Op::JumpEqualInt,
                (Equal, false) | (NotEqual, true) => Op::JumpNotEqualInt,
                (Less, true) => Op::JumpLessInt,
                (Less, false) => Op::JumpNotLessInt,
                (LessEqual, true) => Op::JumpLessEqualInt,
                (LessEqual, false) => Op::JumpNotLessEqualInt,
                (Greater, true) => Op::JumpGreaterInt,
                (Greater, false) => Op::JumpNotGreaterInt,
                (_, true) => Op::JumpGreaterEqualInt,
                (_, false) => Op::JumpNotGreaterEqualInt,
            };
            if !self.function().is_wide {
                self.emit_short_jump(op, left, number, to);
                return Ok(());
            }
        }
        let right = self.value(&step.operand)?;
        self.unpin(left, pinned);
        self.release_to(mark);
        // A comparison written with `>` is the one with `<` the other way round; `c` remembers it for the error text.
        let (op, a, b, reversed) = match (step.operator, wanted) {
            (Equal, true) | (NotEqual, false) => (Op::JumpEqual, left, right, 0),
            (Equal, false) | (NotEqual, true) => (Op::JumpNotEqual, left, right, 0),
            (Less, true) => (Op::JumpLess, left, right, 0),
            (Less, false) => (Op::JumpNotLess, left, right, 0),
            (LessEqual, true) => (Op::JumpLessEqual, left, right, 0),
            (LessEqual, false) => (Op::JumpNotLessEqual, left, right, 0),
            (Greater, true) => (Op::JumpLess, right, left, 1),
            (Greater, false) => (Op::JumpNotLess, right, left, 1),
            (_, true) => (Op::JumpLessEqual, right, left, 1),
            (_, false) => (Op::JumpNotLessEqual, right, left, 1),
        };
        self.emit_jump(op, a, b, reversed, to);
        Ok(())
    }
}

fn small_number(expression: &Expr) -> Option<i16> {
    match &expression.kind {
        ExprKind::Integer(Integer::Small(number)) => i16::try_from(*number).ok(),
        ExprKind::Unary {
            operator: UnaryOperator::Negate,
            operand,
        } => match operand.kind {
            ExprKind::Integer(Integer::Small(number)) => i16::try_from(-number).ok(),
            _ => None,
        },
        _ => None,
    }
}
