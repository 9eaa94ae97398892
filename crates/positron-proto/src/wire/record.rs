//! Who a peer says it is and where it listens: the signed peer record `[PROTOCOL 3.2]`.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes};

use super::{
    address::Address,
    codec::{Malformed, Reader, Writer as _},
};
use crate::{
    id::NodeId,
    identity::{PublicKey, Signature, Signed, Statement},
    limits::{MAX_ADDRESSES, MAX_CARRIER_BODY, MAX_CARRIERS, MAX_PEER_RECORD, MAX_SOFTWARE},
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
    /// What it can do: a bit set, none assigned. Bits that mean nothing here are kept.
    pub capabilities: u32,
    /// Where it says it listens; a claim, to be dialled before it is passed on. Those of unknown
    /// kinds are kept, in their place, because the signature covers them.
    pub addresses: Vec<Address>,
    /// What else is needed to reach it; kept whatever the kind.
    pub carriers: Vec<CarrierParameter>,
    /// Name and version of its software, printable ASCII.
    pub software: String,
}

/// What the carrier of a link needs beside an address, such as the hash of a certificate:
/// a kind and what that kind says. No kind means anything to this version; their bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierParameter {
    kind: u8,
    body: Box<[u8]>,
}

impl CarrierParameter {
    /// `None` if the body is too long.
    pub fn new(kind: u8, body: &[u8]) -> Option<Self> {
        (body.len() <= MAX_CARRIER_BODY).then(|| Self { kind, body: body.into() })
    }

    /// The number on the wire.
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// What it says.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { kind: reader.u8()?, body: (*reader.bytes(MAX_CARRIER_BODY)?).into() })
    }
}

impl PeerRecord {
    /// The node's id.
    pub fn node_id(&self) -> NodeId {
        self.key.node_id()
    }

    /// Whether it names this address.
    pub fn lists(&self, addr: SocketAddr) -> bool {
        self.addresses.contains(&addr.into())
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u64(self.sequence);
        out.append_raw(&self.noise_static);
        out.put_u32(self.capabilities);
        out.append_varint(self.addresses.len() as u64);
        for address in &self.addresses {
            address.encode(out);
        }
        out.append_varint(self.carriers.len() as u64);
        for carrier in &self.carriers {
            out.put_u8(carrier.kind);
            out.append_blob(&carrier.body);
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
        let (start, too_long) =
            (reader.remaining(), reader.malformed("peer record above its limit"));
        let bad_key = reader.malformed("public key of small order");
        let key = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
        let sequence = reader.u64()?;
        let noise_static = reader.array()?;
        let capabilities = reader.u32()?;
        let addresses = reader.list(MAX_ADDRESSES, Address::decode)?;
        let carriers = reader.list(MAX_CARRIERS, CarrierParameter::decode)?;
        let not_text = reader.malformed("software is not printable text");
        let software = printable(&reader.bytes(MAX_SOFTWARE)?).ok_or(not_text)?;
        let signature = Signature::from_bytes(reader.array()?);
        if start - reader.remaining() > MAX_PEER_RECORD {
            return Err(too_long);
        }
        let record =
            PeerRecord { key, sequence, noise_static, capabilities, addresses, carriers, software };
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
