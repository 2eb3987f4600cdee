//! Postcard to JSON.

use alloc::string::ToString;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postcard_schema::schema::owned::{
    OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType, OwnedNamedValue,
    OwnedNamedVariant,
};
use serde_json::{Map, Number, Value, json};

use super::{BASE64, HANDLE, HANDLE_TYPE, Handles, SOME, can_be_null, handle, is_byte, is_text};

/// Values in one message, at most. Some take no bytes, so that their number is whatever the message says.
const MAX_VALUES: usize = 65_536;

/// Bytes are no value of the schema's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Garbled;

/// The JSON of a postcard, all of it.
///
/// # Errors
/// The bytes are something else, or more than one value, or too many.
pub fn decode(
    ty: &OwnedNamedType,
    bytes: &[u8],
    handles: &mut dyn Handles,
) -> Result<Value, Garbled> {
    let mut decoder = Decoder {
        rest: bytes,
        left: MAX_VALUES,
        handles,
    };
    let value = decoder.value(ty)?;
    match decoder.rest {
        [] => Ok(value),
        _ => Err(Garbled),
    }
}

struct Decoder<'a> {
    rest: &'a [u8],
    /// Values that may still come.
    left: usize,
    handles: &'a mut dyn Handles,
}

impl<'a> Decoder<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Garbled)?;
        self.rest = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, Garbled> {
        self.array().map(|[byte]| byte)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Garbled)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number of variable length that has at most so many bits.
    fn number(&mut self, bits: u32) -> Result<u128, Garbled> {
        let (mut number, mut shift) = (0_u128, 0);
        while shift < bits {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            // The last byte may have fewer bits than seven.
            if bits - shift < 7 && part >> (bits - shift) != 0 {
                return Err(Garbled);
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
        Err(Garbled)
    }

    fn signed(&mut self, bits: u32) -> Result<i128, Garbled> {
        let number = self.number(bits)?;
        Ok((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    fn length(&mut self) -> Result<usize, Garbled> {
        usize::try_from(self.number(64)?).map_err(|_| Garbled)
    }

    fn run(&mut self) -> Result<&'a [u8], Garbled> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn text(&mut self) -> Result<&'a str, Garbled> {
        core::str::from_utf8(self.run()?).map_err(|_| Garbled)
    }

    fn value(&mut self, ty: &OwnedNamedType) -> Result<Value, Garbled> {
        self.left = self.left.checked_sub(1).ok_or(Garbled)?;
        if let Some(object) = handle(ty) {
            let place = self.byte()?;
            let name = self.handles.name(place, object).ok_or(Garbled)?;
            return Ok(json!({ HANDLE: name, HANDLE_TYPE: object }));
        }
        match &ty.ty {
            Type::Bool => match self.byte()? {
                0 => Ok(false.into()),
                1 => Ok(true.into()),
                _ => Err(Garbled),
            },
            Type::U8 => Ok(self.byte()?.into()),
            Type::I8 => Ok(i8::from_le_bytes(self.array()?).into()),
            Type::U16 => self.number(16).map(unsigned),
            Type::U32 => self.number(32).map(unsigned),
            Type::U64 | Type::Usize => self.number(64).map(unsigned),
            Type::U128 => self.number(128).map(unsigned),
            Type::I16 => self.signed(16).map(signed),
            Type::I32 => self.signed(32).map(signed),
            Type::I64 | Type::Isize => self.signed(64).map(signed),
            Type::I128 => self.signed(128).map(signed),
            Type::F32 => Ok(float(f32::from_le_bytes(self.array()?).into())),
            Type::F64 => Ok(float(f64::from_le_bytes(self.array()?))),
            Type::Char => {
                let text = self.text()?;
                match text.chars().count() {
                    1 => Ok(text.into()),
                    _ => Err(Garbled),
                }
            }
            Type::String => Ok(self.text()?.into()),
            Type::ByteArray => self.byte_string(),
            Type::Seq(inner) if is_byte(inner) => self.byte_string(),
            Type::Seq(inner) => {
                let mut items = Vec::new();
                for _ in 0..self.length()? {
                    items.push(self.value(inner)?);
                }
                Ok(items.into())
            }
            Type::Option(inner) => match self.byte()? {
                0 => Ok(Value::Null),
                1 if can_be_null(inner) => Ok(json!({ SOME: self.value(inner)? })),
                1 => self.value(inner),
                _ => Err(Garbled),
            },
            Type::Unit | Type::UnitStruct => Ok(Value::Null),
            Type::NewtypeStruct(inner) => self.value(inner),
            Type::Tuple(members) | Type::TupleStruct(members) => self.tuple(members),
            Type::Map { key, val } => self.map(key, val),
            Type::Struct(members) => self.fields(members),
            Type::Enum(variants) => self.choice(variants),
            Type::Schema => self.tree(),
        }
    }

    fn byte_string(&mut self) -> Result<Value, Garbled> {
        Ok(json!({ BASE64: STANDARD.encode(self.run()?) }))
    }

    fn tuple(&mut self, members: &[OwnedNamedType]) -> Result<Value, Garbled> {
        members.iter().map(|member| self.value(member)).collect()
    }

    fn fields(&mut self, members: &[OwnedNamedValue]) -> Result<Value, Garbled> {
        let mut object = Map::new();
        for member in members {
            object.insert(member.name.clone(), self.value(&member.ty)?);
        }
        Ok(object.into())
    }

    fn map(&mut self, key: &OwnedNamedType, val: &OwnedNamedType) -> Result<Value, Garbled> {
        let length = self.length()?;
        if !is_text(key) {
            let mut pairs = Vec::new();
            for _ in 0..length {
                pairs.push(json!([self.value(key)?, self.value(val)?]));
            }
            return Ok(pairs.into());
        }
        let mut object = Map::new();
        for _ in 0..length {
            let Value::String(name) = self.value(key)? else {
                return Err(Garbled);
            };
            // Of two values under one name an object would keep one.
            if object.insert(name, self.value(val)?).is_some() {
                return Err(Garbled);
            }
        }
        Ok(object.into())
    }

    fn choice(&mut self, variants: &[OwnedNamedVariant]) -> Result<Value, Garbled> {
        let index = self.number(32)?;
        let index = usize::try_from(index).map_err(|_| Garbled)?;
        let variant = variants.get(index).ok_or(Garbled)?;
        let inner = match &variant.ty {
            Variant::UnitVariant => return Ok(variant.name.as_str().into()),
            Variant::NewtypeVariant(ty) => self.value(ty)?,
            Variant::TupleVariant(members) => self.tuple(members)?,
            Variant::StructVariant(members) => self.fields(members)?,
        };
        let name: &str = &variant.name;
        Ok(json!({ name: inner }))
    }

    /// A schema as a value.
    fn tree(&mut self) -> Result<Value, Garbled> {
        let (tree, rest) = libipc::schema::take_type(self.rest).ok_or(Garbled)?;
        self.rest = rest;
        serde_json::to_value(tree).map_err(|_| Garbled)
    }
}

/// As a number if every reader of 64-bit numbers can have it, else in decimal.
fn unsigned(number: u128) -> Value {
    match u64::try_from(number) {
        Ok(number) => number.into(),
        Err(_) => number.to_string().into(),
    }
}

fn signed(number: i128) -> Value {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => number.into(),
        (_, Ok(number)) => number.into(),
        _ => number.to_string().into(),
    }
}

fn float(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => number.into(),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
