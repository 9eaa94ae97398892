//! What gossip says to the gossip of another node `[PROTOCOL 6]`.

use bytes::BufMut as _;

use crate::{
    id::NodeId,
    identity::Signed,
    limits::{LARGE_GOSSIP, MAX_PAYLOAD, MAX_SKETCHED, MAX_TTL, SKETCH_PIECE, SKETCH_SYMBOLS},
    reconciliation::{Code, Symbol},
    wire::{
        Malformed, Reader, Writer as _,
        frame::Lane,
        holdings::Holdings,
        message::{AppMessage, Audience, GOSSIP_MESSAGE, RoomMessage},
    },
};

const GOSSIP_IHAVE: u8 = 12;
const GOSSIP_IWANT: u8 = 13;
const GOSSIP_DIGEST: u8 = 14;
const GOSSIP_OFFER: u8 = 27;
const GOSSIP_RECEIPT: u8 = 28;
const GOSSIP_LARGE: u8 = 29;
const GOSSIP_GRAFT: u8 = 40;
const GOSSIP_PRUNE: u8 = 41;
const GOSSIP_SKETCH: u8 = 42;
const GOSSIP_MORE: u8 = 43;
const GOSSIP_LACKING: u8 = 44;
const GOSSIP_ANNOUNCE: u8 = 45;

/// Beside the hops of a [`GossipMessage::Gossip`]: it shapes the tree of pushes.
pub const SHAPES: u8 = 0x80;

/// What gossip says to the gossip of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GossipMessage {
    /// A broadcast that its sender signed for everyone, with the hops that it is still pushed,
    /// clamped to [`MAX_TTL`] on entry, and whether it [`SHAPES`]; neither is signed.
    Gossip(u8, Signed<AppMessage>),
    /// Broadcasts that I have; an empty list ends the answer to a [`GossipMessage::Digest`].
    IHave(Holdings),
    /// A broadcast of [`LARGE_GOSSIP`] bytes or more that I have, and send only to who asks.
    Large {
        /// Whose it is.
        sender: NodeId,
        /// Its number.
        sequence: u64,
        /// Bytes of its payload.
        bytes: usize,
    },
    /// Broadcasts that I want.
    IWant(Holdings),
    /// All broadcasts that I keep, in one sum.
    Digest {
        /// Of this link, drawn by the end with the smaller id.
        key: [u8; 16],
        /// How many.
        count: u64,
        /// Of their SipHashes under the key, modulo 2^128.
        sum: [u8; 16],
    },
    /// A piece of the [sketch](crate::reconciliation) of all broadcasts that I keep.
    Sketch {
        /// How many broadcasts, at most [`MAX_SKETCHED`].
        elements: u32,
        /// How many symbols I have of them, at most [`SKETCH_SYMBOLS`].
        length: usize,
        /// The number of the first of these.
        first: usize,
        /// At most [`SKETCH_PIECE`].
        symbols: Vec<Symbol>,
    },
    /// I need more symbols to see how we differ; at their end, a list of everything.
    More {
        /// The number of the first one.
        first: usize,
    },
    /// You have these and I do not: whose are they? At most [`SKETCH_SYMBOLS`].
    Lacking(Vec<Code>),
    /// Broadcasts that I have and would let go, if it were not for you: which of them do you need?
    Offer(Holdings),
    /// Broadcasts that need not be kept for me: I have them, or they are old here.
    Receipt(Holdings),
    /// Push new broadcasts to me from now on, as I do to you.
    Graft,
    /// Push none to me from now on, as I push none to you.
    Prune,
    /// While you push none to me, announce them; if not, enough others do.
    Announce(bool),
}

impl RoomMessage for GossipMessage {
    const TYPES: &'static [u8] = &[
        GOSSIP_MESSAGE,
        GOSSIP_IHAVE,
        GOSSIP_IWANT,
        GOSSIP_DIGEST,
        GOSSIP_OFFER,
        GOSSIP_RECEIPT,
        GOSSIP_LARGE,
        GOSSIP_GRAFT,
        GOSSIP_PRUNE,
        GOSSIP_SKETCH,
        GOSSIP_MORE,
        GOSSIP_LACKING,
        GOSSIP_ANNOUNCE,
    ];

    fn message_type(&self) -> u8 {
        match self {
            Self::Gossip(..) => GOSSIP_MESSAGE,
            Self::IHave(_) => GOSSIP_IHAVE,
            Self::IWant(_) => GOSSIP_IWANT,
            Self::Digest { .. } => GOSSIP_DIGEST,
            Self::Offer(_) => GOSSIP_OFFER,
            Self::Receipt(_) => GOSSIP_RECEIPT,
            Self::Large { .. } => GOSSIP_LARGE,
            Self::Graft => GOSSIP_GRAFT,
            Self::Prune => GOSSIP_PRUNE,
            Self::Sketch { .. } => GOSSIP_SKETCH,
            Self::More { .. } => GOSSIP_MORE,
            Self::Lacking(_) => GOSSIP_LACKING,
            Self::Announce(_) => GOSSIP_ANNOUNCE,
        }
    }

    fn lane(&self) -> Lane {
        match self {
            Self::Gossip(_, message) if message.content().payload.len() >= LARGE_GOSSIP => {
                Lane::LARGE_GOSSIP
            }
            Self::Gossip(..) => Lane::GOSSIP,
            _ => Lane::CONTROL,
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Gossip(_, message) => 1 + message.encoded_len(),
            Self::Graft | Self::Prune => 0,
            Self::Announce(_) => 1,
            _ => 64,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Gossip(ttl, message) => {
                out.put_u8(*ttl);
                message.encode(out);
            }
            Self::IHave(holdings)
            | Self::IWant(holdings)
            | Self::Offer(holdings)
            | Self::Receipt(holdings) => holdings.encode(out),
            Self::Large { sender, sequence, bytes } => {
                out.append_raw(sender.as_bytes());
                out.append_varint(*sequence);
                out.append_varint(*bytes as u64);
            }
            Self::Digest { key, count, sum } => {
                out.append_raw(key);
                out.put_u64(*count);
                out.append_raw(sum);
            }
            Self::Sketch { elements, length, first, symbols } => {
                out.append_varint(u64::from(*elements));
                out.append_varint(*length as u64);
                out.append_varint(*first as u64);
                out.append_varint(symbols.len() as u64);
                for (index, symbol) in (*first..).zip(symbols) {
                    symbol.encode(index, *elements, out);
                }
            }
            Self::More { first } => out.append_varint(*first as u64),
            Self::Lacking(codes) => {
                out.append_varint(codes.len() as u64);
                codes.iter().for_each(|code| code.encode(out));
            }
            Self::Announce(wanted) => out.put_u8(u8::from(*wanted)),
            Self::Graft | Self::Prune => {}
        }
    }

    fn decode_body(
        message_type: u8,
        reader: &mut Reader,
        _receiver: NodeId,
    ) -> Result<Self, Malformed> {
        Ok(match message_type {
            GOSSIP_MESSAGE => {
                let byte = reader.u8()?;
                let ttl = (byte & !SHAPES).min(MAX_TTL) | byte & SHAPES;
                Self::Gossip(ttl, Signed::<AppMessage>::decode(reader, Audience::Everyone)?)
            }
            GOSSIP_IHAVE => Self::IHave(Holdings::decode(reader)?),
            GOSSIP_IWANT => Self::IWant(Holdings::decode(reader)?),
            GOSSIP_OFFER => Self::Offer(Holdings::decode(reader)?),
            GOSSIP_RECEIPT => Self::Receipt(Holdings::decode(reader)?),
            GOSSIP_LARGE => {
                let (sender, sequence) = (NodeId::from_bytes(reader.array()?), reader.varint()?);
                let bytes = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
                if !(LARGE_GOSSIP..=MAX_PAYLOAD).contains(&bytes) {
                    return Err(reader.malformed("a large message is not that large"));
                }
                Self::Large { sender, sequence, bytes }
            }
            GOSSIP_GRAFT => Self::Graft,
            GOSSIP_PRUNE => Self::Prune,
            GOSSIP_ANNOUNCE => match reader.u8()? {
                0 => Self::Announce(false),
                1 => Self::Announce(true),
                _ => return Err(reader.malformed("wish to be told what is new")),
            },
            GOSSIP_DIGEST => {
                Self::Digest { key: reader.array()?, count: reader.u64()?, sum: reader.array()? }
            }
            GOSSIP_SKETCH => decode_sketch(reader)?,
            GOSSIP_MORE => Self::More { first: reader.len(SKETCH_SYMBOLS)? },
            GOSSIP_LACKING => Self::Lacking(reader.list(SKETCH_SYMBOLS, Code::decode)?),
            _ => return Err(reader.malformed("type of another room")),
        })
    }
}

fn decode_sketch(reader: &mut Reader) -> Result<GossipMessage, Malformed> {
    let elements = reader.len(MAX_SKETCHED)?;
    let elements = u32::try_from(elements).map_err(|_| reader.malformed("elements"))?;
    let length = reader.len(SKETCH_SYMBOLS)?;
    let (first, beyond) = (reader.len(length)?, reader.malformed("symbols beyond the last one"));
    let count = reader.len(SKETCH_PIECE)?;
    if count > length - first {
        return Err(beyond);
    }
    let symbols = (first..first + count).map(|index| Symbol::decode(reader, index, elements));
    let symbols = symbols.collect::<Result<_, _>>()?;
    Ok(GossipMessage::Sketch { elements, length, first, symbols })
}
