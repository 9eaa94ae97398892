//! What the application says.

use bytes::Bytes;

use crate::{
    id::NodeId,
    limits::{MAX_PAYLOAD, MAX_PENDING_BROADCASTS, MAX_SUBSCRIPTION_NAME, MAX_SUBSCRIPTIONS},
    substream::NotOpened,
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
    /// Keep what comes for the application, under this name, until it is acknowledged; from now on,
    /// or, if there is such a subscription, on from what it acknowledged. Completes with `Noted`.
    Subscribe {
        /// The name of the subscription.
        name: String,
    },
    /// The application is done with a message and all before it. Completes with `Noted`.
    Acknowledge {
        /// The name of the subscription.
        name: String,
        /// The number of the message.
        up_to: u64,
    },
    /// Keep nothing more under this name. Completes with `Noted`.
    Unsubscribe {
        /// The name of the subscription.
        name: String,
    },
    /// Open a stream to a node, linked or in the address book. Completes with `StreamOpened` or
    /// `StreamNotOpened`.
    OpenStream {
        /// To whom.
        to: NodeId,
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
    /// Too many broadcasts wait for the disk, or for peers that are slower.
    #[error("too many broadcasts wait already, for the disk or for slower peers")]
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
    /// The name of a subscription is empty or too long.
    #[error("the name of a subscription has 1 to {MAX_SUBSCRIPTION_NAME} bytes, this one has {0}")]
    SubscriptionName(usize),
    /// Too many durable subscriptions.
    #[error("a node has at most {MAX_SUBSCRIPTIONS} durable subscriptions")]
    TooManySubscriptions,
    /// There is no such subscription.
    #[error("there is no durable subscription {0:?}")]
    NoSubscription(String),
    /// Storage failed earlier, and why.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// There are too many streams.
    #[error(transparent)]
    Stream(NotOpened),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}
