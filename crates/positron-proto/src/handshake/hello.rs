//! What the two ends tell each other inside the handshake `[PROTOCOL 5.2]`.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes};

use super::{aead::Suite, noise::link_public_key};
use crate::{
    id::{NetworkId, NodeId},
    identity::{Identity, PublicKey, Signature, Signed, Statement},
    limits::RECORDS_PER_KEY,
    wire::{
        codec::{Malformed, Reader, Writer as _},
        frame::CloseReason,
        packet::VERSION,
    },
};

/// What this node brings into every handshake; the same for the life of the process.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) me: Arc<Identity>,
    pub(crate) network: NetworkId,
    /// Random per start of the process.
    pub(crate) boot: u64,
    /// The ciphers of records that are spoken here: a set of [`Suite`] bits.
    pub(crate) suites: u8,
    /// When keys are stepped. [`RECORDS_PER_KEY`] everywhere but in tests.
    pub(crate) records_per_key: u64,
    /// The static X25519 key of its links.
    pub(crate) noise_static: [u8; 32],
    /// Made once: a signature for every handshake would be work that strangers can cause.
    binding: Signature,
}

impl Local {
    pub(crate) fn new(me: Arc<Identity>, network: NetworkId, boot: u64) -> Self {
        let noise_static = link_public_key(&me);
        let link = LinkKey { key: *me.public_key(), noise_static };
        let binding = *me.sign(link, &network).claim().signature();
        let (suites, records_per_key) = (Suite::ALL, RECORDS_PER_KEY);
        Self { me, network, boot, suites, records_per_key, noise_static, binding }
    }

    /// This node's hello to `peer`, or to somebody unknown.
    pub(crate) fn hello(&self, suites: u8, peer: Option<NodeId>) -> Hello {
        Hello {
            version: VERSION,
            features: FEATURES,
            network: self.network,
            key: *self.me.public_key(),
            binding: self.binding,
            boot: self.boot,
            window_scale: 0,
            suites,
            peer,
        }
    }
}

/// Who somebody says it is, what it speaks, and whom it takes the other for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u8,
    /// The upper 16 bits are demanded of the other end, the lower 16 offered to it.
    pub(crate) features: u32,
    pub(crate) network: NetworkId,
    pub(crate) key: PublicKey,
    pub(crate) binding: Signature,
    pub(crate) boot: u64,
    /// By how many bits the windows in its packets are shifted: of datagrams; 0 on streams.
    pub(crate) window_scale: u8,
    pub(crate) suites: u8,
    pub(crate) peer: Option<NodeId>,
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.put_u8(self.version);
        out.put_u32(self.features);
        out.append_raw(self.network.as_bytes());
        out.append_raw(self.key.as_bytes());
        out.append_raw(self.binding.as_bytes());
        out.put_u64(self.boot);
        out.put_u8(self.window_scale);
        out.put_u8(self.suites);
        out.append_raw(self.peer.unwrap_or(NOBODY).as_bytes());
        out
    }

    /// A hello, and the bytes that follow it.
    fn decode(bytes: Vec<u8>) -> Result<(Self, Vec<u8>), Malformed> {
        let mut reader = Reader::new(Bytes::from(bytes));
        let version = reader.u8()?;
        let features = reader.u32()?;
        let network = NetworkId::from_bytes(reader.array()?);
        let bad_key = reader.malformed("public key of small order");
        let key = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
        let binding = Signature::from_bytes(reader.array()?);
        let boot = reader.u64()?;
        let window_scale = reader.u8()?;
        let suites = reader.u8()?;
        let peer = NodeId::from_bytes(reader.array()?);
        let peer = (peer != NOBODY).then_some(peer);
        // The bytes that follow belong to the carrier or to later versions [PROTOCOL 5.2].
        let rest = reader.rest().to_vec();
        let hello =
            Self { version, features, network, key, binding, boot, window_scale, suites, peer };
        Ok((hello, rest))
    }

    /// Reads a hello that arrived under `noise_static` and believes it only if its key signed that
    /// very static key (RUSTSEC-2022-0009: the key of an envelope must be bound to what it proves).
    /// The bytes that follow it are returned as they are.
    pub(crate) fn authenticate(
        bytes: Vec<u8>,
        noise_static: [u8; 32],
    ) -> Result<(Self, Vec<u8>), Unproven> {
        let (hello, rest) = Self::decode(bytes).map_err(|_| Unproven)?;
        let link = Signed::new(LinkKey { key: hello.key, noise_static }, hello.binding);
        // Under the network that it names: a node of another network is told so, sealed.
        let job = link.job(&hello.network);
        link.accept(job.run()).map(|_| (hello, rest)).ok_or(Unproven)
    }

    /// Why there can be no session with who said this, if there is a reason.
    pub(crate) fn mismatch(&self, local: &Local) -> Option<CloseReason> {
        if self.version != VERSION {
            Some(CloseReason::WrongVersion)
        } else if self.network != local.network {
            Some(CloseReason::WrongNetwork)
        } else if self.key == *local.me.public_key() {
            Some(CloseReason::SelfDial)
        } else if self.peer.is_some_and(|peer| peer != local.me.node_id()) {
            Some(CloseReason::WrongNode)
        } else if self.features >> 16 & !FEATURES != 0 {
            Some(CloseReason::WrongFeatures)
        } else {
            None
        }
    }
}

/// The hello cannot be read, or its sender did not prove its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unproven;

/// "This X25519 key is that of my links."
struct LinkKey {
    key: PublicKey,
    noise_static: [u8; 32],
}

impl Statement for LinkKey {
    const DOMAIN: &'static [u8] = b"positron-net/link/1";

    fn signer(&self) -> &PublicKey {
        &self.key
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.append_raw(&self.noise_static);
    }
}

/// No feature is assigned in version 1.
const FEATURES: u32 = 0;
/// Somebody unknown.
const NOBODY: NodeId = NodeId::from_bytes([0; 32]);
const LEN: usize = 1 + 4 + 32 + 32 + 64 + 8 + 1 + 1 + 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn local(seed: u8) -> Local {
        let me = Arc::new(Identity::from_seed([seed; 32]));
        Local::new(me, NetworkId::from_name("test"), 7)
    }

    #[test]
    fn a_hello_survives_and_the_bytes_that_follow_are_returned() {
        let alice = local(1);
        let hello = alice.hello(Suite::ALL, Some(NodeId::from_bytes([9; 32])));
        let mut bytes = hello.encode();
        assert_eq!(bytes.len(), LEN);
        bytes.extend_from_slice(b"later");
        assert_eq!(
            Hello::authenticate(bytes, link_public_key(&alice.me)),
            Ok((hello, b"later".into()))
        );
    }

    #[test]
    fn a_hello_under_a_static_key_that_its_signer_did_not_bind_is_not_believed() {
        let (alice, mallory) = (local(1), local(2));
        let hello = alice.hello(Suite::ALL, None).encode();
        let theirs = link_public_key(&mallory.me);
        assert_eq!(Hello::authenticate(hello, theirs), Err(Unproven));
    }

    #[test]
    fn every_truncated_or_flipped_hello_is_refused_or_says_something_else() {
        let alice = local(1);
        let (hello, key) = (alice.hello(Suite::ALL, None), link_public_key(&alice.me));
        let bytes = hello.encode();
        for len in 0..LEN {
            assert_eq!(Hello::authenticate(bytes[..len].to_vec(), key), Err(Unproven), "{len}");
        }
        for at in 5..133 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(Hello::authenticate(bytes, key), Err(Unproven), "byte {at}");
        }
    }

    #[test]
    fn demanded_features_that_are_unknown_are_a_mismatch_and_offered_ones_are_not() {
        let (alice, bob) = (local(1), local(2));
        for (features, mismatch) in
            [(0, None), (0x0000_8001, None), (0x0001_0000, Some(CloseReason::WrongFeatures))]
        {
            let hello = Hello { features, ..alice.hello(Suite::ALL, None) };
            assert_eq!(hello.mismatch(&bob), mismatch);
        }
    }
}
