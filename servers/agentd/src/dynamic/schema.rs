//! The tree of a schema as JSON Schema (2020-12): what JSON stands for its values.
//!
//! Structs and enums get a name in one table and are referred to, so that a type that is used ten times is described once.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use postcard_schema::schema::owned::{
    OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType, OwnedNamedValue,
    OwnedNamedVariant,
};
use serde_json::{Map, Value, json};

use super::{BASE64, HANDLE, HANDLE_TYPE, SOME, can_be_null, handle, is_byte, is_text};

/// Strings that are base 64 with padding and without stray bits (RFC 4648 §4).
const BASE64_PATTERN: &str =
    "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// The schemas of some types, in one document.
#[derive(Debug)]
pub struct Schemas {
    /// Where the table of named types will be in the document.
    root: &'static str,
    types: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    key: String,
    ty: OwnedNamedType,
    schema: Value,
}

impl Schemas {
    /// No types yet. The table ([`Schemas::into_table`]) will be at `root` in the document, a JSON Pointer.
    pub const fn at(root: &'static str) -> Self {
        Self {
            root,
            types: Vec::new(),
        }
    }

    /// The JSON Schema of a type.
    pub fn of(&mut self, ty: &OwnedNamedType) -> Value {
        if let Some(object) = handle(ty) {
            return handle_schema(object);
        }
        match &ty.ty {
            Type::Struct(_) | Type::Enum(_) => self.reference(ty),
            Type::Bool => json!({ "type": "boolean" }),
            Type::I8 => integer(i8::MIN, i8::MAX),
            Type::U8 => integer(0, u8::MAX),
            Type::I16 => integer(i16::MIN, i16::MAX),
            Type::I32 => integer(i32::MIN, i32::MAX),
            Type::I64 | Type::Isize => integer(i64::MIN, i64::MAX),
            Type::U16 => integer(0, u16::MAX),
            Type::U32 => integer(0, u32::MAX),
            Type::U64 | Type::Usize => integer(0, u64::MAX),
            Type::I128 => wide("^-?[0-9]+$"),
            Type::U128 => wide("^[0-9]+$"),
            Type::F32 | Type::F64 => {
                json!({ "anyOf": [{ "type": "number" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
            }
            Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
            Type::String => json!({ "type": "string" }),
            Type::ByteArray => byte_string(),
            Type::Seq(inner) if is_byte(inner) => byte_string(),
            Type::Seq(inner) => json!({ "type": "array", "items": self.of(inner) }),
            Type::Option(inner) => {
                let mut some = self.of(inner);
                if can_be_null(inner) {
                    some = object([(SOME, some)]);
                }
                json!({ "anyOf": [{ "type": "null" }, some] })
            }
            Type::Unit | Type::UnitStruct => json!({ "type": "null" }),
            Type::NewtypeStruct(inner) => self.of(inner),
            Type::Tuple(members) | Type::TupleStruct(members) => self.tuple(members),
            Type::Map { key, val } if is_text(key) => {
                json!({ "type": "object", "additionalProperties": self.of(val) })
            }
            Type::Map { key, val } => {
                let pair = array([self.of(key), self.of(val)].into());
                json!({ "type": "array", "items": pair })
            }
            Type::Schema => json!({
                "type": "object",
                "properties": { "name": { "type": "string" }, "ty": {} },
                "required": ["name", "ty"],
            }),
        }
    }

    /// As [`of`](Self::of), for an object with these members, which is no type of its own.
    pub fn of_members(&mut self, members: &[(String, OwnedNamedType)]) -> Value {
        object(
            members
                .iter()
                .map(|(name, ty)| (name.as_str(), self.of(ty))),
        )
    }

    /// The named types, by name.
    pub fn into_table(self) -> Value {
        let with_tree = |named: Named| {
            let mut schema = named.schema;
            schema["postcard"] = serde_json::to_value(&named.ty).unwrap_or_default();
            (named.key, schema)
        };
        Value::Object(self.types.into_iter().map(with_tree).collect())
    }

    fn reference(&mut self, ty: &OwnedNamedType) -> Value {
        let key = match self.types.iter().find(|named| named.ty == *ty) {
            Some(named) => named.key.clone(),
            None => self.add(ty),
        };
        json!({ "$ref": format!("#{}/{key}", self.root) })
    }

    fn add(&mut self, ty: &OwnedNamedType) -> String {
        let schema = match &ty.ty {
            Type::Struct(members) => self.fields(members),
            Type::Enum(variants) => self.choice(variants),
            _ => Value::Null,
        };
        let key = self.free_key(&ty.name);
        self.types.push(Named {
            key: key.clone(),
            ty: ty.clone(),
            schema,
        });
        key
    }

    /// A name that nobody has yet. It is fit for a fragment of a URI as it is.
    fn free_key(&self, name: &str) -> String {
        let plain = |letter: char| match letter {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' => letter,
            _ => '_',
        };
        let name: String = name.chars().map(plain).collect();
        let is_free = |key: &str| self.types.iter().all(|named| named.key != key);
        if is_free(&name) {
            return name;
        }
        (2..=self.types.len() + 2)
            .map(|number| format!("{name}_{number}"))
            .find(|key| is_free(key))
            .unwrap_or(name)
    }

    fn fields(&mut self, members: &[OwnedNamedValue]) -> Value {
        object(
            members
                .iter()
                .map(|member| (member.name.as_str(), self.of(&member.ty))),
        )
    }

    fn tuple(&mut self, members: &[OwnedNamedType]) -> Value {
        match members {
            [first, rest @ ..] if rest.iter().all(|member| member == first) => json!({
                "type": "array",
                "items": self.of(first),
                "minItems": members.len(),
                "maxItems": members.len(),
            }),
            _ => array(members.iter().map(|member| self.of(member)).collect()),
        }
    }

    fn choice(&mut self, variants: &[OwnedNamedVariant]) -> Value {
        let is_plain = |variant: &&OwnedNamedVariant| variant.ty == Variant::UnitVariant;
        let plain: Vec<&str> = variants
            .iter()
            .filter(is_plain)
            .map(|variant| variant.name.as_str())
            .collect();
        if plain.len() == variants.len() {
            return json!({ "enum": plain });
        }
        let mut options = Vec::new();
        if !plain.is_empty() {
            options.push(json!({ "enum": plain }));
        }
        for variant in variants {
            let inner = match &variant.ty {
                Variant::UnitVariant => continue,
                Variant::NewtypeVariant(ty) => self.of(ty),
                Variant::TupleVariant(members) => self.tuple(members),
                Variant::StructVariant(members) => self.fields(members),
            };
            options.push(object([(variant.name.as_str(), inner)]));
        }
        json!({ "oneOf": options })
    }
}

/// An object with exactly these members.
fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let properties: Map<String, Value> = members
        .into_iter()
        .map(|(name, schema)| (name.to_string(), schema))
        .collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// An array with exactly these items.
fn array(items: Vec<Value>) -> Value {
    let length = items.len();
    if items.is_empty() {
        return json!({ "type": "array", "maxItems": 0 });
    }
    json!({ "type": "array", "prefixItems": items, "items": false, "minItems": length, "maxItems": length })
}

fn integer<N: Into<i128>>(least: N, most: impl Into<i128>) -> Value {
    let number = |number: i128| match (u64::try_from(number), i64::try_from(number)) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        _ => Value::Null,
    };
    json!({ "type": "integer", "minimum": number(least.into()), "maximum": number(most.into()) })
}

/// A number that is longer than JSON's readers take.
fn wide(pattern: &str) -> Value {
    json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": pattern }] })
}

fn byte_string() -> Value {
    let text = json!({ "type": "string", "contentEncoding": "base64", "pattern": BASE64_PATTERN });
    object([(BASE64, text)])
}

fn handle_schema(leads_to: &str) -> Value {
    object([
        (HANDLE, json!({ "type": "string", "pattern": "^h[0-9]+$" })),
        (HANDLE_TYPE, json!({ "const": leads_to })),
    ])
}
