//! What a protocol says about itself: names, documentation, how often a method may be repeated, and the shape of every type.

use alloc::string::String;
use alloc::vec::Vec;
use postcard_schema::schema::owned::OwnedNamedType;
use postcard_schema::schema::{DataModelType, DataModelVariant, NamedType};
use serde::{Deserialize, Serialize};

pub use hash::protocol_hash;
pub use read::{MAX_TYPE_DEPTH, MAX_TYPES, parse_description, take_type};

mod hash;
mod read;

/// The number of the method that every protocol has: `hello(hash: u64)`.
pub const HELLO: u8 = 0;
/// The number of the method that every protocol has: `describe(offset: u32)`, a page of the postcard of a [`Description`].
pub const DESCRIBE: u8 = 255;
/// Bytes of a description in one answer, at most.
pub const DESCRIPTION_PAGE_BYTES: usize = 3584;

/// Bytes of a description, at most: what a server that goes on and on can make its client keep.
pub const MAX_DESCRIPTION_BYTES: usize = 1 << 18;

/// Whether a client may make a call again when it was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Replay {
    /// Yes: twice is as good as once.
    Idempotent,
    /// Yes: the server keeps its answer under the client's request number.
    Journaled,
    /// No: the client reports the interruption.
    Never,
}

/// A protocol.
#[derive(Debug)]
pub struct Protocol {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// Its documentation.
    pub doc: &'static str,
    /// Its methods, in order of their numbers.
    pub methods: &'static [Method],
    /// Names its schema: client and server must have the same.
    pub hash: u64,
}

/// A method.
#[derive(Debug)]
pub struct Method {
    /// Its number: the first byte of a request.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// Its documentation.
    pub doc: &'static str,
    /// Whether it may be repeated.
    pub replay: Replay,
    /// Whether the server may answer later.
    pub is_deferred: bool,
    /// Its parameters: names and types. Their postcards follow each other in the request.
    pub parameters: &'static [Parameter],
    /// What it returns.
    pub result: &'static NamedType,
    /// Its error.
    pub error: &'static NamedType,
}

/// A parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: &'static NamedType,
}

impl Protocol {
    /// The method with this name.
    pub fn method(&self, name: &str) -> Option<&'static Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// Everything about the protocol, as values of their own.
    pub fn describe(&self) -> Description {
        Description {
            name: self.name.into(),
            version: self.version,
            doc: self.doc.into(),
            hash: self.hash,
            methods: self.methods.iter().map(Method::describe).collect(),
        }
    }
}

impl Method {
    fn describe(&self) -> MethodDescription {
        let mut handles_in = Vec::new();
        for parameter in self.parameters {
            collect_handles(parameter.ty, &mut handles_in);
        }
        let mut handles_out = Vec::new();
        collect_handles(self.result, &mut handles_out);
        MethodDescription {
            number: self.number,
            name: self.name.into(),
            doc: self.doc.into(),
            replay: self.replay,
            is_deferred: self.is_deferred,
            parameters: self
                .parameters
                .iter()
                .map(|parameter| (parameter.name.into(), parameter.ty.into()))
                .collect(),
            result: self.result.into(),
            error: self.error.into(),
            handles_in,
            handles_out,
        }
    }
}

/// A protocol, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its documentation.
    pub doc: String,
    /// Names its schema.
    pub hash: u64,
    /// Its methods.
    pub methods: Vec<MethodDescription>,
}

/// A method, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodDescription {
    /// Its number: the first byte of a request. A journaled method's request number follows, as a varint `u64`, then the parameters.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: String,
    /// Whether it may be repeated.
    pub replay: Replay,
    /// Whether the server may answer later.
    pub is_deferred: bool,
    /// Names and types of its parameters.
    pub parameters: Vec<(String, OwnedNamedType)>,
    /// What it returns.
    pub result: OwnedNamedType,
    /// Its error.
    pub error: OwnedNamedType,
    /// Types of the handles that may travel with a request, in order (`MemoryObject`, …).
    pub handles_in: Vec<String>,
    /// Types of the handles that may travel with an answer, in order.
    pub handles_out: Vec<String>,
}

/// A page of a protocol's description; empty behind the end.
pub(crate) fn page(protocol: &Protocol, offset: u32) -> Vec<u8> {
    let Ok(all) = postcard::to_allocvec(&protocol.describe()) else {
        return Vec::new();
    };
    let rest = all.get(offset as usize..).unwrap_or_default();
    rest[..rest.len().min(DESCRIPTION_PAGE_BYTES)].to_vec()
}

/// The name of an object type, if the schema's type of this name is a handle: `Handle<MemoryObject>` gives `MemoryObject`.
pub fn handle_object(type_name: &str) -> Option<&str> {
    type_name.strip_prefix("Handle<")?.strip_suffix('>')
}

fn collect_handles(ty: &NamedType, found: &mut Vec<String>) {
    if let Some(object) = handle_object(ty.name) {
        found.push(object.into());
        return;
    }
    match ty.ty {
        DataModelType::Option(inner)
        | DataModelType::NewtypeStruct(inner)
        | DataModelType::Seq(inner) => collect_handles(inner, found),
        DataModelType::Tuple(members) | DataModelType::TupleStruct(members) => {
            members
                .iter()
                .for_each(|member| collect_handles(member, found));
        }
        DataModelType::Map { key, val } => {
            collect_handles(key, found);
            collect_handles(val, found);
        }
        DataModelType::Struct(fields) => fields
            .iter()
            .for_each(|field| collect_handles(field.ty, found)),
        DataModelType::Enum(variants) => {
            for variant in *variants {
                match variant.ty {
                    DataModelVariant::UnitVariant => {}
                    DataModelVariant::NewtypeVariant(inner) => collect_handles(inner, found),
                    DataModelVariant::TupleVariant(members) => members
                        .iter()
                        .for_each(|member| collect_handles(member, found)),
                    DataModelVariant::StructVariant(fields) => fields
                        .iter()
                        .for_each(|field| collect_handles(field.ty, found)),
                }
            }
        }
        _ => {}
    }
}
