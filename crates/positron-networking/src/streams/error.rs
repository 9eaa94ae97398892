//! What can go wrong with a stream.

use std::io;

use positron_proto::{
    node::Refused,
    substream::{NotOpened, SubstreamEnd},
};

/// Why there is no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenStreamError {
    /// The node did not take the order.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No session came up in 15 seconds, or there are too many streams.
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
}

/// Why a direction of a stream ended before its last byte. Bytes that came before may have been
/// read; whether the other end got what was written last is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The other end, or what lies between, ended it.
    #[error(transparent)]
    Ended(#[from] SubstreamEnd),
    /// It was shut down or reset here, and nothing can be written any more.
    #[error("the stream was finished here")]
    Finished,
    /// This node stopped.
    #[error("this node stopped")]
    NodeStopped,
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::Ended(_) => io::ErrorKind::ConnectionReset,
            StreamError::Finished => io::ErrorKind::BrokenPipe,
            StreamError::NodeStopped => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}
