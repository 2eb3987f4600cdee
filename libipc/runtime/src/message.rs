//! Values to messages and back: postcard, in the eight registers if it fits, else in the message page.

use crate::decoder::decode_all;
use crate::encoder::encode_into;
use crate::page::CallPage;
use crate::sys;
use crate::transfer;
use abi::MessageInfo;
use abi::message::{MAX_BYTES_WITH_TRANSFERS, REGISTER_BYTES, TRANSFER_OFFSET, TransferMode};
use serde::{Deserialize, Serialize};

/// The eight words of a message, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Words(pub [u8; REGISTER_BYTES]);

impl Default for Words {
    #[inline(always)]
    fn default() -> Self {
        Self([0; REGISTER_BYTES])
    }
}

impl Words {
    /// From the registers.
    #[inline(always)]
    pub fn from_words(words: [u64; 8]) -> Self {
        let mut bytes = [0; REGISTER_BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Self(bytes)
    }

    /// For the registers.
    #[inline(always)]
    pub fn to_words(&self) -> [u64; 8] {
        let mut words = [0; 8];
        for (word, chunk) in words.iter_mut().zip(self.0.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        words
    }
}

/// The value does not fit a message, or has more handles than one can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge;

/// The bytes are not what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Where the bytes that do not fit the registers go.
pub(crate) enum Page<'a> {
    /// The thread's send page.
    Send,
    /// The page of a Call that is not under way, which `Calls` owns.
    Call(&'a mut CallPage),
}

/// Encodes `value` into `words`, or, if it is longer, into the page. The info word that comes back has length and handles.
///
/// `words` must be zero: what the value leaves of it is sent too.
#[inline(always)]
pub(crate) fn encode<V: Serialize>(
    value: &V,
    words: &mut Words,
    page: Page<'_>,
    mode: TransferMode,
) -> Result<MessageInfo, TooLarge> {
    transfer::begin(mode);
    match write(value, &mut words.0) {
        Ok(length) if transfer::is_plain() => Ok(MessageInfo::new(0, length)),
        first => encode_in_page(value, first, words, page, mode),
    }
}

#[cold]
#[inline(never)]
fn encode_in_page<V: Serialize>(
    value: &V,
    first: Result<usize, TooLarge>,
    words: &mut Words,
    page: Page<'_>,
    mode: TransferMode,
) -> Result<MessageInfo, TooLarge> {
    let fill = |page: &mut [u8]| {
        let length = match first {
            Ok(length) => length,
            Err(TooLarge) => {
                *words = Words::default();
                transfer::begin(mode);
                write(value, page)?
            }
        };
        if !transfer::is_plain() {
            if length > MAX_BYTES_WITH_TRANSFERS {
                return Err(TooLarge);
            }
            transfer::write_area(&mut page[TRANSFER_OFFSET..]);
        }
        Ok(MessageInfo::new(0, length)
            .with_handles(transfer::count())
            .with_leases(transfer::lease_count()))
    };
    match page {
        Page::Send => {
            crate::endpoint::flush();
            sys::block().with_send_page(fill).unwrap_or(Err(TooLarge))
        }
        Page::Call(page) => page.with_mut(fill),
    }
}

/// Decodes a whole message; bytes left over are an error.
#[inline(always)]
pub(crate) fn decode<'a, V: Deserialize<'a>>(bytes: &'a [u8]) -> Result<V, Malformed> {
    decode_all(bytes).map_err(|_| Malformed)
}

#[inline(always)]
fn write<V: Serialize>(value: &V, buffer: &mut [u8]) -> Result<usize, TooLarge> {
    encode_into(value, buffer).map_err(|_| TooLarge)
}
