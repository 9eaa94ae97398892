//! Noise handshakes (revision 34) `[PROTOCOL 5.1]`.
//!
//! snow keeps the order of tokens and the transcript; everything that computes on secrets is the
//! back end's. The only dice are the 32 bytes of the ephemeral key, given by the caller.

use core::fmt;

use snow::{
    Builder, Error, HandshakeState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroizing;

use super::{AeadKey, NONCE, Sha256, TAG, X25519Key};

/// One handshake under way.
///
/// Alternate [`write`](Self::write) and [`read`](Self::read) as the pattern demands, then
/// [`split`](Self::split). After a [`read`](Self::read) that failed, the genuine message can still
/// be read if the message begins with a key exchange (so not the third of XX); after any other
/// error nothing but dropping it makes sense.
pub(crate) struct Noise(Box<HandshakeState>);

/// The handshake cannot go on: what arrived was not made for it, or a key is of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// What a finished handshake leaves: the transcript's hash and one secret for each direction.
pub(crate) struct Split {
    pub(crate) hash: [u8; 32],
    pub(crate) from_initiator: Zeroizing<[u8; 32]>,
    pub(crate) from_responder: Zeroizing<[u8; 32]>,
}

impl Noise {
    /// The side that speaks first. `name` is the pattern's and its primitives', in Noise's words.
    /// A pattern that needs the other side's static key gets it as `theirs`. Both sides must give
    /// the same `prologue`.
    pub(crate) fn initiator(
        name: &str,
        prologue: &[u8],
        secret: &[u8; 32],
        theirs: Option<&[u8; 32]>,
        ephemeral: [u8; 32],
    ) -> Result<Self, Broken> {
        let mut builder = builder(name, prologue, secret, ephemeral)?;
        if let Some(theirs) = theirs {
            builder = builder.remote_public_key(theirs)?;
        }
        Ok(Self(Box::new(builder.build_initiator()?)))
    }

    /// The side that answers.
    pub(crate) fn responder(
        name: &str,
        prologue: &[u8],
        secret: &[u8; 32],
        ephemeral: [u8; 32],
    ) -> Result<Self, Broken> {
        Ok(Self(Box::new(builder(name, prologue, secret, ephemeral)?.build_responder()?)))
    }

    /// Appends the next message, with `payload` inside, to `out`.
    pub(crate) fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let start = out.len();
        out.resize(start + payload.len() + MAX_OVERHEAD, 0);
        let room = out.get_mut(start..).ok_or(Broken)?;
        let written = self.0.write_message(payload, room)?;
        out.truncate(start + written);
        Ok(())
    }

    /// Takes the other side's next message and returns its payload.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut payload = vec![0; message.len()];
        let len = self.0.read_message(message, &mut payload)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// The static key that the other side proved to hold, once its message was read.
    pub(crate) fn their_static(&self) -> Option<[u8; 32]> {
        self.0.get_remote_static()?.try_into().ok()
    }

    /// The secrets, after the last message.
    pub(crate) fn split(&mut self) -> Result<Split, Broken> {
        if !self.0.is_handshake_finished() {
            return Err(Broken);
        }
        let hash = self.0.get_handshake_hash().try_into().map_err(|_| Broken)?;
        let (from_initiator, from_responder) = self.0.dangerously_get_raw_split();
        Ok(Split {
            hash,
            from_initiator: Zeroizing::new(from_initiator),
            from_responder: Zeroizing::new(from_responder),
        })
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Split(..)")
    }
}

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Noise(..)")
    }
}

impl From<Error> for Broken {
    fn from(_: Error) -> Self {
        Self
    }
}

fn builder<'a>(
    name: &str,
    prologue: &'a [u8],
    secret: &'a [u8; 32],
    ephemeral: [u8; 32],
) -> Result<Builder<'a>, Broken> {
    let resolver = Box::new(Resolver { ephemeral: Zeroizing::new(ephemeral) });
    let builder = Builder::with_resolver(name.parse()?, resolver);
    Ok(builder.local_private_key(secret)?.prologue(prologue)?)
}

/// Gives snow its primitives, for one handshake.
struct Resolver {
    ephemeral: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneKey(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::<KeyPair>::default() as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Transcript(Sha256::new())) as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::AESGCM).then(|| Box::new(AesGcm(None)) as _)
    }
}

/// Dice for exactly one ephemeral key: a second draw fails, so no key is ever used twice.
struct OneKey(Option<Zeroizing<[u8; 32]>>);

impl Random for OneKey {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let key = self.0.take().ok_or(Error::Rng)?;
        if dest.len() != key.len() {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(key.as_slice());
        Ok(())
    }
}

#[derive(Default)]
struct KeyPair(Option<X25519Key>);

impl Dh for KeyPair {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.0 = secret.try_into().ok().map(X25519Key::new);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(secret.as_mut_slice())?;
        self.set(secret.as_slice());
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.0.as_ref().map_or(&[0; 32], |key| key.public())
    }

    /// snow asks for it only to generate key pairs, which is not done here.
    fn privkey(&self) -> &[u8] {
        &[]
    }

    /// Noise leaves the check for points of small order to the application (14.1, "misuse"): the
    /// key pair has it.
    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let (key, theirs) = self.0.as_ref().zip(theirs.first_chunk()).ok_or(Error::Dh)?;
        let shared = key.agree(theirs).map_err(|_| Error::Dh)?;
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(shared.as_slice());
        Ok(())
    }
}

struct Transcript(Sha256);

impl Hash for Transcript {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Sha256::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = core::mem::replace(&mut self.0, Sha256::new()).finish();
        out[..32].copy_from_slice(&hash);
    }
}

/// AES-256-GCM with Noise's nonce: four zero bytes, then the counter big-endian (12.4).
struct AesGcm(Option<AeadKey>);

impl AesGcm {
    fn nonce(counter: u64) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[4..].copy_from_slice(&counter.to_be_bytes());
        nonce
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(AeadKey::aes_256_gcm(key));
    }

    /// snow calls it only with a key set, and with room for the tag.
    fn encrypt(&self, nonce: u64, aad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (body, rest) = out.split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let key = self.0.as_ref().expect("snow sets a key first");
        rest[..TAG].copy_from_slice(&key.seal(&Self::nonce(nonce), aad, body));
        plaintext.len() + TAG
    }

    fn decrypt(
        &self,
        nonce: u64,
        aad: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (body, tag) = ciphertext.split_last_chunk().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..body.len()).ok_or(Error::Decrypt)?;
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        let opened = key.open(&Self::nonce(nonce), aad, body, tag, out);
        opened.map(|()| body.len()).map_err(|_| Error::Decrypt)
    }
}

/// An ephemeral key, a sealed static key and two tags, rounded up.
const MAX_OVERHEAD: usize = 128;
