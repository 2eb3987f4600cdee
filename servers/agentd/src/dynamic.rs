//! Between JSON and postcard, by the tree of a schema: what makes any interface callable by someone who learned it at run time.
//!
//! | Rust, serde | JSON |
//! |---|---|
//! | bool, numbers | boolean, number; of 64 bits and more also a decimal string; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | char, string | string |
//! | bytes | `{"$b64": "…"}`; in input also an array of 0 to 255 |
//! | option | `null` or the value; `{"$some": …}` around a value that could itself be `null` |
//! | unit, unit struct | `null` |
//! | sequence, tuple, tuple struct | array |
//! | map | object if its keys are strings, else array of `[key, value]` |
//! | struct; newtype struct | object with all members; what is in it |
//! | enum | `"Name"`, `{"Name": value}`, `{"Name": […]}`, `{"Name": {…}}` |
//! | `Handle<T>` | `{"$handle": "h7", "type": "T"}` |
//!
//! Schema, bytes and JSON may all come from somebody hostile: recursion goes no deeper than the schema, whose depth its reader bounds
//! (`libipc::schema::parse_description`), and both directions count what they make.

use alloc::format;
use alloc::string::String;

use libipc::schema::handle_object;
use postcard_schema::schema::owned::{OwnedDataModelType, OwnedNamedType};

pub use decode::{Garbled, decode};
pub use encode::{Refused, encode, encode_members};
pub use schema::Schemas;

use crate::params::escape;

mod decode;
mod encode;
mod schema;

/// The member that holds bytes in base 64.
const BASE64: &str = "$b64";
/// The member that tells something from nothing.
const SOME: &str = "$some";
/// The member that names a handle.
const HANDLE: &str = "$handle";
/// The member that says what a handle leads to.
const HANDLE_TYPE: &str = "type";

/// The handles of a message, as whoever converts it knows them.
pub trait Handles {
    /// The place in the message for the handle that somebody calls `name`; `None` if that is no handle of his, or it does not lead to an `object`.
    fn place(&mut self, name: &str, object: &str) -> Option<u8>;

    /// The name for the handle at a place of a message; `None` if there is none, or it does not lead to an `object`.
    fn name(&mut self, place: u8, object: &str) -> Option<String>;
}

/// Where JSON does not fit a schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// JSON Pointer (RFC 6901) of the first place.
    pub path: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub got: &'static str,
}

impl Misfit {
    /// The same as seen from one level higher.
    fn below(mut self, name: &str) -> Self {
        self.path = format!("/{}{}", escape(name), self.path);
        self
    }
}

/// What a handle of this type leads to, if it is one.
fn handle(ty: &OwnedNamedType) -> Option<&str> {
    match &ty.ty {
        OwnedDataModelType::NewtypeStruct(inner) if inner.ty == OwnedDataModelType::U8 => {
            handle_object(&ty.name)
        }
        _ => None,
    }
}

/// Whether `null` stands for a value of this type, so that an option of it needs another word for something.
fn can_be_null(ty: &OwnedNamedType) -> bool {
    match &ty.ty {
        OwnedDataModelType::Option(_)
        | OwnedDataModelType::Unit
        | OwnedDataModelType::UnitStruct => true,
        OwnedDataModelType::NewtypeStruct(inner) => can_be_null(inner),
        _ => false,
    }
}

/// Whether values of this type are always strings, so that they can be the names in an object.
fn is_text(ty: &OwnedNamedType) -> bool {
    match &ty.ty {
        OwnedDataModelType::String | OwnedDataModelType::Char => true,
        OwnedDataModelType::NewtypeStruct(inner) => is_text(inner),
        _ => false,
    }
}

/// Whether a sequence of this type is a byte string.
fn is_byte(ty: &OwnedNamedType) -> bool {
    ty.ty == OwnedDataModelType::U8
}
