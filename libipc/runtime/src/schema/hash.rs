//! A number for a schema, computed by the compiler. It covers all that client and server must agree on: names, numbers, repetition, shapes.

use super::{Method, Replay};
use postcard_schema::schema::{DataModelType, DataModelVariant, NamedType, NamedValue};

/// FNV-1a, 64 bits.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
    }

    const fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self = self.byte(bytes[index]);
            index += 1;
        }
        // No UTF-8 text has this byte, so two texts can't run into each other.
        self.byte(0xff)
    }

    const fn number(mut self, number: u64) -> Self {
        let bytes = number.to_le_bytes();
        let mut index = 0;
        while index < 8 {
            self = self.byte(bytes[index]);
            index += 1;
        }
        self
    }

    const fn named(self, ty: &NamedType) -> Self {
        self.text(ty.name).shape(ty.ty)
    }

    const fn types(mut self, types: &[&NamedType]) -> Self {
        self = self.number(types.len() as u64);
        let mut index = 0;
        while index < types.len() {
            self = self.named(types[index]);
            index += 1;
        }
        self
    }

    const fn fields(mut self, fields: &[&NamedValue]) -> Self {
        self = self.number(fields.len() as u64);
        let mut index = 0;
        while index < fields.len() {
            self = self.text(fields[index].name).named(fields[index].ty);
            index += 1;
        }
        self
    }

    const fn shape(self, ty: &DataModelType) -> Self {
        match ty {
            DataModelType::Bool => self.byte(1),
            DataModelType::I8 => self.byte(2),
            DataModelType::U8 => self.byte(3),
            DataModelType::I16 => self.byte(4),
            DataModelType::I32 => self.byte(5),
            DataModelType::I64 => self.byte(6),
            DataModelType::I128 => self.byte(7),
            DataModelType::U16 => self.byte(8),
            DataModelType::U32 => self.byte(9),
            DataModelType::U64 => self.byte(10),
            DataModelType::U128 => self.byte(11),
            DataModelType::Usize => self.byte(12),
            DataModelType::Isize => self.byte(13),
            DataModelType::F32 => self.byte(14),
            DataModelType::F64 => self.byte(15),
            DataModelType::Char => self.byte(16),
            DataModelType::String => self.byte(17),
            DataModelType::ByteArray => self.byte(18),
            DataModelType::Option(inner) => self.byte(19).named(inner),
            DataModelType::Unit => self.byte(20),
            DataModelType::UnitStruct => self.byte(21),
            DataModelType::NewtypeStruct(inner) => self.byte(22).named(inner),
            DataModelType::Seq(inner) => self.byte(23).named(inner),
            DataModelType::Tuple(members) => self.byte(24).types(members),
            DataModelType::TupleStruct(members) => self.byte(25).types(members),
            DataModelType::Map { key, val } => self.byte(26).named(key).named(val),
            DataModelType::Struct(fields) => self.byte(27).fields(fields),
            DataModelType::Enum(variants) => {
                let mut hash = self.byte(28).number(variants.len() as u64);
                let mut index = 0;
                while index < variants.len() {
                    hash = hash.text(variants[index].name);
                    hash = match variants[index].ty {
                        DataModelVariant::UnitVariant => hash.byte(1),
                        DataModelVariant::NewtypeVariant(inner) => hash.byte(2).named(inner),
                        DataModelVariant::TupleVariant(members) => hash.byte(3).types(members),
                        DataModelVariant::StructVariant(fields) => hash.byte(4).fields(fields),
                    };
                    index += 1;
                }
                hash
            }
            DataModelType::Schema => self.byte(29),
        }
    }

    const fn method(mut self, method: &Method) -> Self {
        self = self
            .number(method.number as u64)
            .text(method.name)
            .byte(match method.replay {
                Replay::Idempotent => 1,
                Replay::Journaled => 2,
                Replay::Never => 3,
            });
        let mut index = 0;
        while index < method.parameters.len() {
            self = self
                .text(method.parameters[index].name)
                .named(method.parameters[index].ty);
            index += 1;
        }
        self.named(method.result).named(method.error)
    }
}

/// The hash of a protocol: its name, version and methods with all their types. Documentation does not count.
pub const fn protocol_hash(name: &str, version: u32, methods: &[Method]) -> u64 {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325)
        .text(name)
        .number(version as u64);
    let mut index = 0;
    while index < methods.len() {
        hash = hash.method(&methods[index]);
        index += 1;
    }
    hash.0
}
