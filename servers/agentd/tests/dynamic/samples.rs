//! Values of a type that is known from its schema, as postcard has them.

use postcard_schema::Schema;
use postcard_schema::schema::owned::{
    OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType,
};
use proptest::prelude::*;

type Bytes = BoxedStrategy<Vec<u8>>;

pub fn varint(mut number: u128) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn zigzag(number: i128) -> Vec<u8> {
    varint(((number << 1) ^ (number >> 127)) as u128)
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u128), bytes.to_vec()].concat()
}

fn in_order(parts: impl Iterator<Item = Bytes>) -> Bytes {
    parts
        .collect::<Vec<_>>()
        .prop_map(|parts| parts.concat())
        .boxed()
}

fn float(bits: u64) -> f64 {
    let number = f64::from_bits(bits);
    // Of all that are no number, JSON knows one.
    if number.is_nan() { f64::NAN } else { number }
}

/// Any value of a type.
pub fn of(ty: &OwnedNamedType) -> Bytes {
    if ty.name.starts_with("Handle<") {
        return (0_u8..4).prop_map(|place| vec![place]).boxed();
    }
    match &ty.ty {
        Type::Bool => any::<bool>().prop_map(|is| vec![u8::from(is)]).boxed(),
        Type::U8 | Type::I8 => any::<u8>().prop_map(|byte| vec![byte]).boxed(),
        Type::U16 => any::<u16>()
            .prop_map(|number| varint(number.into()))
            .boxed(),
        Type::U32 => any::<u32>()
            .prop_map(|number| varint(number.into()))
            .boxed(),
        Type::U64 | Type::Usize => any::<u64>()
            .prop_map(|number| varint(number.into()))
            .boxed(),
        Type::U128 => any::<u128>().prop_map(varint).boxed(),
        Type::I16 => any::<i16>()
            .prop_map(|number| zigzag(number.into()))
            .boxed(),
        Type::I32 => any::<i32>()
            .prop_map(|number| zigzag(number.into()))
            .boxed(),
        Type::I64 | Type::Isize => any::<i64>()
            .prop_map(|number| zigzag(number.into()))
            .boxed(),
        Type::I128 => any::<i128>()
            .prop_map(|number| postcard::to_allocvec(&number).unwrap())
            .boxed(),
        Type::F32 => any::<u32>()
            .prop_map(|bits| {
                let number = f32::from_bits(bits);
                let number = if number.is_nan() { f32::NAN } else { number };
                number.to_le_bytes().to_vec()
            })
            .boxed(),
        Type::F64 => any::<u64>()
            .prop_map(|bits| float(bits).to_le_bytes().to_vec())
            .boxed(),
        Type::Char => any::<char>()
            .prop_map(|letter| counted(letter.to_string().as_bytes()))
            .boxed(),
        Type::String => "\\PC{0,12}|[\\x00-\\x7f]{0,5}"
            .prop_map(|text| counted(text.as_bytes()))
            .boxed(),
        Type::ByteArray => prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| counted(&bytes))
            .boxed(),
        Type::Seq(inner) => prop::collection::vec(of(inner), 0..4)
            .prop_map(|items| [varint(items.len() as u128), items.concat()].concat())
            .boxed(),
        Type::Option(inner) => prop_oneof![
            Just(vec![0]),
            of(inner).prop_map(|inner| [vec![1], inner].concat())
        ]
        .boxed(),
        Type::Unit | Type::UnitStruct => Just(Vec::new()).boxed(),
        Type::NewtypeStruct(inner) => of(inner),
        Type::Tuple(members) | Type::TupleStruct(members) => in_order(members.iter().map(of)),
        // In the order of their bytes, each once, as maps of strings are: behind one byte of length, as no key is long.
        Type::Map { key, val } => prop::collection::btree_map(of(key), of(val), 0..4)
            .prop_filter("keys of one length", |map| {
                map.keys()
                    .map(Vec::len)
                    .collect::<std::collections::BTreeSet<_>>()
                    .len()
                    <= 1
            })
            .prop_map(|map| {
                let pairs: Vec<_> = map.into_iter().flat_map(|(key, val)| [key, val]).collect();
                [varint(pairs.len() as u128 / 2), pairs.concat()].concat()
            })
            .boxed(),
        Type::Struct(members) => in_order(members.iter().map(|member| of(&member.ty))),
        Type::Enum(variants) => {
            let variants = variants.iter().enumerate().map(|(index, variant)| {
                let inner = match &variant.ty {
                    Variant::UnitVariant => Just(Vec::new()).boxed(),
                    Variant::NewtypeVariant(inner) => of(inner),
                    Variant::TupleVariant(members) => in_order(members.iter().map(of)),
                    Variant::StructVariant(members) => {
                        in_order(members.iter().map(|member| of(&member.ty)))
                    }
                };
                inner
                    .prop_map(move |inner| [varint(index as u128), inner].concat())
                    .boxed()
            });
            proptest::strategy::Union::new(variants).boxed()
        }
        Type::Schema => {
            Just(postcard::to_allocvec(&OwnedNamedType::from(<(u8, String)>::SCHEMA)).unwrap())
                .boxed()
        }
    }
}
