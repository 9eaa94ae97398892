//! Frames: what every kind of link carries `[PROTOCOL 4]`.

use bytes::{BufMut as _, Bytes};

use super::codec::{Malformed, Reader, Source, Writer as _, varint_len};
use crate::limits::{LANES, MAX_MESSAGE, MAX_REASON_TEXT};

/// An independent, ordered queue of messages between two nodes. A lower one is more urgent.
///
/// There are at most [`LANES`], of which this version knows [`KNOWN`](Self::KNOWN). What comes in
/// another one is counted, acknowledged and dropped `[PROTOCOL 4]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// Heartbeats, peers, announcements and requests of gossip: small and urgent.
    pub const CONTROL: Self = Self(0);
    /// Messages of gossip below [`LARGE_GOSSIP`](crate::limits::LARGE_GOSSIP).
    pub const GOSSIP: Self = Self(1);
    /// Messages of one node to one other.
    pub const DIRECT: Self = Self(2);
    /// Messages of gossip from that size on: no small one waits behind them.
    pub const LARGE_GOSSIP: Self = Self(3);
    /// Pieces of streams between nodes: what is large, and can wait.
    pub const BULK: Self = Self(4);
    /// Those of this version, most urgent first.
    pub const KNOWN: [Self; 5] =
        [Self::CONTROL, Self::GOSSIP, Self::DIRECT, Self::LARGE_GOSSIP, Self::BULK];

    /// Those that wait while a limit of bandwidth is reached [PROTOCOL 5.7].
    pub const CAN_WAIT: [Self; 4] = [Self::GOSSIP, Self::DIRECT, Self::LARGE_GOSSIP, Self::BULK];

    /// The lane of this number, if there can be one.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < LANES { Some(Self(number)) } else { None }
    }

    /// Its number, below [`LANES`].
    pub const fn number(self) -> u8 {
        self.0
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CONTROL => "control",
            Self::GOSSIP => "gossip",
            Self::DIRECT => "direct",
            Self::LARGE_GOSSIP => "large_gossip",
            Self::BULK => "bulk",
            _ => "unknown",
        }
    }

    /// Whether this version knows what goes in it.
    pub const fn is_known(self) -> bool {
        self.index() < Self::KNOWN.len()
    }

    /// Whether somebody waits for what is said in it, or for the word that it arrived. Nobody does
    /// in those of broadcasts and of nodes among themselves.
    pub const fn is_awaited(self) -> bool {
        !matches!(self, Self::CONTROL | Self::GOSSIP)
    }

    /// Where it stands in an array of lanes.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Asks for a [`Frame::Pong`] with the same token.
    Ping {
        /// Chosen by who asks.
        token: u64,
    },
    /// Answers a [`Frame::Ping`].
    Pong {
        /// That of the question.
        token: u64,
    },
    /// One whole message.
    Message {
        /// Its queue.
        lane: Lane,
        /// Counts the messages of this lane from 0, per pair of boots.
        number: u64,
        /// A `Message`, encoded.
        body: Bytes,
    },
    /// The next piece of a message that does not fit into one record. Pieces of one message come in
    /// order.
    Fragment {
        /// Its queue.
        lane: Lane,
        /// The number of the message.
        number: u64,
        /// Bytes of the message before this piece.
        offset: u32,
        /// Bytes of the whole message; the same in each of its pieces.
        total: u32,
        /// The piece; never empty.
        body: Bytes,
    },
    /// All messages of a lane below `next` were handed to the receiving node. Not a kernel's
    /// acknowledgment.
    Ack {
        /// The queue.
        lane: Lane,
        /// The lowest number that was not received.
        next: u64,
    },
    /// Up to `limit` bytes of messages of lanes that can wait may be sent over this link, counted
    /// from its beginning. Who never says it sets no limit.
    Credit {
        /// Never lower than before.
        limit: u64,
    },
    /// What waits to be sent reaches up to `limit`, counted in the same way.
    Demand {
        /// Never lower than before.
        limit: u64,
    },
    /// The link ends, and why. Nothing follows it.
    Close(CloseReason),
    /// An extension (types 0x40 to 0x7F carry their length) that this version does not know:
    /// ignored.
    Unknown {
        /// Its type.
        kind: u8,
    },
}

/// Why a link was closed by its other end, or is by ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The node stops.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// A second link between the same two nodes; the other one stays.
    #[error("another link to the same node is already up")]
    Duplicate,
    /// The other node is of another network.
    #[error("it belongs to another network")]
    WrongNetwork,
    /// No common version of the protocol.
    #[error("no common protocol version")]
    WrongVersion,
    /// No common set of features or cipher.
    #[error("no common features")]
    WrongFeatures,
    /// Every slot is taken. Addresses of others may have come before.
    #[error("it has as many peers as it allows (`max_peers`)")]
    SlotsFull,
    /// The peer is banned here.
    #[error("it has banned this node")]
    Banned,
    /// Somebody else was expected at this address.
    #[error("another node was expected at this address")]
    WrongNode,
    /// The two ends have the same identity.
    #[error("it is this node itself")]
    SelfDial,
    /// The peer broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(String),
    /// The peer did not take what was sent to it.
    #[error("it reads too slowly")]
    SlowReader,
    /// The peer did not answer a probe.
    #[error("it did not answer in time")]
    Timeout,
    /// The peer is not needed any more.
    #[error("it made room for another peer")]
    Pruned,
    /// The link was made only to see who answers.
    #[error("it only checked the address")]
    Probe,
    /// Others behind the same address have as many links as one address may have. Addresses of
    /// others may have come before.
    #[error("it has as many peers behind this address as it allows (`max_peers_per_address`)")]
    AddressFull,
    /// Another process with the same key is connected, from this address.
    #[error("another process with the same key is connected there, from {0}")]
    OtherProcess(String),
    /// Every slot for those who dial is taken. Addresses of others may have come before.
    #[error("it has as many peers that dialled it as it allows (`max_inbound`)")]
    InboundFull,
    /// There is no room for another connection, whoever is at its other end.
    #[error("it has as many connections as it allows (`max_concurrent_connections`)")]
    ConnectionsFull,
    /// The application ended it (RFC 9000, 10.2.3).
    #[error("the application closed it with code {code}{}", quoted(.reason))]
    Application {
        /// What it means is the application's to say; 0 where nobody said anything.
        code: u32,
        /// In words, for people: at most [`MAX_REASON_TEXT`] bytes, the rest is cut off. What the
        /// other end says may hold any character: escape it before it is shown. `Display` does.
        reason: String,
    },
    /// The key of this link gave way to another one. Who did so may have come before.
    #[error("it knows the key that took the place of this one")]
    KeyRetired,
    /// Unfinished messages take as much memory as they may, and this link's were the oldest. What
    /// was not acknowledged comes again over the next link.
    #[error("it had no room for another unfinished message")]
    MemoryFull,
    /// What arrived under the keys of this link was not what was sealed: somebody in between
    /// changed it. Nobody's misbehavior.
    #[error("a record did not open: bytes were changed between the two nodes")]
    RecordBroken,
    /// A reason that this version does not know.
    #[error("unknown reason {0}")]
    Other(u16),
}

const PING: u8 = 0x01;
const PONG: u8 = 0x02;
const MESSAGE: u8 = 0x03;
const FRAGMENT: u8 = 0x04;
const ACK: u8 = 0x05;
const CLOSE: u8 = 0x06;
const CREDIT: u8 = 0x07;
const DEMAND: u8 = 0x0E;
const EXTENSIONS: core::ops::RangeInclusive<u8> = 0x40..=0x7F;

impl Frame {
    /// Reads one frame from the front of `reader`.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let unknown = reader.malformed("unknown frame type");
        match reader.u8()? {
            PING => Ok(Self::Ping { token: reader.u64()? }),
            PONG => Ok(Self::Pong { token: reader.u64()? }),
            MESSAGE => {
                let (lane, number) = (decode_lane(reader)?, reader.varint()?);
                Ok(Self::Message { lane, number, body: reader.bytes(MAX_MESSAGE)? })
            }
            FRAGMENT => decode_part(reader),
            ACK => Ok(Self::Ack { lane: decode_lane(reader)?, next: reader.varint()? }),
            CLOSE => Ok(Self::Close(CloseReason::decode(reader)?)),
            CREDIT => Ok(Self::Credit { limit: reader.varint()? }),
            DEMAND => Ok(Self::Demand { limit: reader.varint()? }),
            kind if EXTENSIONS.contains(&kind) => {
                reader.bytes(reader.remaining())?;
                Ok(Self::Unknown { kind })
            }
            _ => Err(unknown),
        }
    }

    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping { token } => {
                out.put_u8(PING);
                out.put_u64(*token);
            }
            Self::Pong { token } => {
                out.put_u8(PONG);
                out.put_u64(*token);
            }
            Self::Message { lane, number, body } => {
                Self::begin_message(*lane, *number, body.len(), out);
                out.append_raw(body);
            }
            Self::Fragment { lane, number, offset, total, body } => {
                let place = (u64::from(*offset), u64::from(*total));
                Self::begin_fragment(*lane, *number, place, body.len(), out);
                out.append_raw(body);
            }
            Self::Ack { lane, next } => {
                out.put_u8(ACK);
                out.put_u8(lane.number());
                out.append_varint(*next);
            }
            Self::Credit { limit } => {
                out.put_u8(CREDIT);
                out.append_varint(*limit);
            }
            Self::Demand { limit } => {
                out.put_u8(DEMAND);
                out.append_varint(*limit);
            }
            Self::Close(reason) => {
                out.put_u8(CLOSE);
                reason.encode(out);
            }
            Self::Unknown { kind } => {
                out.put_u8(*kind);
                out.append_blob(&[]);
            }
        }
    }

    /// Appends what stands in front of the body of a [`Frame::Message`], which has `len` bytes.
    pub(crate) fn begin_message(lane: Lane, number: u64, len: usize, out: &mut Vec<u8>) {
        out.put_u8(MESSAGE);
        out.put_u8(lane.number());
        out.append_varint(number);
        out.append_varint(as_u64(len));
    }

    /// Appends what stands in front of the body of a [`Frame::Fragment`], which has `len` bytes and
    /// begins at the first number of `place` in a message of the second.
    pub(crate) fn begin_fragment(
        lane: Lane,
        number: u64,
        place: (u64, u64),
        len: usize,
        out: &mut Vec<u8>,
    ) {
        out.put_u8(FRAGMENT);
        out.put_u8(lane.number());
        out.append_varint(number);
        out.append_varint(place.0);
        out.append_varint(place.1);
        out.append_varint(as_u64(len));
    }

    /// Bytes of a [`Frame::Message`] or [`Frame::Fragment`] around a body of `len` bytes, at the
    /// most.
    pub const fn overhead(number: u64, len: usize) -> usize {
        2 + varint_len(number) + 3 * varint_len(len as u64)
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn decode_lane(reader: &mut Reader) -> Result<Lane, Malformed> {
    let wrong = reader.malformed("lane beyond all numbers");
    Lane::from_number(reader.u8()?).ok_or(wrong)
}

fn decode_part(reader: &mut Reader) -> Result<Frame, Malformed> {
    let (lane, number) = (decode_lane(reader)?, reader.varint()?);
    let wrong = reader.malformed("part outside its message");
    let (offset, total) = (reader.len(MAX_MESSAGE)?, reader.len(MAX_MESSAGE)?);
    let body = reader.bytes(MAX_MESSAGE)?;
    // Redundant fields must agree: a piece lies inside its message and is not empty.
    if body.is_empty() || offset.checked_add(body.len()).is_none_or(|end| end > total) {
        return Err(wrong);
    }
    let narrow = |n: usize| u32::try_from(n).map_err(|_| wrong);
    Ok(Frame::Fragment { lane, number, offset: narrow(offset)?, total: narrow(total)?, body })
}

impl CloseReason {
    /// The number that stands for it on the wire.
    pub const fn code(&self) -> u16 {
        match self {
            Self::ShuttingDown => 1,
            Self::Duplicate => 2,
            Self::WrongNetwork => 3,
            Self::WrongVersion => 4,
            Self::WrongFeatures => 5,
            Self::SlotsFull => 6,
            Self::Banned => 7,
            Self::WrongNode => 8,
            Self::SelfDial => 9,
            Self::Violation(_) => 10,
            Self::SlowReader => 11,
            Self::Timeout => 12,
            Self::Pruned => 13,
            Self::Probe => 14,
            Self::AddressFull => 15,
            Self::OtherProcess(_) => 16,
            Self::InboundFull => 17,
            Self::ConnectionsFull => 18,
            Self::Application { .. } => APPLICATION,
            Self::KeyRetired => 20,
            Self::MemoryFull => 21,
            Self::RecordBroken => 22,
            Self::Other(code) => *code,
        }
    }

    /// Whether there was only no room: it is asked again soon, and others meanwhile.
    pub const fn is_for_want_of_room(&self) -> bool {
        matches!(
            self,
            Self::SlotsFull | Self::AddressFull | Self::InboundFull | Self::ConnectionsFull
        )
    }

    pub(super) fn decode(reader: &mut Reader<impl Source>) -> Result<Self, Malformed> {
        let code = reader.u16()?;
        if code == APPLICATION {
            return Self::decode_application(reader);
        }
        let not_text = reader.malformed("reason is not printable text");
        let text = reader.bytes(MAX_REASON_TEXT)?;
        // What a stranger says ends up on a terminal: printable ASCII only, no escape sequences.
        if !text.as_ref().iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(not_text);
        }
        Ok(match code {
            1 => Self::ShuttingDown,
            2 => Self::Duplicate,
            3 => Self::WrongNetwork,
            4 => Self::WrongVersion,
            5 => Self::WrongFeatures,
            6 => Self::SlotsFull,
            7 => Self::Banned,
            8 => Self::WrongNode,
            9 => Self::SelfDial,
            10 => Self::Violation(owned(text.as_ref())),
            11 => Self::SlowReader,
            12 => Self::Timeout,
            13 => Self::Pruned,
            14 => Self::Probe,
            15 => Self::AddressFull,
            16 => Self::OtherProcess(owned(text.as_ref())),
            17 => Self::InboundFull,
            18 => Self::ConnectionsFull,
            20 => Self::KeyRetired,
            21 => Self::MemoryFull,
            22 => Self::RecordBroken,
            other => Self::Other(other),
        })
    }

    /// A code and any text of an application, in one blob.
    fn decode_application(reader: &mut Reader<impl Source>) -> Result<Self, Malformed> {
        let no_code = reader.malformed("a close of an application without a code");
        let not_text = reader.malformed("reason is not UTF-8");
        let blob = reader.bytes(CODE_LEN + MAX_REASON_TEXT)?;
        let (code, reason) = blob.as_ref().split_first_chunk::<CODE_LEN>().ok_or(no_code)?;
        let reason = core::str::from_utf8(reason).map_err(|_| not_text)?.to_owned();
        Ok(Self::Application { code: u32::from_be_bytes(*code), reason })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.code());
        let text = match self {
            Self::Violation(text) | Self::OtherProcess(text) => text.as_bytes(),
            Self::Application { code, reason } => {
                let text = &reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON_TEXT)];
                return out.append_blob(&[&code.to_be_bytes()[..], text].concat());
            }
            _ => &[],
        };
        out.append_blob(&text[..text.len().min(MAX_REASON_TEXT)]);
    }
}

/// With what could move a cursor, hide or turn around what is shown beside it escaped.
fn quoted(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason:?}") }
}

/// The reason that brings a code of the application's own in front of its text.
const APPLICATION: u16 = 19;
/// Bytes of such a code.
const CODE_LEN: usize = 4;

fn owned(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(frame: &Frame) -> Result<Frame, Malformed> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let mut reader = Reader::new(bytes.into());
        let back = Frame::decode(&mut reader)?;
        reader.finish()?;
        Ok(back)
    }

    #[test]
    fn every_frame_survives_its_encoding() {
        let body = Bytes::from_static(b"body");
        for frame in [
            Frame::Ping { token: u64::MAX },
            Frame::Pong { token: 0 },
            Frame::Message { lane: Lane::GOSSIP, number: 1 << 40, body: body.clone() },
            Frame::Fragment { lane: Lane::DIRECT, number: 3, offset: 10, total: 14, body },
            Frame::Ack { lane: Lane::CONTROL, next: 77 },
            Frame::Credit { limit: 1 << 40 },
            Frame::Demand { limit: 0 },
            Frame::Close(CloseReason::Violation("what".into())),
            Frame::Close(CloseReason::Application { code: u32::MAX, reason: "café\n".into() }),
            Frame::Close(CloseReason::Application { code: 0, reason: String::new() }),
            Frame::Close(CloseReason::Other(999)),
            Frame::Unknown { kind: 0x41 },
        ] {
            assert_eq!(round_trip(&frame), Ok(frame));
        }
        for code in 1..=14 {
            let mut bytes = vec![CLOSE, 0, code];
            bytes.append_blob(&[]);
            let Ok(Frame::Close(reason)) = Frame::decode(&mut Reader::new(bytes.into())) else {
                panic!("code {code} is no reason");
            };
            assert_eq!(reason.code(), u16::from(code));
        }
    }

    #[test]
    fn an_unknown_frame_is_an_error_and_an_unknown_extension_is_skipped() {
        let decode = |bytes: &[u8]| Frame::decode(&mut Reader::new(Bytes::copy_from_slice(bytes)));
        assert_eq!(decode(&[0x3F]).unwrap_err().what, "unknown frame type");
        assert_eq!(decode(&[0x80]).unwrap_err().what, "unknown frame type");
        assert_eq!(decode(&[0x7F, 2, 1, 2]), Ok(Frame::Unknown { kind: 0x7F }));
        assert_eq!(decode(&[0x7F, 3, 1, 2]).unwrap_err().what, "truncated");
    }

    #[test]
    fn a_part_that_reaches_outside_its_message_is_refused() {
        for (offset, total, body, ok) in
            [(0, 4, "part", true), (1, 4, "part", false), (0, 4, "", false), (4, 8, "part", true)]
        {
            let body = Bytes::from_static(body.as_bytes());
            let frame = Frame::Fragment { lane: Lane::GOSSIP, number: 0, offset, total, body };
            assert_eq!(round_trip(&frame).is_ok(), ok, "{frame:?}");
        }
    }

    #[test]
    fn a_reason_with_an_escape_sequence_is_refused() {
        let frame = Frame::Close(CloseReason::Violation("\u{1b}[2J".into()));
        assert_eq!(round_trip(&frame).unwrap_err().what, "reason is not printable text");
    }

    #[test]
    fn what_an_application_says_at_the_end_is_cut_between_characters() {
        let said = |reason: String| {
            let frame = Frame::Close(CloseReason::Application { code: 7, reason });
            let Ok(Frame::Close(CloseReason::Application { code: 7, reason })) = round_trip(&frame)
            else {
                panic!("it does not survive");
            };
            reason
        };
        let limit = MAX_REASON_TEXT;
        assert_eq!(said("x".repeat(limit)), "x".repeat(limit));
        assert_eq!(said("x".repeat(limit + 1)), "x".repeat(limit));
        assert_eq!(said("x".repeat(limit - 1) + "é"), "x".repeat(limit - 1));
    }

    #[test]
    fn a_hostile_close_of_an_application_is_refused_or_shown_escaped() {
        let decode = |blob: &[u8]| {
            let mut bytes = vec![CLOSE, 0, 19];
            bytes.append_blob(blob);
            Frame::decode(&mut Reader::new(bytes.into()))
        };
        let no_code = "a close of an application without a code";
        assert_eq!(decode(&[0, 0, 7]).unwrap_err().what, no_code);
        assert_eq!(decode(&[0, 0, 0, 7, 0xC3]).unwrap_err().what, "reason is not UTF-8");
        assert!(decode(&[b'x'; CODE_LEN + MAX_REASON_TEXT]).is_ok());
        assert!(decode(&[b'x'; CODE_LEN + MAX_REASON_TEXT + 1]).is_err());
        let hostile = "\u{1b}[2J\r\n\u{202e}\u{200b}\u{9b}1m\"";
        let blob = [&[0, 0, 0, 7], hostile.as_bytes()].concat();
        let Ok(Frame::Close(reason)) = decode(&blob) else { panic!("it is UTF-8") };
        let shown = reason.to_string();
        assert!(shown.chars().all(|char| matches!(char, ' '..='~')), "{shown}");
        assert!(shown.starts_with("the application closed it with code 7: \""), "{shown}");
    }
}
