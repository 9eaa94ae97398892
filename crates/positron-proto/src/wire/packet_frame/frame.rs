//! One frame `[PROTOCOL 9.6]`.

use core::ops::RangeInclusive;

use bytes::{BufMut as _, Bytes};

use super::acknowledgment::{self, AckRanges, PACKET_ACK, put_ack};
use crate::{
    limits::{LANES, MAX_DATAGRAM_MESSAGE},
    time::Duration,
    wire::{
        body::Parts,
        codec::{MAX_VARINT, Malformed, Reader, Source, Writer as _, varint_len},
        frame::CloseReason,
        packet::PacketType,
    },
};

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// Once, in the order of sending within its lane.
    Ordered = 0,
    /// Once, as soon as it is whole.
    Unordered = 1,
    /// At most once, and never sent again.
    Unreliable = 2,
}

impl Delivery {
    /// Every way, in order of its number.
    pub const ALL: [Self; 3] = [Self::Ordered, Self::Unordered, Self::Unreliable];
}

/// Messages of one delivery in one lane: they have numbers of their own, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// How its messages are delivered.
    pub delivery: Delivery,
    /// Below [`LANES`]; a lower one is more urgent.
    pub lane: u8,
}

impl Channel {
    /// The byte that stands for it; lanes above the last one are taken for the last one.
    pub fn byte(self) -> u8 {
        (self.delivery as u8) << 4 | self.lane.min(LANES - 1)
    }

    fn decode(reader: &mut Reader<impl Source>) -> Result<Self, Malformed> {
        let unknown = reader.malformed("unknown channel");
        let byte = reader.u8()?;
        let delivery = *Delivery::ALL.get(usize::from(byte >> 4)).ok_or(unknown)?;
        Ok(Self { delivery, lane: byte & 0x0F })
    }
}

/// Which side of a stream ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamSide {
    /// The sender of the frame sends no more: what it sent ends at the offset, undelivered or not.
    Sending = 0,
    /// The sender of the frame reads no more: it needs nothing from the offset on.
    Reading = 1,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketFrame<B = Bytes> {
    /// The rest of the packet, which is zero.
    Padding {
        /// Its bytes, with the type; at least 1.
        len: usize,
    },
    /// Asks for a [`PacketFrame::Pong`] with the same token.
    Ping {
        /// Chosen by who asks.
        token: u64,
    },
    /// Answers a [`PacketFrame::Ping`].
    Pong {
        /// That of the question.
        token: u64,
    },
    /// One whole message.
    Message {
        /// Its channel.
        channel: Channel,
        /// Counts the messages of the channel from 0.
        number: u64,
        /// The message, at most [`MAX_DATAGRAM_MESSAGE`] bytes.
        body: B,
    },
    /// A piece of a message.
    Fragment {
        /// Its channel.
        channel: Channel,
        /// The number of the message.
        number: u64,
        /// Bytes of the message before this piece.
        offset: u32,
        /// Bytes of the whole message, at most [`MAX_DATAGRAM_MESSAGE`].
        total: u32,
        /// The piece; never empty.
        body: B,
    },
    /// Its sender says no more, and why.
    Close(CloseReason),
    /// A piece of a stream.
    Stream {
        /// The stream; never 0.
        id: u64,
        /// In which lane it travels.
        lane: u8,
        /// Whether the stream ends with this piece.
        fin: bool,
        /// Bytes of the stream before this piece; the end of the piece is below 2^62.
        offset: u64,
        /// The piece; empty only with `fin`.
        body: B,
    },
    /// How far the receiver of this frame may go.
    MaxData {
        /// The stream; 0 for the count of streams.
        stream: u64,
        /// Bytes of the stream, or streams that the receiver of this frame may have opened in all.
        limit: u64,
    },
    /// Which packets were received.
    PacketAck {
        /// Their numbers.
        ranges: AckRanges,
        /// How long the one with the largest number waited for this, in whole microseconds.
        delay: Duration,
    },
    /// Every packet below this number is acknowledged or was given up by its sender.
    StopWaiting {
        /// The lowest number that is neither.
        number: u64,
    },
    /// Asks over a new path for a [`PacketFrame::PathResponse`].
    PathChallenge {
        /// Random.
        token: [u8; 8],
    },
    /// Answers a [`PacketFrame::PathChallenge`].
    PathResponse {
        /// That of the question.
        token: [u8; 8],
    },
    /// One side of a stream ends early.
    StreamEnd {
        /// The stream; never 0.
        id: u64,
        /// Which side.
        side: StreamSide,
        /// Bytes of the stream before its end.
        offset: u64,
        /// Why, as the application says; 0 if it does not.
        code: u32,
    },
    /// A message in fragments was received whole, now or before.
    MessageAck {
        /// Its channel.
        channel: Channel,
        /// Its number.
        number: u64,
    },
    /// What was there of an unfinished message was let go.
    MessageNack {
        /// Its channel.
        channel: Channel,
        /// Its number.
        number: u64,
    },
    /// An extension that this version does not know: ignored.
    Unknown {
        /// Its type, 0x40 to 0x7F.
        kind: u8,
    },
}

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const PONG: u8 = 0x02;
const MESSAGE: u8 = 0x03;
const FRAGMENT: u8 = 0x04;
const CLOSE: u8 = 0x06;
const STREAM: u8 = 0x08;
const MAX_DATA: u8 = 0x09;
const STOP_WAITING: u8 = 0x0B;
const PATH_CHALLENGE: u8 = 0x0C;
const PATH_RESPONSE: u8 = 0x0D;
const STREAM_END: u8 = 0x0F;
const MESSAGE_ACK: u8 = 0x10;
const MESSAGE_NACK: u8 = 0x11;
const EXTENSIONS: RangeInclusive<u8> = 0x40..=0x7F;

impl<B: Source> PacketFrame<B> {
    /// Reads one frame from the front of `reader`.
    pub fn decode(reader: &mut Reader<B>) -> Result<Self, Malformed> {
        let unknown = reader.malformed("unknown frame type");
        match reader.u8()? {
            PADDING => decode_padding(reader),
            PING => Ok(Self::Ping { token: reader.u64()? }),
            PONG => Ok(Self::Pong { token: reader.u64()? }),
            MESSAGE => {
                let (channel, number) = (Channel::decode(reader)?, reader.varint()?);
                Ok(Self::Message { channel, number, body: reader.bytes(MAX_DATAGRAM_MESSAGE)? })
            }
            FRAGMENT => decode_part(reader),
            CLOSE => Ok(Self::Close(CloseReason::decode(reader)?)),
            STREAM => decode_stream(reader),
            MAX_DATA => Ok(Self::MaxData { stream: reader.varint()?, limit: reader.varint()? }),
            PACKET_ACK => {
                let (ranges, delay) = acknowledgment::decode(reader)?;
                Ok(Self::PacketAck { ranges, delay })
            }
            STOP_WAITING => Ok(Self::StopWaiting { number: reader.varint()? }),
            PATH_CHALLENGE => Ok(Self::PathChallenge { token: reader.array()? }),
            PATH_RESPONSE => Ok(Self::PathResponse { token: reader.array()? }),
            STREAM_END => decode_stream_end(reader),
            MESSAGE_ACK => {
                Ok(Self::MessageAck { channel: Channel::decode(reader)?, number: reader.varint()? })
            }
            MESSAGE_NACK => Ok(Self::MessageNack {
                channel: Channel::decode(reader)?,
                number: reader.varint()?,
            }),
            kind if EXTENSIONS.contains(&kind) => {
                reader.bytes(reader.remaining())?;
                Ok(Self::Unknown { kind })
            }
            _ => Err(unknown),
        }
    }

    /// Whether it may be in a sealed packet of this type.
    pub const fn allowed_in(&self, kind: PacketType) -> bool {
        use PacketType as Type;
        match self {
            Self::Padding { .. } | Self::PacketAck { .. } | Self::StopWaiting { .. } => {
                !matches!(kind, Type::Syn | Type::SynAck)
            }
            Self::Close(_) => matches!(kind, Type::Fin | Type::Rst),
            Self::Ping { .. } => matches!(kind, Type::Data | Type::Ping),
            Self::Pong { .. } => matches!(kind, Type::Data | Type::Pong),
            Self::Fragment { .. } => matches!(kind, Type::Data | Type::Fragment),
            Self::MessageAck { .. } => matches!(kind, Type::Data | Type::MessageAck),
            Self::MessageNack { .. } => matches!(kind, Type::Data | Type::MessageNack),
            _ => matches!(kind, Type::Data),
        }
    }

    /// Whether a packet with it is to be acknowledged within
    /// [`ACK_DELAY`](crate::limits::ACK_DELAY) (RFC 9002, 2).
    pub const fn is_ack_eliciting(&self) -> bool {
        self.says_something() && !matches!(self, Self::Pong { .. })
    }

    /// Whether it is more than acknowledgments and padding, which may ride in every packet.
    pub const fn says_something(&self) -> bool {
        !matches!(self, Self::Padding { .. } | Self::PacketAck { .. } | Self::StopWaiting { .. })
    }
}

impl PacketFrame {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Padding { len } => out.resize(out.len() + (*len).max(1), PADDING),
            Self::Ping { token } => put_token(out, PING, &token.to_be_bytes()),
            Self::Pong { token } => put_token(out, PONG, &token.to_be_bytes()),
            Self::Message { channel, number, body } => {
                put_message(out, *channel, *number, [body, &[]]);
            }
            Self::Fragment { channel, number, offset, total, body } => {
                put_fragment(out, *channel, *number, *offset, *total, [body, &[]]);
            }
            Self::Close(reason) => put_close(out, reason),
            Self::Stream { id, lane, fin, offset, body } => {
                put_stream(out, *id, *lane, *fin, *offset, body);
            }
            Self::MaxData { stream, limit } => put_numbers(out, MAX_DATA, &[*stream, *limit]),
            Self::PacketAck { ranges, delay } => {
                put_ack(out, ranges.iter(), *delay, usize::MAX);
            }
            Self::StopWaiting { number } => put_numbers(out, STOP_WAITING, &[*number]),
            Self::PathChallenge { token } => put_token(out, PATH_CHALLENGE, token),
            Self::PathResponse { token } => put_token(out, PATH_RESPONSE, token),
            Self::StreamEnd { id, side, offset, code } => {
                put_numbers(out, STREAM_END, &[*id]);
                out.put_u8(*side as u8);
                out.append_varint(*offset);
                out.put_u32(*code);
            }
            Self::MessageAck { channel, number } => {
                out.extend_from_slice(&[MESSAGE_ACK, channel.byte()]);
                out.append_varint(*number);
            }
            Self::MessageNack { channel, number } => {
                out.extend_from_slice(&[MESSAGE_NACK, channel.byte()]);
                out.append_varint(*number);
            }
            Self::Unknown { kind } => out.extend_from_slice(&[*kind, 0]),
        }
    }
}

/// Appends a [`PacketFrame::Message`].
pub fn put_message(out: &mut Vec<u8>, channel: Channel, number: u64, body: Parts<'_>) {
    out.extend_from_slice(&[MESSAGE, channel.byte()]);
    out.append_varint(number);
    put_parts(out, body);
}

/// Appends a [`PacketFrame::Fragment`]; `body` is not empty and ends within `total`.
pub fn put_fragment(
    out: &mut Vec<u8>,
    channel: Channel,
    number: u64,
    offset: u32,
    total: u32,
    body: Parts<'_>,
) {
    out.extend_from_slice(&[FRAGMENT, channel.byte()]);
    for value in [number, u64::from(offset), u64::from(total)] {
        out.append_varint(value);
    }
    put_parts(out, body);
}

/// Appends their length and their bytes.
fn put_parts(out: &mut Vec<u8>, parts: Parts<'_>) {
    out.append_varint(u64::try_from(parts[0].len() + parts[1].len()).unwrap_or(u64::MAX));
    parts.into_iter().for_each(|part| out.append_raw(part));
}

/// Appends a [`PacketFrame::Stream`]; `body` is empty only with `fin`.
pub fn put_stream(out: &mut Vec<u8>, id: u64, lane: u8, fin: bool, offset: u64, body: &[u8]) {
    put_numbers(out, STREAM, &[id]);
    out.extend_from_slice(&[lane, u8::from(fin)]);
    out.append_varint(offset);
    out.append_blob(body);
}

/// Appends a [`PacketFrame::Close`].
pub fn put_close(out: &mut Vec<u8>, reason: &CloseReason) {
    out.put_u8(CLOSE);
    reason.encode(out);
}

/// Bytes of a [`PacketFrame::Message`] around a body of at most `len` bytes, at the most.
pub const fn message_overhead(number: u64, len: usize) -> usize {
    2 + varint_len(number) + varint_len(len as u64)
}

/// Bytes of a [`PacketFrame::Fragment`] around a body of at most `len` bytes, at the most.
pub const fn fragment_overhead(number: u64, offset: u32, total: u32, len: usize) -> usize {
    let place = varint_len(offset as u64) + varint_len(total as u64);
    2 + varint_len(number) + place + varint_len(len as u64)
}

/// Bytes of a [`PacketFrame::Stream`] around a body of at most `len` bytes, at the most.
pub const fn stream_overhead(id: u64, offset: u64, len: usize) -> usize {
    3 + varint_len(id) + varint_len(offset) + varint_len(len as u64)
}

fn put_token(out: &mut Vec<u8>, kind: u8, token: &[u8; 8]) {
    out.put_u8(kind);
    out.append_raw(token);
}

fn put_numbers(out: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    out.put_u8(kind);
    for number in numbers {
        out.append_varint(*number);
    }
}

fn decode_padding<B: Source>(reader: &mut Reader<B>) -> Result<PacketFrame<B>, Malformed> {
    let not_zero = reader.malformed("padding is not zero");
    let rest = reader.rest();
    let zero = rest.as_ref().iter().all(|byte| *byte == 0);
    if zero { Ok(PacketFrame::Padding { len: 1 + rest.as_ref().len() }) } else { Err(not_zero) }
}

fn decode_part<B: Source>(reader: &mut Reader<B>) -> Result<PacketFrame<B>, Malformed> {
    let (channel, number) = (Channel::decode(reader)?, reader.varint()?);
    let wrong = reader.malformed("part outside its message");
    let (offset, total) = (reader.len(MAX_DATAGRAM_MESSAGE)?, reader.len(MAX_DATAGRAM_MESSAGE)?);
    let body = reader.bytes(MAX_DATAGRAM_MESSAGE)?;
    let len = body.as_ref().len();
    if len == 0 || offset.checked_add(len).is_none_or(|end| end > total) {
        return Err(wrong);
    }
    let narrow = |n: usize| u32::try_from(n).map_err(|_| wrong);
    let (offset, total) = (narrow(offset)?, narrow(total)?);
    Ok(PacketFrame::Fragment { channel, number, offset, total, body })
}

fn decode_stream<B: Source>(reader: &mut Reader<B>) -> Result<PacketFrame<B>, Malformed> {
    let id = decode_stream_id(reader)?;
    let unknown = reader.malformed("unknown lane");
    let lane = reader.u8()?;
    if lane >= LANES {
        return Err(unknown);
    }
    let not_bool = reader.malformed("neither the end nor not");
    let fin = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(not_bool),
    };
    let wrong = reader.malformed("piece outside of any stream");
    let offset = reader.varint()?;
    let body = reader.bytes(reader.remaining())?;
    let len = u64::try_from(body.as_ref().len()).map_err(|_| wrong)?;
    if offset + len > MAX_VARINT || (len == 0 && !fin) {
        return Err(wrong);
    }
    Ok(PacketFrame::Stream { id, lane, fin, offset, body })
}

fn decode_stream_end<B: Source>(reader: &mut Reader<B>) -> Result<PacketFrame<B>, Malformed> {
    let id = decode_stream_id(reader)?;
    let unknown = reader.malformed("unknown side");
    let side = match reader.u8()? {
        0 => StreamSide::Sending,
        1 => StreamSide::Reading,
        _ => return Err(unknown),
    };
    Ok(PacketFrame::StreamEnd { id, side, offset: reader.varint()?, code: reader.u32()? })
}

fn decode_stream_id(reader: &mut Reader<impl Source>) -> Result<u64, Malformed> {
    let nobody = reader.malformed("no such stream");
    let id = reader.varint()?;
    if id == 0 { Err(nobody) } else { Ok(id) }
}
