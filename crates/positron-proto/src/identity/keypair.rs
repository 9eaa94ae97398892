//! The key pair of a node.

use core::fmt;

use super::{PublicKey, SecretBytes, Signature, Statement, Verified};
use crate::{
    crypto::{SigningKey, hkdf_sha256_into},
    id::{NetworkId, NodeId},
};

/// The key pair of a node: an Ed25519 key that signs, and the X25519 key of its links, derived from
/// it.
///
/// Each secret has one place in memory, and the seed a second one in the library that signs; they
/// are wiped when the identity is dropped. There is no way to sign under a public key that is not
/// its own (RUSTSEC-2022-0093).
pub struct Identity {
    seed: SecretBytes,
    signing: SigningKey,
    public: PublicKey,
    id: NodeId,
    link_secret: SecretBytes,
}

impl Identity {
    /// The identity whose Ed25519 seed (RFC 8032, 5.1.5) is `seed`.
    /// The caller's own copy of it stays where it is; [`from_secret`](Self::from_secret) takes over
    /// the only one.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::from_secret(seed.into())
    }

    /// As [`from_seed`](Self::from_seed), without a copy.
    pub fn from_secret(seed: SecretBytes) -> Self {
        let signing = SigningKey::from_seed(&seed);
        let public = PublicKey::of(&signing);
        let link_secret = SecretBytes::made(|place| {
            hkdf_sha256_into(b"positron-net/link-key/1", seed.as_slice(), &[b"x25519"], place);
        });
        Self { id: public.node_id(), seed, signing, public, link_secret }
    }

    /// The seed that makes this identity again. A secret.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The node's id.
    pub const fn node_id(&self) -> NodeId {
        self.id
    }

    /// The X25519 secret of this node's links; the same after every restart.
    pub fn link_secret(&self) -> &[u8; 32] {
        &self.link_secret
    }

    /// Says `content` in this node's name.
    pub fn sign<T: Statement>(&self, content: T, network: &NetworkId) -> Verified<T> {
        Verified::by(&self.public, content, network, |bytes| self.sign_bytes(bytes))
    }

    /// Signs bytes whose first part is a domain of their own.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        Signature::from_bytes(self.signing.sign(bytes))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id.short())
    }
}
