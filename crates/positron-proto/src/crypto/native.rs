//! The back end of machines: aws-lc-rs. What the names promise is said here; `pure` keeps it too.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    digest::{Context, SHA256},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use zeroize::Zeroizing;

use super::{NONCE, NotAuthentic, SmallOrder, TAG};

/// SHA-256 (FIPS 180-4) of the parts one after the other. That must be unambiguous: only one part
/// may be of any length, or the caller sets the lengths before them.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// SHA-256 of what comes bit by bit.
pub(crate) struct Sha256(Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

/// A key of HMAC-SHA-256 (RFC 2104), prepared once.
#[derive(Debug)]
pub(crate) struct HmacKey(hmac::Key);

impl HmacKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    pub(crate) fn sign(&self, data: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.0, data).as_ref());
        tag
    }

    /// Whether `tag` is the whole MAC of `data`, compared in constant time.
    pub(crate) fn verify(&self, data: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, data, tag).is_ok()
    }
}

/// `N` bytes by HKDF-SHA-256 (RFC 5869) from a secret, for `info`: its parts one after the other.
pub(crate) fn hkdf_sha256<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    hkdf_sha256_into(salt, secret, info, &mut out);
    out
}

/// The same, written to where it stays.
pub(crate) fn hkdf_sha256_into<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    out: &mut [u8; N],
) {
    struct Len<const N: usize>;
    impl<const N: usize> KeyType for Len<N> {
        fn len(&self) -> usize {
            const { assert!(N <= 255 * 32, "RFC 5869, 2.3") };
            N
        }
    }
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Len::<N>)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("the length is within HKDF's reach");
}

/// A key of an AEAD (RFC 5116), prepared once.
///
/// The caller never seals twice with one nonce. A text is at most 64 GiB (the limit of AES-GCM;
/// ours are a million times shorter).
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    /// AES-256-GCM.
    pub(crate) fn aes_256_gcm(key: &[u8; 32]) -> Self {
        Self::new(&AES_256_GCM, key)
    }

    /// ChaCha20-Poly1305 (RFC 8439).
    pub(crate) fn chacha20_poly1305(key: &[u8; 32]) -> Self {
        Self::new(&CHACHA20_POLY1305, key)
    }

    fn new(algorithm: &'static Algorithm, key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(algorithm, key).expect("both ciphers take 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `text` in place and returns its tag.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], text: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
            .expect("a text is far below the limit of the cipher");
        let mut bytes = [0; TAG];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts in place a text that its tag follows, and returns the text.
    ///
    /// # Errors
    /// The tag does not fit: `sealed` holds nothing of use any more.
    pub(crate) fn open_in_place<'a>(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| NotAuthentic)
    }

    /// Decrypts `text` into `out`, which has its length.
    ///
    /// # Errors
    /// The tag does not fit, or the lengths differ: `out` holds nothing of use.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        text: &[u8],
        tag: &[u8; TAG],
        out: &mut [u8],
    ) -> Result<(), NotAuthentic> {
        if text.len() != out.len() {
            return Err(NotAuthentic);
        }
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), text, tag, out).map_err(|_| NotAuthentic)
    }
}

/// A key pair of X25519 (RFC 7748).
pub(crate) struct X25519Key {
    secret: PrivateKey,
    public: [u8; 32],
}

impl X25519Key {
    /// The pair of a secret: any 32 bytes are one.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let secret = PrivateKey::from_private_key(&X25519, secret)
            .expect("any 32 bytes are an X25519 secret");
        let key = secret.compute_public_key().expect("an X25519 secret has a public half");
        let mut public = [0; 32];
        public.copy_from_slice(key.as_ref());
        Self { secret, public }
    }

    pub(crate) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The secret that is shared with the owner of `theirs`.
    ///
    /// # Errors
    /// `theirs` is of small order.
    pub(crate) fn agree(&self, theirs: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, SmallOrder> {
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        agree(&self.secret, theirs, SmallOrder, |shared| {
            let shared = Zeroizing::new(<[u8; 32]>::try_from(shared).map_err(|_| SmallOrder)?);
            let any = shared.iter().fold(0, |any, byte| any | byte);
            if any == 0 { Err(SmallOrder) } else { Ok(shared) }
        })
    }
}

/// A key pair of Ed25519 (RFC 8032).
///
/// There is no way to sign under a public key that is not its own (RUSTSEC-2022-0093).
pub(crate) struct SigningKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl SigningKey {
    /// The pair of a seed (RFC 8032, 5.1.5).
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .expect("any 32 bytes are an Ed25519 seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { pair, public }
    }

    pub(crate) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The signature of `message`, always the same.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}
