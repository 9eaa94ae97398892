//! Why a link cannot go on, and whose fault that is.

use crate::{
    handshake::HandshakeFailure,
    misbehavior::Misbehavior,
    wire::{codec::Malformed, frame::CloseReason},
};

/// Why a link cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkFault {
    /// Nobody was there to talk to.
    Handshake(HandshakeFailure),
    /// The peer closed it.
    Closed(CloseReason),
    /// A record does not open: somebody else's bytes, or broken ones. Nobody's misbehavior.
    Forged,
    /// The peer broke the protocol inside what it sealed. It is told so.
    Violation {
        /// How.
        what: &'static str,
        /// What it counts as.
        misbehavior: Misbehavior,
    },
}

impl LinkFault {
    /// The peer sealed a frame that its state does not allow.
    pub(super) const fn violation(what: &'static str) -> Self {
        Self::Violation { what, misbehavior: Misbehavior::ProtocolViolation }
    }

    /// The peer sealed more of something than it may.
    pub(super) const fn flooding(what: &'static str) -> Self {
        Self::Violation { what, misbehavior: Misbehavior::Flooding }
    }

    /// What it says about the peer.
    pub(super) const fn misbehavior(&self) -> Option<Misbehavior> {
        match self {
            Self::Handshake(_) | Self::Closed(_) | Self::Forged => None,
            Self::Violation { misbehavior, .. } => Some(*misbehavior),
        }
    }

    /// What it makes of a handshake that is not complete.
    pub(super) fn into_failure(self) -> HandshakeFailure {
        match self {
            Self::Handshake(failure) => failure,
            Self::Closed(reason) => HandshakeFailure::Refused(reason),
            Self::Forged => HandshakeFailure::Broken("a record does not open"),
            Self::Violation { what, .. } => HandshakeFailure::Broken(what),
        }
    }
}

/// The peer sealed something that is not a frame.
impl From<Malformed> for LinkFault {
    fn from(malformed: Malformed) -> Self {
        Self::Violation { what: malformed.what, misbehavior: Misbehavior::Malformed }
    }
}
