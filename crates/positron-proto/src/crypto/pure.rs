//! The back end without C: RustCrypto, curve25519-dalek and ed25519-zebra. It keeps what `native`
//! promises, name by name.

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf},
};
use chacha20poly1305::ChaCha20Poly1305;
use curve25519_dalek::MontgomeryPoint;
use hmac::{Hmac, Mac as _};
use sha2::Digest as _;
use zeroize::Zeroizing;

use super::{NONCE, NotAuthentic, SmallOrder, TAG};

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

pub(crate) struct Sha256(sha2::Sha256);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(sha2::Sha256::new())
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[derive(Debug)]
pub(crate) struct HmacKey(Hmac<sha2::Sha256>);

impl HmacKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    pub(crate) fn sign(&self, data: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(data).finalize().into_bytes().into()
    }

    pub(crate) fn verify(&self, data: &[u8], tag: &[u8]) -> bool {
        self.0.clone().chain_update(data).verify_slice(tag).is_ok()
    }
}

pub(crate) fn hkdf_sha256<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    hkdf_sha256_into(salt, secret, info, &mut out);
    out
}

pub(crate) fn hkdf_sha256_into<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    out: &mut [u8; N],
) {
    const { assert!(N <= 255 * 32, "RFC 5869, 2.3") };
    hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), secret)
        .expand_multi_info(info, out.as_mut_slice())
        .expect("the length is within HKDF's reach");
}

pub(crate) struct AeadKey(Cipher);

/// Boxed, because a whole AES key schedule is four times a ChaCha20 key and a connection has
/// several.
enum Cipher {
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(ChaCha20Poly1305),
}

impl AeadKey {
    pub(crate) fn aes_256_gcm(key: &[u8; 32]) -> Self {
        Self(Cipher::Aes256Gcm(Box::new(Aes256Gcm::new(key.into()))))
    }

    pub(crate) fn chacha20_poly1305(key: &[u8; 32]) -> Self {
        Self(Cipher::ChaCha20Poly1305(ChaCha20Poly1305::new(key.into())))
    }

    pub(crate) fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], text: &mut [u8]) -> [u8; TAG] {
        let text = InOutBuf::from(text);
        match &self.0 {
            Cipher::Aes256Gcm(key) => key.encrypt_inout_detached(nonce.into(), aad, text),
            Cipher::ChaCha20Poly1305(key) => key.encrypt_inout_detached(nonce.into(), aad, text),
        }
        .expect("a text is far below the limit of the cipher")
        .into()
    }

    pub(crate) fn open_in_place<'a>(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        let (text, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(NotAuthentic)?;
        self.decrypt(nonce, aad, InOutBuf::from(&mut *text), tag)?;
        Ok(text)
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        text: &[u8],
        tag: &[u8; TAG],
        out: &mut [u8],
    ) -> Result<(), NotAuthentic> {
        let both = InOutBuf::new(text, out).map_err(|_| NotAuthentic)?;
        self.decrypt(nonce, aad, both, tag)
    }

    fn decrypt(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        text: InOutBuf<'_, '_, u8>,
        tag: &[u8; TAG],
    ) -> Result<(), NotAuthentic> {
        let (nonce, tag) = (nonce.into(), tag.into());
        match &self.0 {
            Cipher::Aes256Gcm(key) => key.decrypt_inout_detached(nonce, aad, text, tag),
            Cipher::ChaCha20Poly1305(key) => key.decrypt_inout_detached(nonce, aad, text, tag),
        }
        .map_err(|_| NotAuthentic)
    }
}

pub(crate) struct X25519Key {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519Key {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let public = MontgomeryPoint::mul_base_clamped(*secret).to_bytes();
        Self { secret: Zeroizing::new(*secret), public }
    }

    pub(crate) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(crate) fn agree(&self, theirs: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, SmallOrder> {
        let shared = Zeroizing::new(MontgomeryPoint(*theirs).mul_clamped(*self.secret).to_bytes());
        let any = shared.iter().fold(0, |any, byte| any | byte);
        if any == 0 { Err(SmallOrder) } else { Ok(shared) }
    }
}

pub(crate) struct SigningKey {
    pair: Zeroizing<ed25519_zebra::SigningKey>,
    public: [u8; 32],
}

impl SigningKey {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Zeroizing::new(ed25519_zebra::SigningKey::from(*seed));
        Self { public: pair.verification_key().into(), pair }
    }

    pub(crate) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).to_bytes()
    }
}
