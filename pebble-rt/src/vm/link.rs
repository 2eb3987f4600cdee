//! Binding compiled files to the machine.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};

use num_bigint::BigInt;

use crate::bytecode::{
    Chain, Code, Constant, Insn, LinkedChain, LinkedImport, LinkedUnit, Op, Parameters, Place,
    Proto, Root, Site, Step, Unit,
};
use crate::error::NativeError;
use crate::symbol::Symbol;
use crate::value::{Value, ValueCell};

use super::Core;

impl Core {
    /// Binds a compiled file to module `module`.
    pub(crate) fn link(
        &mut self,
        unit: Unit,
        module: u32,
        prefix: Option<Rc<str>>,
    ) -> Result<u32, NativeError> {
        let mut names = Vec::with_capacity(unit.names.len());
        for name in &unit.names {
            names.push(self.interner.intern(name)?);
        }
        let label = self.modules[module as usize].label.clone();
        let codes = unit.functions.iter().map(|_| OnceCell::new()).collect();
        self.units.push(Rc::new(LinkedUnit {
            unit,
            names,
            module,
            label,
            module_prefix: prefix,
            codes,
        }));
        Ok((self.units.len() - 1) as u32)
    }

    /// The code of function `index` of a file.
    pub(crate) fn code(&mut self, number: u32, index: usize) -> Result<Rc<Code>, NativeError> {
        let unit = self.units[number as usize].clone();
        if let Some(known) = unit.codes.get(index).and_then(OnceCell::get) {
            return Ok(known.clone());
        }
        let Some(proto) = unit.proto(index) else {
            return Err(NativeError::value_error(
                "bytecode names a function that does not exist",
            ));
        };
        let code = Rc::new(
            Linker {
                core: self,
                unit: &unit,
                number,
            }
            .code(proto)?,
        );
        if let Some(cell) = unit.codes.get(index) {
            let _ = cell.set(code.clone());
        }
        Ok(code)
    }
}

struct Linker<'a> {
    core: &'a mut Core,
    unit: &'a Rc<LinkedUnit>,
    number: u32,
}

impl Linker<'_> {
    fn symbol(&self, index: u32) -> Symbol {
        self.unit
            .names
            .get(index as usize)
            .copied()
            .unwrap_or(Symbol::INIT)
    }

    fn slot(&mut self, index: u32) -> u32 {
        let name = self.symbol(index);
        self.core.slot(self.unit.module, name)
    }

    fn symbols(&self, indexes: &[u32]) -> Box<[Symbol]> {
        indexes.iter().map(|index| self.symbol(*index)).collect()
    }

    fn code(&mut self, proto: &Proto) -> Result<Code, NativeError> {
        let parameters = &proto.parameters;
        let constants = proto
            .constants
            .iter()
            .map(|constant| self.constant(constant));
        let constants = constants.collect::<Result<Box<[Value]>, NativeError>>()?;
        let is_plain = parameters.is_plain()
            && !matches!(
                proto.kind,
                crate::bytecode::CodeKind::Generator | crate::bytecode::CodeKind::GeneratorMethod
            );
        Ok(Code {
            name: Rc::from(self.core.interner.text(self.symbol(proto.name))),
            kind: proto.kind,
            module_prefix: self.unit.module_prefix.clone(),
            label: self.unit.label.clone(),
            module: self.unit.module,
            registers: proto.registers,
            plain_parameters: if is_plain {
                parameters.positional.len() as u16
            } else {
                u16::MAX
            },
            parameters: Parameters {
                positional: self.symbols(&parameters.positional),
                keyword_only: self.symbols(&parameters.keyword_only),
                keyword_defaults: parameters.keyword_defaults,
                defaults: usize::from(parameters.defaults),
                has_rest: parameters.has_rest,
                has_keywords: parameters.has_keywords,
            },
            insns: proto.code.iter().map(|insn| self.insn(*insn)).collect(),
            constants,
            sites: proto.sites.iter().map(|name| self.site(*name)).collect(),
            chains: proto.chains.iter().map(|chain| self.chain(chain)).collect(),
            places: proto.places.iter().map(|place| self.place(place)).collect(),
            imports: proto
                .imports
                .iter()
                .map(|import| LinkedImport {
                    parts: self.symbols(&import.parts),
                    leaf: import.leaf,
                })
                .collect(),
            handlers: proto.handlers.iter().copied().collect(),
            captures: proto.captures.iter().copied().collect(),
            lines: proto.lines.iter().copied().collect(),
            variables: proto
                .variables
                .iter()
                .map(|(register, name)| (*register, self.symbol(*name)))
                .collect(),
            unit: self.number,
        })
    }

    fn insn(&mut self, insn: Insn) -> Insn {
        let d = match insn.op {
            Op::LoadGlobal
            | Op::StoreGlobal
            | Op::StoreFunction
            | Op::StoreNested
            | Op::DeleteGlobal
            | Op::GetIndexGlobal
            | Op::SetIndexGlobal
            | Op::AppendGlobal
            | Op::CallGlobal => self.slot(insn.d as u32) as i32,
            Op::Call | Op::CallSpread if insn.d > 0 => self.slot(insn.d as u32 - 1) as i32 + 1,
            Op::StoreClass | Op::StoreMethod | Op::DeleteClass | Op::ImportFrom => {
                self.symbol(insn.d as u32).0 as i32
            }
            _ => insn.d,
        };
        Insn { d, ..insn }
    }

    fn constant(&mut self, constant: &Constant) -> Result<Value, NativeError> {
        Ok(match constant {
            Constant::None => Value::None,
            Constant::Int(number) => Value::Int(*number),
            Constant::Float(number) => Value::float(*number),
            Constant::Text(name) => {
                let name = self.symbol(*name);
                Value::Str(self.core.interner.object(name))
            }
            Constant::Big(digits, radix) => {
                let text = String::from(self.core.interner.text(self.symbol(*digits)));
                self.core.charge_steps(text.len())?;
                let number =
                    BigInt::parse_bytes(text.as_bytes(), (*radix).clamp(2, 36)).unwrap_or_default();
                self.core.heap.integer(number)?
            }
            Constant::Bytes(bytes) => self.core.heap.bytes(bytes.clone())?,
            Constant::Names(names) => {
                let texts = names
                    .iter()
                    .map(|name| Value::Str(self.core.interner.object(self.symbol(*name))));
                let texts = texts.collect();
                self.core.heap.tuple(texts)?
            }
        })
    }

    fn site(&self, name: u32) -> Site {
        Site {
            name: self.symbol(name),
            stamp: Cell::new(0),
            slot: Cell::new(0),
            method: ValueCell::default(),
            method_parameters: Cell::new(u16::MAX),
        }
    }

    fn chain(&mut self, chain: &Chain) -> LinkedChain {
        let steps = chain.steps.iter().map(|step| match step {
            Step::Global(name) => Step::Global(self.slot(*name)),
            other => *other,
        });
        let steps = steps.collect();
        LinkedChain {
            name: self.symbol(chain.name),
            steps,
        }
    }

    fn place(&mut self, place: &Place) -> Place {
        let root = match place.root {
            Root::Global(name) => Root::Global(self.slot(name)),
            Root::Attr(register, name) => Root::Attr(register, self.symbol(name).0),
            other => other,
        };
        Place {
            root,
            name: self.symbol(place.name).0,
            ..place.clone()
        }
    }
}
