//! What relayed streams want done.

use std::net::SocketAddr;

use bytes::Bytes;

use super::RelayMessage;
use crate::{id::{LinkId, NodeId}, misbehavior::Misbehavior, stream::contract::LinkDown};

/// What relayed streams want done.
#[derive(Clone, Debug, PartialEq)]
pub enum RelayEffect {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: RelayMessage,
    },
    /// Somebody opened a stream to us.
    Accepted {
        /// Its name.
        link: LinkId,
        /// What we call the node, which has not proved yet to be the one that the relay says.
        from: SocketAddr,
    },
    /// A stream that was dialled is open.
    Connected(LinkId),
    /// Bytes arrived.
    Bytes {
        /// Of which stream.
        link: LinkId,
        /// Which.
        bytes: Bytes,
    },
    /// Of what was written the relay was given so many more bytes.
    Written {
        /// Of which stream.
        link: LinkId,
        /// How many.
        bytes: usize,
    },
    /// A stream is over, or could not be opened. The last of each.
    Down {
        /// Which.
        link: LinkId,
        /// Why.
        reason: LinkDown,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}

/// Why a relay does not forward to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayRefusal {
    /// The node is not linked to the relay.
    #[error("the relay has no link to that node")]
    NotLinked,
    /// It forwards for as many as it may.
    #[error("the relay has no room for another pair of nodes")]
    Full,
    /// It forwards for nobody.
    #[error("that node does not relay")]
    Off,
    /// It was asked too often of late.
    #[error("the relay was asked too often of late")]
    TooOften,
    /// A reason that this version does not know.
    #[error("the relay refuses, for reason {0}")]
    Other(u8),
}

impl RelayRefusal {
    /// Its number on the wire.
    pub(super) const fn to_code(self) -> u8 {
        match self {
            Self::NotLinked => 0,
            Self::Full => 1,
            Self::Off => 2,
            Self::TooOften => 3,
            Self::Other(code) => code,
        }
    }

    /// The one of this number.
    pub(super) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NotLinked,
            1 => Self::Full,
            2 => Self::Off,
            3 => Self::TooOften,
            _ => Self::Other(code),
        }
    }
}
