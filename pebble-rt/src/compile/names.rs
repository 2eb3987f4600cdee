//! Reading and binding names.

use alloc::vec::Vec;

use crate::bytecode::{Capture, Op, Step};
use crate::syntax::ast::Name;

use super::{Compiler, Result};

/// Where binding a name puts the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Local(u8),
    Cell(u8),
    Captured(u8),
    Global,
    Class,
}

impl Compiler<'_> {
    /// Where to look for `name`, in order (11.1, 13.6, 24).
    pub(super) fn steps(&mut self, name: &Name) -> Vec<Step> {
        let index = self.name(name);
        let innermost = self.functions.len() - 1;
        let mut steps = Vec::new();
        for depth in (0..=innermost).rev() {
            let function = &self.functions[depth];
            if function.global.contains(name) {
                break;
            }
            let is_own = depth == innermost;
            if is_own || !function.is_class_body() {
                let variables = function
                    .blocks
                    .iter()
                    .rev()
                    .filter_map(|block| block.get(name).copied());
                for variable in variables.collect::<Vec<_>>() {
                    match (is_own, variable.is_cell) {
                        (true, false) => steps.push(Step::Local(variable.register)),
                        (true, true) => steps.push(Step::Cell(variable.register)),
                        (false, true) => {
                            let cell = self.capture(innermost, depth, variable.register);
                            steps.push(Step::Captured(cell));
                        }
                        (false, false) => {}
                    }
                }
            }
            let function = &self.functions[depth];
            if (function.is_method() || function.is_class_body()) && !steps.contains(&Step::Class) {
                steps.push(Step::Class);
            }
        }
        steps.push(Step::Global(index));
        steps
    }

    /// Makes the cell in `register` of the function at depth `home` reachable from the one at `depth`.
    fn capture(&mut self, depth: usize, home: usize, register: u8) -> u8 {
        if let Some(known) = self.functions[depth].captured.get(&(home, register)) {
            return *known;
        }
        let capture = if depth == home + 1 {
            Capture::Cell(register)
        } else {
            Capture::Captured(self.capture(depth - 1, home, register))
        };
        let function = &mut self.functions[depth];
        let index = function.proto.captures.len() as u8;
        function.proto.captures.push(capture);
        function.captured.insert((home, register), index);
        index
    }

    /// The register of a name that is a variable of this function and certainly set.
    pub(super) fn definite_register(&mut self, name: &Name) -> Option<u8> {
        match self.steps(name).first() {
            Some(Step::Local(register)) if self.function().definite.has(*register) => {
                Some(*register)
            }
            _ => None,
        }
    }

    /// Reads a name: into `wanted`, or wherever is cheapest.
    pub(super) fn read_name(&mut self, name: &Name, wanted: Option<u8>) -> Result<u8> {
        let steps = self.steps(name);
        if let Some(Step::Local(register)) = steps.first()
            && self.function().definite.has(*register)
        {
            return match wanted {
                Some(to) if to != *register => {
                    self.emit(Op::Move, to, *register, 0, 0);
                    Ok(to)
                }
                _ => Ok(*register),
            };
        }
        let to = match wanted {
            Some(to) => to,
            None => self.temporary()?,
        };
        let index = self.name(name);
        match steps[0] {
            Step::Global(_) => {
                self.emit(Op::LoadGlobal, to, 0, 0, index as i32);
            }
            first => {
                let chain = self.chain(index, steps);
                match first {
                    Step::Local(register) => self.emit(Op::LoadChecked, to, register, 0, chain),
                    Step::Cell(register) => self.emit(Op::LoadCell, to, register, 0, chain),
                    Step::Captured(cell) => self.emit(Op::LoadCaptured, to, cell, 0, chain),
                    _ => self.emit(Op::LoadChain, to, 0, 0, chain),
                };
            }
        }
        Ok(to)
    }

    /// Where binding `name` here puts the value.
    pub(super) fn home(&mut self, name: &Name) -> Home {
        let innermost = self.functions.len() - 1;
        let function = &self.functions[innermost];
        if function.global.contains(name) {
            return Home::Global;
        }
        if function.nonlocal.contains(name) {
            let captured = self.steps(name).into_iter().find_map(|step| match step {
                Step::Captured(cell) => Some(cell),
                _ => None,
            });
            return captured.map_or(Home::Global, Home::Captured);
        }
        for block in self.functions[innermost].blocks.iter().rev() {
            if let Some(variable) = block.get(name) {
                return if variable.is_cell {
                    Home::Cell(variable.register)
                } else {
                    Home::Local(variable.register)
                };
            }
        }
        if self.functions[innermost].is_class_body() {
            Home::Class
        } else {
            Home::Global
        }
    }

    /// Binds `name` to what `register` holds. A temporary's content is not needed afterwards.
    pub(super) fn bind_name(&mut self, name: &Name, register: u8) {
        let index = self.name(name) as i32;
        let taken = u8::from(self.is_temporary(register));
        match self.home(name) {
            Home::Local(variable) => {
                if variable != register {
                    let op = if taken == 1 { Op::Take } else { Op::Move };
                    self.emit(op, variable, register, 0, 0);
                }
                self.function().definite.add(variable);
            }
            Home::Cell(cell) => {
                self.emit(Op::StoreCell, cell, register, taken, 0);
            }
            Home::Captured(cell) => {
                self.emit(Op::StoreCaptured, register, cell, taken, 0);
            }
            Home::Global => {
                self.emit(Op::StoreGlobal, register, taken, 0, index);
            }
            Home::Class => {
                self.emit(Op::StoreClass, register, taken, 0, index);
            }
        }
    }

    /// Unbinds `name`; an error if it is not bound.
    pub(super) fn delete_name(&mut self, name: &Name) {
        let index = self.name(name);
        match self.home(name) {
            Home::Local(register) => {
                let chain = self.chain(index, Vec::new());
                self.emit(Op::Require, register, 0, 0, chain);
                self.emit(Op::Clear, register, 0, 0, 0);
                self.function().definite.remove(register);
            }
            Home::Cell(register) => {
                let chain = self.chain(index, Vec::from([Step::Cell(register)]));
                self.delete_cell(chain, |register| (Op::StoreCell, register), register);
            }
            Home::Captured(cell) => {
                let chain = self.chain(index, Vec::from([Step::Captured(cell)]));
                self.delete_cell(chain, |cell| (Op::StoreCaptured, cell), cell);
            }
            Home::Global => {
                self.emit(Op::DeleteGlobal, 0, 0, 0, index as i32);
            }
            Home::Class => {
                self.emit(Op::DeleteClass, 0, 0, 0, index as i32);
            }
        }
    }

    fn delete_cell(&mut self, chain: i32, store: fn(u8) -> (Op, u8), cell: u8) {
        let mark = self.mark();
        if let Ok(unset) = self.temporary() {
            self.emit(Op::LoadChain, unset, 0, 0, chain);
            self.emit(Op::Clear, unset, 0, 0, 0);
            match store(cell) {
                (Op::StoreCell, cell) => self.emit(Op::StoreCell, cell, unset, 0, 0),
                (op, cell) => self.emit(op, unset, cell, 0, 0),
            };
        }
        self.release_to(mark);
    }
}
