//! What a node says of keys that gave way to others `[PROTOCOL 3.6]`.

use super::{Succession, statement::SUCCESSION_LEN};
use crate::{
    id::NodeId,
    identity::Signed,
    limits::MAX_SUCCESSIONS_PER_MESSAGE,
    wire::{Malformed, Reader, Writer as _, message::RoomMessage},
};

/// The type of [`SuccessionMessage`].
pub const SUCCESSION: u8 = 37;

/// Successions, those of one history oldest first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessionMessage(pub Vec<Signed<Succession>>);

impl RoomMessage for SuccessionMessage {
    const TYPES: &'static [u8] = &[SUCCESSION];

    fn message_type(&self) -> u8 {
        SUCCESSION
    }

    fn size_hint(&self) -> usize {
        2 + SUCCESSION_LEN * self.0.len()
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.append_varint(self.0.len() as u64);
        for succession in &self.0 {
            succession.encode(out);
        }
    }

    fn decode_body(
        _message_type: u8,
        reader: &mut Reader,
        _receiver: NodeId,
    ) -> Result<Self, Malformed> {
        let none = reader.malformed("no succession");
        let successions = reader.list(MAX_SUCCESSIONS_PER_MESSAGE, Signed::<Succession>::decode)?;
        if successions.is_empty() { Err(none) } else { Ok(Self(successions)) }
    }
}
