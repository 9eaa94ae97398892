//! Keys of an AEAD, derived by HKDF: what records and packets have in common.

use zeroize::Zeroizing;

use crate::crypto::{AeadKey, NONCE, hkdf_sha256};

/// The cipher of records; the discriminant is its bit in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// The default: every CPU of a server has instructions for it.
    Aes256Gcm = 1,
    /// For CPUs without them.
    ChaCha20Poly1305 = 2,
}

impl Suite {
    /// Every suite, as a set of bits.
    pub(crate) const ALL: u8 = Self::Aes256Gcm.bit() | Self::ChaCha20Poly1305.bit();

    pub(crate) const fn bit(self) -> u8 {
        self as u8
    }

    /// The suite of exactly this bit.
    pub(crate) const fn from_bit(bit: u8) -> Option<Self> {
        match bit {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// The one to use with somebody who speaks `theirs` too.
    pub(crate) const fn common(ours: u8, theirs: u8) -> Option<Self> {
        let both = ours & theirs;
        if both & Self::Aes256Gcm.bit() != 0 {
            Some(Self::Aes256Gcm)
        } else {
            Self::from_bit(both & Self::ChaCha20Poly1305.bit())
        }
    }
}

/// Which end of the handshake this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Initiator,
    Responder,
}

/// Key, then IV: what one direction has at a time, and what its next key comes from.
pub(crate) type Secret = Zeroizing<[u8; KEY + NONCE]>;

pub(crate) fn expand(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Secret {
    hkdf_sha256(salt, secret, info)
}

/// The cipher, ready.
pub(crate) fn aead_key(secret: &Secret, suite: Suite) -> AeadKey {
    let key = secret.first_chunk().expect("a secret begins with its key");
    match suite {
        Suite::Aes256Gcm => AeadKey::aes_256_gcm(key),
        Suite::ChaCha20Poly1305 => AeadKey::chacha20_poly1305(key),
    }
}

/// The IV, and a number in its last eight bytes. The caller never seals twice with one number
/// under one key.
pub(crate) fn nonce(secret: &Secret, number: u64) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&secret[KEY..]);
    for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    nonce
}

const KEY: usize = 32;
