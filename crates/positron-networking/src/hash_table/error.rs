//! What the hash table did not do, and why.

use positron_proto::{
    dht::{BadName, DhtRefused},
    node::Refused,
};

use super::NotEnoughHolders;
use crate::DecodeError;

/// What the hash table did not do, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhtError {
    /// The key cannot be one. Nothing was sent.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The value cannot be written as MessagePack. Nothing was sent.
    #[error("the value cannot be serialized: {0}")]
    Encode(String),
    /// The value is too large, its life too short or too long, or too much is under way or
    /// published. Nothing was sent.
    #[error(transparent)]
    Table(#[from] DhtRefused),
    /// The node does not do it. Nothing was sent.
    #[error(transparent)]
    Refused(Refused),
    /// Fewer nodes keep it than were asked for.
    #[error(transparent)]
    NotEnoughHolders(#[from] NotEnoughHolders),
    /// What was found is something else than what is wanted.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
}

impl From<Refused> for DhtError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Table(why) => Self::Table(why),
            refused => Self::Refused(refused),
        }
    }
}
