//! What comes out of traces.

use super::{TraceMessage, TraceOrder};
use crate::{
    id::NodeId,
    identity::Signed,
    misbehavior::Misbehavior,
    time::{Duration, Instant},
};

/// What traces want done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEffect {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: TraceMessage,
    },
    /// Check a signature; report [`Traces::handle_verified`](super::Traces::handle_verified) or
    /// [`handle_refuted`](super::Traces::handle_refuted).
    Verify(PendingAsk),
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}

/// A question whose signature is being checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAsk {
    /// Who asks.
    pub from: NodeId,
    /// How far it is still to be passed on.
    pub hops: u8,
    /// When it came.
    pub arrived: Instant,
    /// What the sender of the message signed.
    pub order: Signed<TraceOrder>,
}

/// Why a message is not traced. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskTraceError {
    /// Nothing is remembered of it.
    #[error("this node remembers nothing of that message: it never came, or long ago")]
    Unknown,
    /// Only its sender may trace a message through the network.
    #[error("only the sender of a broadcast may trace it through the network")]
    NotOurs,
    /// Others have forgotten it.
    #[error("a message can be traced for ten minutes after it was sent, not longer")]
    TooOld,
    /// There was a trace a short time ago.
    #[error("one trace a minute; the next one in {} s", again_in.as_secs() + 1)]
    TooOften {
        /// When there may be the next one.
        again_in: Duration,
    },
}
