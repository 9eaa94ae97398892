//! What the application says.

use bytes::Bytes;

use crate::{
    id::NodeId,
    limits::{MAX_PAYLOAD, MAX_PENDING_BROADCASTS},
};

/// Something that the application wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell everyone. Pushed at once; completes with `Durable`.
    Broadcast {
        /// What; MessagePack by convention.
        payload: Bytes,
    },
    /// Tell one node, linked or in the address book. Completes with `Delivered` or `Undelivered`.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        payload: Bytes,
    },
    /// Make a link to `host:port` and keep it, like a bootstrap address. Completes at once with
    /// `Joining`.
    Join {
        /// Where.
        address: String,
    },
    /// Tell every peer goodbye. Completes with `Stopped`; afterwards everything is refused.
    Stop,
}

/// Why a command was not taken. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The payload is too large.
    #[error("the payload has {0} bytes, the limit is {MAX_PAYLOAD}")]
    TooLarge(usize),
    /// Too many broadcasts wait for the disk.
    #[error("{MAX_PENDING_BROADCASTS} broadcasts wait for the disk already")]
    TooManyPending,
    /// Too many direct messages wait for their receivers.
    #[error("too many direct messages wait for their receivers")]
    QueueFull,
    /// A message to ourselves.
    #[error("a node does not send messages to itself")]
    ToOurselves,
    /// Neither linked nor in the address book.
    #[error("node {0} is neither connected nor in the address book")]
    UnknownPeer(NodeId),
    /// Too many addresses to join at.
    #[error("too many bootstrap addresses")]
    TooManyAddresses,
    /// Too many broadcasts wait for a disk that takes nothing for now, and why.
    #[error("{MAX_PENDING_BROADCASTS} broadcasts wait for storage already: {0}")]
    StorageWaits(String),
    /// Storage failed earlier, and why.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}
