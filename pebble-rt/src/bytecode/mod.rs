//! Bytecode: what the compiler makes and the machine runs.

mod code;
mod file;
mod listing;
mod op;
mod unit;

pub use code::{Code, LinkedChain, LinkedImport, LinkedUnit, Parameters, Site};
pub use file::{read, write};
pub use listing::listing;
pub use op::{Insn, NOWHERE, Op};
pub use unit::{
    Capture, Chain, CodeKind, Constant, Handler, ImportPath, NameIndex, ParameterList, Place,
    Proto, Root, Step, Unit,
};
