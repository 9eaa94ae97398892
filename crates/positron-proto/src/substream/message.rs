//! What substreams say to each other `[PROTOCOL 3.4]`.

use bytes::{BufMut as _, Bytes};

use super::SubstreamEnd;
use crate::{
    id::NodeId,
    limits::{MAX_NUMBER, SUBSTREAM_PIECE},
    wire::{Malformed, Reader, Writer as _, body::Body, frame::Lane, message::RoomMessage},
};

/// The type of what brings bytes.
pub const SUBSTREAM_DATA: u8 = 33;
const SUBSTREAM_CREDIT: u8 = 34;
const SUBSTREAM_RESET: u8 = 35;
const SUBSTREAM_STOP: u8 = 36;
/// All of them: none is brought again by whoever said it.
pub(crate) const SUBSTREAM_TYPES: &[u8] =
    &[SUBSTREAM_DATA, SUBSTREAM_CREDIT, SUBSTREAM_RESET, SUBSTREAM_STOP];

/// Which substream of a session, as the sender of a message names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Counts those that its opener opened, to anybody.
    pub number: u64,
    /// Whether the sender of the message opened it, and not the receiver.
    pub by_sender: bool,
}

/// What one end of a substream says to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubstreamMessage {
    /// The next bytes. Those at offset 0 open the substream, if the sender is its opener.
    Data {
        /// Of which one.
        label: Label,
        /// Bytes before these.
        offset: u64,
        /// Whether these are the last.
        fin: bool,
        /// At most [`SUBSTREAM_PIECE`] bytes.
        bytes: Bytes,
    },
    /// So many bytes may be sent in all. Never less than was said before.
    Credit {
        /// Of which one.
        label: Label,
        /// Bytes since its beginning.
        limit: u64,
    },
    /// No more will be sent, and what was may be incomplete.
    Reset {
        /// Of which one.
        label: Label,
        /// Why.
        why: SubstreamEnd,
    },
    /// No more will be read.
    Stop {
        /// Of which one.
        label: Label,
        /// Why.
        why: SubstreamEnd,
    },
}

impl RoomMessage for SubstreamMessage {
    const TYPES: &'static [u8] = SUBSTREAM_TYPES;

    fn message_type(&self) -> u8 {
        match self {
            Self::Data { .. } => SUBSTREAM_DATA,
            Self::Credit { .. } => SUBSTREAM_CREDIT,
            Self::Reset { .. } => SUBSTREAM_RESET,
            Self::Stop { .. } => SUBSTREAM_STOP,
        }
    }

    /// A reset stays behind the data that it ends; what concerns the other direction need not wait
    /// for anything.
    fn lane(&self) -> Lane {
        match self {
            Self::Data { .. } | Self::Reset { .. } => Lane::BULK,
            Self::Credit { .. } | Self::Stop { .. } => Lane::CONTROL,
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => 17 + bytes.len(),
            _ => 16,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Data { label, offset, fin, bytes } => {
                label.encode(out);
                out.append_varint(*offset);
                out.put_u8(u8::from(*fin));
                out.put_slice(bytes);
            }
            Self::Credit { label, limit } => {
                label.encode(out);
                out.append_varint(*limit);
            }
            Self::Reset { label, why } | Self::Stop { label, why } => {
                label.encode(out);
                out.append_varint(why.to_code());
            }
        }
    }

    fn encode_parts(&self) -> Body {
        let Self::Data { label, offset, fin, bytes } = self else { return self.encode().into() };
        let empty = Self::Data { label: *label, offset: *offset, fin: *fin, bytes: Bytes::new() };
        Body::new(empty.encode(), bytes.clone())
    }

    fn decode_body(
        message_type: u8,
        reader: &mut Reader,
        _receiver: NodeId,
    ) -> Result<Self, Malformed> {
        let label = Label::decode(reader)?;
        Ok(match message_type {
            SUBSTREAM_DATA => {
                let offset = position(reader)?;
                let fin = match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(reader.malformed("flags of a piece of a stream")),
                };
                if reader.remaining() > SUBSTREAM_PIECE {
                    return Err(reader.malformed("piece of a stream above the limit"));
                }
                Self::Data { label, offset, fin, bytes: reader.rest() }
            }
            SUBSTREAM_CREDIT => Self::Credit { label, limit: position(reader)? },
            SUBSTREAM_RESET => Self::Reset { label, why: end(reader)? },
            SUBSTREAM_STOP => Self::Stop { label, why: end(reader)? },
            _ => return Err(reader.malformed("type of another room")),
        })
    }
}

impl Label {
    fn encode(self, out: &mut Vec<u8>) {
        out.append_varint(self.number << 1 | u64::from(self.by_sender));
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let both = reader.varint()?;
        let (number, by_sender) = (both >> 1, both & 1 == 1);
        if number > MAX_NUMBER {
            return Err(reader.malformed("number of a stream above the limit"));
        }
        Ok(Self { number, by_sender })
    }
}

fn position(reader: &mut Reader) -> Result<u64, Malformed> {
    let position = reader.varint()?;
    if position > MAX_NUMBER {
        return Err(reader.malformed("position in a stream above the limit"));
    }
    Ok(position)
}

fn end(reader: &mut Reader) -> Result<SubstreamEnd, Malformed> {
    let code = reader.varint()?;
    SubstreamEnd::from_code(code).ok_or_else(|| reader.malformed("reason for the end of a stream"))
}
