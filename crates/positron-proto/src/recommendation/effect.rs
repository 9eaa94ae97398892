//! What recommendations want done.

use super::RecommendationMessage;
use crate::{
    id::{NodeId, Ticket},
    misbehavior::Misbehavior,
    words::Recommendation,
};

/// What recommendations want done.
#[derive(Clone, Debug, PartialEq)]
pub enum RecommendationEffect {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: RecommendationMessage,
    },
    /// Answer with [`answer`](super::Recommendations::answer): whom we trust.
    Answer {
        /// Whom to answer.
        to: NodeId,
        /// How many it wants at most.
        most: usize,
    },
    /// Whom a peer trusts, in place of what it said before.
    Heard {
        /// Who says so.
        from: NodeId,
        /// Whom.
        recommended: Vec<Recommendation>,
    },
    /// A question of the application ended.
    Completed {
        /// Which.
        ticket: Ticket,
        /// How.
        answer: Result<Vec<Recommendation>, NotRecommended>,
    },
    /// Tell all peers with [`share`](super::Recommendations::share): it is time.
    Share,
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}

/// Why a peer did not say whom it trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecommended {
    /// It is not linked.
    #[error("the node is not connected")]
    NotConnected,
    /// It did not answer in time.
    #[error("the node did not answer in ten seconds")]
    TimedOut,
    /// Its session ended before it answered.
    #[error("the node left before it answered")]
    PeerGone,
    /// It was asked and told so often that it would take more for an attack.
    #[error("the node was asked or told too often of late")]
    TooOften,
    /// Too many questions are open.
    #[error("too many questions for recommendations are open")]
    TooManyQuestions,
    /// This node stopped.
    #[error("the node stopped")]
    Stopped,
}
