//! What a recommendation is on the wire `[PROTOCOL 3.9]`.

use bytes::BufMut as _;

use crate::{
    id::NodeId,
    limits::MAX_RECOMMENDED,
    wire::{Malformed, Reader, Writer as _, message::RoomMessage},
    words::Recommendation,
};

/// The type of a recommendation that nobody asked for.
pub const TRUST_UPDATE: u8 = 7;
/// The type of the question for one.
pub const TRUSTED_PEERS_REQUEST: u8 = 8;
/// The type of the answer.
pub const TRUSTED_PEERS_RESPONSE: u8 = 9;

/// What recommendations are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecommendationMessage {
    /// I trust these, and no others any more.
    Update(Vec<Recommendation>),
    /// Whom do you trust? So many at most.
    Request(u8),
    /// The same as an update, to who asked.
    Response(Vec<Recommendation>),
}

impl RoomMessage for RecommendationMessage {
    const TYPES: &'static [u8] = &[TRUST_UPDATE, TRUSTED_PEERS_REQUEST, TRUSTED_PEERS_RESPONSE];

    fn message_type(&self) -> u8 {
        match self {
            Self::Update(_) => TRUST_UPDATE,
            Self::Request(_) => TRUSTED_PEERS_REQUEST,
            Self::Response(_) => TRUSTED_PEERS_RESPONSE,
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Update(nodes) | Self::Response(nodes) => 1 + nodes.len() * ENTRY,
            Self::Request(_) => 1,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Update(nodes) | Self::Response(nodes) => {
                let nodes = &nodes[..nodes.len().min(MAX_RECOMMENDED)];
                out.put_u8(u8::try_from(nodes.len()).unwrap_or(u8::MAX));
                for recommended in nodes {
                    out.append_raw(recommended.node.as_bytes());
                    out.put_u16(recommended.strength);
                }
            }
            Self::Request(most) => out.put_u8(*most),
        }
    }

    fn decode_body(message_type: u8, reader: &mut Reader, _: NodeId) -> Result<Self, Malformed> {
        match message_type {
            TRUST_UPDATE => Ok(Self::Update(decode(reader)?)),
            TRUSTED_PEERS_REQUEST => Ok(Self::Request(reader.u8()?)),
            TRUSTED_PEERS_RESPONSE => Ok(Self::Response(decode(reader)?)),
            _ => Err(reader.malformed("type of another room")),
        }
    }
}

fn decode(reader: &mut Reader) -> Result<Vec<Recommendation>, Malformed> {
    let too_many = reader.malformed("more recommendations than the limit");
    let count = usize::from(reader.u8()?);
    if count > MAX_RECOMMENDED {
        return Err(too_many);
    }
    let mut nodes: Vec<Recommendation> = Vec::with_capacity(count);
    for _ in 0..count {
        let unsorted = reader.malformed("recommendations out of order");
        let node = NodeId::from_bytes(reader.array()?);
        if nodes.last().is_some_and(|before| before.node >= node) {
            return Err(unsorted);
        }
        nodes.push(Recommendation { node, strength: reader.u16()? });
    }
    Ok(nodes)
}

/// Bytes of a node and its strength.
const ENTRY: usize = 32 + 2;
