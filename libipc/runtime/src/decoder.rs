//! Bytes to values, in postcard's format (postcard 1.0 wire specification), strictly: what postcard's own deserializer refuses is refused here.
//!
//! Written for the same reason as the encoder: the numbers and runs of a short message are read without a call.

use crate::varint;
use core::fmt;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

/// The bytes are not such a value.
#[derive(Debug)]
pub(crate) struct Bad;

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are no such value")
    }
}

impl core::error::Error for Bad {}

impl de::Error for Bad {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Decodes a value; bytes left over are an error.
#[inline(always)]
pub(crate) fn decode_all<'de, V: de::Deserialize<'de>>(bytes: &'de [u8]) -> Result<V, Bad> {
    let mut decoder = Decoder { rest: bytes };
    let value = V::deserialize(&mut decoder)?;
    if decoder.rest.is_empty() {
        Ok(value)
    } else {
        Err(Bad)
    }
}

/// The bytes that are left.
struct Decoder<'de> {
    rest: &'de [u8],
}

impl<'de> Decoder<'de> {
    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Bad> {
        let (first, rest) = self.rest.split_first().ok_or(Bad)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline(always)]
    fn bytes(&mut self, length: usize) -> Result<&'de [u8], Bad> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Bad)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Bad)?;
        self.rest = rest;
        Ok(*array)
    }

    /// A number of at most `bits` bits.
    #[inline(always)]
    fn number(&mut self, bits: u32) -> Result<u64, Bad> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let (number, rest) = long_number(self.rest, first, bits)?;
        self.rest = rest;
        Ok(number)
    }

    fn wide_number(&mut self) -> Result<u128, Bad> {
        let mut number = 0;
        let mut shift = 0;
        while shift < 128 {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if 128 - shift < 7 && part >> (128 - shift) != 0 {
                return Err(Bad);
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
        Err(Bad)
    }

    #[inline(always)]
    fn length(&mut self) -> Result<usize, Bad> {
        usize::try_from(self.number(64)?).map_err(|_| Bad)
    }

    #[inline(always)]
    fn run(&mut self) -> Result<&'de [u8], Bad> {
        let length = self.length()?;
        self.bytes(length)
    }

    #[inline(always)]
    fn text(&mut self) -> Result<&'de str, Bad> {
        core::str::from_utf8(self.run()?).map_err(|_| Bad)
    }
}

/// A number of two bytes or more, the first of which was taken, and what follows it. A function of values, so that the decoder can stay in registers.
#[inline(never)]
fn long_number(rest: &[u8], first: u8, bits: u32) -> Result<(u64, &[u8]), Bad> {
    let low = u64::from(first & 0x7f);
    // A number of sixteen bits or more has room for two bytes.
    if let [second @ ..0x80, rest @ ..] = rest {
        return Ok((low | u64::from(*second) << 7, rest));
    }
    if let Some(word) = rest.first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & varint::MORE;
        if ends != 0 {
            let end = ends.trailing_zeros();
            let high = varint::gather(word & (u64::MAX >> (u64::BITS - 1 - end)));
            let bytes = end / 8 + 1;
            if 7 * bytes >= bits || high >> (bits - 7) != 0 {
                return Err(Bad);
            }
            let rest = rest.get(bytes as usize..).ok_or(Bad)?;
            return Ok((low | high << 7, rest));
        }
    }
    number_bytewise(rest, low, bits)
}

fn number_bytewise(mut rest: &[u8], low: u64, bits: u32) -> Result<(u64, &[u8]), Bad> {
    let mut number = low;
    let mut shift = 7;
    while shift < bits {
        let (byte, after) = rest.split_first().ok_or(Bad)?;
        rest = after;
        let part = u64::from(byte & 0x7f);
        // The last byte may have fewer bits than seven.
        if bits - shift < 7 && part >> (bits - shift) != 0 {
            return Err(Bad);
        }
        number |= part << shift;
        if *byte < 0x80 {
            return Ok((number, rest));
        }
        shift += 7;
    }
    Err(Bad)
}

/// Undoes the encoder's `zigzag`.
const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = Bad;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Bad> {
        // The format does not say what a value is.
        Err(Bad)
    }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(Bad),
        }
    }

    #[inline(always)]
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_i8(i8::from_le_bytes([self.byte()?]))
    }

    #[inline(always)]
    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_i16(unzigzag(self.number(16)?) as i16)
    }

    #[inline(always)]
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_i32(unzigzag(self.number(32)?) as i32)
    }

    #[inline(always)]
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_i64(unzigzag(self.number(64)?))
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        let number = self.wide_number()?;
        visitor.visit_i128((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    #[inline(always)]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_u8(self.byte()?)
    }

    #[inline(always)]
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_u16(self.number(16)? as u16)
    }

    #[inline(always)]
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_u32(self.number(32)? as u32)
    }

    #[inline(always)]
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_u64(self.number(64)?)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_u128(self.wide_number()?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        let mut characters = self.text()?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => visitor.visit_char(character),
            _ => Err(Bad),
        }
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.deserialize_str(visitor)
    }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_borrowed_bytes(self.run()?)
    }

    #[inline(always)]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.deserialize_bytes(visitor)
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(Bad),
        }
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Bad> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Bad> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(always)]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        let left = self.length()?;
        visitor.visit_seq(Members {
            decoder: self,
            left,
        })
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Bad> {
        visitor.visit_seq(Members {
            decoder: self,
            left: length,
        })
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Bad> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        let left = self.length()?;
        visitor.visit_map(Members {
            decoder: self,
            left,
        })
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Bad> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline(always)]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Bad> {
        visitor.visit_enum(self)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Bad> {
        Err(Bad)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Bad> {
        Err(Bad)
    }
}

/// Values that follow each other, so many.
struct Members<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Members<'_, 'de> {
    type Error = Bad;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Bad> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        // A length is a claim: no more elements can come than there are bytes, but for those that have none.
        Some(self.left.min(self.decoder.rest.len()))
    }
}

impl<'de> de::MapAccess<'de> for Members<'_, 'de> {
    type Error = Bad;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Bad> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Bad> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.rest.len()))
    }
}

impl<'de> de::EnumAccess<'de> for &mut Decoder<'de> {
    type Error = Bad;
    type Variant = Self;

    #[inline(always)]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Bad> {
        let index = self.number(32)? as u32;
        let value = seed.deserialize(IntoDeserializer::<Bad>::into_deserializer(index))?;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Decoder<'de> {
    type Error = Bad;

    #[inline(always)]
    fn unit_variant(self) -> Result<(), Bad> {
        Ok(())
    }

    #[inline(always)]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Bad> {
        seed.deserialize(self)
    }

    #[inline(always)]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Bad> {
        de::Deserializer::deserialize_tuple(self, length, visitor)
    }

    #[inline(always)]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Bad> {
        de::Deserializer::deserialize_tuple(self, fields.len(), visitor)
    }
}
