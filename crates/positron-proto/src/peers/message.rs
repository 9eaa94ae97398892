//! What a node says of itself, its peers and those that it knows `[PROTOCOL 3]`.

use bytes::BufMut as _;

use crate::{
    id::NodeId,
    identity::Signed,
    limits::MAX_RECORDS_PER_MESSAGE,
    wire::{Address, Malformed, Reader, Writer as _, message::RoomMessage, record::PeerRecord},
};

const HANDSHAKE: u8 = 1;
const HANDSHAKE_ACK: u8 = 2;
const HEARTBEAT: u8 = 3;
const PEER_DISCOVERY: u8 = 4;
const PEER_ANNOUNCEMENT: u8 = 5;
const OBSERVED_ADDRESS: u8 = 15;

/// What a node says of itself, its peers and those that it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once, matched at once, never kept")]
pub enum PeersMessage {
    /// First message of a session, or its answer.
    Hello {
        /// Whether it is the answer.
        answer: bool,
        /// Its own record.
        record: Signed<PeerRecord>,
        /// Where it sees us.
        observed: Address,
        /// Whom it knows.
        peers: Vec<Signed<PeerRecord>>,
    },
    /// It is there, with so many peers.
    Heartbeat(u32),
    /// It wants so many records.
    Discovery(u8),
    /// Whom it knows. Also what a node says that is about to refuse our dial
    /// ([`Parting`](crate::session::sessions::SessionEffect::Referral)).
    Announcement(Vec<Signed<PeerRecord>>),
    /// It sees us at another address than it said before.
    ObservedAddress(Address),
}

impl RoomMessage for PeersMessage {
    const TYPES: &'static [u8] =
        &[HANDSHAKE, HANDSHAKE_ACK, HEARTBEAT, PEER_DISCOVERY, PEER_ANNOUNCEMENT, OBSERVED_ADDRESS];

    fn message_type(&self) -> u8 {
        match self {
            Self::Hello { answer: false, .. } => HANDSHAKE,
            Self::Hello { answer: true, .. } => HANDSHAKE_ACK,
            Self::Heartbeat(_) => HEARTBEAT,
            Self::Discovery(_) => PEER_DISCOVERY,
            Self::Announcement(_) => PEER_ANNOUNCEMENT,
            Self::ObservedAddress(_) => OBSERVED_ADDRESS,
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Hello { peers, .. } => 256 * (1 + peers.len()),
            Self::Announcement(peers) => 256 * (1 + peers.len()),
            Self::Heartbeat(_) | Self::Discovery(_) => 4,
            Self::ObservedAddress(_) => 20,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { answer: _, record, observed, peers } => {
                record.encode(out);
                observed.encode(out);
                encode_records(peers, out);
            }
            Self::Heartbeat(active_peers) => out.put_u32(*active_peers),
            Self::Discovery(count) => out.put_u8(*count),
            Self::Announcement(peers) => encode_records(peers, out),
            Self::ObservedAddress(address) => address.encode(out),
        }
    }

    fn decode_body(
        message_type: u8,
        reader: &mut Reader,
        _receiver: NodeId,
    ) -> Result<Self, Malformed> {
        Ok(match message_type {
            HANDSHAKE | HANDSHAKE_ACK => Self::Hello {
                answer: message_type == HANDSHAKE_ACK,
                record: Signed::<PeerRecord>::decode(reader)?,
                observed: Address::decode(reader)?,
                peers: decode_records(reader)?,
            },
            HEARTBEAT => Self::Heartbeat(reader.u32()?),
            PEER_DISCOVERY => Self::Discovery(reader.u8()?),
            PEER_ANNOUNCEMENT => Self::Announcement(decode_records(reader)?),
            OBSERVED_ADDRESS => Self::ObservedAddress(Address::decode(reader)?),
            _ => return Err(reader.malformed("type of another room")),
        })
    }
}

fn decode_records(reader: &mut Reader) -> Result<Vec<Signed<PeerRecord>>, Malformed> {
    reader.list(MAX_RECORDS_PER_MESSAGE, Signed::<PeerRecord>::decode)
}

fn encode_records(records: &[Signed<PeerRecord>], out: &mut Vec<u8>) {
    out.append_varint(records.len() as u64);
    for record in records {
        record.encode(out);
    }
}
