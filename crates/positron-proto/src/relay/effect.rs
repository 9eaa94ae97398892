//! What relayed streams want done.

use std::net::SocketAddr;

use bytes::Bytes;

use super::RelayMessage;
use crate::{
    id::{LinkId, NodeId},
    misbehavior::Misbehavior,
    stream::contract::LinkDown,
};

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
