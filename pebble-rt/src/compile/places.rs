//! Places: what is changed where it is stored (10.2).

use alloc::vec::Vec;

use crate::bytecode::{NameIndex, Op, Place, Root, Step};
use crate::syntax::ast::{Argument, BinaryOperator, Expr, ExprKind, Name, Target, TargetKind};

use super::expressions::{binary_code, immediate_operation};
use super::scope::may_change_things;
use super::{Compiler, Result};

impl Compiler<'_> {
    /// The place that an expression names, evaluated up to its last index. `None` when it names none; then nothing was
    /// emitted.
    pub(super) fn place(&mut self, expression: &Expr, name: NameIndex) -> Result<Option<i32>> {
        let mut indexes = Vec::new();
        let mut root = expression;
        while let ExprKind::Index { object, index } = &root.kind {
            indexes.push(&**index);
            root = object;
        }
        indexes.reverse();
        let root = match &root.kind {
            ExprKind::Name(name) => self.name_root(name),
            ExprKind::Attribute { object, name } => {
                let object = self.value_to_temporary(object)?;
                let name = self.name(name);
                Root::Attr(object, name)
            }
            ExprKind::Call { callee, arguments } => {
                if let Some(place) = self.place_of_call(callee, arguments, name)? {
                    return self.extend_place(place, &indexes).map(Some);
                }
                if indexes.is_empty() {
                    return Ok(None);
                }
                Root::Local(self.value_to_temporary(root)?)
            }
            _ if indexes.is_empty() => return Ok(None),
            _ => Root::Local(self.value_to_temporary(root)?),
        };
        self.place_at(root, &indexes, name).map(Some)
    }

    fn name_root(&mut self, name: &Name) -> Root {
        let steps = self.steps(name);
        match steps[..] {
            [Step::Global(slot)] => Root::Global(slot),
            [Step::Local(register), ..] if self.function().definite.has(register) => {
                Root::Local(register)
            }
            _ => {
                let index = self.name(name);
                let chain = self.chain(index, steps);
                Root::Chain(chain as u32)
            }
        }
    }

    /// The place that a call denotes: `append(x, 1)` is `x` itself, so `append(append(x, 1), 2)` changes `x` twice
    /// (10.3), and `d.setdefault(k, v)` is `d[k]`.
    fn place_of_call(
        &mut self,
        callee: &Expr,
        arguments: &[Argument],
        name: NameIndex,
    ) -> Result<Option<i32>> {
        let [Argument::Positional(first), Argument::Positional(second)] = arguments else {
            return Ok(None);
        };
        match &callee.kind {
            ExprKind::Name(function) if function == "append" && self.is_builtin("append") => {
                let append = self.name("append");
                let Some(place) = self.place(first, append)? else {
                    return Ok(None);
                };
                let mark = self.mark();
                let item = self.value(second)?;
                let taken = u8::from(self.is_temporary(item));
                self.emit(
                    Op::PlaceAppend,
                    crate::bytecode::NOWHERE,
                    item,
                    taken,
                    place,
                );
                self.release_to(mark);
                let again = Place {
                    name,
                    ..self.function().proto.places[place as usize].clone()
                };
                Ok(Some(self.add_place(again)))
            }
            ExprKind::Attribute {
                object,
                name: method,
            } if method == "setdefault" => {
                let method = self.name(method);
                let Some(place) = self.place(object, method)? else {
                    return Ok(None);
                };
                let key = self.value_to_temporary(first)?;
                let mark = self.mark();
                let base = self.temporary()?;
                let copy = self.temporary()?;
                self.emit(Op::Move, copy, key, 0, 0);
                self.value_to_temporary(second)?;
                self.emit(Op::PlaceMethod, crate::bytecode::NOWHERE, base, 2, place);
                self.release_to(mark);
                let dict = self.function().proto.places[place as usize].clone();
                Ok(Some(self.add_place(Place {
                    name,
                    keys: dict.keys + 1,
                    ..dict
                })))
            }
            _ => Ok(None),
        }
    }

    /// The place at some indexes of another place, whose keys are in the registers just below.
    fn extend_place(&mut self, place: i32, indexes: &[&Expr]) -> Result<i32> {
        if indexes.is_empty() {
            return Ok(place);
        }
        let whole = self.function().proto.places[place as usize].clone();
        self.emit(Op::Clear, whole.scratch, 0, 0, 0);
        self.release_to(whole.first_key + whole.keys);
        for index in indexes {
            self.value_to_temporary(index)?;
        }
        let keys = whole.keys + indexes.len() as u8;
        Ok(self.add_place(Place { keys, ..whole }))
    }

    fn place_at(&mut self, root: Root, indexes: &[&Expr], name: NameIndex) -> Result<i32> {
        let scratch = self.temporary()?;
        let may_need_scratch =
            !indexes.is_empty() || self.unit.names[name as usize].as_ref() == "sort";
        if may_need_scratch {
            self.emit(Op::Clear, scratch, 0, 0, 0);
        }
        let first_key = self.mark();
        for index in indexes {
            self.value_to_temporary(index)?;
        }
        let keys = indexes.len() as u8;
        Ok(self.add_place(Place {
            root,
            first_key,
            keys,
            scratch,
            name,
        }))
    }

    fn add_place(&mut self, place: Place) -> i32 {
        let places = &mut self.function().proto.places;
        places.push(place);
        (places.len() - 1) as i32
    }

    /// Stores what `register` holds in a target.
    pub(super) fn assign(&mut self, target: &Target, register: u8) -> Result<()> {
        let mark = self.mark();
        let taken = u8::from(self.is_temporary(register));
        match &target.kind {
            TargetKind::Name(name) => self.bind_name(name, register),
            TargetKind::Attribute { object, name } => {
                let object = self.value(object)?;
                let name = self.name(name);
                let site = self.site(name);
                self.emit(Op::SetAttr, object, register, taken, site);
            }
            TargetKind::Index { object, index } => {
                self.assign_index(object, index, register, taken)?
            }
            TargetKind::Slice {
                object,
                start,
                stop,
                step,
            } => {
                let name = self.name("");
                let place = self.place_or_value(object, name)?;
                let bounds = self.slice_bounds([start, stop, step])?;
                self.emit(Op::PlaceSlice, 0, register, bounds, place);
            }
            TargetKind::Unpack {
                before,
                rest,
                after,
            } => {
                self.unpack(before, rest.as_deref(), after, register)?;
            }
        }
        self.release_to(mark);
        Ok(())
    }

    fn assign_index(&mut self, object: &Expr, index: &Expr, register: u8, taken: u8) -> Result<()> {
        if let ExprKind::Name(name) = &object.kind {
            if let Some(list) = self.definite_register(name) {
                let key = self.value(index)?;
                self.emit(Op::SetIndex, list, key, register, i32::from(taken));
                return Ok(());
            }
            if let [Step::Global(slot)] = self.steps(name)[..] {
                let key = self.value(index)?;
                self.emit(Op::SetIndexGlobal, taken, key, register, slot as i32);
                return Ok(());
            }
        }
        let whole = Expr::new(
            ExprKind::Index {
                object: object.clone().into(),
                index: index.clone().into(),
            },
            crate::syntax::ast::Span::default(),
        );
        let name = self.name("");
        if let Some(place) = self.place(&whole, name)? {
            self.emit(Op::PlaceStore, 0, register, taken, place);
        }
        Ok(())
    }

    /// The place that an expression names, or a temporary with its value as a place.
    fn place_or_value(&mut self, expression: &Expr, name: NameIndex) -> Result<i32> {
        if let Some(place) = self.place(expression, name)? {
            return Ok(place);
        }
        let value = self.value_to_temporary(expression)?;
        self.place_at(Root::Local(value), &[], name)
    }

    fn unpack(
        &mut self,
        before: &[Target],
        rest: Option<&Target>,
        after: &[Target],
        register: u8,
    ) -> Result<()> {
        let count = before.len() + usize::from(rest.is_some()) + after.len();
        let first = self.mark();
        for _ in 0..count {
            self.temporary()?;
        }
        match rest {
            None => self.emit(Op::Unpack, first, register, 0, before.len() as i32),
            Some(_) => self.emit(
                Op::UnpackStar,
                first,
                register,
                after.len() as u8,
                before.len() as i32,
            ),
        };
        for (at, target) in before.iter().chain(rest).chain(after).enumerate() {
            self.assign(target, first + at as u8)?;
        }
        Ok(())
    }

    /// `target operator= value`.
    pub(super) fn augmented(
        &mut self,
        target: &Target,
        operator: BinaryOperator,
        value: &Expr,
    ) -> Result<()> {
        let mark = self.mark();
        let name = self.name("");
        match &target.kind {
            TargetKind::Name(variable) => {
                if operator == BinaryOperator::Add
                    && !may_change_things(value)
                    && self.definite_register(variable).is_none()
                {
                    let root = self.name_root(variable);
                    let place = self.place_at(root, &[], name)?;
                    let needs_local = !matches!(root, Root::Global(_));
                    if !needs_local || self.is_plain_home(variable) {
                        let current = self.temporary()?;
                        self.read_name(variable, Some(current))?;
                        let operand = self.value(value)?;
                        self.add_numbers_or_place(current, operand, place, &|compiler| {
                            compiler.bind_name(variable, current);
                        });
                        self.release_to(mark);
                        return Ok(());
                    }
                }
                if let (Some(register), Some((op, number))) = (
                    self.definite_register(variable),
                    immediate_operation(operator, value),
                ) {
                    self.emit(op, register, register, 0, number);
                    self.release_to(mark);
                    return Ok(());
                }
                let left = Expr::new(ExprKind::Name(variable.clone()), target.span);
                let current = self.value(&left)?;
                let operand = self.value(value)?;
                let to = match self.definite_register(variable) {
                    Some(register) => register,
                    None => self.temporary()?,
                };
                self.operate(operator, to, current, operand);
                if self.is_temporary(to) {
                    self.forget_temporary(current, to);
                    self.bind_name(variable, to);
                }
            }
            TargetKind::Attribute {
                object,
                name: attribute,
            } => {
                let object = self.value(object)?;
                let attribute = self.name(attribute);
                if operator == BinaryOperator::Add && !may_change_things(value) {
                    let place = self.place_at(Root::Attr(object, attribute), &[], name)?;
                    let current = self.temporary()?;
                    let site = self.site(attribute);
                    self.emit(Op::GetAttr, current, object, 0, site);
                    let operand = self.value(value)?;
                    let site = self.site(attribute);
                    self.add_numbers_or_place(current, operand, place, &|compiler| {
                        compiler.emit(Op::SetAttr, object, current, 1, site);
                    });
                } else {
                    let current = self.temporary()?;
                    let site = self.site(attribute);
                    self.emit(Op::GetAttr, current, object, 0, site);
                    let operand = self.value(value)?;
                    self.operate(operator, current, current, operand);
                    self.emit(Op::SetAttr, object, current, 1, site);
                }
            }
            TargetKind::Index { object, index } => {
                let whole = Expr::new(
                    ExprKind::Index {
                        object: object.clone(),
                        index: index.clone(),
                    },
                    target.span,
                );
                if let Some(place) = self.place(&whole, name)? {
                    if operator == BinaryOperator::Add && !may_change_things(value) {
                        let value = self.value(value)?;
                        self.emit(Op::PlaceAdd, 0, value, 0, place);
                    } else {
                        let current = self.temporary()?;
                        self.emit(Op::PlaceLoad, current, 0, 0, place);
                        let operand = self.value(value)?;
                        self.operate(operator, current, current, operand);
                        self.emit(Op::PlaceStore, 0, current, 1, place);
                    }
                }
            }
            TargetKind::Slice {
                object,
                start,
                stop,
                step,
            } => {
                let place = self.place_or_value(object, name)?;
                let bounds = self.slice_bounds([start, stop, step])?;
                let current = self.temporary()?;
                self.emit(Op::PlaceLoad, current, 0, 0, place);
                self.emit(Op::GetSlice, current, current, bounds, 0);
                let operand = self.value(value)?;
                self.operate(operator, current, current, operand);
                self.emit(Op::PlaceSlice, 0, current, bounds, place);
            }
            TargetKind::Unpack { .. } => {}
        }
        self.release_to(mark);
        Ok(())
    }

    /// Adds to what was read into `current`: numbers in the register, then `store` puts the sum back; anything else at
    /// its place, where a string or list that nobody else holds grows without a copy.
    fn add_numbers_or_place(
        &mut self,
        current: u8,
        operand: u8,
        place: i32,
        store: &dyn Fn(&mut Self),
    ) {
        let (numbers, end) = (self.new_label(), self.new_label());
        self.emit_jump(Op::AddNumbers, current, current, operand, numbers);
        self.emit(Op::PlaceAdd, 0, operand, 0, place);
        self.emit_jump(Op::Jump, 0, 0, 0, end);
        self.place_label(numbers);
        store(self);
        self.place_label(end);
    }

    /// Whether reading and binding the name mean the same variable.
    fn is_plain_home(&mut self, name: &Name) -> bool {
        use super::names::Home;
        matches!(self.home(name), Home::Global | Home::Captured(_))
    }

    fn operate(&mut self, operator: BinaryOperator, to: u8, left: u8, right: u8) {
        let temporaries =
            i32::from(self.is_temporary(right)) | i32::from(self.is_temporary(left)) << 1;
        match operator {
            BinaryOperator::Add => self.emit(Op::Add, to, left, right, temporaries),
            BinaryOperator::Subtract => self.emit(Op::Sub, to, left, right, temporaries),
            BinaryOperator::Multiply => self.emit(Op::Mul, to, left, right, temporaries),
            BinaryOperator::Divide => self.emit(Op::Div, to, left, right, temporaries),
            other => self.emit(Op::Binary, to, left, right, binary_code(other)),
        };
    }

    /// `target = target + value`, for targets that are changed in place when nobody else holds what they hold.
    pub(super) fn assign_sum(&mut self, target: &Target, value: &Expr) -> Result<bool> {
        let ExprKind::Binary { first, rest } = &value.kind else {
            return Ok(false);
        };
        let [step] = &rest[..] else {
            return Ok(false);
        };
        let is_same = match (&target.kind, &first.kind) {
            (TargetKind::Name(a), ExprKind::Name(b)) => a == b && self.is_global_place(a),
            (
                TargetKind::Attribute { object, name },
                ExprKind::Attribute {
                    object: other,
                    name: second,
                },
            ) => {
                name == second
                    && matches!((&object.kind, &other.kind), (ExprKind::Name(a), ExprKind::Name(b)) if a == b)
            }
            _ => false,
        };
        let is_number = matches!(step.operand.kind, ExprKind::Integer(_) | ExprKind::Float(_));
        if !is_same
            || step.operator != BinaryOperator::Add
            || is_number
            || may_change_things(&step.operand)
        {
            return Ok(false);
        }
        self.augmented(target, BinaryOperator::Add, &step.operand)?;
        Ok(true)
    }

    fn is_global_place(&mut self, name: &Name) -> bool {
        matches!(self.steps(name)[..], [Step::Global(_)]) && self.is_plain_home(name)
    }

    /// `del target`.
    pub(super) fn delete(&mut self, target: &Target) -> Result<()> {
        let mark = self.mark();
        let name = self.name("");
        match &target.kind {
            TargetKind::Name(variable) => self.delete_name(variable),
            TargetKind::Attribute { object, name } => {
                let object = self.value(object)?;
                let name = self.name(name);
                let site = self.site(name);
                self.emit(Op::DeleteAttr, object, 0, 0, site);
            }
            TargetKind::Index { object, index } => {
                let whole = Expr::new(
                    ExprKind::Index {
                        object: object.clone(),
                        index: index.clone(),
                    },
                    target.span,
                );
                if let Some(place) = self.place(&whole, name)? {
                    self.emit(Op::PlaceDelete, 0, 0, 0, place);
                }
            }
            TargetKind::Slice {
                object,
                start,
                stop,
                step,
            } => {
                let place = self.place_or_value(object, name)?;
                let bounds = self.slice_bounds([start, stop, step])?;
                self.emit(Op::PlaceSlice, 0, crate::bytecode::NOWHERE, bounds, place);
            }
            TargetKind::Unpack {
                before,
                rest,
                after,
            } => {
                for target in before.iter().chain(rest.as_deref()).chain(after) {
                    self.delete(target)?;
                }
            }
        }
        self.release_to(mark);
        Ok(())
    }
}
