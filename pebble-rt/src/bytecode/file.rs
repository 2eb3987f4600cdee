//! Bytecode files (`.pbc`): a header with version and checksum, then a compiled file.
//!
//! ```text
//! 4 bytes  "PBC\n"
//! u32      format version, little endian
//! u64      FNV-1a hash of what follows
//! ...      names, functions; numbers as variable-length quantities of 7 bits, low ones first
//! ```
//! Reading verifies: a damaged or made-up file is refused, or runs as some program that can do no more than any other.
//! Registers are bytes and every window has 256 of them, so they cannot miss; tables are looked up with a check when
//! they are used; what remains is checked here.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::op::{Insn, Op};
use super::unit::{
    Capture, Chain, CodeKind, Constant, Handler, ImportPath, ParameterList, Place, Proto, Root,
    Step, Unit,
};

const MAGIC: &[u8; 4] = b"PBC\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;

/// Writes a bytecode file.
pub fn write(unit: &Unit) -> Vec<u8> {
    let mut body = Writer(Vec::new());
    body.list(&unit.names, |out, name| out.text(name));
    body.list(&unit.functions, Writer::proto);
    let mut file = Vec::with_capacity(body.0.len() + HEADER_BYTES);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&checksum(&body.0).to_le_bytes());
    file.extend_from_slice(&body.0);
    file
}

/// Reads and verifies a bytecode file.
pub fn read(bytes: &[u8]) -> Result<Unit, String> {
    let (header, body) = bytes
        .split_at_checked(HEADER_BYTES)
        .ok_or("this is no bytecode file")?;
    let (magic, rest) = header.split_at(4);
    if magic != MAGIC {
        return Err("this is no bytecode file".into());
    }
    let (version, sum) = rest.split_at(4);
    let version = u32::from_le_bytes(version.try_into().unwrap_or_default());
    if version != VERSION {
        return Err(format!("bytecode version {version} is not {VERSION}"));
    }
    if u64::from_le_bytes(sum.try_into().unwrap_or_default()) != checksum(body) {
        return Err("the bytecode file is damaged".into());
    }
    let mut reader = Reader(body);
    let unit = reader.unit().ok_or("the bytecode file is malformed")?;
    if !reader.0.is_empty() {
        return Err("the bytecode file has more than a program".into());
    }
    verify(&unit)?;
    Ok(unit)
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Checks what the machine relies on without looking again.
fn verify(unit: &Unit) -> Result<(), String> {
    if unit.functions.is_empty() {
        return Err("the bytecode file has no code".into());
    }
    for (index, proto) in unit.functions.iter().enumerate() {
        verify_function(unit, proto).map_err(|problem| format!("function {index} {problem}"))?;
    }
    Ok(())
}

fn verify_function(unit: &Unit, proto: &Proto) -> Result<(), &'static str> {
    if proto.parameters.count() > usize::from(proto.registers) {
        return Err("has more parameters than registers");
    }
    if usize::from(proto.parameters.defaults) > proto.parameters.positional.len() {
        return Err("has more defaults than parameters");
    }
    if unit.names.get(proto.name as usize).is_none() {
        return Err("has no name");
    }
    for place in &proto.places {
        if usize::from(place.first_key) + usize::from(place.keys) > 256 {
            return Err("has a place whose keys are no registers");
        }
    }
    for insn in &proto.code {
        verify_insn(proto, *insn)?;
    }
    Ok(())
}

fn verify_insn(proto: &Proto, insn: Insn) -> Result<(), &'static str> {
    let fits = |first: u8, count: u8| usize::from(first) + usize::from(count) <= 256;
    match insn.op {
        Op::Print | Op::CallGlobal if !fits(insn.a, insn.b) => Err("uses registers past the last"),
        Op::Unpack | Op::UnpackStar if !(0..=250).contains(&insn.d) => Err("unpacks too much"),
        Op::PlaceStore | Op::PlaceDelete => match proto.places.get(insn.d as usize) {
            Some(place) if place.keys > 0 => Ok(()),
            _ => Err("stores at a place without a key"),
        },
        Op::MakeFunction | Op::MakeClass if insn.d <= 0 => Err("makes its own top level"),
        _ => Ok(()),
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn numbers(&mut self, numbers: &[u32]) {
        self.list(numbers, |out, number| out.number(u64::from(*number)));
    }

    fn proto(&mut self, proto: &Proto) {
        self.number(u64::from(proto.name));
        self.0.push(proto.kind as u8);
        self.parameters(&proto.parameters);
        self.0.push(proto.registers);
        self.list(&proto.code, |out, insn| {
            out.0
                .extend_from_slice(&[insn.op as u8, insn.a, insn.b, insn.c]);
            out.0.extend_from_slice(&insn.d.to_le_bytes());
        });
        self.list(&proto.lines, |out, (at, line)| out.numbers(&[*at, *line]));
        self.list(&proto.constants, Writer::constant);
        self.numbers(&proto.sites);
        self.list(&proto.chains, |out, chain| {
            out.number(u64::from(chain.name));
            out.list(&chain.steps, |out, step| {
                let (kind, number) = match step {
                    Step::Local(register) => (0, u32::from(*register)),
                    Step::Cell(register) => (1, u32::from(*register)),
                    Step::Captured(index) => (2, u32::from(*index)),
                    Step::Class => (3, 0),
                    Step::Global(name) => (4, *name),
                };
                out.0.push(kind);
                out.number(u64::from(number));
            });
        });
        self.list(&proto.places, Writer::place);
        self.list(&proto.imports, |out, import| {
            out.numbers(&import.parts);
            out.0.push(u8::from(import.leaf));
        });
        self.list(&proto.handlers, |out, handler| {
            out.numbers(&[handler.start, handler.end, handler.target])
        });
        self.list(&proto.captures, |out, capture| match capture {
            Capture::Cell(register) => out.0.extend_from_slice(&[0, *register]),
            Capture::Captured(index) => out.0.extend_from_slice(&[1, *index]),
        });
        self.list(&proto.variables, |out, (register, name)| {
            out.0.push(*register);
            out.number(u64::from(*name));
        });
    }

    fn parameters(&mut self, parameters: &ParameterList) {
        self.numbers(&parameters.positional);
        self.numbers(&parameters.keyword_only);
        self.number(parameters.keyword_defaults);
        self.0.push(parameters.defaults);
        self.0
            .push(u8::from(parameters.has_rest) | u8::from(parameters.has_keywords) << 1);
    }

    fn constant(&mut self, constant: &Constant) {
        match constant {
            Constant::None => self.0.push(0),
            Constant::Int(number) => {
                self.0.push(1);
                self.0.extend_from_slice(&number.to_le_bytes());
            }
            Constant::Big(digits, radix) => {
                self.0.push(2);
                self.number(u64::from(*digits));
                self.number(u64::from(*radix));
            }
            Constant::Float(number) => {
                self.0.push(3);
                self.0.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Constant::Text(name) => {
                self.0.push(4);
                self.number(u64::from(*name));
            }
            Constant::Bytes(bytes) => {
                self.0.push(5);
                self.number(bytes.len() as u64);
                self.0.extend_from_slice(bytes);
            }
            Constant::Names(names) => {
                self.0.push(6);
                self.numbers(names);
            }
        }
    }

    fn place(&mut self, place: &Place) {
        let (kind, number, name) = match place.root {
            Root::Local(register) => (0, u32::from(register), 0),
            Root::Cell(register) => (1, u32::from(register), 0),
            Root::Captured(index) => (2, u32::from(index), 0),
            Root::Global(name) => (3, name, 0),
            Root::Attr(register, name) => (4, u32::from(register), name),
            Root::Chain(chain) => (5, chain, 0),
        };
        self.0
            .extend_from_slice(&[kind, place.first_key, place.keys, place.scratch]);
        self.numbers(&[number, name, place.name]);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn index(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A list; each item takes at least a byte, which bounds what a made-up length can reserve.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Reader<'a>) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok()?;
        if count > self.0.len() {
            return None;
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    fn numbers(&mut self) -> Option<Vec<u32>> {
        self.list(Reader::index)
    }

    fn array<const N: usize>(&mut self) -> Option<[u32; N]> {
        self.numbers()?.try_into().ok()
    }

    fn unit(&mut self) -> Option<Unit> {
        let names = self.list(|reader| {
            let length = usize::try_from(reader.number()?).ok()?;
            core::str::from_utf8(reader.bytes(length)?)
                .ok()
                .map(Rc::from)
        })?;
        Some(Unit {
            names,
            functions: self.list(Reader::proto)?,
        })
    }

    fn proto(&mut self) -> Option<Proto> {
        Some(Proto {
            name: self.index()?,
            kind: match self.byte()? {
                0 => CodeKind::Function,
                1 => CodeKind::Method,
                2 => CodeKind::Generator,
                3 => CodeKind::GeneratorMethod,
                4 => CodeKind::Module,
                5 => CodeKind::ClassBody,
                _ => return None,
            },
            parameters: self.parameters()?,
            registers: self.byte()?,
            code: self.list(|reader| {
                let bytes = reader.bytes(8)?;
                let d = i32::from_le_bytes(bytes[4..].try_into().ok()?);
                Some(Insn::new(
                    Op::from_code(bytes[0])?,
                    bytes[1],
                    bytes[2],
                    bytes[3],
                    d,
                ))
            })?,
            lines: self.list(|reader| reader.array::<2>().map(|[at, line]| (at, line)))?,
            constants: self.list(Reader::constant)?,
            sites: self.numbers()?,
            chains: self.list(|reader| {
                Some(Chain {
                    name: reader.index()?,
                    steps: reader.list(Reader::step)?,
                })
            })?,
            places: self.list(Reader::place)?,
            imports: self.list(|reader| {
                Some(ImportPath {
                    parts: reader.numbers()?,
                    leaf: reader.byte()? != 0,
                })
            })?,
            handlers: self.list(|reader| {
                reader
                    .array::<3>()
                    .map(|[start, end, target]| Handler { start, end, target })
            })?,
            captures: self.list(|reader| match (reader.byte()?, reader.byte()?) {
                (0, register) => Some(Capture::Cell(register)),
                (1, index) => Some(Capture::Captured(index)),
                _ => None,
            })?,
            variables: self.list(|reader| Some((reader.byte()?, reader.index()?)))?,
        })
    }

    fn parameters(&mut self) -> Option<ParameterList> {
        let mut parameters = ParameterList {
            positional: self.numbers()?,
            keyword_only: self.numbers()?,
            keyword_defaults: self.number()?,
            defaults: self.byte()?,
            ..ParameterList::default()
        };
        let flags = self.byte()?;
        parameters.has_rest = flags & 1 != 0;
        parameters.has_keywords = flags & 2 != 0;
        Some(parameters)
    }

    fn constant(&mut self) -> Option<Constant> {
        Some(match self.byte()? {
            0 => Constant::None,
            1 => Constant::Int(i64::from_le_bytes(self.bytes(8)?.try_into().ok()?)),
            2 => Constant::Big(self.index()?, self.index()?),
            3 => Constant::Float(f64::from_bits(u64::from_le_bytes(
                self.bytes(8)?.try_into().ok()?,
            ))),
            4 => Constant::Text(self.index()?),
            5 => {
                let length = usize::try_from(self.number()?).ok()?;
                Constant::Bytes(self.bytes(length)?.to_vec())
            }
            6 => Constant::Names(self.numbers()?),
            _ => return None,
        })
    }

    fn step(&mut self) -> Option<Step> {
        let kind = self.byte()?;
        let number = self.index()?;
        Some(match kind {
            0 => Step::Local(u8::try_from(number).ok()?),
            1 => Step::Cell(u8::try_from(number).ok()?),
            2 => Step::Captured(u8::try_from(number).ok()?),
            3 => Step::Class,
            4 => Step::Global(number),
            _ => return None,
        })
    }

    fn place(&mut self) -> Option<Place> {
        let (kind, first_key, keys, scratch) =
            (self.byte()?, self.byte()?, self.byte()?, self.byte()?);
        let [number, name, method] = self.array()?;
        let register = u8::try_from(number);
        let root = match kind {
            0 => Root::Local(register.ok()?),
            1 => Root::Cell(register.ok()?),
            2 => Root::Captured(register.ok()?),
            3 => Root::Global(number),
            4 => Root::Attr(register.ok()?, name),
            5 => Root::Chain(number),
            _ => return None,
        };
        Some(Place {
            root,
            first_key,
            keys,
            scratch,
            name: method,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROGRAM: &str = "\
import a.b as c
class C(D):
    x = [1, 2.5, \"three\", 99999999999999999999]
    def m(self, n, *rest, key=None, **others):
        try:
            self.items[n][0] = n + 1
        except KeyError as e:
            append(self.items, e)
        finally:
            pass
        return lambda: n
def g():
    for i in range(3):
        yield i
print C.x
";

    fn unit() -> Unit {
        let tree = crate::syntax::parse(PROGRAM).expect("the program parses");
        crate::compile::compile(&tree, &|_| false).expect("the program compiles")
    }

    #[test]
    fn what_is_written_is_read() {
        let unit = unit();
        assert_eq!(read(&write(&unit)), Ok(unit));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let mut file = write(&unit());
        let last = file.len() - 1;
        file[last] ^= 1;
        assert_eq!(read(&file), Err("the bytecode file is damaged".into()));
        assert!(read(&file[..8]).is_err());
        assert!(read(b"print 1").is_err());
    }

    /// A file whose checksum is right although its content is not.
    fn forged(mut file: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
        let body = file.len() - HEADER_BYTES;
        for (at, byte) in changes {
            file[HEADER_BYTES + at % body] = *byte;
        }
        let sum = checksum(&file[HEADER_BYTES..]).to_le_bytes();
        file[8..16].copy_from_slice(&sum);
        file
    }

    proptest! {
        #[test]
        fn a_forged_file_is_refused_or_runs_safely(
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        ) {
            use crate::engine::{Limits, Step};
            use crate::system::{NoSystem, Patience};
            let file = forged(write(&unit()), &changes);
            let limits = Limits { memory_bytes: 4 << 20, call_depth: 200, steps: 20_000, output_bytes: 10_000, threads: 8 };
            let libraries = [&crate::modules::LIBRARY];
            let mut vm = crate::vm::Vm::new(limits, Vec::new(), alloc::boxed::Box::new(NoSystem::default()), &libraries);
            if vm.load_bytecode("forged.pbc", &file).is_ok() {
                for _ in 0..100 {
                    match vm.run(1000) {
                        Step::Yielded => {}
                        Step::Blocked(_) => vm.wait(Patience::Poll),
                        Step::Finished(_) | Step::Failed(_) => break,
                    }
                }
            }
        }
    }
}
