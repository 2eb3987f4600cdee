//! Reading descriptions and types that somebody else wrote.
//!
//! A tree can be as deep as its bytes are many, and whoever walks it goes as deep. So it is read with limits that no honest interface comes near.

use super::{Description, MethodDescription, Replay};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use postcard_schema::schema::owned::{
    OwnedDataModelType as Type, OwnedDataModelVariant as Variant, OwnedNamedType, OwnedNamedValue,
    OwnedNamedVariant,
};

/// How deep a type may nest.
pub const MAX_TYPE_DEPTH: usize = 32;
/// Types and variants in one description, at most.
pub const MAX_TYPES: usize = 16_384;

/// Reads a description from its pages put together. `None`: it is something else, deeper than [`MAX_TYPE_DEPTH`], or larger than [`MAX_TYPES`].
pub fn parse_description(bytes: &[u8]) -> Option<Description> {
    let mut reader = Reader::new(bytes);
    let description = reader.description()?;
    reader.rest.is_empty().then_some(description)
}

/// Reads a type, within the same limits, and gives what follows it.
pub fn take_type(bytes: &[u8]) -> Option<(OwnedNamedType, &[u8])> {
    let mut reader = Reader::new(bytes);
    let ty = reader.named(0)?;
    Some((ty, reader.rest))
}

struct Reader<'a> {
    rest: &'a [u8],
    types: usize,
}

impl<'a> Reader<'a> {
    const fn new(rest: &'a [u8]) -> Self {
        Self { rest, types: 0 }
    }

    fn description(&mut self) -> Option<Description> {
        Some(Description {
            name: self.text()?,
            version: self.number()?.try_into().ok()?,
            doc: self.text()?,
            hash: self.number()?,
            methods: self.list(Self::method)?,
        })
    }

    fn method(&mut self) -> Option<MethodDescription> {
        Some(MethodDescription {
            number: self.byte()?,
            name: self.text()?,
            doc: self.text()?,
            replay: match self.number()? {
                0 => Replay::Idempotent,
                1 => Replay::Journaled,
                2 => Replay::Never,
                _ => return None,
            },
            is_deferred: match self.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            parameters: self.list(|reader| Some((reader.text()?, reader.named(0)?)))?,
            result: self.named(0)?,
            error: self.named(0)?,
            handles_in: self.list(Self::text)?,
            handles_out: self.list(Self::text)?,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The last byte has a single bit.
            if shift == 63 && part > 1 {
                return None;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        core::str::from_utf8(text).ok().map(String::from)
    }

    /// Its length is a claim: memory is taken as the members come.
    fn list<T>(&mut self, mut member: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut members = Vec::new();
        for _ in 0..self.number()? {
            members.push(member(self)?);
        }
        Some(members)
    }

    /// Counts what makes the tree larger.
    fn count(&mut self) -> Option<()> {
        self.types += 1;
        (self.types <= MAX_TYPES).then_some(())
    }

    fn named(&mut self, depth: usize) -> Option<OwnedNamedType> {
        self.count()?;
        if depth >= MAX_TYPE_DEPTH {
            return None;
        }
        Some(OwnedNamedType {
            name: self.text()?,
            ty: self.shape(depth + 1)?,
        })
    }

    fn boxed(&mut self, depth: usize) -> Option<Box<OwnedNamedType>> {
        self.named(depth).map(Box::new)
    }

    fn types(&mut self, depth: usize) -> Option<Vec<OwnedNamedType>> {
        self.list(|reader| reader.named(depth))
    }

    fn fields(&mut self, depth: usize) -> Option<Vec<OwnedNamedValue>> {
        self.list(|reader| {
            Some(OwnedNamedValue {
                name: reader.text()?,
                ty: reader.named(depth)?,
            })
        })
    }

    /// The order is that of the variants of postcard-schema's type; a test holds it against the original.
    fn shape(&mut self, depth: usize) -> Option<Type> {
        Some(match self.number()? {
            0 => Type::Bool,
            1 => Type::I8,
            2 => Type::U8,
            3 => Type::I16,
            4 => Type::I32,
            5 => Type::I64,
            6 => Type::I128,
            7 => Type::U16,
            8 => Type::U32,
            9 => Type::U64,
            10 => Type::U128,
            11 => Type::Usize,
            12 => Type::Isize,
            13 => Type::F32,
            14 => Type::F64,
            15 => Type::Char,
            16 => Type::String,
            17 => Type::ByteArray,
            18 => Type::Option(self.boxed(depth)?),
            19 => Type::Unit,
            20 => Type::UnitStruct,
            21 => Type::NewtypeStruct(self.boxed(depth)?),
            22 => Type::Seq(self.boxed(depth)?),
            23 => Type::Tuple(self.types(depth)?),
            24 => Type::TupleStruct(self.types(depth)?),
            25 => Type::Map {
                key: self.boxed(depth)?,
                val: self.boxed(depth)?,
            },
            26 => Type::Struct(self.fields(depth)?),
            27 => Type::Enum(self.list(|reader| reader.variant(depth))?),
            28 => Type::Schema,
            _ => return None,
        })
    }

    fn variant(&mut self, depth: usize) -> Option<OwnedNamedVariant> {
        self.count()?;
        Some(OwnedNamedVariant {
            name: self.text()?,
            ty: match self.number()? {
                0 => Variant::UnitVariant,
                1 => Variant::NewtypeVariant(self.boxed(depth)?),
                2 => Variant::TupleVariant(self.types(depth)?),
                3 => Variant::StructVariant(self.fields(depth)?),
                _ => return None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn leaf() -> impl Strategy<Value = Type> {
        prop::sample::select(vec![
            Type::Bool,
            Type::I8,
            Type::U8,
            Type::I16,
            Type::I32,
            Type::I64,
            Type::I128,
            Type::U16,
            Type::U32,
            Type::U64,
            Type::U128,
            Type::Usize,
            Type::Isize,
            Type::F32,
            Type::F64,
            Type::Char,
            Type::String,
            Type::ByteArray,
            Type::Unit,
            Type::UnitStruct,
            Type::Schema,
        ])
    }

    fn named(shape: impl Strategy<Value = Type>) -> impl Strategy<Value = OwnedNamedType> {
        ("[A-Za-zäß<>]{0,9}", shape).prop_map(|(name, ty)| OwnedNamedType { name, ty })
    }

    fn any_type() -> impl Strategy<Value = OwnedNamedType> {
        named(leaf()).prop_recursive(5, 40, 4, |inner| {
            let boxed = || inner.clone().prop_map(Box::new);
            let types = || prop::collection::vec(inner.clone(), 0..4);
            let value = |(name, ty)| OwnedNamedValue { name, ty };
            let fields =
                || prop::collection::vec(("[a-z]{1,5}", inner.clone()).prop_map(value), 0..4);
            let variant = prop_oneof![
                Just(Variant::UnitVariant),
                boxed().prop_map(Variant::NewtypeVariant),
                types().prop_map(Variant::TupleVariant),
                fields().prop_map(Variant::StructVariant),
            ];
            let variant =
                ("[A-Z]{1,5}", variant).prop_map(|(name, ty)| OwnedNamedVariant { name, ty });
            named(prop_oneof![
                boxed().prop_map(Type::Option),
                boxed().prop_map(Type::NewtypeStruct),
                boxed().prop_map(Type::Seq),
                types().prop_map(Type::Tuple),
                types().prop_map(Type::TupleStruct),
                (boxed(), boxed()).prop_map(|(key, val)| Type::Map { key, val }),
                fields().prop_map(Type::Struct),
                prop::collection::vec(variant, 0..4).prop_map(Type::Enum),
            ])
        })
    }

    /// A type so many levels deep, as bytes.
    fn nested(depth: usize) -> Vec<u8> {
        // A name of no letters, and `Option`; inside all of them, `Bool`.
        let mut bytes = [0, 18].repeat(depth - 1);
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn depth_is_limited() {
        assert!(take_type(&nested(MAX_TYPE_DEPTH)).is_some());
        for depth in [MAX_TYPE_DEPTH + 1, 500_000] {
            assert_eq!(take_type(&nested(depth)), None);
        }
    }

    #[test]
    fn size_is_limited() {
        // A tuple of so many booleans without names; their number takes three bytes.
        let tuple = |count: usize| {
            let length = [
                count as u8 | 0x80,
                (count >> 7) as u8 | 0x80,
                (count >> 14) as u8,
            ];
            [&[0, 23], &length[..], &[0, 0].repeat(count)].concat()
        };
        assert!(take_type(&tuple(MAX_TYPES - 1)).is_some());
        assert_eq!(take_type(&tuple(MAX_TYPES)), None);
        let endless = [
            0, 23, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ];
        assert_eq!(take_type(&endless), None);
    }

    proptest! {
        #[test]
        fn what_postcard_writes_is_read_as_it_was(ty in any_type(), more in any::<[u8; 3]>()) {
            let bytes = [postcard::to_allocvec(&ty).unwrap(), more.to_vec()].concat();
            prop_assert_eq!(take_type(&bytes), Some((ty, &more[..])));
        }

        #[test]
        fn what_is_read_is_what_postcard_reads(bytes in prop::collection::vec(0_u8..32, 0..200)) {
            if let Some((ty, rest)) = take_type(&bytes) {
                prop_assert_eq!(postcard::take_from_bytes(&bytes), Ok((ty, rest)));
            }
            let _ = parse_description(&bytes);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (take_type(&bytes), parse_description(&bytes));
        }
    }
}
