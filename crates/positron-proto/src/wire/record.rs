//! Who a peer says it is and where it listens: the signed peer record `[PROTOCOL 3.2]`.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes};

use super::codec::{Malformed, Reader, Writer as _};
use crate::{
    id::NodeId,
    identity::{PublicKey, Signature, Signed, Statement},
    limits::{MAX_ADDRESSES, MAX_SOFTWARE},
};

/// What a node says of itself. A newer one (larger `sequence`) replaces an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRecord {
    /// Whose record it is.
    pub key: PublicKey,
    /// Grows with every new record of this node: microseconds since the Unix epoch when it was
    /// made.
    pub sequence: u64,
    /// The static X25519 key of its links; with it a link takes one round trip.
    pub noise_static: [u8; 32],
    /// What it can do: a bit set, none assigned yet.
    pub capabilities: u32,
    /// Where it says it listens; a claim, to be dialled before it is passed on.
    pub addresses: Vec<SocketAddr>,
    /// Name and version of its software, printable ASCII.
    pub software: String,
}

impl PeerRecord {
    /// The node's id.
    pub fn node_id(&self) -> NodeId {
        self.key.node_id()
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u64(self.sequence);
        out.append_raw(&self.noise_static);
        out.put_u32(self.capabilities);
        out.append_varint(self.addresses.len() as u64);
        for addr in &self.addresses {
            out.append_addr(addr);
        }
        out.append_blob(self.software.as_bytes());
    }
}

impl Statement for PeerRecord {
    const DOMAIN: &'static [u8] = b"positron-net/peer-record/1";

    fn signer(&self) -> &PublicKey {
        &self.key
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.encode_body(out);
    }
}

impl Signed<PeerRecord> {
    /// Reads a record from the front of `reader`. Its signature is not checked here.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let bad_key = reader.malformed("public key of small order");
        let key = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
        let sequence = reader.u64()?;
        let noise_static = reader.array()?;
        let capabilities = reader.u32()?;
        let count = reader.len(MAX_ADDRESSES)?;
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            addresses.push(reader.socket_addr()?);
        }
        let not_text = reader.malformed("software is not printable text");
        let software = printable(&reader.bytes(MAX_SOFTWARE)?).ok_or(not_text)?;
        let signature = Signature::from_bytes(reader.array()?);
        let record = PeerRecord { key, sequence, noise_static, capabilities, addresses, software };
        Ok(Self::new(record, signature))
    }

    /// Appends the record and its signature.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let record = self.content();
        out.append_raw(record.key.as_bytes());
        record.encode_body(out);
        out.append_raw(self.signature().as_bytes());
    }

    /// The record and its signature as bytes, for storage.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        self.encode(&mut out);
        out.into()
    }
}

fn printable(bytes: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(bytes).ok()?;
    text.chars().all(|c| matches!(c, ' '..='~')).then(|| text.to_owned())
}
