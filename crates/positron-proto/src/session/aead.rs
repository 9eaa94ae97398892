//! Keys of an AEAD, derived by HKDF: what records and packets have in common.

use aws_lc_rs::{
    aead::{AES_256_GCM, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use zeroize::Zeroizing;

use super::record::Suite;

/// Key, then IV: what one direction has at a time, and what its next key comes from.
pub(super) type Secret = Zeroizing<[u8; KEY + IV]>;

/// HKDF-SHA-256 (RFC 5869).
pub(super) fn expand(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Secret {
    struct Len;
    impl KeyType for Len {
        fn len(&self) -> usize {
            KEY + IV
        }
    }
    let mut out = Zeroizing::new([0; KEY + IV]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Len)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("44 bytes are within HKDF's reach");
    out
}

/// The cipher, ready.
pub(super) fn aead_key(secret: &Secret, suite: Suite) -> LessSafeKey {
    let key = UnboundKey::new(algorithm(suite), &secret[..KEY]);
    LessSafeKey::new(key.expect("both ciphers take 32 bytes"))
}

/// The IV, and a number in its last eight bytes. The caller never seals twice with one number
/// under one key.
pub(super) fn nonce(secret: &Secret, number: u64) -> Nonce {
    let mut nonce = [0; IV];
    nonce.copy_from_slice(&secret[KEY..]);
    for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    Nonce::assume_unique_for_key(nonce)
}

fn algorithm(suite: Suite) -> &'static Algorithm {
    match suite {
        Suite::Aes256Gcm => &AES_256_GCM,
        Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
    }
}

/// Bytes of the tag of either cipher.
pub(super) const TAG: usize = 16;
const KEY: usize = 32;
const IV: usize = 12;
