//! What a trace is on the wire `[PROTOCOL 3.7]`.

use bytes::BufMut as _;

use super::sum::TraceSum;
use crate::{
    id::{MessageId, NodeId},
    identity::{PublicKey, Signature, Signed, Statement},
    limits::MAX_TRACE_DEPTH,
    time::WallTime,
    wire::{Malformed, Reader, Writer as _, frame::Lane, message::RoomMessage},
};

/// The type of the question for the way of a message.
pub const TRACE_ASK: u8 = 38;
/// The type of its answer.
pub const TRACE_ANSWER: u8 = 39;

/// The sender of a message wants to know its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceOrder {
    /// Who wants it: nobody but the message's own sender.
    pub sender: PublicKey,
    /// Which message.
    pub message: MessageId,
    /// When, by the sender's clock: sets one trace of a message apart from another, and is compared
    /// with no clock.
    pub at: WallTime,
}

impl Statement for TraceOrder {
    const DOMAIN: &'static [u8] = b"positron-net/trace/1";

    fn signer(&self) -> &PublicKey {
        &self.sender
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.append_raw(self.message.as_bytes());
        out.put_u64(self.at.as_unix_micros());
    }
}

/// Names a trace in answers: the beginning of the id of its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceTag(pub [u8; 16]);

impl TraceTag {
    /// That of the order of this id.
    pub fn of(order: MessageId) -> Self {
        let mut tag = [0; 16];
        tag.copy_from_slice(&order.as_bytes()[..16]);
        Self(tag)
    }
}

/// What a trace is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceMessage {
    /// Where did this message go from you?
    Ask {
        /// Hops that the question is still passed on: clamped to [`MAX_TRACE_DEPTH`] on entry, and
        /// not signed.
        hops: u8,
        /// What its sender signed.
        order: Signed<TraceOrder>,
    },
    /// From me it went there.
    Answer {
        /// To which question.
        tag: TraceTag,
        /// What is known.
        answer: TraceAnswer,
    },
}

/// How a question for the way of a message was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceAnswer {
    /// I have the message from you, and this came of it.
    Sum {
        /// Microseconds between the moment at which it came to me and your question.
        age: u32,
        /// Microseconds between your question and this answer.
        held: u32,
        /// Of me and all that have it from me.
        sum: Box<TraceSum>,
    },
    /// I have it from somebody else.
    NotYours,
    /// I remember nothing of it.
    Forgotten,
    /// Too many are asking.
    Busy,
}

impl RoomMessage for TraceMessage {
    const TYPES: &'static [u8] = &[TRACE_ASK, TRACE_ANSWER];

    fn message_type(&self) -> u8 {
        match self {
            Self::Ask { .. } => TRACE_ASK,
            Self::Answer { .. } => TRACE_ANSWER,
        }
    }

    fn lane(&self) -> Lane {
        Lane::BULK
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Answer { answer: TraceAnswer::Sum { sum, .. }, .. } => sum.size_hint() + 25,
            _ => ASK_LEN,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ask { hops, order } => {
                out.put_u8(*hops);
                let TraceOrder { sender, message, at } = order.content();
                out.append_raw(sender.as_bytes());
                out.append_raw(message.as_bytes());
                out.put_u64(at.as_unix_micros());
                out.append_raw(order.signature().as_bytes());
            }
            Self::Answer { tag, answer } => {
                out.append_raw(&tag.0);
                out.put_u8(match answer {
                    TraceAnswer::Sum { .. } => 0,
                    TraceAnswer::NotYours => 1,
                    TraceAnswer::Forgotten => 2,
                    TraceAnswer::Busy => 3,
                });
                if let TraceAnswer::Sum { age, held, sum } = answer {
                    out.put_u32(*age);
                    out.put_u32(*held);
                    sum.encode(out);
                }
            }
        }
    }

    fn decode_body(message_type: u8, reader: &mut Reader, _: NodeId) -> Result<Self, Malformed> {
        match message_type {
            TRACE_ASK => {
                let hops = reader.u8()?.min(MAX_TRACE_DEPTH);
                let bad_key = reader.malformed("public key of small order");
                let sender = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
                let message = MessageId::from_bytes(reader.array()?);
                let at = WallTime::from_unix_micros(reader.u64()?);
                let signature = Signature::from_bytes(reader.array()?);
                let order = Signed::new(TraceOrder { sender, message, at }, signature);
                Ok(Self::Ask { hops, order })
            }
            TRACE_ANSWER => {
                let tag = TraceTag(reader.array()?);
                let unknown = reader.malformed("kind of answer");
                let answer = match reader.u8()? {
                    0 => TraceAnswer::Sum {
                        age: reader.u32()?,
                        held: reader.u32()?,
                        sum: Box::new(TraceSum::decode(reader)?),
                    },
                    1 => TraceAnswer::NotYours,
                    2 => TraceAnswer::Forgotten,
                    3 => TraceAnswer::Busy,
                    _ => return Err(unknown),
                };
                Ok(Self::Answer { tag, answer })
            }
            _ => Err(reader.malformed("type of another room")),
        }
    }
}

/// Bytes of the body of a question.
const ASK_LEN: usize = 1 + 32 + 32 + 8 + 64;
