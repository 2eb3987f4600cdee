//! Expressions into registers.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::bytecode::{Constant, Op};
use crate::syntax::ast::{
    BinaryOperator, BinaryStep, CompareStep, Comprehension, ComprehensionClause,
    ComprehensionElement, Conversion, DictEntry, Expr, ExprKind, FormatPart, Integer,
    LogicalOperator, UnaryOperator,
};

use super::emit::Variable;
use super::scope::{Mentions, may_change_things};
use super::{Compiler, Result};

/// Codes of the operators that `Op::Binary` and `Op::Unary` carry in `d`.
pub(super) fn binary_code(operator: BinaryOperator) -> i32 {
    operator as i32
}

impl Compiler<'_> {
    /// Evaluates into some register: that of a variable, if it is one that is set, or a temporary.
    pub(super) fn value(&mut self, expression: &Expr) -> Result<u8> {
        self.expression(expression, None)
    }

    /// Evaluates into `to`.
    pub(super) fn value_to(&mut self, expression: &Expr, to: u8) -> Result<()> {
        self.expression(expression, Some(to)).map(|_| ())
    }

    /// Evaluates into a new temporary, the next one.
    pub(super) fn value_to_temporary(&mut self, expression: &Expr) -> Result<u8> {
        let to = self.temporary()?;
        self.value_to(expression, to)?;
        Ok(to)
    }

    fn destination(&mut self, wanted: Option<u8>) -> Result<u8> {
        match wanted {
            Some(to) => Ok(to),
            None => self.temporary(),
        }
    }

    fn expression(&mut self, expression: &Expr, wanted: Option<u8>) -> Result<u8> {
        match &expression.kind {
            ExprKind::None => self.load_constant(Constant::None, wanted),
            ExprKind::Boolean(truth) => {
                let to = self.destination(wanted)?;
                self.emit(Op::LoadBool, to, 0, 0, i32::from(*truth));
                Ok(to)
            }
            ExprKind::Integer(Integer::Small(number)) => {
                self.load_constant(Constant::Int(*number), wanted)
            }
            ExprKind::Integer(Integer::Big { digits, radix }) => {
                let digits = self.name(digits);
                self.load_constant(Constant::Big(digits, *radix), wanted)
            }
            ExprKind::Float(number) => self.load_constant(Constant::Float(*number), wanted),
            ExprKind::String(text) => {
                let text = self.name(text);
                self.load_constant(Constant::Text(text), wanted)
            }
            ExprKind::Bytes(bytes) => self.load_constant(Constant::Bytes(bytes.to_vec()), wanted),
            ExprKind::Format(parts) => self.format(parts, wanted),
            ExprKind::Name(name) => self.read_name(name, wanted),
            ExprKind::Tuple(items) => self.tuple(items, wanted),
            ExprKind::List(items) => self.sequence(items, Op::NewList, Op::PushItem, wanted),
            ExprKind::Set(items) => self.sequence(items, Op::NewSet, Op::PushElement, wanted),
            ExprKind::Dict(entries) => self.dict(entries, wanted),
            ExprKind::Unary { operator, operand } => self.unary(*operator, operand, wanted),
            ExprKind::Binary { first, rest } => self.binary(first, rest, wanted),
            ExprKind::Logical { operator, operands } => self.logical(*operator, operands, wanted),
            ExprKind::Compare { first, rest } => self.compare(first, rest, wanted),
            ExprKind::Conditional {
                condition,
                then,
                otherwise,
            } => self.conditional(condition, then, otherwise, wanted),
            ExprKind::Attribute { object, name } => {
                if let Some(to) = self.super_attribute(object, name, wanted)? {
                    return Ok(to);
                }
                let mark = self.mark();
                let object = self.value(object)?;
                self.release_to(mark);
                let to = self.destination(wanted)?;
                let name = self.name(name);
                let site = self.site(name);
                self.emit(Op::GetAttr, to, object, 0, site);
                Ok(to)
            }
            ExprKind::Index { object, index } => self.index(object, index, wanted),
            ExprKind::Slice {
                object,
                start,
                stop,
                step,
            } => {
                let mark = self.mark();
                let object = self.value(object)?;
                let first = self.slice_bounds([start, stop, step])?;
                self.release_to(mark);
                let to = self.destination(wanted)?;
                self.emit(Op::GetSlice, to, object, first, 0);
                self.forget_temporary(object, to);
                Ok(to)
            }
            ExprKind::Call { callee, arguments } => {
                let to = match wanted {
                    Some(to) => to,
                    None => self.temporary()?,
                };
                self.call(callee, arguments, to)?;
                Ok(to)
            }
            ExprKind::Lambda(lambda) => {
                let to = self.destination(wanted)?;
                self.lambda(lambda, to)?;
                Ok(to)
            }
            ExprKind::Comprehension(comprehension) => self.comprehension(comprehension, wanted),
            ExprKind::Yield(value) => {
                let mark = self.mark();
                let given = match value {
                    Some(value) => self.value(value)?,
                    None => self.load_constant(Constant::None, None)?,
                };
                self.release_to(mark);
                let to = self.destination(wanted)?;
                self.emit(Op::Yield, to, given, 0, 0);
                Ok(to)
            }
        }
    }

    pub(super) fn load_constant(&mut self, constant: Constant, wanted: Option<u8>) -> Result<u8> {
        let small = match constant {
            Constant::Int(number) => i32::try_from(number).ok(),
            _ => None,
        };
        let is_none = constant == Constant::None;
        if wanted.is_none() {
            let index = self.constant(constant.clone());
            if let Some(register) = self.constant_register(index) {
                return Ok(register);
            }
        }
        let to = self.destination(wanted)?;
        match small {
            Some(number) => self.emit(Op::LoadInt, to, 0, 0, number),
            None if is_none => self.emit(Op::LoadNone, to, 0, 0, 0),
            None => {
                let index = self.constant(constant);
                self.emit(Op::LoadConst, to, 0, 0, index as i32)
            }
        };
        Ok(to)
    }

    /// Forgets what a temporary holds, unless the result went there.
    pub(super) fn forget_temporary(&mut self, register: u8, result: u8) {
        if register != result && self.is_temporary(register) {
            self.emit(Op::Clear, register, 0, 0, 0);
        }
    }

    /// Where to build a value step by step: not in a variable, which an error on the way must leave as it is.
    fn building(&mut self, wanted: Option<u8>) -> Result<u8> {
        match wanted {
            Some(to) if self.is_temporary(to) => Ok(to),
            _ => self.temporary(),
        }
    }

    fn built(&mut self, built: u8, wanted: Option<u8>) -> u8 {
        match wanted {
            Some(to) if to != built => {
                self.emit(Op::Take, to, built, 0, 0);
                to
            }
            _ => built,
        }
    }

    fn sequence(&mut self, items: &[Expr], new: Op, push: Op, wanted: Option<u8>) -> Result<u8> {
        let to = self.building(wanted)?;
        self.emit(new, to, 0, 0, items.len().min(1 << 16) as i32);
        for item in items {
            let mark = self.mark();
            let item = self.value(item)?;
            let taken = u8::from(self.is_temporary(item));
            self.emit(push, to, item, taken, 0);
            self.release_to(mark);
        }
        Ok(self.built(to, wanted))
    }

    fn tuple(&mut self, items: &[Expr], wanted: Option<u8>) -> Result<u8> {
        let building = self.building(wanted)?;
        let to = self.sequence(items, Op::NewList, Op::PushItem, Some(building))?;
        self.emit(Op::ListToTuple, to, 0, 0, 0);
        Ok(self.built(to, wanted))
    }

    fn dict(&mut self, entries: &[DictEntry], wanted: Option<u8>) -> Result<u8> {
        let to = self.building(wanted)?;
        self.emit(Op::NewDict, to, 0, 0, entries.len().min(1 << 16) as i32);
        for entry in entries {
            let mark = self.mark();
            let key = self.value_to_temporary(&entry.key)?;
            let value = self.value_to_temporary(&entry.value)?;
            self.emit(Op::PushEntry, to, key, value, 0);
            self.release_to(mark);
        }
        Ok(self.built(to, wanted))
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &Expr, wanted: Option<u8>) -> Result<u8> {
        if let (UnaryOperator::Negate, ExprKind::Integer(Integer::Small(number))) =
            (operator, &operand.kind)
            && let Some(negative) = number.checked_neg()
        {
            return self.load_constant(Constant::Int(negative), wanted);
        }
        if let (UnaryOperator::Negate, ExprKind::Float(number)) = (operator, &operand.kind) {
            return self.load_constant(Constant::Float(-number), wanted);
        }
        let mark = self.mark();
        let operand = self.value(operand)?;
        self.release_to(mark);
        let to = self.destination(wanted)?;
        match operator {
            UnaryOperator::Negate => self.emit(Op::Neg, to, operand, 0, 0),
            UnaryOperator::Not => self.emit(Op::Not, to, operand, 0, 0),
            UnaryOperator::Plus => self.emit(Op::Unary, to, operand, 0, 0),
            UnaryOperator::Invert => self.emit(Op::Unary, to, operand, 0, 1),
        };
        Ok(to)
    }

    /// Evaluates the left operand so that changes made to what it names while the right one is evaluated show in it, as
    /// reading does not copy (10.2). Says whether `unpin` must follow.
    pub(super) fn pinned_value(&mut self, left: &Expr, right: Option<&Expr>) -> Result<(u8, bool)> {
        let names_place = matches!(
            left.kind,
            ExprKind::Name(_) | ExprKind::Attribute { .. } | ExprKind::Index { .. }
        );
        let register = self.value(left)?;
        let needs_pin =
            names_place && self.is_temporary(register) && right.is_some_and(may_change_things);
        if needs_pin {
            self.emit(Op::Pin, register, 0, 0, 0);
        }
        Ok((register, needs_pin))
    }

    pub(super) fn unpin(&mut self, register: u8, pinned: bool) {
        if pinned {
            self.emit(Op::Unpin, register, 0, 0, 0);
        }
    }

    fn binary(&mut self, first: &Expr, rest: &[BinaryStep], wanted: Option<u8>) -> Result<u8> {
        let mark = self.mark();
        let (mut left, mut pinned) =
            self.pinned_value(first, rest.first().map(|step| &step.operand))?;
        for (at, step) in rest.iter().enumerate() {
            let is_last = at + 1 == rest.len();
            if let Some((op, number)) = immediate(step) {
                self.release_to(mark);
                let to = if is_last {
                    self.destination(wanted)?
                } else {
                    self.temporary()?
                };
                self.emit(op, to, left, 0, number);
                left = to;
                continue;
            }
            let right = self.value(&step.operand)?;
            self.unpin(left, pinned);
            pinned = false;
            let temporaries =
                i32::from(self.is_temporary(right)) | i32::from(self.is_temporary(left)) << 1;
            self.release_to(mark);
            let to = if is_last {
                self.destination(wanted)?
            } else {
                self.temporary()?
            };
            match step.operator {
                BinaryOperator::Add => self.emit(Op::Add, to, left, right, temporaries),
                BinaryOperator::Subtract => self.emit(Op::Sub, to, left, right, temporaries),
                BinaryOperator::Multiply => self.emit(Op::Mul, to, left, right, temporaries),
                BinaryOperator::Divide => self.emit(Op::Div, to, left, right, temporaries),
                other => self.emit(Op::Binary, to, left, right, binary_code(other)),
            };
            left = to;
        }
        Ok(left)
    }

    fn logical(
        &mut self,
        operator: LogicalOperator,
        operands: &[Expr],
        wanted: Option<u8>,
    ) -> Result<u8> {
        let to = self.building(wanted)?;
        let end = self.new_label();
        for (at, operand) in operands.iter().enumerate() {
            let mark = self.mark();
            self.value_to(operand, to)?;
            self.release_to(mark);
            if at + 1 < operands.len() {
                let op = match operator {
                    LogicalOperator::And => Op::JumpFalse,
                    LogicalOperator::Or => Op::JumpTrue,
                };
                self.emit_jump(op, to, 0, 0, end);
            }
        }
        self.place_label(end);
        Ok(self.built(to, wanted))
    }

    fn compare(&mut self, first: &Expr, rest: &[CompareStep], wanted: Option<u8>) -> Result<u8> {
        if let [step] = rest {
            let mark = self.mark();
            let (left, pinned) = self.pinned_value(first, Some(&step.operand))?;
            let right = self.value(&step.operand)?;
            self.unpin(left, pinned);
            self.release_to(mark);
            let to = self.destination(wanted)?;
            self.emit(Op::Compare, to, left, right, step.operator as i32);
            self.forget_temporary(left, to);
            self.forget_temporary(right, to);
            return Ok(to);
        }
        let to = self.building(wanted)?;
        let end = self.new_label();
        let mut left = self.value_to_temporary(first)?;
        for (at, step) in rest.iter().enumerate() {
            let right = self.value_to_temporary(&step.operand)?;
            self.emit(Op::Compare, to, left, right, step.operator as i32);
            left = right;
            if at + 1 < rest.len() {
                self.emit_jump(Op::JumpFalse, to, 0, 0, end);
            }
        }
        self.place_label(end);
        self.release_to(to + 1);
        Ok(self.built(to, wanted))
    }

    fn conditional(
        &mut self,
        condition: &Expr,
        then: &Expr,
        otherwise: &Expr,
        wanted: Option<u8>,
    ) -> Result<u8> {
        let to = self.destination(wanted)?;
        let (no, end) = (self.new_label(), self.new_label());
        self.jump_unless(condition, no)?;
        let mark = self.mark();
        self.value_to(then, to)?;
        self.release_to(mark);
        self.emit_jump(Op::Jump, 0, 0, 0, end);
        self.place_label(no);
        self.value_to(otherwise, to)?;
        self.release_to(mark);
        self.place_label(end);
        Ok(to)
    }

    fn index(&mut self, object: &Expr, index: &Expr, wanted: Option<u8>) -> Result<u8> {
        let mark = self.mark();
        if let (ExprKind::Name(name), false) = (&object.kind, may_change_things(index)) {
            let steps = self.steps(name);
            if let [crate::bytecode::Step::Global(slot)] = steps[..] {
                let key = self.value(index)?;
                self.release_to(mark);
                let to = self.destination(wanted)?;
                self.emit(Op::GetIndexGlobal, to, key, 0, slot as i32);
                return Ok(to);
            }
        }
        let (object, pinned) = self.pinned_value(object, Some(index))?;
        if let ExprKind::Integer(Integer::Small(number)) = index.kind
            && let Ok(number) = i32::try_from(number)
        {
            self.release_to(mark);
            let to = self.destination(wanted)?;
            self.emit(Op::GetIndexInt, to, object, 0, number);
            self.forget_temporary(object, to);
            return Ok(to);
        }
        let key = self.value(index)?;
        self.unpin(object, pinned);
        self.release_to(mark);
        let to = self.destination(wanted)?;
        let op = if self.is_temporary(object) && object != to {
            Op::GetIndexTemp
        } else {
            Op::GetIndex
        };
        self.emit(op, to, object, key, 0);
        Ok(to)
    }

    /// Three temporaries with the bounds of a slice, unset where none is written.
    pub(super) fn slice_bounds(
        &mut self,
        bounds: [&Option<alloc::boxed::Box<Expr>>; 3],
    ) -> Result<u8> {
        let first = self.temporary()?;
        self.temporary()?;
        self.temporary()?;
        for (at, bound) in bounds.into_iter().enumerate() {
            let register = first + at as u8;
            match bound {
                Some(bound) => {
                    let mark = self.mark();
                    self.value_to(bound, register)?;
                    self.release_to(mark);
                }
                None => {
                    self.emit(Op::LoadNone, register, 0, 0, 0);
                }
            }
        }
        Ok(first)
    }

    fn format(&mut self, parts: &[FormatPart], wanted: Option<u8>) -> Result<u8> {
        let to = self.building(wanted)?;
        let after = self.mark();
        let list = self.temporary()?;
        self.emit(Op::NewList, list, 0, 0, parts.len() as i32);
        for part in parts {
            let mark = self.mark();
            let text = self.format_part(part)?;
            let taken = u8::from(self.is_temporary(text));
            self.emit(Op::PushItem, list, text, taken, 0);
            self.release_to(mark);
        }
        self.emit(Op::JoinText, to, list, 0, 0);
        self.release_to(after);
        Ok(self.built(to, wanted))
    }

    fn format_part(&mut self, part: &FormatPart) -> Result<u8> {
        match part {
            FormatPart::Literal(text) => {
                let text = self.name(text);
                self.load_constant(Constant::Text(text), None)
            }
            FormatPart::Value {
                value,
                conversion,
                specification,
            } => {
                let base = self.temporary()?;
                self.value_to(value, base)?;
                self.release_to(base + 1);
                if let Some(conversion) = conversion {
                    let function = match conversion {
                        Conversion::Text => "#text",
                        Conversion::Repr => "#quoted",
                    };
                    self.call_hidden(function, base, 1, base);
                }
                if specification.is_empty() {
                    self.call_hidden("#text", base, 1, base);
                    return Ok(base);
                }
                let specified = self.temporary()?;
                self.format_to(specification, specified)?;
                self.call_hidden("#format", base, 2, base);
                self.release_to(base + 1);
                Ok(base)
            }
        }
    }

    fn format_to(&mut self, parts: &[FormatPart], to: u8) -> Result<()> {
        if let [FormatPart::Literal(text)] = parts {
            let text: Rc<str> = text.clone();
            let text = self.name(&text);
            return self
                .load_constant(Constant::Text(text), Some(to))
                .map(|_| ());
        }
        self.format(parts, Some(to)).map(|_| ())
    }

    /// Calls a builtin that programs cannot name, with arguments from `first` on.
    pub(super) fn call_hidden(&mut self, name: &str, first: u8, count: u8, to: u8) {
        let name = self.name(name);
        self.emit(Op::CallGlobal, first, count, to, name as i32);
    }

    fn comprehension(&mut self, comprehension: &Comprehension, wanted: Option<u8>) -> Result<u8> {
        if let ComprehensionElement::Generator(_) = comprehension.element {
            let to = self.destination(wanted)?;
            self.generator_expression(comprehension, to)?;
            return Ok(to);
        }
        let to = self.building(wanted)?;
        let after = self.mark();
        let op = match comprehension.element {
            ComprehensionElement::Set(_) => Op::NewSet,
            ComprehensionElement::Dict { .. } => Op::NewDict,
            _ => Op::NewList,
        };
        self.emit(op, to, 0, 0, 0);
        let shared = Mentions::in_expression(&Expr::new(
            ExprKind::Comprehension(alloc::boxed::Box::new(comprehension.clone())),
            crate::syntax::ast::Span::default(),
        ));
        let first = match comprehension.clauses.first() {
            Some(ComprehensionClause::For { iterable, .. }) => self.value_to_temporary(iterable)?,
            _ => to,
        };
        self.open_comprehension(comprehension, &shared)?;
        let before = self.function().definite;
        self.clauses(&comprehension.clauses, Some(first), &mut |compiler| {
            compiler.comprehension_element(&comprehension.element, to)
        })?;
        self.function().definite = before;
        self.close_comprehension();
        self.release_to(after);
        Ok(self.built(to, wanted))
    }

    /// Forgets the variables of a comprehension.
    fn close_comprehension(&mut self) {
        let block = self.function().blocks.pop().unwrap_or_default();
        for variable in block.values() {
            self.function().protected.remove(variable.register);
            self.emit(Op::Clear, variable.register, 0, 0, 0);
        }
    }

    /// Opens a block with the variables of a comprehension, in temporaries.
    pub(super) fn open_comprehension(
        &mut self,
        comprehension: &Comprehension,
        shared: &alloc::collections::BTreeSet<crate::syntax::ast::Name>,
    ) -> Result<()> {
        let mut names = Vec::new();
        for clause in &comprehension.clauses {
            if let ComprehensionClause::For { target, .. } = clause {
                target.for_each_name(&mut |name, _| names.push(name.clone()));
            }
        }
        let mut block = alloc::collections::BTreeMap::new();
        for name in names {
            if block.contains_key(&name) {
                continue;
            }
            let register = self.temporary()?;
            let is_cell = shared.contains(&name);
            self.emit(Op::Clear, register, 0, 0, 0);
            self.function().definite.remove(register);
            self.function().protected.add(register);
            if is_cell {
                self.emit(Op::MakeCell, register, 0, 0, 0);
            }
            block.insert(name, Variable { register, is_cell });
        }
        self.function().blocks.push(block);
        Ok(())
    }

    /// Emits the loops and conditions of a comprehension around `innermost`. The first iterable is in `first`.
    pub(super) fn clauses(
        &mut self,
        clauses: &[ComprehensionClause],
        first: Option<u8>,
        innermost: &mut dyn FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let Some((clause, rest)) = clauses.split_first() else {
            return innermost(self);
        };
        match clause {
            ComprehensionClause::If(condition) => {
                let skip = self.new_label();
                self.jump_unless(condition, skip)?;
                self.clauses(rest, None, innermost)?;
                self.place_label(skip);
                Ok(())
            }
            ComprehensionClause::For { target, iterable } => {
                let mark = self.mark();
                self.renew_cells(target);
                self.walk(target, iterable, first, None, &mut |compiler| {
                    compiler.clauses(rest, None, innermost)
                })?;
                self.release_to(mark);
                Ok(())
            }
        }
    }

    /// Each walk has cells of its own for its variables.
    fn renew_cells(&mut self, target: &crate::syntax::ast::Target) {
        let mut cells = Vec::new();
        if let Some(block) = self.function().blocks.last() {
            target.for_each_name(&mut |name, _| {
                if let Some(Variable {
                    register,
                    is_cell: true,
                }) = block.get(name)
                {
                    cells.push(*register);
                }
            });
        }
        for register in cells {
            self.emit(Op::Clear, register, 0, 0, 0);
            self.emit(Op::MakeCell, register, 0, 0, 0);
        }
    }

    fn comprehension_element(&mut self, element: &ComprehensionElement, to: u8) -> Result<()> {
        let mark = self.mark();
        match element {
            ComprehensionElement::List(value) | ComprehensionElement::Generator(value) => {
                let value = self.value(value)?;
                let taken = u8::from(self.is_temporary(value));
                self.emit(Op::PushItem, to, value, taken, 0);
            }
            ComprehensionElement::Set(value) => {
                let value = self.value(value)?;
                let taken = u8::from(self.is_temporary(value));
                self.emit(Op::PushElement, to, value, taken, 0);
            }
            ComprehensionElement::Dict { key, value } => {
                let key = self.value_to_temporary(key)?;
                let value = self.value_to_temporary(value)?;
                self.emit(Op::PushEntry, to, key, value, 0);
            }
        }
        self.release_to(mark);
        Ok(())
    }
}

/// A step with a small number, as an operation that carries it.
fn immediate(step: &BinaryStep) -> Option<(Op, i32)> {
    immediate_operation(step.operator, &step.operand)
}

/// The operation that carries a small right operand.
pub(super) fn immediate_operation(operator: BinaryOperator, operand: &Expr) -> Option<(Op, i32)> {
    let ExprKind::Integer(Integer::Small(number)) = operand.kind else {
        return None;
    };
    let number = i32::try_from(number).ok()?;
    let op = match operator {
        BinaryOperator::Add => Op::AddInt,
        BinaryOperator::Subtract => Op::SubInt,
        BinaryOperator::Multiply => Op::MulInt,
        _ => return None,
    };
    Some((op, number))
}
