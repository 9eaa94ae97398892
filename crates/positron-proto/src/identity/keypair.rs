//! The key pair of a node, and the public halves of others.

use core::fmt;

use zeroize::Zeroizing;

use super::{Statement, Verified};
use crate::{
    crypto::{SigningKey, hkdf_sha256, sha256},
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
        let public = PublicKey(*signing.public());
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
        Verified::by(self, content, network)
    }

    /// Signs bytes whose first part is a domain of their own.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        Signature(self.signing.sign(bytes))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id.short())
    }
}

/// An Ed25519 public key that can be somebody's identity: a point of large order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// The bytes cannot be an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key of small order belongs to nobody")]
pub struct BadPublicKey;

impl PublicKey {
    /// Takes 32 bytes for a key unless they encode a point of small order, under which anybody can
    /// sign.
    ///
    /// Whether they are a point on the curve at all is found out when a signature is checked.
    pub fn parse(bytes: [u8; 32]) -> Result<Self, BadPublicKey> {
        let mut without_sign = bytes;
        without_sign[31] &= 0x7F;
        if SMALL_ORDER.contains(&without_sign) { Err(BadPublicKey) } else { Ok(Self(bytes)) }
    }

    /// A key that [`parse`](Self::parse) may refuse, to see what checking a signature makes of it.
    #[cfg(test)]
    pub(super) const fn unchecked(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the node with this key.
    pub fn node_id(&self) -> NodeId {
        NodeId::from_bytes(sha256(&[&self.0]))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(of {})", self.node_id().short())
    }
}

/// The 64 bytes of an Ed25519 signature; says nothing about its being valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Wraps 64 bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// Every encoding of a point whose order divides 8, canonical or not, without the sign bit.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [
        0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];
