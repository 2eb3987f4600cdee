//! Byte strings that are encoded in one piece instead of element by element. On the wire they are what `Vec<u8>` is.

use crate::encoder::copy_short;
use alloc::vec::Vec;
use core::fmt;
use postcard_schema::Schema;
use postcard_schema::schema::NamedType;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// Borrowed bytes, to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSlice<'a>(pub &'a [u8]);

impl Serialize for ByteSlice<'_> {
    #[inline(always)]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Owned bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteVec(pub Vec<u8>);

impl Serialize for ByteVec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ByteVec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor).map(Self)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .map_err(|_| E::custom("out of memory"))?;
        copy.extend_from_slice(bytes);
        Ok(copy)
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

/// For `#[serde(with = …)]` on fields of type `Vec<u8>`; `#[message]` puts it there.
pub mod as_bytes {
    use super::{BytesVisitor, Vec};
    use serde::{Deserializer, Serializer};

    /// Encodes in one piece.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    /// Decodes in one piece.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// At most `N` bytes, kept in place: for short byte strings that must not need memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortBytes<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> ShortBytes<N> {
    /// A copy of `bytes`; `None` if there are more than `N`.
    #[inline(always)]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut copy = [0; N];
        copy_short(copy.get_mut(..bytes.len())?, bytes);
        Some(Self {
            bytes: copy,
            length: bytes.len(),
        })
    }

    /// The bytes.
    #[inline(always)]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for ShortBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<const N: usize> Schema for ShortBytes<N> {
    const SCHEMA: &'static NamedType = <Vec<u8> as Schema>::SCHEMA;
}

impl<const N: usize> Serialize for ShortBytes<N> {
    #[inline(always)]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_slice())
    }
}

impl<'de, const N: usize> Deserialize<'de> for ShortBytes<N> {
    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(ShortVisitor)
    }
}

struct ShortVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for ShortVisitor<N> {
    type Value = ShortBytes<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} bytes")
    }

    #[inline(always)]
    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<ShortBytes<N>, E> {
        ShortBytes::new(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::decode_all;
    use crate::encoder::encode_into;

    #[test]
    fn a_short_byte_string_is_on_the_wire_what_a_long_one_is() {
        let short = ShortBytes::<8>::new(b"abc").expect("it fits");
        let mut bytes = [0; 16];
        let length = encode_into(&short, &mut bytes).expect("there is room");
        assert_eq!(
            decode_all::<ByteVec>(&bytes[..length])
                .expect("it decodes")
                .0,
            b"abc"
        );
        assert_eq!(
            decode_all::<ShortBytes<3>>(&bytes[..length])
                .expect("it decodes")
                .as_slice(),
            b"abc"
        );
    }

    #[test]
    fn a_byte_string_that_is_too_long_is_refused() {
        assert_eq!(ShortBytes::<2>::new(b"abc"), None);
        let mut bytes = [0; 16];
        let length = encode_into(&ByteSlice(b"abc"), &mut bytes).expect("there is room");
        assert!(decode_all::<ShortBytes<2>>(&bytes[..length]).is_err());
    }
}
