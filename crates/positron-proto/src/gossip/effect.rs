//! What comes out of gossip.

use super::{GossipMessage, ValidationId};
use crate::{
    id::{MessageId, NodeId},
    identity::{Signed, Verified},
    journey::{Dropped, JourneyStep, Nth},
    misbehavior::Observation,
    wire::message::AppMessage,
};

/// What gossip wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum GossipEffect {
    /// Send this, encoded once for all of them; a full queue loses it, and anti-entropy brings it
    /// later.
    Send {
        /// To whom, in this order.
        to: Vec<NodeId>,
        /// What.
        message: GossipMessage,
    },
    /// Check a signature; report [`Gossip::handle_verified`](super::Gossip::handle_verified),
    /// [`handle_refuted`](super::Gossip::handle_refuted) or
    /// [`handle_unchecked`](super::Gossip::handle_unchecked).
    Verify {
        /// Who brought it.
        from: NodeId,
        /// Its remaining hops.
        ttl: u8,
        /// The claim.
        claim: Signed<AppMessage>,
    },
    /// Ask the application whether it is valid; report
    /// [`Validating::handle_validity`](super::Validating::handle_validity). After
    /// [`VALIDATION_TIMEOUT`](crate::limits::VALIDATION_TIMEOUT) it is asked for, and about, again.
    Validate {
        /// Its name.
        id: ValidationId,
        /// What.
        message: Verified<AppMessage>,
        /// Who brought it.
        from: NodeId,
    },
    /// Hand it to the application: new here, and never handed over before.
    Deliver {
        /// What.
        message: Verified<AppMessage>,
        /// Who brought it.
        from: NodeId,
    },
    /// Keep it across restarts.
    Keep(Verified<AppMessage>),
    /// Its sender signed two contents under one number: both are held, each is a proof with the
    /// other, and the first one is what was handed over.
    Equivocated {
        /// Whose.
        sender: NodeId,
        /// Which.
        sequence: u64,
        /// The one that was handed over, and the other.
        messages: [MessageId; 2],
    },
    /// It left the retention window. The [`GossipEffect::Floor`] that keeps it out came before.
    Forget {
        /// Whose.
        sender: NodeId,
        /// Which.
        sequence: u64,
    },
    /// Messages of this sender below `floor` are old: never delivered again, not even after a
    /// restart.
    Floor {
        /// Whose.
        sender: NodeId,
        /// The lowest number that may still be new.
        floor: u64,
    },
    /// A message of ours left the retention window, and these peers do not have it: they took too
    /// long. If none is named, those that it was sent to have left, or nobody was there: as far as
    /// is known nobody has it.
    GivenUp {
        /// Which.
        message: MessageId,
        /// Who lacks it.
        peers: Vec<NodeId>,
    },
    /// This sender has no floor any more: too many others were heard since.
    ForgetFloor(NodeId),
    /// Something happened to a broadcast that was taken.
    Traced {
        /// Which.
        nth: Nth,
        /// What.
        step: JourneyStep,
    },
    /// A broadcast was not taken when it came.
    Dropped(Dropped),
    /// Something was seen of a peer.
    Observed {
        /// Of whom.
        peer: NodeId,
        /// What.
        what: Observation,
    },
}
