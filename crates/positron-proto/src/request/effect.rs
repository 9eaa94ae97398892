//! What comes out of requests.

use bytes::Bytes;

use crate::{
    id::{NodeId, Ticket},
    misbehavior::Misbehavior,
};

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No link came up in time. It was not sent.
    #[error("no link to that node came up in time")]
    NoLink,
    /// No answer came in time. It may have been carried out.
    #[error("that node did not answer in time")]
    TimedOut,
    /// The other node went away after it was sent. It may have been carried out.
    #[error("that node went away before it answered")]
    PeerGone,
    /// The other application answers no requests.
    #[error("nothing on that node answers requests")]
    NoHandler,
    /// The other node serves as many requests as it can. It was not carried out, or its answer had
    /// no room.
    #[error("that node has too many requests to answer already")]
    Busy,
    /// The other application failed, and says why: words of a stranger.
    #[error("that node failed: {0}")]
    Failed(String),
    /// This node stops. It may have been carried out.
    #[error("this node is stopping")]
    Stopped,
}

/// Why the application does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none that answers requests.
    NoHandler,
    /// It has no room for another one.
    Busy,
    /// It failed; the other end is told so much of the text as has room.
    Failed(String),
}

/// Why a request was not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for their answers")]
pub struct TooManyRequests;

/// What requests want done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestEffect {
    /// Something waits for the session of this node: take it by [`offer`](super::Requests::offer).
    Send {
        /// To whom.
        to: NodeId,
    },
    /// A link to this node is wanted.
    Connect(NodeId),
    /// Somebody waits for an answer of this peer, or it for ours: told every
    /// [`PROBE_AFTER`](crate::limits::PROBE_AFTER), so that its death is noticed.
    Awaited(NodeId),
    /// Hand it to the application, which gives its one
    /// [`answer`](super::Requests::answer).
    Serve {
        /// Who asks.
        from: NodeId,
        /// Which of its requests.
        id: u64,
        /// What.
        payload: Bytes,
    },
    /// The answer is not wanted any more.
    Abandon {
        /// Who asked.
        from: NodeId,
        /// Which of its requests.
        id: u64,
    },
    /// The end of a request of ours.
    Completed {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Result<Bytes, Unanswered>,
    },
    /// A request or an answer was not for nothing: whoever brought it is not charged for it.
    Useful {
        /// Who.
        peer: NodeId,
        /// Bytes of its payload.
        payload: usize,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}
