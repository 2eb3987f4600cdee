//! Calls.

use alloc::vec::Vec;

use crate::bytecode::{NOWHERE, Op, Step};
use crate::syntax::ast::{Argument, Expr, ExprKind, Name};

use super::scope::may_change_things;
use super::{Compiler, Result};

/// Calls with more arguments pass them in a list.
const DIRECT_ARGUMENTS: usize = 48;

/// Methods of lists, dicts and sets that change them: they work on the stored object (10.2).
const CHANGING_METHODS: &[&str] = &[
    "append",
    "pop",
    "insert",
    "remove",
    "extend",
    "sort",
    "reverse",
    "clear",
    "update",
    "setdefault",
    "add",
    "discard",
    "popitem",
];

impl Compiler<'_> {
    /// A call whose result goes to `to`, or nowhere.
    pub(super) fn call(&mut self, callee: &Expr, arguments: &[Argument], to: u8) -> Result<()> {
        let mark = self.mark();
        let positional: Option<Vec<&Expr>> = arguments
            .iter()
            .map(|argument| match argument {
                Argument::Positional(value) => Some(value),
                _ => None,
            })
            .collect();
        match positional {
            Some(values) if values.len() <= DIRECT_ARGUMENTS => {
                self.direct_call(callee, &values, to)?
            }
            _ => self.spread_call(callee, arguments, to)?,
        }
        self.release_to(mark);
        Ok(())
    }

    fn direct_call(&mut self, callee: &Expr, arguments: &[&Expr], to: u8) -> Result<()> {
        match &callee.kind {
            ExprKind::Name(name) => {
                if self.intrinsic(name, arguments, to)? {
                    return Ok(());
                }
                self.call_name(name, arguments, to)
            }
            ExprKind::Attribute { object, name } => self.call_method(object, name, arguments, to),
            _ => {
                let base = self.value_to_temporary(callee)?;
                self.arguments(arguments)?;
                self.emit(Op::Call, base, arguments.len() as u8, to, 0);
                Ok(())
            }
        }
    }

    /// Arguments into the next temporaries, seen as they are when the call begins (10.2).
    fn arguments(&mut self, arguments: &[&Expr]) -> Result<()> {
        let mut pins = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            let register = self.temporary()?;
            self.value_to(argument, register)?;
            let rest = &arguments[at + 1..];
            let names_place = matches!(
                argument.kind,
                ExprKind::Name(_) | ExprKind::Attribute { .. } | ExprKind::Index { .. }
            );
            if names_place && rest.iter().any(|later| may_change_things(later)) {
                self.emit(Op::Pin, register, 0, 0, 0);
                pins.push(register);
            }
        }
        while let Some(register) = pins.pop() {
            self.emit(Op::Unpin, register, 0, 0, 0);
        }
        Ok(())
    }

    fn call_name(&mut self, name: &Name, arguments: &[&Expr], to: u8) -> Result<()> {
        let steps = self.steps(name);
        let index = self.name(name) as i32;
        if let [Step::Global(_)] = steps[..] {
            let first = self.mark();
            self.arguments(arguments)?;
            self.emit(Op::CallGlobal, first, arguments.len() as u8, to, index);
            return Ok(());
        }
        let base = self.temporary()?;
        self.arguments(arguments)?;
        self.load_callee(name, steps, base);
        self.emit(Op::Call, base, arguments.len() as u8, to, index + 1);
        Ok(())
    }

    fn load_callee(&mut self, name: &Name, steps: Vec<Step>, base: u8) {
        if let Some(register) = self.definite_register(name) {
            self.emit(Op::Move, base, register, 0, 0);
            return;
        }
        let index = self.name(name);
        let chain = self.chain(index, steps);
        self.emit(Op::LoadCallee, base, 0, 0, chain);
    }

    fn call_method(
        &mut self,
        object: &Expr,
        name: &Name,
        arguments: &[&Expr],
        to: u8,
    ) -> Result<()> {
        let index = self.name(name);
        if let Some(base) = self.super_receiver(object)? {
            self.arguments(arguments)?;
            let site = self.site(index);
            self.emit(Op::CallSuper, base, arguments.len() as u8, to, site);
            return Ok(());
        }
        if CHANGING_METHODS.contains(&name.as_str())
            && let Some(place) = self.place(object, index)?
        {
            let base = self.temporary()?;
            self.arguments(arguments)?;
            self.emit(Op::PlaceMethod, to, base, arguments.len() as u8, place);
            return Ok(());
        }
        let base = self.temporary()?;
        self.value_to(object, base)?;
        self.release_to(base + 1);
        let names_place = matches!(
            object.kind,
            ExprKind::Name(_) | ExprKind::Attribute { .. } | ExprKind::Index { .. }
        );
        let pinned = names_place && arguments.iter().any(|argument| may_change_things(argument));
        if pinned {
            self.emit(Op::Pin, base, 0, 0, 0);
        }
        self.arguments(arguments)?;
        self.unpin(base, pinned);
        let site = self.site(index);
        self.emit(Op::CallMethod, base, arguments.len() as u8, to, site);
        Ok(())
    }

    /// For `super()` as the object of a call or attribute: a temporary with the instance.
    fn super_receiver(&mut self, object: &Expr) -> Result<Option<u8>> {
        let ExprKind::Call { callee, arguments } = &object.kind else {
            return Ok(None);
        };
        let is_super = matches!(&callee.kind, ExprKind::Name(name) if name == "super");
        if !is_super
            || !arguments.is_empty()
            || !self.is_builtin("super")
            || !self.function().is_method()
        {
            return Ok(None);
        }
        let Some(receiver) = self.function().receiver else {
            return Ok(None);
        };
        let base = self.temporary()?;
        if receiver.is_cell {
            let name = self.name("self");
            let chain = self.chain(name, Vec::new());
            self.emit(Op::LoadCell, base, receiver.register, 0, chain);
        } else {
            self.emit(Op::Move, base, receiver.register, 0, 0);
        }
        Ok(Some(base))
    }

    /// `super().name` as a value.
    pub(super) fn super_attribute(
        &mut self,
        object: &Expr,
        name: &Name,
        wanted: Option<u8>,
    ) -> Result<Option<u8>> {
        let mark = self.mark();
        let Some(base) = self.super_receiver(object)? else {
            return Ok(None);
        };
        self.release_to(mark);
        let to = match wanted {
            Some(to) => to,
            None => self.temporary()?,
        };
        let index = self.name(name);
        let site = self.site(index);
        self.emit(Op::GetSuper, to, base, 0, site);
        Ok(Some(to))
    }

    /// `append` and `len`, where they mean the builtins.
    fn intrinsic(&mut self, name: &Name, arguments: &[&Expr], to: u8) -> Result<bool> {
        match (name.as_str(), arguments) {
            ("len", [value]) if self.is_builtin("len") => {
                let mark = self.mark();
                let value = self.value(value)?;
                self.release_to(mark);
                let to = if to == NOWHERE { self.temporary()? } else { to };
                self.emit(Op::Len, to, value, 0, 0);
                self.forget_temporary(value, to);
                Ok(true)
            }
            ("append", [list, item]) if self.is_builtin("append") => self.append(list, item, to),
            _ => Ok(false),
        }
    }

    fn append(&mut self, list: &Expr, item: &Expr, to: u8) -> Result<bool> {
        if to == NOWHERE
            && let ExprKind::Name(name) = &list.kind
        {
            return self.append_to_name(name, item).map(|()| true);
        }
        let name = self.name("append");
        let Some(place) = self.place(list, name)? else {
            return Ok(false);
        };
        let item = self.value(item)?;
        let taken = u8::from(self.is_temporary(item));
        self.emit(Op::PlaceAppend, to, item, taken, place);
        Ok(true)
    }

    fn append_to_name(&mut self, name: &Name, item: &Expr) -> Result<()> {
        let steps = self.steps(name);
        let definite = self.definite_register(name);
        let is_global = matches!(steps[..], [Step::Global(_)]);
        if definite.is_none() && !is_global {
            let append = self.name("append");
            let list = Expr::new(
                ExprKind::Name(name.clone()),
                crate::syntax::ast::Span::default(),
            );
            if let Some(place) = self.place(&list, append)? {
                let item = self.value(item)?;
                let taken = u8::from(self.is_temporary(item));
                self.emit(Op::PlaceAppend, NOWHERE, item, taken, place);
            }
            return Ok(());
        }
        let item = self.value(item)?;
        let taken = u8::from(self.is_temporary(item));
        match definite {
            Some(list) => self.emit(Op::Append, list, item, taken, 0),
            None => {
                let index = self.name(name) as i32;
                self.emit(Op::AppendGlobal, 0, item, taken, index)
            }
        };
        Ok(())
    }

    /// Callee, list of positional arguments and dict of the others, in three temporaries.
    fn spread_call(&mut self, callee: &Expr, arguments: &[Argument], to: u8) -> Result<()> {
        let base = self.temporary()?;
        let mut fallback = 0;
        let mut late_name = None;
        match &callee.kind {
            ExprKind::Name(name) => {
                fallback = self.name(name) as i32 + 1;
                late_name = Some(name);
            }
            ExprKind::Attribute { object, name } if CHANGING_METHODS.contains(&name.as_str()) => {
                let index = self.name(name);
                if let Some(place) = self.place(object, index)? {
                    return self.spread_place_call(place, arguments, to);
                }
                self.value_to(callee, base)?;
            }
            _ => self.value_to(callee, base)?,
        }
        self.release_to(base + 1);
        self.packed_arguments(arguments)?;
        if let Some(name) = late_name {
            let steps = self.steps(name);
            self.load_callee(name, steps, base);
        }
        self.emit(Op::CallSpread, base, 0, to, fallback);
        Ok(())
    }

    /// `items.sort(key=f)`: the arguments packed, for a method that changes a place.
    fn spread_place_call(&mut self, place: i32, arguments: &[Argument], to: u8) -> Result<()> {
        let base = self.temporary()?;
        self.packed_arguments(arguments)?;
        self.emit(Op::PlaceMethod, to, base, NOWHERE, place);
        Ok(())
    }

    /// A list and a dict (or `None`) in the next two temporaries.
    fn packed_arguments(&mut self, arguments: &[Argument]) -> Result<()> {
        let list = self.temporary()?;
        let keywords = self.temporary()?;
        self.emit(Op::NewList, list, 0, 0, 0);
        let has_keywords = arguments.iter().any(|argument| {
            matches!(
                argument,
                Argument::Keyword { .. } | Argument::SpreadKeywords(_)
            )
        });
        if has_keywords {
            self.emit(Op::NewDict, keywords, 0, 0, 0);
        } else {
            self.emit(Op::LoadNone, keywords, 0, 0, 0);
        }
        for argument in arguments {
            let mark = self.mark();
            match argument {
                Argument::Positional(value) => {
                    let value = self.value(value)?;
                    let taken = u8::from(self.is_temporary(value));
                    self.emit(Op::PushItem, list, value, taken, 0);
                }
                Argument::Spread(values) => {
                    let values = self.value_to_temporary(values)?;
                    self.emit(Op::PushAll, list, values, 0, 0);
                }
                Argument::Keyword { name, value, .. } => {
                    let key = self.temporary()?;
                    let name = self.name(name);
                    self.load_constant(crate::bytecode::Constant::Text(name), Some(key))?;
                    let value = self.value_to_temporary(value)?;
                    self.emit(Op::PushEntry, keywords, key, value, 1);
                }
                Argument::SpreadKeywords(values) => {
                    let values = self.value_to_temporary(values)?;
                    self.emit(Op::PushEntries, keywords, values, 0, 0);
                }
            }
            self.release_to(mark);
        }
        Ok(())
    }
}
