//! Why a handshake led to nothing.

use crate::{id::NodeId, wire::frame::CloseReason};

/// Why a handshake led to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFailure {
    /// Something else is there, by its first bytes.
    #[error("what answers there is not a positron-net node, it speaks {0}")]
    NotPositron(&'static str),
    /// It failed cryptographically, or out of turn.
    #[error("the handshake failed: {0}")]
    Broken(&'static str),
    /// Somebody else answered.
    #[error("another node answered: {found}")]
    WrongNode {
        /// Who.
        found: NodeId,
    },
    /// We reached ourselves.
    #[error("that address is this node itself")]
    Ourselves,
    /// One of the two ends does not want to talk to the other; both name the same reason.
    #[error("refused: {0}")]
    Refused(CloseReason),
}

impl HandshakeFailure {
    /// Whether nothing else has to be tried: the right node, or a wrong one, said so under its key.
    pub(crate) const fn settles(&self) -> bool {
        match self {
            Self::WrongNode { .. } | Self::Ourselves | Self::Refused(_) => true,
            Self::NotPositron(_) | Self::Broken(_) => false,
        }
    }

    /// What comes of a reason that we have against a node that proved to be `found`.
    pub(crate) fn of(reason: CloseReason, found: NodeId) -> Self {
        match reason {
            CloseReason::SelfDial => Self::Ourselves,
            CloseReason::WrongNode => Self::WrongNode { found },
            reason => Self::Refused(reason),
        }
    }
}
