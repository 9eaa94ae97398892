//! What the two keys of a succession sign.

use crate::{
    id::{NetworkId, NodeId},
    identity::{Identity, PublicKey, Signature, Signed, Statement, Verified},
    wire::{Malformed, Reader, Writer as _},
};

/// The new key says that it takes the place of the old one: nobody is made the heir of a bad name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    old: PublicKey,
    new: PublicKey,
}

/// The old key says that the new one takes its place, from now on and for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    acceptance: Signed<Acceptance>,
}

impl Statement for Acceptance {
    const DOMAIN: &'static [u8] = b"positron-net/succession-acceptance/1";

    fn signer(&self) -> &PublicKey {
        &self.new
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.append_raw(self.old.as_bytes());
    }
}

impl Statement for Succession {
    const DOMAIN: &'static [u8] = b"positron-net/succession/1";

    fn signer(&self) -> &PublicKey {
        &self.acceptance.content().old
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.append_raw(self.acceptance.content().new.as_bytes());
        out.append_raw(self.acceptance.signature().as_bytes());
    }
}

impl Succession {
    /// `new` takes the place of `old` in this network: signed by both.
    ///
    /// # Panics
    /// If the two are the same key.
    pub fn sign(old: &Identity, new: &Identity, network: &NetworkId) -> Verified<Self> {
        let (before, after) = (*old.public_key(), *new.public_key());
        assert_ne!(before, after, "a key does not succeed itself");
        let acceptance = new.sign(Acceptance { old: before, new: after }, network);
        old.sign(Self { acceptance: acceptance.claim().clone() }, network)
    }

    /// What the new key signed.
    pub const fn acceptance(&self) -> &Signed<Acceptance> {
        &self.acceptance
    }

    /// Whose key gave way.
    pub fn predecessor(&self) -> NodeId {
        self.acceptance.content().old.node_id()
    }

    /// Whose key took its place.
    pub fn successor(&self) -> NodeId {
        self.acceptance.content().new.node_id()
    }
}

impl Signed<Succession> {
    /// Reads a succession. Its signatures are not checked here.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let (old, new) = (decode_key(reader)?, decode_key(reader)?);
        let same = reader.malformed("key that succeeds itself");
        let accepted = Signature::from_bytes(reader.array()?);
        let given = Signature::from_bytes(reader.array()?);
        if old == new {
            return Err(same);
        }
        let acceptance = Signed::new(Acceptance { old, new }, accepted);
        Ok(Self::new(Succession { acceptance }, given))
    }

    /// Appends both keys and both signatures.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let acceptance = &self.content().acceptance;
        out.append_raw(acceptance.content().old.as_bytes());
        out.append_raw(acceptance.content().new.as_bytes());
        out.append_raw(acceptance.signature().as_bytes());
        out.append_raw(self.signature().as_bytes());
    }
}

fn decode_key(reader: &mut Reader) -> Result<PublicKey, Malformed> {
    let bad_key = reader.malformed("public key of small order");
    PublicKey::parse(reader.array()?).map_err(|_| bad_key)
}

/// Bytes of one: two keys, two signatures.
pub(super) const SUCCESSION_LEN: usize = 32 + 32 + 64 + 64;
