//! Messages: what nodes say to each other `[PROTOCOL 3]`.

use bytes::{BufMut as _, Bytes};

use super::{
    address::Address,
    codec::{Malformed, Reader, Writer as _},
    frame::Lane,
    holdings::Holdings,
    record::PeerRecord,
};
use crate::{
    id::NodeId,
    identity::{PublicKey, Signature, Signed, Statement},
    limits::{MAX_PAYLOAD, MAX_RECORD, MAX_RECORDS_PER_MESSAGE, MAX_TTL},
    time::WallTime,
};

/// The kinds of messages. The first ten carry the founding document's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// First message of who dialled.
    Handshake = 1,
    /// Its answer.
    HandshakeAck = 2,
    /// I am here, and how busy I am.
    Heartbeat = 3,
    /// Whom do you know?
    PeerDiscovery = 4,
    /// Whom I know.
    PeerAnnouncement = 5,
    /// A broadcast.
    GossipMessage = 6,
    /// Application data for one node.
    CustomData = 10,
    /// Broadcasts that I have.
    IHave = 12,
    /// Broadcasts that I want.
    IWant = 13,
    /// The fingerprint of all broadcasts that I have.
    GossipSync = 14,
}

/// What one node says to another, over one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// [`MessageType::Handshake`] and, with `answer`, [`MessageType::HandshakeAck`].
    Hello {
        /// Whether it answers a `Handshake`.
        answer: bool,
        /// Who I am and where I listen.
        record: Signed<PeerRecord>,
        /// From where your link comes, as I see it.
        observed: Address,
        /// Whom else I know.
        peers: Vec<Signed<PeerRecord>>,
    },
    /// [`MessageType::Heartbeat`].
    Heartbeat {
        /// How many peers I am linked to.
        active_peers: u32,
    },
    /// [`MessageType::PeerDiscovery`].
    PeerDiscovery {
        /// How many records I want.
        count: u8,
    },
    /// [`MessageType::PeerAnnouncement`].
    PeerAnnouncement {
        /// Whom I know, and have dialled myself.
        peers: Vec<Signed<PeerRecord>>,
    },
    /// [`MessageType::GossipMessage`].
    Gossip {
        /// How many more hops it is pushed; clamped to [`MAX_TTL`] on entry. Not signed.
        ttl: u8,
        /// What the sender signed, for everyone.
        message: Signed<AppMessage>,
    },
    /// [`MessageType::CustomData`].
    Direct {
        /// What the sender signed, for the receiver of the link.
        message: Signed<AppMessage>,
    },
    /// [`MessageType::IHave`].
    IHave(Holdings),
    /// [`MessageType::IWant`].
    IWant(Holdings),
    /// [`MessageType::GossipSync`].
    GossipSync {
        /// How many messages I keep.
        count: u64,
        /// The sum of their ids, as 256-bit little-endian numbers modulo 2^256.
        fingerprint: [u8; 32],
    },
}

/// What an application says, to everyone or to one node.
///
/// Its number counts the messages of one sender to one kind of audience: two contents under one
/// number are equivocation. The audience is signed but not sent: the receiver of a direct message
/// is the audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppMessage {
    /// Who says it.
    pub sender: PublicKey,
    /// To whom.
    pub audience: Audience,
    /// Counts this sender's messages; never used twice, gaps are allowed. Below 2^62.
    pub sequence: u64,
    /// When, by the sender's clock.
    pub timestamp: WallTime,
    /// What; opaque here, MessagePack by convention.
    pub payload: Bytes,
}

/// To whom an application message is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Everyone: it travels by gossip.
    Everyone,
    /// One node: it travels over one link and proves nothing to others.
    Node(NodeId),
}

impl Statement for AppMessage {
    const DOMAIN: &'static [u8] = b"positron-net/message/1";

    fn signer(&self) -> &PublicKey {
        &self.sender
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        match &self.audience {
            Audience::Everyone => {
                out.put_u8(MessageType::GossipMessage as u8);
                out.append_raw(&[0; 32]);
            }
            Audience::Node(id) => {
                out.put_u8(MessageType::CustomData as u8);
                out.append_raw(id.as_bytes());
            }
        }
        out.put_u64(self.sequence);
        out.put_u64(self.timestamp.as_unix_micros());
        out.append_raw(&self.payload);
    }
}

/// The fixed part of an application message on the wire: key, number, time, signature.
const APP_MESSAGE_HEADER: usize = 32 + 8 + 8 + 64;

impl Signed<AppMessage> {
    /// Reads a message for `audience` that fills the rest of `reader`. Its signature is not checked
    /// here.
    pub fn decode(reader: &mut Reader, audience: Audience) -> Result<Self, Malformed> {
        let bad_key = reader.malformed("public key of small order");
        let sender = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
        let bad_number = reader.malformed("sequence number above 2^62");
        let sequence = reader.u64()?;
        if sequence >= 1 << 62 {
            return Err(bad_number);
        }
        let timestamp = WallTime::from_unix_micros(reader.u64()?);
        let signature = Signature::from_bytes(reader.array()?);
        let too_long = reader.malformed("payload above its limit");
        let payload = reader.rest();
        if payload.len() > MAX_PAYLOAD {
            return Err(too_long);
        }
        let payload = detached(payload);
        let message = AppMessage { sender, audience, sequence, timestamp, payload };
        Ok(Self::new(message, signature))
    }

    /// Appends the message and its signature.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let message = self.content();
        out.append_raw(message.sender.as_bytes());
        out.put_u64(message.sequence);
        out.put_u64(message.timestamp.as_unix_micros());
        out.append_raw(self.signature().as_bytes());
        out.append_raw(&message.payload);
    }
}

impl Message {
    /// Its kind.
    pub const fn kind(&self) -> MessageType {
        match self {
            Self::Hello { answer: false, .. } => MessageType::Handshake,
            Self::Hello { answer: true, .. } => MessageType::HandshakeAck,
            Self::Heartbeat { .. } => MessageType::Heartbeat,
            Self::PeerDiscovery { .. } => MessageType::PeerDiscovery,
            Self::PeerAnnouncement { .. } => MessageType::PeerAnnouncement,
            Self::Gossip { .. } => MessageType::GossipMessage,
            Self::Direct { .. } => MessageType::CustomData,
            Self::IHave(_) => MessageType::IHave,
            Self::IWant(_) => MessageType::IWant,
            Self::GossipSync { .. } => MessageType::GossipSync,
        }
    }

    /// The queue it travels in.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Gossip { .. } => Lane::GOSSIP,
            Self::Direct { .. } => Lane::DIRECT,
            _ => Lane::CONTROL,
        }
    }

    /// Reads what a peer said to `receiver`. `None`: a kind that this version does not know, to be
    /// skipped.
    pub fn decode(body: Bytes, receiver: NodeId) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(body);
        let kind = reader.u8()?;
        let message = match kind {
            1 | 2 => Self::Hello {
                answer: kind == 2,
                record: Signed::<PeerRecord>::decode(&mut reader)?,
                observed: Address::decode(&mut reader)?,
                peers: decode_records(&mut reader)?,
            },
            3 => Self::Heartbeat { active_peers: reader.u32()? },
            4 => Self::PeerDiscovery { count: reader.u8()? },
            5 => Self::PeerAnnouncement { peers: decode_records(&mut reader)? },
            6 => {
                let ttl = reader.u8()?.min(MAX_TTL);
                let message = Signed::<AppMessage>::decode(&mut reader, Audience::Everyone)?;
                Self::Gossip { ttl, message }
            }
            10 => {
                let audience = Audience::Node(receiver);
                Self::Direct { message: Signed::<AppMessage>::decode(&mut reader, audience)? }
            }
            12 => Self::IHave(Holdings::decode(&mut reader)?),
            13 => Self::IWant(Holdings::decode(&mut reader)?),
            14 => Self::GossipSync { count: reader.u64()?, fingerprint: reader.array()? },
            _ => return Ok(None),
        };
        reader.finish()?;
        Ok(Some(message))
    }

    /// The message as bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.size_hint());
        out.put_u8(self.kind() as u8);
        match self {
            Self::Hello { record, observed, peers, .. } => {
                record.encode(&mut out);
                observed.encode(&mut out);
                encode_records(peers, &mut out);
            }
            Self::Heartbeat { active_peers } => out.put_u32(*active_peers),
            Self::PeerDiscovery { count } => out.put_u8(*count),
            Self::PeerAnnouncement { peers } => encode_records(peers, &mut out),
            Self::Gossip { ttl, message } => {
                out.put_u8(*ttl);
                message.encode(&mut out);
            }
            Self::Direct { message } => message.encode(&mut out),
            Self::IHave(holdings) | Self::IWant(holdings) => holdings.encode(&mut out),
            Self::GossipSync { count, fingerprint } => {
                out.put_u64(*count);
                out.append_raw(fingerprint);
            }
        }
        out.into()
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Gossip { message, .. } | Self::Direct { message } => {
                2 + APP_MESSAGE_HEADER + message.content().payload.len()
            }
            Self::Hello { peers, .. } | Self::PeerAnnouncement { peers } => 256 * (1 + peers.len()),
            _ => 64,
        }
    }
}

/// A short payload as a copy of its own. A slice would hold the whole record that it came in for
/// as long as the message is kept: a peer that wraps 100 bytes into 16 KiB of ignored frames would
/// cost 160 times what the limits of gossip count. With this it is at most twice.
fn detached(payload: Bytes) -> Bytes {
    if payload.len() < MAX_RECORD / 2 { Bytes::copy_from_slice(&payload) } else { payload }
}

fn decode_records(reader: &mut Reader) -> Result<Vec<Signed<PeerRecord>>, Malformed> {
    let count = reader.len(MAX_RECORDS_PER_MESSAGE)?;
    (0..count).map(|_| Signed::<PeerRecord>::decode(reader)).collect()
}

fn encode_records(records: &[Signed<PeerRecord>], out: &mut Vec<u8>) {
    out.append_varint(records.len() as u64);
    for record in records {
        record.encode(out);
    }
}
