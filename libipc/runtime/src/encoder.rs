//! Values to bytes, in postcard's format (postcard 1.0 wire specification).
//!
//! postcard's own serializer collects each number in an array of its own and copies that; for the short messages that most calls are, this costs more
//! than the rest of the call. Here a number below 128 is one comparison and one store. That both give the same bytes is what the tests are about.

use crate::varint;
use core::fmt;
use serde::Serialize;
use serde::ser;

/// The value does not fit, or says so itself.
#[derive(Debug)]
pub(crate) struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not fit")
    }
}

impl core::error::Error for Full {}

impl ser::Error for Full {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Encodes into a buffer of a fixed size and gives the length.
#[inline(always)]
pub(crate) fn encode_into<V: Serialize + ?Sized>(
    value: &V,
    buffer: &mut [u8],
) -> Result<usize, Full> {
    let mut encoder = Encoder { buffer, used: 0 };
    value.serialize(&mut encoder)?;
    Ok(encoder.used)
}

/// A buffer that is being filled.
struct Encoder<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl Encoder<'_> {
    #[inline(always)]
    fn byte(&mut self, byte: u8) -> Result<(), Full> {
        let Some(slot) = self.buffer.get_mut(self.used) else {
            return Err(Full);
        };
        *slot = byte;
        self.used += 1;
        Ok(())
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let rest = self.buffer.get_mut(self.used..).unwrap_or_default();
        let Some(slot) = rest.get_mut(..bytes.len()) else {
            return Err(Full);
        };
        copy_short(slot, bytes);
        self.used += bytes.len();
        Ok(())
    }

    /// A number of variable length: seven bits a byte, the lowest first. Where there is room for eight bytes, eight are written; those past the number's are
    /// overwritten by what follows, or stay zero.
    #[inline(always)]
    fn number(&mut self, mut number: u64) -> Result<(), Full> {
        if number < 0x80 {
            return self.byte(number as u8);
        }
        let rest = self.buffer.get_mut(self.used..).unwrap_or_default();
        if number >> varint::BITS == 0
            && let Some(word) = rest.first_chunk_mut::<8>()
        {
            let (bytes, length) = varint::encode(number);
            *word = bytes.to_le_bytes();
            self.used += length;
            return Ok(());
        }
        while number >= 0x80 {
            self.byte(number as u8 | 0x80)?;
            number >>= 7;
        }
        self.byte(number as u8)
    }

    #[inline(always)]
    fn length(&mut self, length: usize) -> Result<(), Full> {
        self.number(length as u64)
    }
}

/// Copies a run that is mostly short (a name, a few bytes) without calling `memcpy`, which costs more than the copy. Both have the same length.
#[inline(always)]
pub(crate) fn copy_short(to: &mut [u8], from: &[u8]) {
    match from.len() {
        0 => {}
        1..=3 => {
            let last = from.len() - 1;
            to[last / 2] = from[last / 2];
            to[last] = from[last];
            to[0] = from[0];
        }
        4..=7 => copy_ends::<4>(to, from),
        8..=16 => copy_ends::<8>(to, from),
        17..=32 => copy_ends::<16>(to, from),
        33..=64 => copy_ends::<32>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies a run of `N` to `2 * N` bytes: its first `N` and its last `N`, which may overlap.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

/// Numbers with a sign: 0, −1, 1, −2, … become 0, 1, 2, 3, …
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

impl ser::Serializer for &mut Encoder<'_> {
    type Ok = ();
    type Error = Full;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline(always)]
    fn serialize_bool(self, value: bool) -> Result<(), Full> {
        self.byte(u8::from(value))
    }

    #[inline(always)]
    fn serialize_i8(self, value: i8) -> Result<(), Full> {
        self.byte(value.to_le_bytes()[0])
    }

    #[inline(always)]
    fn serialize_i16(self, value: i16) -> Result<(), Full> {
        self.number(zigzag(i64::from(value)))
    }

    #[inline(always)]
    fn serialize_i32(self, value: i32) -> Result<(), Full> {
        self.number(zigzag(i64::from(value)))
    }

    #[inline(always)]
    fn serialize_i64(self, value: i64) -> Result<(), Full> {
        self.number(zigzag(value))
    }

    fn serialize_i128(self, value: i128) -> Result<(), Full> {
        self.serialize_u128(((value << 1) ^ (value >> 127)) as u128)
    }

    #[inline(always)]
    fn serialize_u8(self, value: u8) -> Result<(), Full> {
        self.byte(value)
    }

    #[inline(always)]
    fn serialize_u16(self, value: u16) -> Result<(), Full> {
        self.number(u64::from(value))
    }

    #[inline(always)]
    fn serialize_u32(self, value: u32) -> Result<(), Full> {
        self.number(u64::from(value))
    }

    #[inline(always)]
    fn serialize_u64(self, value: u64) -> Result<(), Full> {
        self.number(value)
    }

    fn serialize_u128(self, mut value: u128) -> Result<(), Full> {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80)?;
            value >>= 7;
        }
        self.byte(value as u8)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Full> {
        self.bytes(&value.to_le_bytes())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Full> {
        self.bytes(&value.to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), Full> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<(), Full> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Full> {
        self.length(value.len())?;
        self.bytes(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), Full> {
        self.byte(0)
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Full> {
        self.byte(1)?;
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<(), Full> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Full> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Full> {
        self.number(u64::from(index))
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Full> {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Full> {
        self.number(u64::from(index))?;
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Full> {
        self.length(length.ok_or(Full)?)?;
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Self, Full> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Full> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Full> {
        self.number(u64::from(index))?;
        Ok(self)
    }

    #[inline(always)]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Full> {
        self.length(length.ok_or(Full)?)?;
        Ok(self)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Full> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Full> {
        self.number(u64::from(index))?;
        Ok(self)
    }
}

/// All that is a row of values is its values.
macro_rules! rows {
    ($($kind:ident: $add:ident;)*) => {
        $(
            impl ser::$kind for &mut Encoder<'_> {
                type Ok = ();
                type Error = Full;

                #[inline(always)]
                fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Full> {
                    value.serialize(&mut **self)
                }

                #[inline(always)]
                fn end(self) -> Result<(), Full> {
                    Ok(())
                }
            }
        )*
    };
}

rows! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

macro_rules! structs {
    ($($kind:ident;)*) => {
        $(
            impl ser::$kind for &mut Encoder<'_> {
                type Ok = ();
                type Error = Full;

                #[inline(always)]
                fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Full> {
                    value.serialize(&mut **self)
                }

                #[inline(always)]
                fn end(self) -> Result<(), Full> {
                    Ok(())
                }
            }
        )*
    };
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for &mut Encoder<'_> {
    type Ok = ();
    type Error = Full;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Full> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Full> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Full> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::copy_short;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn a_short_copy_copies_every_length() {
        let from: Vec<u8> = (1..=200).collect();
        for length in 0..=200 {
            let mut to = vec![0; length];
            copy_short(&mut to, &from[..length]);
            assert_eq!(to, from[..length]);
        }
    }
}
