//! Which room reads a message: the one place where all of them are registered.

use bytes::Bytes;

use crate::{
    direct::DirectMessage,
    gossip::GossipMessage,
    id::NodeId,
    peers::PeersMessage,
    wire::{
        Malformed,
        frame::Lane,
        message::{Envelope, RoomMessage},
    },
};

/// What one node says to another, over one link, and whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The peers.
    Peers(PeersMessage),
    /// Gossip.
    Gossip(GossipMessage),
    /// Direct messages.
    Direct(DirectMessage),
}

impl Message {
    /// Reads what a peer said to `receiver`. `None`: a type that no room here reads, to be skipped.
    pub fn decode(message: Bytes, receiver: NodeId) -> Result<Option<Self>, Malformed> {
        let envelope = Envelope::open(message)?;
        let message_type = envelope.message_type();
        Ok(Some(if PeersMessage::TYPES.contains(&message_type) {
            Self::Peers(envelope.read(receiver)?)
        } else if GossipMessage::TYPES.contains(&message_type) {
            Self::Gossip(envelope.read(receiver)?)
        } else if DirectMessage::TYPES.contains(&message_type) {
            Self::Direct(envelope.read(receiver)?)
        } else {
            return Ok(None);
        }))
    }

    /// The message as bytes.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Peers(message) => message.encode(),
            Self::Gossip(message) => message.encode(),
            Self::Direct(message) => message.encode(),
        }
    }

    /// Its type.
    pub fn message_type(&self) -> u8 {
        match self {
            Self::Peers(message) => message.message_type(),
            Self::Gossip(message) => message.message_type(),
            Self::Direct(message) => message.message_type(),
        }
    }

    /// The queue it travels in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Peers(message) => message.lane(),
            Self::Gossip(message) => message.lane(),
            Self::Direct(message) => message.lane(),
        }
    }

    /// Every type that some room reads.
    pub fn types() -> impl Iterator<Item = u8> {
        let (peers, gossip, direct) =
            (PeersMessage::TYPES, GossipMessage::TYPES, DirectMessage::TYPES);
        [peers, gossip, direct].concat().into_iter()
    }
}

impl From<PeersMessage> for Message {
    fn from(message: PeersMessage) -> Self {
        Self::Peers(message)
    }
}

impl From<GossipMessage> for Message {
    fn from(message: GossipMessage) -> Self {
        Self::Gossip(message)
    }
}

impl From<DirectMessage> for Message {
    fn from(message: DirectMessage) -> Self {
        Self::Direct(message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_type_belongs_to_two_rooms() {
        let types = Message::types().collect::<Vec<_>>();
        assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len(), "{types:?}");
    }
}
