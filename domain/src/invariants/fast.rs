//! Maps by id.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map by an id. Its order depends on the ids' bits, so whoever walks it sorts what comes out.
pub type ById<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// A set of ids; never walked.
pub type IdSet<K> = HashSet<K, BuildHasherDefault<IdHasher>>;

/// A hash for ids: they are UUIDs or keyed hashes, so their bits are spread already and a
/// multiplication per word is enough.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

/// 2^64 divided by the golden ratio, made odd.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl IdHasher {
    const fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        if !rest.is_empty() {
            self.mix(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    // the length of an id's bytes says nothing
    fn write_usize(&mut self, _: usize) {}
}
