//! JSON to postcard.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postcard_schema::schema::owned::{
    OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType, OwnedNamedValue,
    OwnedNamedVariant,
};
use serde_json::{Number, Value};

use super::{
    BASE64, HANDLE, HANDLE_TYPE, Handles, Misfit, SOME, can_be_null, handle, is_byte, is_text,
};

/// Why a value is not sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It does not fit the schema.
    Misfit(Misfit),
    /// It names a handle that is not the sender's.
    Handle {
        /// JSON Pointer of the place.
        path: String,
    },
    /// It is longer than a message can be.
    TooLarge {
        /// Bytes that a message can have.
        limit: usize,
    },
}

impl Refused {
    fn below(self, name: &str) -> Self {
        match self {
            Self::Misfit(misfit) => Self::Misfit(misfit.below(name)),
            Self::Handle { path } => Self::Handle {
                path: format!("/{}{path}", super::escape(name)),
            },
            other => other,
        }
    }
}

/// The postcard of a value, `limit` bytes at most.
///
/// # Errors
/// See [`Refused`].
pub fn encode(
    ty: &OwnedNamedType,
    value: &Value,
    handles: &mut dyn Handles,
    limit: usize,
) -> Result<Vec<u8>, Refused> {
    let mut encoder = Encoder::new(handles, limit);
    encoder.value(ty, value)?;
    Ok(encoder.bytes)
}

/// The postcards of an object's members, one after the other in the order of `members`, `limit` bytes at most.
///
/// # Errors
/// See [`Refused`].
pub fn encode_members(
    members: &[(String, OwnedNamedType)],
    value: &Value,
    handles: &mut dyn Handles,
    limit: usize,
) -> Result<Vec<u8>, Refused> {
    let mut encoder = Encoder::new(handles, limit);
    let members: Vec<_> = members
        .iter()
        .map(|(name, ty)| (name.as_str(), ty))
        .collect();
    encoder.members(&members, value)?;
    Ok(encoder.bytes)
}

struct Encoder<'a> {
    bytes: Vec<u8>,
    limit: usize,
    handles: &'a mut dyn Handles,
}

type Encoded = Result<(), Refused>;

impl<'a> Encoder<'a> {
    fn new(handles: &'a mut dyn Handles, limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            handles,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Encoded {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit {
            return Err(Refused::TooLarge { limit: self.limit });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// A number of variable length: seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u128) -> Encoded {
        while number >= 0x80 {
            self.put(&[number as u8 | 0x80])?;
            number >>= 7;
        }
        self.put(&[number as u8])
    }

    fn length(&mut self, length: usize) -> Encoded {
        self.number(length as u128)
    }

    fn run(&mut self, bytes: &[u8]) -> Encoded {
        self.length(bytes.len())?;
        self.put(bytes)
    }

    fn value(&mut self, ty: &OwnedNamedType, value: &Value) -> Encoded {
        if let Some(object) = handle(ty) {
            return self.handle(object, value);
        }
        match &ty.ty {
            Type::Bool => match value {
                Value::Bool(is) => self.put(&[u8::from(*is)]),
                _ => misfit("boolean", value),
            },
            Type::U8 => {
                let number = unsigned(value, u8::MAX.into())?;
                self.put(&[number as u8])
            }
            Type::I8 => {
                let number = signed(value, i8::MIN.into(), i8::MAX.into())?;
                self.put(&(number as i8).to_le_bytes())
            }
            Type::U16 => self.unsigned(value, u16::MAX.into()),
            Type::U32 => self.unsigned(value, u32::MAX.into()),
            Type::U64 | Type::Usize => self.unsigned(value, u64::MAX.into()),
            Type::U128 => self.unsigned(value, u128::MAX),
            Type::I16 => self.signed(value, i16::MIN.into(), i16::MAX.into()),
            Type::I32 => self.signed(value, i32::MIN.into(), i32::MAX.into()),
            Type::I64 | Type::Isize => self.signed(value, i64::MIN.into(), i64::MAX.into()),
            Type::I128 => self.signed(value, i128::MIN, i128::MAX),
            Type::F32 => {
                let number = float(value)?;
                let short = number as f32;
                if number.is_finite() && short.is_infinite() {
                    return misfit("number that a float of 32 bits can be", value);
                }
                self.put(&short.to_le_bytes())
            }
            Type::F64 => self.put(&float(value)?.to_le_bytes()),
            Type::Char => match value.as_str().map(|text| (text, text.chars().count())) {
                Some((text, 1)) => self.run(text.as_bytes()),
                _ => misfit("string of one character", value),
            },
            Type::String => match value {
                Value::String(text) => self.run(text.as_bytes()),
                _ => misfit("string", value),
            },
            Type::ByteArray => self.byte_string(value),
            Type::Seq(inner) if is_byte(inner) => self.byte_string(value),
            Type::Seq(inner) => {
                let Value::Array(items) = value else {
                    return misfit("array", value);
                };
                self.length(items.len())?;
                self.each(items.iter().map(|item| (&**inner, item)))
            }
            Type::Option(inner) => self.option(inner, value),
            Type::Unit | Type::UnitStruct => match value {
                Value::Null => Ok(()),
                _ => misfit("null", value),
            },
            Type::NewtypeStruct(inner) => self.value(inner, value),
            Type::Tuple(members) | Type::TupleStruct(members) => self.tuple(members, value),
            Type::Map { key, val } => self.map(key, val, value),
            Type::Struct(members) => self.fields(members, value),
            Type::Enum(variants) => self.choice(variants, value),
            Type::Schema => self.tree(value),
        }
    }

    fn unsigned(&mut self, value: &Value, most: u128) -> Encoded {
        self.number(unsigned(value, most)?)
    }

    /// 0, −1, 1, −2, … become 0, 1, 2, 3, ….
    fn signed(&mut self, value: &Value, least: i128, most: i128) -> Encoded {
        let number = signed(value, least, most)?;
        self.number(((number << 1) ^ (number >> 127)) as u128)
    }

    fn each<'v>(
        &mut self,
        items: impl Iterator<Item = (&'v OwnedNamedType, &'v Value)>,
    ) -> Encoded {
        for (index, (ty, item)) in items.enumerate() {
            let encoded = self.value(ty, item);
            encoded.map_err(|refused| refused.below(&index.to_string()))?;
        }
        Ok(())
    }

    fn byte_string(&mut self, value: &Value) -> Encoded {
        const EXPECTED: &str = "object with $b64, or array of 0 to 255";
        match value {
            Value::Object(members) => match (members.get(BASE64), members.len()) {
                (Some(Value::String(text)), 1) => match STANDARD.decode(text) {
                    Ok(bytes) => self.run(&bytes),
                    Err(_) => misfit("base 64 with padding", value)
                        .map_err(|it: Refused| it.below(BASE64)),
                },
                _ => misfit(EXPECTED, value),
            },
            Value::Array(items) => {
                self.length(items.len())?;
                for (index, item) in items.iter().enumerate() {
                    let byte = unsigned(item, u8::MAX.into());
                    let byte = byte.map_err(|refused| refused.below(&index.to_string()))?;
                    self.put(&[byte as u8])?;
                }
                Ok(())
            }
            _ => misfit(EXPECTED, value),
        }
    }

    fn option(&mut self, inner: &OwnedNamedType, value: &Value) -> Encoded {
        match value {
            Value::Null => self.put(&[0]),
            _ if !can_be_null(inner) => {
                self.put(&[1])?;
                self.value(inner, value)
            }
            Value::Object(members) => match (members.get(SOME), members.len()) {
                (Some(value), 1) => {
                    self.put(&[1])?;
                    let encoded = self.value(inner, value);
                    encoded.map_err(|refused| refused.below(SOME))
                }
                _ => misfit("null, or object with $some", value),
            },
            _ => misfit("null, or object with $some", value),
        }
    }

    fn tuple(&mut self, members: &[OwnedNamedType], value: &Value) -> Encoded {
        match value {
            Value::Array(items) if items.len() == members.len() => {
                self.each(members.iter().zip(items))
            }
            _ => misfit(&format!("array of {}", members.len()), value),
        }
    }

    fn map(&mut self, key: &OwnedNamedType, val: &OwnedNamedType, value: &Value) -> Encoded {
        match value {
            Value::Object(members) if is_text(key) => {
                self.length(members.len())?;
                for (name, value) in members {
                    let mut encoded = self.value(key, &Value::from(name.as_str()));
                    if encoded.is_ok() {
                        encoded = self.value(val, value);
                    }
                    encoded.map_err(|refused| refused.below(name))?;
                }
                Ok(())
            }
            Value::Array(pairs) if !is_text(key) => {
                self.length(pairs.len())?;
                for (index, pair) in pairs.iter().enumerate() {
                    let encoded = match pair {
                        Value::Array(both) if both.len() == 2 => {
                            self.each([key, val].into_iter().zip(both))
                        }
                        _ => misfit("array of key and value", pair),
                    };
                    encoded.map_err(|refused| refused.below(&index.to_string()))?;
                }
                Ok(())
            }
            _ if is_text(key) => misfit("object", value),
            _ => misfit("array of keys and values", value),
        }
    }

    fn fields(&mut self, members: &[OwnedNamedValue], value: &Value) -> Encoded {
        let members: Vec<_> = members
            .iter()
            .map(|member| (member.name.as_str(), &member.ty))
            .collect();
        self.members(&members, value)
    }

    fn members(&mut self, members: &[(&str, &OwnedNamedType)], value: &Value) -> Encoded {
        let Value::Object(given) = value else {
            return misfit("object", value);
        };
        for (name, ty) in members {
            let encoded = match given.get(*name) {
                Some(value) => self.value(ty, value),
                None => Err(missing(ty)),
            };
            encoded.map_err(|refused| refused.below(name))?;
        }
        let is_known = |name: &&String| members.iter().any(|(known, _)| known == name);
        match given.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some((name, value)) => misfit("no such member", value).map_err(|it| it.below(name)),
        }
    }

    fn choice(&mut self, variants: &[OwnedNamedVariant], value: &Value) -> Encoded {
        let (name, inner) = match value {
            Value::String(name) => (name, None),
            Value::Object(members) if members.len() == 1 => match members.iter().next() {
                Some((name, inner)) => (name, Some(inner)),
                None => return misfit(&names(variants), value),
            },
            _ => return misfit(&names(variants), value),
        };
        let found = variants
            .iter()
            .enumerate()
            .find(|(_, variant)| variant.name == *name);
        let Some((index, variant)) = found else {
            return misfit(&names(variants), value);
        };
        self.number(index as u128)?;
        let encoded = match (&variant.ty, inner) {
            (Variant::UnitVariant, None) => return Ok(()),
            (Variant::NewtypeVariant(ty), Some(inner)) => self.value(ty, inner),
            (Variant::TupleVariant(members), Some(inner)) => self.tuple(members, inner),
            (Variant::StructVariant(members), Some(inner)) => self.fields(members, inner),
            (Variant::UnitVariant, Some(_)) => {
                return misfit(&format!("\"{name}\" alone"), value);
            }
            (_, None) => return misfit(&format!("object with {name}"), value),
        };
        encoded.map_err(|refused| refused.below(name))
    }

    fn handle(&mut self, object: &str, value: &Value) -> Encoded {
        let expected = || format!("object with {HANDLE} and {HANDLE_TYPE}");
        let Value::Object(members) = value else {
            return misfit(&expected(), value);
        };
        let parts = (members.get(HANDLE), members.get(HANDLE_TYPE), members.len());
        let (Some(Value::String(name)), Some(ty), 2) = parts else {
            return misfit(&expected(), value);
        };
        if ty != object {
            return misfit(&format!("\"{object}\""), ty).map_err(|it| it.below(HANDLE_TYPE));
        }
        match self.handles.place(name, object) {
            Some(place) => self.put(&[place]),
            None => Err(Refused::Handle {
                path: String::new(),
            }),
        }
    }

    /// A schema as a value.
    fn tree(&mut self, value: &Value) -> Encoded {
        let tree: Result<OwnedNamedType, _> = serde::Deserialize::deserialize(value);
        match tree.map(|tree| postcard::to_allocvec(&tree)) {
            Ok(Ok(bytes)) => self.put(&bytes),
            _ => misfit("tree of a schema", value),
        }
    }
}

/// The names of an enum, for people.
fn names(variants: &[OwnedNamedVariant]) -> String {
    let names: Vec<&str> = variants
        .iter()
        .take(16)
        .map(|variant| variant.name.as_str())
        .collect();
    format!("one of {}", names.join(", "))
}

fn missing(ty: &OwnedNamedType) -> Refused {
    Refused::Misfit(Misfit {
        path: String::new(),
        expected: ty.name.clone(),
        got: "nothing",
    })
}

fn misfit<T>(expected: &str, value: &Value) -> Result<T, Refused> {
    Err(Refused::Misfit(Misfit {
        path: String::new(),
        expected: expected.to_string(),
        got: crate::params::kind(value),
    }))
}

/// A whole number up to `most`. What does not fit the numbers of every client may come as a string.
fn unsigned(value: &Value, most: u128) -> Result<u128, Refused> {
    let number = match value {
        Value::Number(number) => number
            .as_u64()
            .map(u128::from)
            .or_else(|| u128::try_from(whole(number)?).ok()),
        Value::String(text) if most > u32::MAX.into() && is_decimal(text) => text.parse().ok(),
        _ => None,
    };
    match number.filter(|number| *number <= most) {
        Some(number) => Ok(number),
        None => misfit(&format!("integer from 0 to {most}"), value),
    }
}

fn signed(value: &Value, least: i128, most: i128) -> Result<i128, Refused> {
    let number = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| whole(number)),
        Value::String(text)
            if most > i32::MAX.into() && is_decimal(text.strip_prefix('-').unwrap_or(text)) =>
        {
            text.parse().ok()
        }
        _ => None,
    };
    match number.filter(|number| (least..=most).contains(number)) {
        Some(number) => Ok(number),
        None => misfit(&format!("integer from {least} to {most}"), value),
    }
}

/// A number that was written with a point or an exponent, and is whole all the same: `5.0` is an integer to JSON Schema.
fn whole(number: &Number) -> Option<i128> {
    const EXACT: i128 = 1 << 53;
    let float = number.as_f64().filter(|_| number.is_f64())?;
    let whole = float as i128;
    (whole as f64 == float && (-EXACT..=EXACT).contains(&whole)).then_some(whole)
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn float(value: &Value) -> Result<f64, Refused> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    match number {
        Some(number) => Ok(number),
        None => misfit("number, \"NaN\", \"Infinity\" or \"-Infinity\"", value),
    }
}
