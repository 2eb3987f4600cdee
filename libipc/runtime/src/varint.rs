//! Numbers of variable length, seven bits a byte, eight bytes at once.
//!
//! A loop over the bytes costs ten to twenty instructions for each; spreading a number over the bytes of a word, or gathering it from there, costs
//! about twenty for all of them.

/// The bit of each byte that says that another one follows.
pub(crate) const MORE: u64 = 0x8080_8080_8080_8080;
/// Bits of a number that fits eight bytes.
pub(crate) const BITS: u32 = 56;

/// The bytes of a number of two bytes or more and at most [`BITS`] bits, and how many they are. A function of values, so that its callers can keep what
/// they have in registers.
#[inline(never)]
pub(crate) fn encode(number: u64) -> (u64, usize) {
    if number < 0x4000 {
        return (0x80 | (number & 0x7f) | (number & 0x3f80) << 1, 2);
    }
    let length = (u64::BITS + 6 - number.leading_zeros()) / 7;
    let more = MORE & ((1 << (8 * (length - 1))) - 1);
    (spread(number) | more, length as usize)
}

/// Puts seven bits into each byte, the lowest first. The number has at most [`BITS`] bits.
#[inline(always)]
const fn spread(number: u64) -> u64 {
    let halves = (number & 0x0fff_ffff) | ((number & 0x00ff_ffff_f000_0000) << 4);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves & 0x0fff_c000_0fff_c000) << 2);
    (quarters & 0x007f_007f_007f_007f) | ((quarters & 0x3f80_3f80_3f80_3f80) << 1)
}

/// Undoes [`spread`], whatever the highest bits of the bytes are.
#[inline(always)]
pub(crate) const fn gather(bytes: u64) -> u64 {
    let quarters = (bytes & 0x007f_007f_007f_007f) | ((bytes & 0x7f00_7f00_7f00_7f00) >> 1);
    let halves = (quarters & 0x0000_3fff_0000_3fff) | ((quarters & 0x3fff_0000_3fff_0000) >> 2);
    (halves & 0x0fff_ffff) | ((halves & 0x0fff_ffff_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_spread_is_gathered(number in 0u64..1 << BITS, more in any::<u64>()) {
            let spread = spread(number);
            prop_assert_eq!(spread & MORE, 0);
            prop_assert_eq!(gather(spread | (more & MORE)), number);
        }
    }
}
