//! What can go wrong with a transport, by what was wanted of it.

use std::{io, net::SocketAddr};

use positron_proto::{
    datagram::contract::{Closed, NotDialled, NotQueued},
    session::sessions::LinkDown,
};

use crate::{StartError, error::bind_failure};

/// Why a transport did not start. Nothing runs, nothing is bound.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The text of the address is no IP address.
    #[error("{0:?} is no IP address")]
    BadHost(String),
    /// The port cannot be taken.
    #[error("cannot take {address}: {}", bind_failure(.source))]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A setting is not allowed.
    #[error("`{setting}` {why}")]
    BadSetting {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The operating system has no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Entropy(String),
}

impl TransportError {
    pub(super) fn of_seeds(error: StartError) -> Self {
        match error {
            StartError::Entropy(why) => Self::Entropy(why),
            other => Self::Entropy(other.to_string()),
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or no name server answered.
    #[error("cannot resolve {name}: {why}")]
    Unresolved {
        /// As it was given.
        name: String,
        /// Why, in words.
        why: String,
    },
    /// Nothing can be sent to that address from here.
    #[error(transparent)]
    NotDialled(#[from] NotDialled),
    /// Nobody answered, somebody else did, or they refused: [`Closed`] says which.
    #[error(transparent)]
    Failed(#[from] Closed),
    /// Over TCP: the operating system says why there is no stream.
    #[error(transparent)]
    Unreachable(LinkDown),
    /// The transport is closed.
    #[error("the transport is closed")]
    TransportClosed,
}

/// Why something was not sent. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportSendError {
    /// Larger than a message may be; a stream carries any length.
    #[error("a message of {len} bytes is above the limit of {limit}: open a stream for it")]
    TooLarge {
        /// Bytes.
        len: usize,
        /// At most.
        limit: usize,
    },
    /// The queue is full: only `try_send` says so, `send` waits.
    #[error("the queue is full")]
    Full,
    /// There is no such lane.
    #[error("lane {0} does not exist: there are 16")]
    NoSuchLane(u8),
    /// The other end lets us open no further stream now.
    #[error("the other node allows no more streams now")]
    TooManyStreams,
    /// The stream ended here, and nothing more can be written.
    #[error("the stream is closed")]
    StreamClosed,
    /// The other end gave up what it writes before the end: what was read is not all.
    #[error("the other node gave the stream up with code {code}")]
    StreamReset {
        /// What its application said, or 0 if it dropped the stream.
        code: u32,
    },
    /// The other end reads no more of the stream.
    #[error("the other node stopped reading the stream with code {code}")]
    StreamStopped {
        /// What its application said, or 0 if it dropped the stream.
        code: u32,
    },
    /// The connection is over, or being closed by this end (`None`).
    #[error("the connection is closed{}", why(.0.as_ref()))]
    Closed(Option<Closed>),
    /// There was no connection to the address, and none can be begun.
    #[error(transparent)]
    NotConnected(#[from] ConnectError),
}

fn why(closed: Option<&Closed>) -> String {
    closed.map(|why| format!(": {why}")).unwrap_or_default()
}

impl TransportSendError {
    /// The machine's reason; `closed` is why the connection is over, if it is.
    pub(super) fn new(why: NotQueued, closed: Option<&Closed>) -> Self {
        match why {
            NotQueued::Closed => Self::Closed(closed.cloned()),
            NotQueued::Full => Self::Full,
            NotQueued::TooLarge { len, limit } => Self::TooLarge { len, limit },
            NotQueued::NoSuchLane(lane) => Self::NoSuchLane(lane),
            NotQueued::TooManyStreams => Self::TooManyStreams,
            NotQueued::StreamClosed => Self::StreamClosed,
            NotQueued::StreamReset { code } => Self::StreamReset { code },
        }
    }
}

impl From<TransportSendError> for io::Error {
    fn from(error: TransportSendError) -> Self {
        let kind = match &error {
            TransportSendError::StreamClosed | TransportSendError::StreamStopped { .. } => {
                io::ErrorKind::BrokenPipe
            }
            TransportSendError::StreamReset { .. } => io::ErrorKind::ConnectionReset,
            TransportSendError::Closed(_) | TransportSendError::NotConnected(_) => {
                io::ErrorKind::NotConnected
            }
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
