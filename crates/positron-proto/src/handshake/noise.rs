//! The two Noise handshakes (revision 34) over the primitives of aws-lc-rs `[PROTOCOL 5.1]`.
//!
//! snow keeps the order of tokens and the transcript; everything that computes on secrets is
//! aws-lc-rs. The only dice are the 32 bytes of the ephemeral key, given by the caller.

use core::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    digest::{Context, SHA256},
};
use snow::{
    Builder, Error, HandshakeState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroizing;

use crate::identity::Identity;

/// Which messages a handshake has (Noise revision 34, 7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `-> e, es, s, ss  <- e, ee, se`: the initiator knows the responder's static key.
    Ik = 1,
    /// `-> e  <- e, ee, s, es  -> s, se`: neither knows the other's.
    Xx = 2,
}

impl Pattern {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ik),
            2 => Some(Self::Xx),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ik => "Noise_IK_25519_AESGCM_SHA256",
            Self::Xx => "Noise_XX_25519_AESGCM_SHA256",
        }
    }
}

/// The static X25519 public key of a node's links, as its peer record states it.
pub fn link_public_key(me: &Identity) -> [u8; 32] {
    let mut key = X25519Key::default();
    key.set(me.link_secret());
    key.public
}

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
    /// The side that speaks first. IK needs `theirs`. Both sides must give the same `prologue`.
    pub(crate) fn initiator(
        pattern: Pattern,
        prologue: &[u8],
        me: &Identity,
        theirs: Option<&[u8; 32]>,
        ephemeral: [u8; 32],
    ) -> Result<Self, Broken> {
        let mut builder = builder(pattern, me, prologue, ephemeral)?;
        if let Some(theirs) = theirs {
            builder = builder.remote_public_key(theirs)?;
        }
        Ok(Self(Box::new(builder.build_initiator()?)))
    }

    /// The side that answers.
    pub(crate) fn responder(
        pattern: Pattern,
        prologue: &[u8],
        me: &Identity,
        ephemeral: [u8; 32],
    ) -> Result<Self, Broken> {
        Ok(Self(Box::new(builder(pattern, me, prologue, ephemeral)?.build_responder()?)))
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
    pattern: Pattern,
    me: &'a Identity,
    prologue: &'a [u8],
    ephemeral: [u8; 32],
) -> Result<Builder<'a>, Broken> {
    let resolver = Box::new(Resolver { ephemeral: Zeroizing::new(ephemeral) });
    let builder = Builder::with_resolver(pattern.name().parse()?, resolver);
    Ok(builder.local_private_key(me.link_secret())?.prologue(prologue)?)
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
        matches!(choice, DHChoice::Curve25519).then(|| Box::<X25519Key>::default() as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256(Context::new(&SHA256))) as _)
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

/// X25519 (RFC 7748).
#[derive(Default)]
struct X25519Key {
    secret: Option<PrivateKey>,
    public: [u8; 32],
}

impl Dh for X25519Key {
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
        *self = Self::default();
        let Ok(secret) = PrivateKey::from_private_key(&X25519, secret) else { return };
        let Ok(public) = secret.compute_public_key() else { return };
        let Ok(public) = public.as_ref().try_into() else { return };
        *self = Self { secret: Some(secret), public };
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(secret.as_mut_slice())?;
        self.set(secret.as_slice());
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    /// snow asks for it only to generate key pairs, which is not done here.
    fn privkey(&self) -> &[u8] {
        &[]
    }

    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let secret = self.secret.as_ref().ok_or(Error::Dh)?;
        let theirs = UnparsedPublicKey::new(&X25519, theirs.get(..32).ok_or(Error::Dh)?);
        let out = out.get_mut(..32).ok_or(Error::Dh)?;
        // RFC 7748, 6.1: an all-zero result means a point of small order, which contributes
        // nothing to the secret. Noise leaves the check to the application (14.1, "misuse").
        agree(secret, theirs, Error::Dh, |shared| {
            if shared.len() != out.len() || shared.iter().fold(0, |any, byte| any | byte) == 0 {
                return Err(Error::Dh);
            }
            out.copy_from_slice(shared);
            Ok(())
        })
    }
}

struct Sha256(Context);

impl Hash for Sha256 {
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
        self.0 = Context::new(&SHA256);
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = core::mem::replace(&mut self.0, Context::new(&SHA256)).finish();
        out[..32].copy_from_slice(hash.as_ref());
    }
}

/// AES-256-GCM with Noise's nonce: four zero bytes, then the counter big-endian (12.4).
struct AesGcm(Option<LessSafeKey>);

impl AesGcm {
    fn nonce(counter: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&counter.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new);
    }

    /// snow calls it only with a key set, and with room for the tag.
    fn encrypt(&self, nonce: u64, aad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (body, rest) = out.split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let key = self.0.as_ref().expect("32 bytes are an AES key, and snow sets one first");
        let tag = key
            .seal_in_place_separate_tag(Self::nonce(nonce), Aad::from(aad), body)
            .expect("a handshake payload is far below the limit of AES-GCM");
        rest[..TAG].copy_from_slice(tag.as_ref());
        plaintext.len() + TAG
    }

    fn decrypt(
        &self,
        nonce: u64,
        aad: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let len = ciphertext.len().checked_sub(TAG).ok_or(Error::Decrypt)?;
        let (body, tag) = ciphertext.split_at(len);
        let out = out.get_mut(..len).ok_or(Error::Decrypt)?;
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        key.open_separate_gather(Self::nonce(nonce), Aad::from(aad), body, tag, out)
            .map(|()| len)
            .map_err(|_| Error::Decrypt)
    }
}

const TAG: usize = 16;
/// An ephemeral key, a sealed static key and two tags, rounded up.
const MAX_OVERHEAD: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn ephemeral(n: u8) -> [u8; 32] {
        [n; 32]
    }

    #[test]
    fn both_patterns_end_in_the_same_secrets_and_know_the_static_keys() {
        let (alice, bob) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        for pattern in [Pattern::Ik, Pattern::Xx] {
            let theirs = (pattern == Pattern::Ik).then(|| link_public_key(&bob));
            let mut a =
                Noise::initiator(pattern, b"p", &alice, theirs.as_ref(), ephemeral(3)).unwrap();
            let mut b = Noise::responder(pattern, b"p", &bob, ephemeral(4)).unwrap();
            let rounds = if pattern == Pattern::Ik { 2 } else { 3 };
            for round in 0..rounds {
                let mut message = Vec::new();
                let (from, to) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
                from.write(b"payload", &mut message).unwrap();
                assert_eq!(to.read(&message).unwrap(), b"payload");
            }
            assert_eq!(a.their_static(), Some(link_public_key(&bob)));
            assert_eq!(b.their_static(), Some(link_public_key(&alice)));
            let (a, b) = (a.split().unwrap(), b.split().unwrap());
            assert_eq!(a.hash, b.hash);
            assert_eq!(a.from_initiator, b.from_initiator);
            assert_eq!(a.from_responder, b.from_responder);
            assert_ne!(a.from_initiator, a.from_responder);
        }
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let alice = Identity::from_seed([1; 32]);
        for low in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            let mut a =
                Noise::initiator(Pattern::Ik, b"p", &alice, Some(&low), ephemeral(3)).unwrap();
            assert_eq!(a.write(b"", &mut Vec::new()), Err(Broken));
            let mut b = Noise::responder(Pattern::Xx, b"p", &alice, ephemeral(4)).unwrap();
            b.read(&low).unwrap();
            assert_eq!(b.write(b"", &mut Vec::new()), Err(Broken));
        }
    }

    #[test]
    fn x25519_agrees_with_rfc_7748_section_6_1() {
        let bytes = |text: &str| *text.parse::<crate::id::NodeId>().unwrap().as_bytes();
        let mut alice = X25519Key::default();
        alice.set(&bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        assert_eq!(alice.public, bytes(public));
        let bob = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let mut shared = [0; 32];
        alice.dh(&bob, &mut shared).unwrap();
        let agreed = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        assert_eq!(shared, bytes(agreed));
    }
}
