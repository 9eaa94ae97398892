//! What relays and their clients say to each other `[PROTOCOL 3.10]`.

use bytes::{BufMut as _, Bytes};

use super::RelayRefusal;
use crate::{
    id::NodeId,
    limits::{MAX_NUMBER, RELAY_PIECE},
    wire::{Malformed, Reader, Writer as _, body::Body, frame::Lane, message::RoomMessage},
};

const RELAY_OPEN: u8 = 19;
const RELAY_OPENED: u8 = 20;
/// The type of what brings bytes.
pub(crate) const RELAY_DATA: u8 = 46;
const RELAY_CREDIT: u8 = 47;
const RELAY_CLOSE: u8 = 48;
const RELAY_REFUSED: u8 = 49;
/// All of them.
pub(crate) const RELAY_TYPES: &[u8] =
    &[RELAY_OPEN, RELAY_OPENED, RELAY_DATA, RELAY_CREDIT, RELAY_CLOSE, RELAY_REFUSED];

/// Which relayed stream of a session: either end of the session may be the relay of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayLabel {
    /// What the relay calls it.
    pub number: u64,
    /// Whether the sender of the message is the relay, and not an end of the stream.
    pub by_relay: bool,
}

/// What a relay and an end of a relayed stream say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayMessage {
    /// Forward between me and this node. Answered by [`Opened`](Self::Opened) or
    /// [`Refused`](Self::Refused), which repeat the tag.
    Open {
        /// Names the question: of the asker's choice, another one each time.
        tag: u64,
        /// Which node.
        peer: NodeId,
    },
    /// I forward between you and this node now.
    Opened {
        /// Names the stream between the relay and both of its ends.
        number: u64,
        /// Who is at the other end.
        peer: NodeId,
        /// The tag with which you asked for it; `None` if the other end did.
        asked: Option<u64>,
        /// Whether the relay sees both ends at one address.
        one_site: bool,
    },
    /// The next bytes.
    Data {
        /// Of which stream.
        label: RelayLabel,
        /// At most [`RELAY_PIECE`] bytes, and one at the least.
        bytes: Bytes,
    },
    /// So many bytes may be sent in all. Never less than was said before.
    Credit {
        /// Of which stream.
        label: RelayLabel,
        /// Bytes since its beginning.
        limit: u64,
    },
    /// Nothing more comes of this stream, in either direction.
    Close(RelayLabel),
    /// I do not forward to this node.
    Refused {
        /// What you asked with.
        tag: u64,
        /// To which.
        peer: NodeId,
        /// Why.
        why: RelayRefusal,
    },
}

impl RoomMessage for RelayMessage {
    const TYPES: &'static [u8] = RELAY_TYPES;

    fn message_type(&self) -> u8 {
        match self {
            Self::Open { .. } => RELAY_OPEN,
            Self::Opened { .. } => RELAY_OPENED,
            Self::Data { .. } => RELAY_DATA,
            Self::Credit { .. } => RELAY_CREDIT,
            Self::Close(_) => RELAY_CLOSE,
            Self::Refused { .. } => RELAY_REFUSED,
        }
    }

    /// What a relay says of a stream keeps its order, and so do the bytes of an end; what an end
    /// asks for and grants waits for nothing.
    fn lane(&self) -> Lane {
        match self {
            Self::Credit { label, .. } if !label.by_relay => Lane::CONTROL,
            Self::Open { .. } | Self::Refused { .. } => Lane::CONTROL,
            Self::Opened { .. } | Self::Data { .. } | Self::Credit { .. } | Self::Close(_) => {
                Lane::BULK
            }
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => 8 + bytes.len(),
            _ => 48,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open { tag, peer } => {
                out.append_varint(*tag);
                out.append_raw(peer.as_bytes());
            }
            Self::Opened { number, peer, asked, one_site } => {
                out.append_varint(*number);
                out.append_raw(peer.as_bytes());
                out.put_u8(u8::from(asked.is_some()) | u8::from(*one_site) << 1);
                asked.iter().for_each(|tag| out.append_varint(*tag));
            }
            Self::Data { label, bytes } => {
                label.encode(out);
                out.put_slice(bytes);
            }
            Self::Credit { label, limit } => {
                label.encode(out);
                out.append_varint(*limit);
            }
            Self::Close(label) => label.encode(out),
            Self::Refused { tag, peer, why } => {
                out.append_varint(*tag);
                out.append_raw(peer.as_bytes());
                out.put_u8(why.to_code());
            }
        }
    }

    fn encode_parts(&self) -> Body {
        let Self::Data { label, bytes } = self else { return self.encode().into() };
        let empty = Self::Data { label: *label, bytes: Bytes::new() };
        Body::new(empty.encode(), bytes.clone())
    }

    fn decode_body(
        message_type: u8,
        reader: &mut Reader,
        _receiver: NodeId,
    ) -> Result<Self, Malformed> {
        Ok(match message_type {
            RELAY_OPEN => {
                Self::Open { tag: counted(reader)?, peer: NodeId::from_bytes(reader.array()?) }
            }
            RELAY_OPENED => {
                let (number, peer) = (counted(reader)?, NodeId::from_bytes(reader.array()?));
                let flags = reader.u8()?;
                if flags > 3 {
                    return Err(reader.malformed("flags of a relayed stream"));
                }
                let asked = if flags & 1 == 1 { Some(counted(reader)?) } else { None };
                Self::Opened { number, peer, asked, one_site: flags & 2 == 2 }
            }
            RELAY_DATA => {
                let label = RelayLabel::decode(reader)?;
                if reader.remaining() == 0 || reader.remaining() > RELAY_PIECE {
                    return Err(reader.malformed("length of a piece of a relayed stream"));
                }
                Self::Data { label, bytes: reader.rest() }
            }
            RELAY_CREDIT => {
                Self::Credit { label: RelayLabel::decode(reader)?, limit: counted(reader)? }
            }
            RELAY_CLOSE => Self::Close(RelayLabel::decode(reader)?),
            RELAY_REFUSED => {
                let (tag, peer) = (counted(reader)?, NodeId::from_bytes(reader.array()?));
                Self::Refused { tag, peer, why: RelayRefusal::from_code(reader.u8()?) }
            }
            _ => return Err(reader.malformed("type of another room")),
        })
    }
}

impl RelayLabel {
    fn encode(self, out: &mut Vec<u8>) {
        out.append_varint(self.number << 1 | u64::from(self.by_relay));
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let label = reader.varint()?;
        Ok(Self { number: label >> 1, by_relay: label & 1 == 1 })
    }
}

fn counted(reader: &mut Reader) -> Result<u64, Malformed> {
    let too_large = reader.malformed("number above the limit");
    let number = reader.varint()?;
    if number > MAX_NUMBER { Err(too_large) } else { Ok(number) }
}
