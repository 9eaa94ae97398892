//! What direct messages are on the wire `[PROTOCOL 3.1]`.

use crate::{
    id::NodeId,
    identity::Signed,
    wire::{
        Malformed, Reader,
        frame::Lane,
        message::{AppMessage, Audience, CUSTOM_DATA, RoomMessage},
    },
};

/// What one node says to one other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectMessage {
    /// What the application says; its sender signed it for the receiver of the link.
    CustomData(Signed<AppMessage>),
}

impl RoomMessage for DirectMessage {
    const TYPES: &'static [u8] = &[CUSTOM_DATA];

    fn message_type(&self) -> u8 {
        match self {
            Self::CustomData(_) => CUSTOM_DATA,
        }
    }

    fn lane(&self) -> Lane {
        Lane::DIRECT
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::CustomData(message) => message.encoded_len(),
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::CustomData(message) => message.encode(out),
        }
    }

    fn decode_body(
        message_type: u8,
        reader: &mut Reader,
        receiver: NodeId,
    ) -> Result<Self, Malformed> {
        match message_type {
            CUSTOM_DATA => {
                let audience = Audience::Node(receiver);
                Ok(Self::CustomData(Signed::<AppMessage>::decode(reader, audience)?))
            }
            _ => Err(reader.malformed("type of another room")),
        }
    }
}
