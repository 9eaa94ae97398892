//! The key pair of a node.

use core::fmt;

use zeroize::Zeroizing;

use super::{PublicKey, Signature, Statement, Verified};
use crate::{
    crypto::{SigningKey, hkdf_sha256},
    id::{NetworkId, NodeId},
};

/// The key pair of a node: an Ed25519 key that signs, and the X25519 key of its links, derived from
/// it.
///
/// The secrets are wiped from memory when it is dropped. There is no way to sign under a public key
/// that is not its own (RUSTSEC-2022-0093).
pub struct Identity {
    seed: Zeroizing<[u8; 32]>,
    signing: SigningKey,
    public: PublicKey,
    id: NodeId,
    link_secret: Zeroizing<[u8; 32]>,
}

impl Identity {
    /// The identity whose Ed25519 seed (RFC 8032, 5.1.5) is `seed`.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let signing = SigningKey::from_seed(&seed);
        let public = PublicKey::of(&signing);
        let link_secret = hkdf_sha256(b"positron-net/link-key/1", seed.as_slice(), &[b"x25519"]);
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
