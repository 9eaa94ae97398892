//! What can go wrong at the start, with a message, and at the end.

use std::{io, net::SocketAddr};

use positron_proto::{
    direct::Undelivered, id::NodeId, node::Refused, request::Unanswered,
    session::sessions::LinkKind as LinkTransport,
};
use positron_store::StoreError;

use crate::{config::ConfigError, keys::KeyError};

/// Why a node did not start. Nothing runs, nothing is bound.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key of the configuration is not allowed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({transport}): {}", bind_failure(.source))]
    Bind {
        /// Over what.
        transport: LinkTransport,
        /// Which.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `node_id` was given, and the key is that of another node.
    #[error("`node_id` is {wanted}, but the key is that of node {found}")]
    OtherIdentity {
        /// What the configuration says.
        wanted: String,
        /// Whose the key is.
        found: NodeId,
    },
    /// The key gave way to another one, as the database knows: peers would refuse the node.
    #[error(
        "the key of this node gave way to that of node {successor}: if `positron-net id rotate` \
         was interrupted, run it again; if the key file is an old copy, put the new one in its \
         place; if you did not change the key, somebody else has it, and a new data folder makes \
         a new node"
    )]
    KeyRetired {
        /// Who has its place.
        successor: NodeId,
    },
    /// The data folder or the database in it cannot be used.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// A durable subscription cannot be made.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// It was not started within a tokio runtime.
    #[error(
        "a node runs on a tokio runtime, and this thread is not in one: start it in a function \
         under #[tokio::main], or within Runtime::block_on"
    )]
    NoRuntime,
    /// The operating system has no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Entropy(String),
}

pub(crate) fn bind_failure(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use, perhaps by another node; choose another port, or 0 for a free one"
                .into()
        }
        io::ErrorKind::AddrNotAvailable => "no such address on this machine".into(),
        io::ErrorKind::PermissionDenied => {
            "not permitted; ports below 1024 need special rights".into()
        }
        _ => error.to_string(),
    }
}

/// The payload does not read as the wanted type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload cannot be read: {0}")]
pub struct DecodeError(pub(crate) String);

/// Why a message was not sent, or not for certain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The value does not serialize as MessagePack. Nothing was sent.
    #[error("the value cannot be written as MessagePack: {0}")]
    NotSerializable(String),
    /// The node did not take the message. Nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The receiver did not acknowledge the direct message. It may have it all the same: an
    /// acknowledgment can be lost.
    #[error("not delivered: {0}")]
    Undelivered(Undelivered),
    /// Storage failed before the broadcast was on disk. It may have reached others all the same.
    #[error("the broadcast is not on disk: {0}")]
    NotDurable(String),
    /// The node stopped before the end of the message was known.
    #[error("the node stopped")]
    Stopped,
}

/// Why a durable subscription was not made, or what it acknowledged is not on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// The node has no data folder: it remembers nothing after its end.
    #[error("a durable subscription needs a data folder (`data_dir`), and this node has none")]
    InMemory,
    /// The node did not take it. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Storage failed before it was on disk.
    #[error("the subscription is not on disk: {0}")]
    NotDurable(String),
    /// The node stopped before it was on disk.
    #[error("the node stopped")]
    Stopped,
}

/// Why a [request](crate::Node::request) has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The value does not serialize as MessagePack. Nothing was sent.
    #[error("the request cannot be written as MessagePack: {0}")]
    NotSerializable(String),
    /// The node did not take the request. Nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No answer came; each reason says whether the request may have been carried out.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// An answer came that does not read as what was asked for.
    #[error("the answer is of another type: {0}")]
    Undecodable(DecodeError),
    /// The node stopped before there was an answer.
    #[error("the node stopped")]
    Stopped,
}

/// Why a node did not do what the application wants of a peer. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The node did not take it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
}

/// Why [`join`](crate::Node::join) found nobody. The node keeps the address and goes on trying.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The node did not take the address.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nobody was reached there yet.
    #[error("cannot join at {address}: {reason}")]
    Unreached {
        /// Where.
        address: String,
        /// The last failure, in words.
        reason: String,
    },
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
}

impl JoinError {
    pub(crate) fn unreached(address: &str, why: &str) -> Self {
        Self::Unreached { address: address.to_owned(), reason: why.to_owned() }
    }
}

/// What did not go well at the end. The node has ended all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShutdownError {
    /// The last changes are not on disk.
    #[error("storage failed: {0}")]
    Storage(String),
    /// Something took too long: a goodbye, a handler, or the disk.
    #[error("the node did not shut down in time and was ended")]
    TimedOut,
    /// The node's task had ended by a panic: a bug of this library.
    #[error("the node had crashed")]
    Crashed,
    /// The runtime that the node ran on ended first: nobody was told goodbye, and the last changes
    /// may not be on disk.
    #[error("the runtime of the node had ended, and the node with it")]
    RuntimeEnded,
}
