//! Claims: something that somebody says somebody signed.

use bytes::Bytes;

use super::{PublicKey, Signature};
use crate::id::NetworkId;

/// Something that a node can sign.
///
/// What is signed is `DOMAIN ‖ 0x00 ‖ network id ‖ signer's key ‖ content`: a signature of one
/// kind, network or signer is never one of another.
pub trait Statement {
    /// Sets this kind of statement apart from every other that the same key signs. Contains no zero
    /// byte.
    const DOMAIN: &'static [u8];

    /// Who must have signed it.
    fn signer(&self) -> &PublicKey;

    /// Appends everything that it says, in one fixed layout.
    fn encode_content(&self, out: &mut Vec<u8>);
}

/// A claim: `content`, and a signature that nobody here has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    content: T,
    signature: Signature,
}

impl<T> Signed<T> {
    /// Puts a claim together, as it came off the wire.
    pub const fn new(content: T, signature: Signature) -> Self {
        Self { content, signature }
    }

    /// What is claimed.
    pub const fn content(&self) -> &T {
        &self.content
    }

    /// What is claimed, without its signature.
    pub fn into_content(self) -> T {
        self.content
    }

    /// The signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }
}

impl<T: Statement> Signed<T> {
    /// Exactly the bytes that the signature covers.
    pub fn signed_bytes(&self, network: &NetworkId) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(T::DOMAIN);
        out.push(0);
        out.extend_from_slice(network.as_bytes());
        out.extend_from_slice(self.content.signer().as_bytes());
        self.content.encode_content(&mut out);
        out.into()
    }
}
