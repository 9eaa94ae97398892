//! What requests are on the wire `[PROTOCOL 3.4]`.

use bytes::Bytes;

use crate::{
    id::NodeId,
    limits::{MAX_FAILURE_TEXT, MAX_PAYLOAD},
    wire::{Malformed, Reader, Writer as _, frame::Lane, message::RoomMessage},
};

/// The type of a request.
pub const REQUEST: u8 = 30;
/// The type of its answer.
pub const RESPONSE: u8 = 31;
/// The type of the wish that it is not answered.
pub const CANCEL: u8 = 32;

/// What one node asks of one other, and is told. Nobody signs it: the session says who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestMessage {
    /// What is asked.
    Request {
        /// The asking process gives it to no other request.
        id: u64,
        /// Of the application.
        payload: Bytes,
    },
    /// What is answered.
    Response {
        /// To which request.
        id: u64,
        /// How it went.
        status: Status,
        /// Of the application, or why there is none, as text.
        payload: Bytes,
    },
    /// The answer is not wanted any more.
    Cancel {
        /// To which request.
        id: u64,
    },
}

/// How a request went where it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The application answered.
    Answered,
    /// No application answers requests there.
    NoHandler,
    /// Too much is being served there; nothing was done.
    Busy,
    /// The application failed; the payload says why.
    Failed,
    /// Who served it took the asker for gone, and stopped.
    CutOff,
    /// One that this version does not know: it failed.
    Other(u8),
}

impl Status {
    const fn byte(self) -> u8 {
        match self {
            Self::Answered => 0,
            Self::NoHandler => 1,
            Self::Busy => 2,
            Self::Failed => 3,
            Self::CutOff => 4,
            Self::Other(byte) => byte,
        }
    }

    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Answered,
            1 => Self::NoHandler,
            2 => Self::Busy,
            3 => Self::Failed,
            4 => Self::CutOff,
            other => Self::Other(other),
        }
    }
}

impl RoomMessage for RequestMessage {
    const TYPES: &'static [u8] = &[REQUEST, RESPONSE, CANCEL];

    fn message_type(&self) -> u8 {
        match self {
            Self::Request { .. } => REQUEST,
            Self::Response { .. } => RESPONSE,
            Self::Cancel { .. } => CANCEL,
        }
    }

    fn lane(&self) -> Lane {
        Lane::DIRECT
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Request { payload, .. } | Self::Response { payload, .. } => 9 + payload.len(),
            Self::Cancel { .. } => 8,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request { id, payload } => {
                out.append_varint(*id);
                out.append_raw(payload);
            }
            Self::Response { id, status, payload } => {
                out.append_varint(*id);
                out.append_raw(&[status.byte()]);
                out.append_raw(payload);
            }
            Self::Cancel { id } => out.append_varint(*id),
        }
    }

    fn decode_body(message_type: u8, reader: &mut Reader, _: NodeId) -> Result<Self, Malformed> {
        match message_type {
            REQUEST => {
                Ok(Self::Request { id: reader.varint()?, payload: rest(reader, MAX_PAYLOAD)? })
            }
            RESPONSE => {
                let (id, status) = (reader.varint()?, Status::of(reader.u8()?));
                let limit = if status == Status::Answered { MAX_PAYLOAD } else { MAX_FAILURE_TEXT };
                Ok(Self::Response { id, status, payload: rest(reader, limit)? })
            }
            CANCEL => Ok(Self::Cancel { id: reader.varint()? }),
            _ => Err(reader.malformed("type of another room")),
        }
    }
}

fn rest(reader: &mut Reader, limit: usize) -> Result<Bytes, Malformed> {
    let too_long = reader.malformed("payload above its limit");
    let payload = reader.rest();
    if payload.len() > limit { Err(too_long) } else { Ok(payload) }
}
