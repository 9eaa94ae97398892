//! Messages: what nodes say to each other `[PROTOCOL 3]`.
//!
//! A message is an envelope, its type and its body. Each room owns its types and reads their
//! bodies ([`RoomMessage`]); what two of them carry, an application's message, is here.

use bytes::{BufMut as _, Bytes};

use super::{
    body::Body,
    codec::{Malformed, Reader, Writer as _},
    frame::Lane,
};
use crate::{
    id::NodeId,
    identity::{PublicKey, Signature, Signed, Statement},
    limits::MAX_PAYLOAD,
    time::WallTime,
};

/// What a room says to the same room of another node.
pub trait RoomMessage: Sized {
    /// The types that this room reads and writes. No two rooms share one.
    const TYPES: &'static [u8];

    /// Its type, one of [`TYPES`](Self::TYPES).
    fn message_type(&self) -> u8;

    /// The queue it travels in.
    fn lane(&self) -> Lane {
        Lane::CONTROL
    }

    /// About how many bytes its body takes, so that it is written into memory taken once.
    fn size_hint(&self) -> usize {
        64
    }

    /// Appends its body.
    fn encode_body(&self, out: &mut Vec<u8>);

    /// Reads the body of a message of this type, which was sent to `receiver`.
    fn decode_body(
        message_type: u8,
        reader: &mut Reader,
        receiver: NodeId,
    ) -> Result<Self, Malformed>;

    /// The message as it waits to be put on a link; in two parts, if it is large already.
    fn encode_parts(&self) -> Body {
        self.encode().into()
    }

    /// The message as bytes: its type, its body.
    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(1 + self.size_hint());
        out.put_u8(self.message_type());
        self.encode_body(&mut out);
        out.into()
    }
}

/// A message of which only the type is read.
#[derive(Clone, Debug)]
pub struct Envelope {
    message_type: u8,
    body: Reader,
}

impl Envelope {
    /// Reads the type of an encoded message.
    pub fn open(message: Bytes) -> Result<Self, Malformed> {
        let mut body = Reader::new(message);
        Ok(Self { message_type: body.u8()?, body })
    }

    /// Its type, perhaps one that nobody here reads.
    pub const fn message_type(&self) -> u8 {
        self.message_type
    }

    /// All of the body as a message of the room whose type it is.
    pub fn read<M: RoomMessage>(mut self, receiver: NodeId) -> Result<M, Malformed> {
        let message = M::decode_body(self.message_type, &mut self.body, receiver)?;
        self.body.finish()?;
        Ok(message)
    }
}

/// The type of a broadcast, and what is signed for everyone.
pub const GOSSIP_MESSAGE: u8 = 6;
/// The type of a message to one node, and what is signed for one.
pub const CUSTOM_DATA: u8 = 10;

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
                out.put_u8(GOSSIP_MESSAGE);
                out.append_raw(&[0; 32]);
            }
            Audience::Node(id) => {
                out.put_u8(CUSTOM_DATA);
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
    /// Exactly how many bytes [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        APP_MESSAGE_HEADER + self.content().payload.len()
    }

    /// Reads a message for `audience` that fills the rest of `reader`. Its signature is not checked
    /// here. The payload is a slice, so it keeps in memory what was read from: give it bytes that
    /// hold little else.
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
        let message = AppMessage { sender, audience, sequence, timestamp, payload };
        Ok(Self::new(message, signature))
    }

    /// Appends the message and its signature.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        out.append_raw(&self.content().payload);
    }

    /// Appends everything but the payload, which comes last.
    pub(crate) fn encode_head(&self, out: &mut Vec<u8>) {
        let message = self.content();
        out.append_raw(message.sender.as_bytes());
        out.put_u64(message.sequence);
        out.put_u64(message.timestamp.as_unix_micros());
        out.append_raw(self.signature().as_bytes());
    }
}
