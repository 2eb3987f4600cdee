//! Encoder and decoder against postcard's own: the same bytes, the same values, the same refusals.

use crate::decoder::decode_all;
use crate::encoder::encode_into;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::String;
use std::vec;
use std::vec::Vec;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Every {
    Unit,
    Newtype(i64),
    Tuple(u8, i8, u16, i16),
    Struct {
        a: u32,
        b: i32,
        c: Option<u64>,
        d: Vec<String>,
    },
    Wide(u128, i128, f32, f64),
    Small(bool, char, (), [u16; 3]),
    Map(BTreeMap<String, u64>),
    Nested(Box<Every>),
    Bytes(#[serde(with = "crate::bytes::as_bytes")] Vec<u8>),
}

fn every() -> impl Strategy<Value = Every> {
    let leaf = prop_oneof![
        Just(Every::Unit),
        any::<i64>().prop_map(Every::Newtype),
        any::<(u8, i8, u16, i16)>().prop_map(|(a, b, c, d)| Every::Tuple(a, b, c, d)),
        any::<(u32, i32, Option<u64>, Vec<String>)>().prop_map(|(a, b, c, d)| Every::Struct {
            a,
            b,
            c,
            d
        }),
        any::<(u128, i128, f32, f64)>().prop_map(|(a, b, c, d)| Every::Wide(a, b, c, d)),
        any::<(bool, char, [u16; 3])>().prop_map(|(a, b, c)| Every::Small(a, b, (), c)),
        any::<BTreeMap<String, u64>>().prop_map(Every::Map),
        any::<Vec<u8>>().prop_map(Every::Bytes),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| {
        inner.prop_map(|inner| Every::Nested(Box::new(inner)))
    })
}

/// What postcard makes of all the bytes.
fn by_postcard(bytes: &[u8]) -> Option<Every> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// As bytes: values with a NaN in them are not equal to themselves.
fn encoded(value: &Every) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_postcard(value in every()) {
        let expected = encoded(&value);
        let mut buffer = vec![0; expected.len()];
        prop_assert_eq!(encode_into(&value, &mut buffer).unwrap(), expected.len());
        prop_assert_eq!(&buffer, &expected);
        let last = buffer.len() - 1;
        prop_assert!(encode_into(&value, &mut buffer[..last]).is_err(), "one byte too few");
    }

    #[test]
    fn what_was_encoded_is_decoded_and_no_byte_may_be_missing_or_left(value in every()) {
        let mut bytes = encoded(&value);
        let decoded: Every = decode_all(&bytes).unwrap();
        prop_assert_eq!(encoded(&decoded), bytes.clone());
        prop_assert!(decode_all::<Every>(&bytes[..bytes.len() - 1]).is_err());
        bytes.push(0);
        prop_assert!(decode_all::<Every>(&bytes).is_err());
    }

    #[test]
    fn rubbish_is_refused_or_read_as_postcard_does(
        mut bytes in prop::collection::vec(any::<u8>(), 0..60),
        kind in 0u8..9,
        value in every(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let mut changed = encoded(&value);
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        for bytes in [bytes, changed] {
            let ours = decode_all::<Every>(&bytes).ok();
            prop_assert_eq!(ours.as_ref().map(encoded), by_postcard(&bytes).as_ref().map(encoded));
        }
    }
}

#[test]
fn borrowed_values_borrow_from_the_message() {
    let bytes = postcard::to_allocvec(&("name", 300u16, &[1u8, 2, 3][..])).unwrap();
    let (name, number, run): (&str, u16, &[u8]) = decode_all(&bytes).unwrap();
    assert_eq!((name, number, run), ("name", 300, &[1, 2, 3][..]));
    assert!(
        bytes.as_ptr_range().contains(&name.as_ptr())
            && bytes.as_ptr_range().contains(&run.as_ptr())
    );
}

#[test]
fn a_number_too_large_for_its_type_is_refused() {
    assert!(decode_all::<u16>(&[0xff, 0xff, 0x03]).is_ok());
    assert!(decode_all::<u16>(&[0xff, 0xff, 0x04]).is_err());
    assert!(decode_all::<u32>(&[0xff, 0xff, 0xff, 0xff, 0x10]).is_err());
    assert!(decode_all::<u64>(&[0xff; 10]).is_err());
}
