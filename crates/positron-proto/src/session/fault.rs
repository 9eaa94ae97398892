//! Why a link cannot go on, and whose fault that is.

use super::contract::DialFailure;
use crate::{
    misbehavior::Misbehavior,
    wire::{codec::Malformed, frame::CloseReason},
};

/// Why a link cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkFault {
    /// Nobody was there to talk to.
    Handshake(DialFailure),
    /// The peer closed it.
    Closed(CloseReason),
    /// A record does not open: somebody else's bytes, or broken ones. Nobody's misbehavior.
    Forged,
    /// The peer sealed something that is not a frame.
    Malformed(&'static str),
    /// The peer sealed a frame that its state does not allow.
    Violation(&'static str),
    /// The peer sealed more of something than it may.
    Flooding(&'static str),
}

impl LinkFault {
    /// What it says about the peer.
    pub(super) const fn misbehavior(&self) -> Option<Misbehavior> {
        match self {
            Self::Handshake(_) | Self::Closed(_) | Self::Forged => None,
            Self::Malformed(_) => Some(Misbehavior::Malformed),
            Self::Violation(_) => Some(Misbehavior::ProtocolViolation),
            Self::Flooding(_) => Some(Misbehavior::Flooding),
        }
    }

    /// What it makes of a dial whose handshake is not complete.
    pub(super) fn into_dial_failure(self) -> DialFailure {
        match self {
            Self::Handshake(failure) => failure,
            Self::Closed(reason) => DialFailure::Closed(reason),
            Self::Forged => DialFailure::Handshake("a record does not open"),
            Self::Malformed(what) | Self::Violation(what) | Self::Flooding(what) => {
                DialFailure::Handshake(what)
            }
        }
    }

    /// The fault that the endpoint of a datagram connection found.
    pub(super) const fn of(what: &'static str, misbehavior: Misbehavior) -> Self {
        match misbehavior {
            Misbehavior::Malformed => Self::Malformed(what),
            Misbehavior::Flooding => Self::Flooding(what),
            _ => Self::Violation(what),
        }
    }
}

impl From<Malformed> for LinkFault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.what)
    }
}
