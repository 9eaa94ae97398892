//! What comes out of direct messages.

use super::DirectMessage;
use crate::{
    id::{NodeId, Ticket},
    identity::{Signed, Verified},
    misbehavior::Misbehavior,
    wire::message::AppMessage,
};

/// Why a direct message was not delivered (as far as we know: an acknowledgment can be lost with
/// its link).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// No link came up in time.
    #[error("no link to that node came up in time")]
    NoLink,
    /// A link was up, and no acknowledgment came in time.
    #[error("that node did not acknowledge in time")]
    NotAcknowledged,
    /// Too many direct messages wait for their receivers.
    #[error("too many direct messages wait for their receivers")]
    QueueFull,
}

/// Why a direct message was not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many direct messages wait for their peers")]
pub struct QueueFull;

/// What direct messages want done.
#[derive(Clone, Debug, PartialEq)]
pub enum DirectEffect {
    /// Send this; report [`handle_delivered`](super::Direct::handle_delivered) or
    /// [`handle_undelivered`](super::Direct::handle_undelivered) with the ticket.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: DirectMessage,
        /// Its name.
        ticket: Ticket,
    },
    /// A link to this node is wanted.
    Connect(NodeId),
    /// Check a signature; report [`handle_verified`](super::Direct::handle_verified) or
    /// [`handle_refuted`](super::Direct::handle_refuted).
    Verify {
        /// From whom.
        from: NodeId,
        /// What.
        claim: Signed<AppMessage>,
    },
    /// Hand it to the application.
    Deliver(Verified<AppMessage>),
    /// The end of a message that was sent.
    Completed {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Result<(), Undelivered>,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}
