//! A short keyed hash, by the siphasher crate on both back ends: it is portable Rust.

use siphasher::sip128::SipHasher13;

/// SipHash-1-3 of 128 bits (Aumasson and Bernstein 2012), its low half and its high one. A hash for
/// tables: it does not stand for what was hashed.
pub(crate) fn siphash_1_3(key: &[u8; 16], bytes: &[u8]) -> (u64, u64) {
    let hash = SipHasher13::new_with_key(key).hash(bytes);
    (hash.h1, hash.h2)
}
