//! A fast hash of short byte strings.
//!
//! *Method*: folded 128-bit products over eight bytes at a time (the step of wyhash). It has no secret key: whoever makes two
//! of their own strings collide mixes those two up, so each use says what a collision costs and bounds its own search.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const K: u64 = 0x9e37_79b9_7f4a_7c15;
const L: u64 = 0xd6e8_feb8_6659_fd93;

/// Mixes a value into a hash.
#[inline]
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    let wide = u128::from(hash ^ K) * u128::from(value ^ L);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// The hash of some bytes.
#[inline]
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        hash = mix(hash, u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
    }
    let mut rest = [0; 8];
    rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(hash, u64::from_le_bytes(rest))
}

/// A hasher for keys that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0, of_bytes(bytes));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map from hashes.
pub(crate) type HashIndex<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;
