//! A fast hash of short strings. Not keyed: whoever can make two lines collide gains one wrong line in a template,
//! because a hit is checked against the template's symbols.

use crate::mix::of_bytes;
pub(crate) use crate::mix::{HashIndex, mix};

/// The hash of some bytes, of 63 bits and never a small number: it does not look like the symbol of a variable or a
/// delimiter, and one bit is left to tell two kinds of words apart.
#[inline]
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    (of_bytes(bytes) | 1 << 62) & !(1 << 63)
}
