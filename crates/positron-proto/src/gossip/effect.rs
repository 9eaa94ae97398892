//! What goes into gossip and what comes out.

use crate::{
    id::NodeId,
    identity::{Signed, Verified},
    misbehavior::Observation,
    wire::{
        holdings::Holdings,
        message::{AppMessage, Message},
    },
};

/// What a peer said that concerns gossip.
#[derive(Clone, Debug, PartialEq)]
pub enum GossipMessage {
    /// A message, with its remaining hops.
    Gossip(u8, Signed<AppMessage>),
    /// What it has; an empty list ends its answer to a [`GossipMessage::Digest`].
    IHave(Holdings),
    /// What it wants.
    IWant(Holdings),
    /// The fingerprint of what it keeps.
    Digest {
        /// How many.
        count: u64,
        /// The sum of their ids.
        fingerprint: [u8; 32],
    },
}

/// What gossip wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum GossipEffect {
    /// Send this; a full queue loses it, and anti-entropy brings it later.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
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
    /// Hand it to the application: new here, and never handed over before.
    Deliver {
        /// What.
        message: Verified<AppMessage>,
        /// Who brought it.
        from: NodeId,
    },
    /// Keep it across restarts.
    Keep(Verified<AppMessage>),
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
    /// This sender has no floor any more: too many others were heard since.
    ForgetFloor(NodeId),
    /// Something was seen of a peer.
    Observed {
        /// Of whom.
        peer: NodeId,
        /// What.
        what: Observation,
    },
}
